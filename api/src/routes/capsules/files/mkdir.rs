//! `POST /v1/capsules/{id}/files/mkdir`

use actix_web::web::{Data, Json as JsonBody};
use wrenn_proto::{
    guest::{FileMakeDir, file_start::Request},
    ids::SandboxId,
};

use super::{EntryResponse, FileError, PathRequest, session};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, Json, PathId},
};

/// Make a folder and its parents
///
/// One that is there already is fine.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/mkdir", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The folder is there", body = EntryResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn make_dir(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<PathRequest>)>,
) -> Result<JsonBody<EntryResponse>, FileError> {
    let make = Request::MakeDir(FileMakeDir { path: request.path });
    let entry = session::entry(&app, caller, id, request.user, make).await?;
    Ok(JsonBody(EntryResponse { entry: entry.into() }))
}
