//! `GET /v1/events`, and what it shares with the stream of administrators.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use wrenn_actors::StreamItem;
use wrenn_base::{Chain, Clock};
use wrenn_control::event_follow::{self, FollowEventsError, FollowedEvents, Wanted};
use wrenn_domain::{
    action::Action,
    error_code::ErrorCode,
    event::{Event, EventTypes, TooManyStreams},
};

use super::cursor::{cursor_of, id_of};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        sse::{self, Events, Left},
    },
};

/// Time in which a client that is dropped must read again to learn why.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);
/// Seconds after which another stream may be opened: others close now and then.
const RETRY_SEC: u64 = 5;

/// Events that are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Types of events, separated by commas; without it, all that the caller may see.
    #[param(nullable = false, required = false, example = "capsule.changed,build.changed")]
    types: Option<String>,
    /// Id of the last event that was received, for a client that cannot set the header `Last-Event-ID`, which goes before.
    #[param(nullable = false, required = false)]
    last_event_id: Option<String>,
}

impl EventQuery {
    /// Reads the query and the header `Last-Event-ID`.
    ///
    /// # Errors
    /// If a value is not valid.
    pub(crate) fn wanted(&self, request: &HttpRequest, known: EventTypes) -> Result<Wanted, ApiError> {
        let types = self.types.as_deref().map(|list| EventTypes::parse(list, known)).transpose();
        let types = types.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
        let after = match (request.headers().get("last-event-id"), self.last_event_id.as_deref()) {
            (Some(id), _) => Some(cursor_of("Last-Event-ID", id.to_str().unwrap_or_default().trim())?),
            (None, Some(id)) => Some(cursor_of("last_event_id", id)?),
            (None, None) => None,
        };
        Ok(Wanted { types, after })
    }
}

/// The data of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventNotice {
    #[serde(rename = "type")]
    #[schema(example = "capsule.changed")]
    kind: &'static str,
    /// Kind of the resource.
    #[schema(example = "capsule")]
    resource_type: String,
    /// Id of the resource, or the name of a template; null for a change of the platform itself.
    #[schema(required = true)]
    resource_id: Option<String>,
    /// The team that it concerns; null for the platform.
    #[schema(required = true)]
    team_id: Option<String>,
    /// When it happened.
    at: DateTime<Utc>,
    /// The resource as it is then, in a few facts such as `status`.
    #[schema(value_type = Object)]
    facts: Map<String, Value>,
}

impl From<&Event> for EventNotice {
    fn from(event: &Event) -> Self {
        Self {
            kind: event.kind.as_str(),
            resource_type: event.resource_type.clone(),
            resource_id: event.resource_id.clone(),
            team_id: event.team_id.map(|team| team.to_string()),
            at: event.at,
            facts: event.facts.clone(),
        }
    }
}

impl ClientError for FollowEventsError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error @ (TooManyStreams::OfPrincipal | TooManyStreams::OfTeam)) => {
                ApiError::later(ErrorCode::RateLimited, error.to_string(), RETRY_SEC)
            }
            Self::TooMany(error @ TooManyStreams::OfServer) => {
                ApiError::later(ErrorCode::Overloaded, error.to_string(), RETRY_SEC)
            }
        }
    }
}

