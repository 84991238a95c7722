//! `POST /v1/capsules/{id}/files/rename`, and `…/files/move`

use actix_web::web::{Data, Json as JsonBody};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_proto::{
    guest::{FileRename, file_start::Request},
    ids::SandboxId,
};

use super::{EntryResponse, FileError, session};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, Json, PathId},
};

/// What is to be moved, and where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameRequest {
    from: String,
    /// Its parents are made.
    to: String,
    /// Whether a file, link or empty folder at `to` is replaced.
    #[serde(default)]
    #[schema(required = false, default = false)]
    overwrite: bool,
    /// With whose rights; by default those of the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
}

/// Move a file, folder or link
///
/// Within a filesystem; it is there or here at any moment. `files/move` is another name of it.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/rename", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = RenameRequest,
    responses(
        (status = 200, description = "It is where it was to be", body = EntryResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or it no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn rename_file(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<RenameRequest>)>,
) -> Result<JsonBody<EntryResponse>, FileError> {
    let RenameRequest { from, to, overwrite, user } = request;
    let rename = Request::Rename(FileRename { from, to, overwrite });
    let entry = session::entry(&app, caller, id, user, rename).await?;
    Ok(JsonBody(EntryResponse { entry: entry.into() }))
}
