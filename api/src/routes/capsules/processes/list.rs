//! `GET /v1/capsules/{id}/processes`

use actix_web::web::{self, Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_proto::{
    guest::{self, ProcessList, exec_event::Event, exec_input::Input},
    ids::SandboxId,
};

use super::{ProcessError, ask};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, PathId},
    routes::capsules::{operate, session},
};

/// A process that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Process {
    pid: u32,
    /// Name by which it can be found, too.
    tag: String,
    /// The beginning, if it is long.
    cmd: String,
    /// The beginning, if they are long.
    args: Vec<String>,
    /// Whether it runs in a terminal.
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
            // The guest's clock is its own affair.
            started_at: DateTime::from_timestamp(info.started_at, 0).unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

/// All that run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Processes {
    processes: Vec<Process>,
}

/// List what was started in a capsule and runs
#[utoipa::path(
    get, path = "/v1/capsules/{id}/processes", tag = "processes",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 200, description = "What runs", body = Processes),
        (status = 400, description = "The id is none", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn list_processes(
    app: Data<App>,
    AuthThen(caller, PathId(id)): AuthThen<Caller, PathId<SandboxId>>,
) -> Result<web::Json<Processes>, ProcessError> {
    operate::find(&app, caller, id).await?;
    match ask(&app, id, Input::List(ProcessList {})).await? {
        Event::Processes(listed) => {
            Ok(web::Json(Processes { processes: listed.processes.into_iter().map(Into::into).collect() }))
        }
        _ => Err(ProcessError::NoAnswer),
    }
}
