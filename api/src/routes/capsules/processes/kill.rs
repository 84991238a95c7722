//! `DELETE /v1/capsules/{id}/processes/{selector}`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{ProcessSignal, Signal, exec_event::Event, exec_input::Input};

use super::{ProcessError, SignalName, query, selector::PathSelector};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId, Query},
    routes::capsules::session,
};

/// The signal for the process.
#[derive(Debug, Deserialize)]
pub(crate) struct KillQuery {
    #[serde(default)]
    signal: SignalName,
}

/// Send a signal to a process
///
/// `SIGKILL`, the default, reaches everything that the process has started; other signals reach its process group.
#[utoipa::path(
    delete, path = Action::ProcessKill.path(), tag = "processes",
    params(
        ("id" = String, Path, description = "The capsule"),
        ("selector" = String, Path, description = "A pid, or a tag"),
        ("signal" = inline(Option<SignalName>), Query, description = "`SIGKILL` by default"),
    ),
    responses(
        (status = 204, description = "The signal was sent"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "No such process runs, or the team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = session::UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn kill_process(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), PathSelector(selector), Query(kill))): AuthThen<
        Authorized,
        (PathId<SandboxId>, PathSelector, Query<KillQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    let signal = Some(Signal { number: kill.signal.number() });
    let request = Input::SignalProcess(ProcessSignal { process: Some(selector.into()), signal });
    match query(&app, &principal, Action::ProcessKill, id, request).await? {
        Event::Signalled(_) => Ok(HttpResponse::NoContent().finish()),
        _ => Err(ProcessError::NoAnswer.into()),
    }
}
