//! `POST /v1/capsules/{id}/files/mkdir`

use actix_web::web::{Data, Json as JsonBody};
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileMakeDir, file_start::Request};

use super::{
    EntryResponse, PathRequest,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Make a folder and its parents
///
/// Succeeds if the folder exists already.
#[utoipa::path(
    post, path = Action::FileMakeDir.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The folder exists", body = EntryResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn make_dir(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<PathRequest>),
    >,
) -> Result<JsonBody<EntryResponse>, ApiError> {
    let make = Request::MakeDir(FileMakeDir { path: request.path });
    let access = FileAccess::new(&app, &principal, Action::FileMakeDir, id);
    let entry = access.entry(request.user, make).await?;
    Ok(JsonBody(EntryResponse { entry: entry.into() }))
}
