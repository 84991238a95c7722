//! `GET /v1/capsules/{id}/processes`

use actix_web::web::{self, Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{self, ProcessList, exec_event::Event, exec_input::Input};

use super::{ProcessError, query};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
    routes::capsules::session,
};

/// A running process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Process {
    pid: u32,
    /// Name of the process.
    tag: String,
    /// Truncated if it is long.
    cmd: String,
    /// Truncated if they are long.
    args: Vec<String>,
    /// True if it runs in a terminal.
    terminal: bool,
    user: String,
    started_at: DateTime<Utc>,
}

impl From<guest::ProcessInfo> for Process {
    fn from(info: guest::ProcessInfo) -> Self {
        Self {
            pid: info.pid,
            tag: session::quote(&info.tag),
            cmd: info.cmd,
            args: info.args,
            terminal: info.terminal,
            user: session::quote(&info.user),
            // The guest's clock may be at any time.
            started_at: DateTime::from_timestamp(info.started_at, 0).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

/// The running processes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Processes {
    processes: Vec<Process>,
}

/// List the running processes that were started through the API
#[utoipa::path(
    get, path = Action::ProcessList.path(), tag = "processes",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 200, description = "The running processes", body = Processes),
        (status = 400, description = "The id is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = session::UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn list_processes(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<SandboxId>>,
) -> Result<web::Json<Processes>, ApiError> {
    match query(&app, &principal, Action::ProcessList, id, Input::List(ProcessList {})).await? {
        Event::Processes(listed) => {
            Ok(web::Json(Processes { processes: listed.processes.into_iter().map(Into::into).collect() }))
        }
        _ => Err(ProcessError::NoAnswer.into()),
    }
}
