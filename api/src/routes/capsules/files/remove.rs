//! `POST /v1/capsules/{id}/files/remove`

use actix_web::{HttpResponse, web::Data};
use wrenn_proto::{
    guest::{FileRemove, file_start::Request},
    ids::SandboxId,
};

use super::{FileError, PathRequest, session};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, Json, PathId},
};

/// Remove a file, a link, or a folder with everything in it
///
/// Links are removed and not followed. A client that leaves before the answer stops it where it is.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/remove", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or it no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn remove_file(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<PathRequest>)>,
) -> Result<HttpResponse, FileError> {
    let remove = Request::Remove(FileRemove { path: request.path });
    let mut session = session::open(&app, caller, id, request.user, remove).await?;
    session::done(&mut session.events).await?;
    Ok(HttpResponse::NoContent().finish())
}
