//! `GET /v1/builds/{id}/logs`: the progress of a build, as server-sent events.
//!
//! ```text
//!   event: build    data: the build without its logs: first, whenever it changes, and after everything else
//!   event: step     data: a log entry without its text, when the step begins and when it ends
//!   id: 17
//!   event: line     data: {"step": 3, "stream": "stdout", "text": "…"}
//!   : alive         now and then
//!   event: end      nothing follows
//! ```
//!
//! The events of the past come first, then those of the present. A client that reconnects with the `Last-Event-ID` of a
//! line receives the lines after it; lines of an attempt that is over are not repeated.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use wrenn_base::{Chain, Clock};
use wrenn_control::{
    build_follow::{self, FollowedBuild},
    read_error::ReadError,
};
use wrenn_domain::{action::Action, ids::BuildId};

use super::{Build, LogEntry};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, PathId},
        sse::{self, Events, Left},
    },
};

/// Interval of polling without a report of a change: another server may carry the build out.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// The data of a `line`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogLine {
    step: u32,
    /// `stdout` or `stderr`.
    stream: &'static str,
    /// The line without its end.
    text: String,
}

/// Follow a build of the team
///
/// Server-sent events: `step` (a log entry without text) when a step begins and when it ends, `line` for every line that
/// is printed, `build` (without logs) whenever it changes, `end` when nothing follows. `Last-Event-ID` goes on after a
/// line.
#[utoipa::path(
    get, path = Action::BuildFollow.path(), tag = "builds",
    params(
        ("id" = String, Path, description = "The build"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last `line` that was received"),
    ),
    responses(
        (status = 200, description = "Events, until the build has ended", body = LogLine, content_type = "text/event-stream"),
        (status = 404, description = "The team has no such build", body = ErrorBody),
    ),
)]
pub(crate) async fn follow_team_build(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<BuildId>>,
) -> Result<HttpResponse, ApiError> {
    let followed = build_follow::run(&app.control, &principal, id).await?;
    Ok(follow(&app, &request, followed))
}

/// Answers with the events of a build.
pub(in crate::routes) fn follow(app: &App, request: &HttpRequest, followed: FollowedBuild) -> HttpResponse {
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let follower = Follower {
        followed,
        clock: app.clock.clone(),
        stopping: app.stopping.clone(),
        seq: last.unwrap_or(0),
        steps: BTreeMap::new(),
        build: None,
    };
    sse::answer(app.clock.clone(), |events| follower.run(events))
}

/// A client's view of a build, and the events that lead to it.
struct Follower {
    followed: FollowedBuild,
    clock: Clock,
    stopping: CancellationToken,
    /// The last line that was sent.
    seq: u64,
    /// The steps as they were sent last.
    steps: BTreeMap<u32, LogEntry>,
    /// The build as it was sent last.
    build: Option<Build>,
}

enum Progress {
    InFlight,
    Ended,
}

/// The reason for which the events end before the build does.
enum Interruption {
    Left(Left),
    Read(ReadError),
}

impl From<Left> for Interruption {
    fn from(left: Left) -> Self {
        Self::Left(left)
    }
}

impl From<ReadError> for Interruption {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Follower {
    async fn run(mut self, mut events: Events) -> Result<(), Left> {
        loop {
            self.followed.mark_seen();
            match self.poll(&mut events).await {
                Ok(Progress::InFlight) => {}
                Ok(Progress::Ended) => return events.tell("end", &serde_json::Map::new()).await,
                Err(Interruption::Left(left)) => return Err(left),
                // The client reconnects.
                Err(Interruption::Read(error)) => {
                    tracing::warn!(error = %Chain(&error), "following build failed");
                    return Ok(());
                }
            }
            let revoked = self.followed.revoked();
            tokio::select! {
                () = self.followed.changed() => {}
                () = self.clock.sleep(POLL_EVERY) => {}
                () = events.quiet() => {}
                () = self.stopping.cancelled() => return Ok(()),
                () = revoked => return self.refuse(events).await,
            }
            if self.clock.now() >= events.alive_at() {
                events.alive().await?;
            }
        }
    }

    /// Says that the client may no longer follow the build.
    async fn refuse(&self, mut events: Events) -> Result<(), Left> {
        let ApiError { code, message, .. } = ApiError::revoked();
        events.tell("error", &serde_json::json!({"code": code.as_str(), "message": message})).await
    }

    /// Sends everything that is new.
    ///
    /// The build is read first and sent last, so that its end follows all steps and lines. A client that does not know
    /// it, or not this attempt, receives it at the beginning, too: there can be many lines.
    async fn poll(&mut self, events: &mut Events) -> Result<Progress, Interruption> {
        let Some(build) = self.followed.build().await? else { return Ok(Progress::Ended) };
        let has_ended = build.status.has_ended();
        let build = Build::from(build);
        if self.build.as_ref().is_none_or(|sent| sent.attempt != build.attempt) {
            self.steps.clear();
            events.tell("build", &build).await?;
        }
        loop {
            // Lines before steps, so that the step of each line is known.
            let lines = self.followed.lines(self.seq).await?;
            for step in self.followed.steps().await? {
                let entry = LogEntry::from(step);
                if self.steps.get(&entry.step) != Some(&entry) {
                    events.tell("step", &entry).await?;
                    self.steps.insert(entry.step, entry);
                }
            }
            if lines.is_empty() {
                break;
            }
            for line in lines {
                let data = LogLine { step: line.step, stream: line.stream.as_str(), text: line.line };
                events.tell_at(line.seq, "line", &data).await?;
                self.seq = line.seq;
            }
        }
        if self.build.as_ref() != Some(&build) {
            events.tell("build", &build).await?;
            self.build = Some(build);
        }
        Ok(if has_ended { Progress::Ended } else { Progress::InFlight })
    }
}
