//! `GET /v1/capsules/{id}/events`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wrenn_control::sandbox_history;
use wrenn_domain::{
    action::Action,
    history::{HistoryEntry, HistoryEvent, HistoryOrigin},
    ids::SandboxId,
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, PathId, Query},
        page::{self, PageQuery},
    },
    routes::audit_logs::AuditStatusName,
};

/// Event in the life of a capsule.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CapsuleEventName {
    Created,
    Paused,
    Resumed,
    /// A template was made of it.
    Snapshot,
    /// The idle time was set.
    Timeout,
    /// The access to its ports was set.
    Preview,
    /// The machine ended by itself, and its disk is kept.
    Stopped,
    /// The capsule can no longer be used.
    Failed,
    /// The leftovers of the failed machine were removed from the host.
    CleanedUp,
    /// The host was lost.
    Missing,
    /// The host is back, and has the machine.
    Found,
    Destroyed,
}

impl From<HistoryEvent> for CapsuleEventName {
    fn from(event: HistoryEvent) -> Self {
        match event {
            HistoryEvent::Created => Self::Created,
            HistoryEvent::Paused => Self::Paused,
            HistoryEvent::Resumed => Self::Resumed,
            HistoryEvent::Snapshot => Self::Snapshot,
            HistoryEvent::Timeout => Self::Timeout,
            HistoryEvent::Preview => Self::Preview,
            HistoryEvent::Stopped => Self::Stopped,
            HistoryEvent::Failed => Self::Failed,
            HistoryEvent::CleanedUp => Self::CleanedUp,
            HistoryEvent::Missing => Self::Missing,
            HistoryEvent::Found => Self::Found,
            HistoryEvent::Destroyed => Self::Destroyed,
        }
    }
}

/// Entry in the history of a capsule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapsuleEvent {
    /// Id of the entry; of what was requested, that of the entry in the audit log.
    id: String,
    event: CapsuleEventName,
    /// State of what was requested; null for what happened without a request.
    #[schema(required = true)]
    status: Option<AuditStatusName>,
    /// Reason of a failure, or of an end without a request.
    #[schema(required = true)]
    reason: Option<String>,
    /// `user`, `api_key` or `system`; null for what happened without a request.
    #[schema(required = true)]
    actor_type: Option<String>,
    /// Id of the user or key.
    #[schema(required = true)]
    actor_id: Option<String>,
    /// The actor's name at the time; of the system, the reason for which it acted, such as `idle`.
    #[schema(required = true)]
    actor_name: Option<String>,
    /// Further facts, as an object of texts.
    #[schema(value_type = Object)]
    metadata: Value,
    /// When it happened, or was begun.
    created_at: DateTime<Utc>,
    /// When what was requested ended; null while it is in flight.
    #[schema(required = true)]
    settled_at: Option<DateTime<Utc>>,
}

impl From<HistoryEntry> for CapsuleEvent {
    fn from(entry: HistoryEntry) -> Self {
        let HistoryEntry { event, origin, reason, at } = entry;
        let event = event.into();
        match origin {
            HistoryOrigin::Audit { id, actor_type, actor, actor_name, status, settled_at, metadata } => {
                Self {
                    id: id.to_string(),
                    event,
                    status: Some(status.into()),
                    reason,
                    actor_type: Some(actor_type),
                    actor_id: actor.map(|actor| actor.to_string()),
                    actor_name,
                    metadata,
                    created_at: at,
                    settled_at,
                }
            }
            HistoryOrigin::Incident(id) => Self {
                id: id.to_string(),
                event,
                status: None,
                reason,
                actor_type: None,
                actor_id: None,
                actor_name: None,
                metadata: Value::Object(serde_json::Map::new()),
                created_at: at,
                settled_at: Some(at),
            },
        }
    }
}

/// Show the history of a capsule
///
/// By whom and why it was created, paused, resumed or destroyed, and what happened to it without a request, newest first. Kept
/// for 400 days, longer than a destroyed capsule.
#[utoipa::path(
    get, path = Action::SandboxHistory.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule"), PageQuery),
    responses(
        (
            status = 200, description = "The entries, newest first", body = Vec<CapsuleEvent>,
            headers(("X-Next-Token" = String, description = "Token of the next page, if there is one")),
        ),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
    ),
)]
pub(crate) async fn list_capsule_events(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Query(query))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Query<PageQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    let found = sandbox_history::run(&app.control, &principal, id, query.request()?).await?;
    Ok(page::respond(found.map(CapsuleEvent::from)))
}
