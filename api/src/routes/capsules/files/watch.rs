//! `GET /v1/capsules/{id}/files/watch`: changes, as server-sent events.
//!
//! ```text
//!   event: ready        every later change is reported
//!   event: change       data: {"type": "write", "path": "/srv/a"}
//!   : alive             now and then
//!   event: error        data: {"code": "agent_error", "message": "…"}; nothing follows
//! ```
//!
//! A client that does not read slows the guest, which reports lost changes as `overflow`.

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wrenn_actors::FileSession;
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileChange, FileChanged, FileWatch, file_event::Event, file_start::Request};

use super::{
    FileError,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError as _, ErrorBody},
    http::{
        extract::{AuthThen, PathId, Query},
        sse::{self, Events, Left},
    },
    routes::capsules::session::UNAVAILABLE,
};

/// Path and scope of a watch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatchQuery {
    /// A file or folder. A relative path starts at the user's home.
    path: String,
    /// Includes subfolders, also those that are created later.
    #[serde(default)]
    #[param(required = false)]
    recursive: bool,
    /// User whose rights apply; by default the capsule's `default_user`.
    #[param(nullable = false, required = false)]
    user: Option<String>,
}

/// Kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChangeType {
    Create,
    Write,
    Remove,
    Rename,
    Attributes,
    /// Changes were lost: read the folder again.
    Overflow,
}

/// The data of a `change`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileChangeEvent {
    r#type: ChangeType,
    path: String,
    /// The former path, for `rename`.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    from: String,
}

/// The data of an `error`.
#[derive(Debug, Serialize)]
struct ErrorEvent {
    code: &'static str,
    message: String,
}

/// Watch a file or folder
///
/// Server-sent events: `ready` when every later change is reported; `change` for each of them; `error` with a `code` and
/// a `message` as the last one, when the capsule ends or the watched path is removed. Comments keep the connection alive.
#[utoipa::path(
    get, path = Action::FileWatch.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule"), WatchQuery),
    responses(
        (status = 200, description = "Events, until the client disconnects", body = FileChangeEvent, content_type = "text/event-stream"),
        (status = 400, description = "The request is not valid, or too much is being watched", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn watch_files(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Query(query))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Query<WatchQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    let watch = Request::Watch(FileWatch { path: query.path, recursive: query.recursive });
    let access = FileAccess::new(&app, &principal, Action::FileWatch, id);
    let mut session = access.open(query.user, watch).await?;
    let Some(Event::Ready(_)) = session::next(&mut session.events).await? else {
        return Err(FileError::Unexpected.into());
    };
    Ok(sse::answer(app.clock.clone(), |events| pump(session, events)))
}

/// Relays events until the session ends, or the client disconnects.
async fn pump(mut session: FileSession, mut events: Events) -> Result<(), Left> {
    events.tell("ready", &serde_json::Map::new()).await?;
    loop {
        tokio::select! {
            event = session::next(&mut session.events) => match event {
                Ok(Some(Event::Changed(changed))) => {
                    events.tell("change", &FileChangeEvent::from(changed)).await?;
                }
                other => {
                    let answer = other.err().unwrap_or(FileError::Unexpected).api_error();
                    let error = ErrorEvent { code: answer.code.as_str(), message: answer.message };
                    return events.tell("error", &error).await;
                }
            },
            () = events.quiet() => events.alive().await?,
        }
    }
}

impl From<FileChanged> for FileChangeEvent {
    fn from(changed: FileChanged) -> Self {
        let r#type = match changed.kind() {
            FileChange::Created => ChangeType::Create,
            FileChange::Written => ChangeType::Write,
            FileChange::Removed => ChangeType::Remove,
            FileChange::Renamed => ChangeType::Rename,
            FileChange::Attributes => ChangeType::Attributes,
            // An unknown kind, of a later guest, is a reason to read again, too.
            FileChange::Overflow | FileChange::Unspecified => ChangeType::Overflow,
        };
        Self { r#type, path: changed.path, from: changed.from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_was_is_told_of_what_was_moved_only() {
        let changed = FileChanged { kind: FileChange::Renamed.into(), path: "/a".into(), from: "/c".into() };
        let text = serde_json::to_string(&FileChangeEvent::from(changed)).unwrap();
        assert_eq!(text, r#"{"type":"rename","path":"/a","from":"/c"}"#);
        let plain = FileChanged { kind: FileChange::Written.into(), path: "/a".into(), from: String::new() };
        assert!(!serde_json::to_string(&FileChangeEvent::from(plain)).unwrap().contains("from"));
    }
}
