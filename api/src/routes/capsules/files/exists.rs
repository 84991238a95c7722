//! `POST /v1/capsules/{id}/files/exists`

use actix_web::web::{Data, Json as JsonBody};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_proto::{
    guest::{FileFailure, FileStat, file_start::Request},
    ids::SandboxId,
};

use super::{FileError, FileType, PathRequest, session, types};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, Json, PathId},
};

/// Whether something is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExistsResponse {
    /// Also true for a link that leads nowhere.
    exists: bool,
    /// Absent if nothing is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    r#type: Option<FileType>,
}

/// Whether a file, folder or link exists
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/exists", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "Whether something is there", body = ExistsResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn file_exists(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<PathRequest>)>,
) -> Result<JsonBody<ExistsResponse>, FileError> {
    let stat = Request::Stat(FileStat { path: request.path });
    let r#type = match session::entry(&app, caller, id, request.user, stat).await {
        Ok(entry) => Some(types(entry.kind()).0),
        // Nothing is in something that is no folder.
        Err(FileError::Failed { kind: FileFailure::NotFound | FileFailure::NotDirectory, .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(JsonBody(ExistsResponse { exists: r#type.is_some(), r#type }))
}
