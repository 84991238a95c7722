//! `POST /v1/capsules/{id}/files/stat`

use actix_web::web::{Data, Json as JsonBody};
use wrenn_proto::{
    guest::{FileStat, file_start::Request},
    ids::SandboxId,
};

use super::{EntryResponse, FileError, PathRequest, session};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, Json, PathId},
};

/// Look at a file, folder or link
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/stat", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "What is there; of a link, the link itself", body = EntryResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or it no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn stat_file(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<PathRequest>)>,
) -> Result<JsonBody<EntryResponse>, FileError> {
    let stat = Request::Stat(FileStat { path: request.path });
    let entry = session::entry(&app, caller, id, request.user, stat).await?;
    Ok(JsonBody(EntryResponse { entry: entry.into() }))
}