/// Follow the team's events
///
/// Server-sent events: `ready` when everything up to now was sent, then an event whenever a capsule, build, template, host,
/// member or the team itself changes. An API key receives the types that its scopes list. A client that reconnects with
/// `Last-Event-ID` misses and repeats nothing for 7 days; later, `reset` tells it to read its lists anew. A client that does
/// not read is sent `dropped`, if it reads again soon, and may reconnect.
#[utoipa::path(
    get, path = Action::EventFollow.path(), tag = "events",
    params(
        EventQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was received"),
    ),
    responses(
        (status = 200, description = "Events, for as long as the client likes", body = EventNotice, content_type = "text/event-stream"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn follow_events(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<EventQuery>>,
) -> Result<HttpResponse, ApiError> {
    let wanted = query.wanted(&request, EventTypes::of_teams())?;
    let followed = event_follow::run(&app.control, &principal, wanted).await?;
    Ok(respond(&app, followed))
}

/// Answers with events that are followed.
pub(crate) fn respond(app: &App, followed: FollowedEvents) -> HttpResponse {
    let follower = Follower { followed, clock: app.clock.clone(), stopping: app.stopping.clone() };
    sse::answer(app.clock.clone(), |events| follower.run(events))
}

struct Follower {
    followed: FollowedEvents,
    clock: Clock,
    stopping: CancellationToken,
}

/// Something to do for a client.
enum Turn {
    Write(StreamItem),
    /// The stream was silent for a while.
    Quiet,
    Revoked,
}

impl Follower {
    async fn run(mut self, mut events: Events) -> Result<(), Left> {
        loop {
            let (revoked, stopping) = (self.followed.revoked(), self.stopping.clone());
            let turn = tokio::select! {
                biased;
                () = stopping.cancelled() => return Ok(()),
                () = revoked => Turn::Revoked,
                item = self.followed.next() => match item {
                    Ok(item) => Turn::Write(item),
                    // The client reconnects.
                    Err(error) => {
                        tracing::warn!(error = %Chain(&error), "following events failed");
                        return Ok(());
                    }
                },
                () = events.quiet() => Turn::Quiet,
            };
            match turn {
                Turn::Revoked => return self.refuse(events).await,
                Turn::Write(StreamItem::Dropped) => return self.drop_client(events).await,
                turn => {
                    // A client that does not read is given up.
                    let (revoked, hopeless) = (self.followed.revoked(), self.is_hopeless());
                    tokio::select! {
                        written = self.write(&mut events, turn) => written?,
                        () = stopping.cancelled() => return Err(Left),
                        () = revoked => return Err(Left),
                        () = hopeless => return Err(Left),
                    }
                }
            }
        }
    }

    async fn write(&self, events: &mut Events, turn: Turn) -> Result<(), Left> {
        match turn {
            Turn::Write(StreamItem::Event(followed)) => {
                let notice = EventNotice::from(&followed.event);
                events.tell_at(id_of(followed.cursor), notice.kind, &notice).await
            }
            Turn::Write(StreamItem::Live(cursor)) => events.tell_at(id_of(cursor), "ready", &json!({})).await,
            Turn::Write(StreamItem::Reset(cursor)) => {
                let message =
                    "events before this one may be missing, as they are kept for 7 days; read the lists anew";
                events.tell_at(id_of(cursor), "reset", &json!({"message": message})).await
            }
            Turn::Quiet => match self.followed.idle_at() {
                Some(cursor) => events.alive_at_id(id_of(cursor)).await,
                None => events.alive().await,
            },
            Turn::Write(StreamItem::Dropped) | Turn::Revoked => Ok(()),
        }
    }

    /// Waits until a client that is dropped has had the time to read again.
    fn is_hopeless(&self) -> impl Future<Output = ()> + use<> {
        let (overflowed, clock) = (self.followed.overflowed(), self.clock.clone());
        async move {
            overflowed.await;
            clock.sleep(LAST_WORDS_WITHIN).await;
        }
    }

    /// Tells the client that it was dropped, if it reads.
    async fn drop_client(&self, mut events: Events) -> Result<(), Left> {
        let message = "the client does not read, and too many events wait for it; reconnect with the last id";
        let last = json!({"reason": "slow_client", "message": message});
        tokio::select! {
            told = events.tell("dropped", &last) => told,
            () = self.clock.sleep(LAST_WORDS_WITHIN) => Err(Left),
        }
    }

    /// Tells the client that it may no longer follow the events, if it reads.
    async fn refuse(&self, mut events: Events) -> Result<(), Left> {
        let ApiError { code, message, .. } = ApiError::revoked();
        let last = json!({"code": code.as_str(), "message": message});
        tokio::select! {
            told = events.tell("error", &last) => told,
            () = self.clock.sleep(LAST_WORDS_WITHIN) => Err(Left),
        }
    }
}
