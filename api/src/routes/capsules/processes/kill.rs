//! `DELETE /v1/capsules/{id}/processes/{selector}`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use wrenn_proto::{
    guest::{ProcessSignal, Signal, exec_event::Event, exec_input::Input},
    ids::SandboxId,
};

use super::{ProcessError, SignalName, ask, selector::PathSelector};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, PathId, Query},
    routes::capsules::operate,
};

/// How the process is to be ended, or what else it is told.
#[derive(Debug, Deserialize)]
pub(crate) struct KillQuery {
    #[serde(default)]
    signal: SignalName,
}

/// Send a signal to a process
///
/// `SIGKILL`, the default, reaches everything that the process has started; other signals reach its process group.
#[utoipa::path(
    delete, path = "/v1/capsules/{id}/processes/{selector}", tag = "processes",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(
        ("id" = String, Path, description = "The capsule"),
        ("selector" = String, Path, description = "A pid, or a tag"),
        ("signal" = inline(Option<SignalName>), Query, description = "`SIGKILL` by default"),
    ),
    responses(
        (status = 204, description = "The signal was sent"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "No such process runs, or the team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn kill_process(
    app: Data<App>,
    AuthThen(caller, (PathId(id), PathSelector(selector), Query(query))): AuthThen<
        Caller,
        (PathId<SandboxId>, PathSelector, Query<KillQuery>),
    >,
) -> Result<HttpResponse, ProcessError> {
    operate::find(&app, caller, id).await?;
    let signal = Some(Signal { number: query.signal.number() });
    let question = Input::SignalProcess(ProcessSignal { process: Some(selector.into()), signal });
    match ask(&app, id, question).await? {
        Event::Signalled(_) => Ok(HttpResponse::NoContent().finish()),
        _ => Err(ProcessError::NoAnswer),
    }
}
