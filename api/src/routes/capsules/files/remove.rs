//! `POST /v1/capsules/{id}/files/remove`

use actix_web::{HttpResponse, web::Data};
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileRemove, file_start::Request};

use super::{
    PathRequest,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Remove a file, a link, or a folder with everything in it
///
/// Links are removed, not followed. If the client disconnects before the answer, the removal stops where it is.
#[utoipa::path(
    post, path = Action::FileRemove.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 204, description = "It is removed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn remove_file(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<PathRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let remove = Request::Remove(FileRemove { path: request.path });
    let access = FileAccess::new(&app, &principal, Action::FileRemove, id);
    let mut session = access.open(request.user, remove).await?;
    session::done(&mut session.events).await?;
    Ok(HttpResponse::NoContent().finish())
}
