//! `POST /v1/capsules/{id}/files/exists`

use actix_web::web::{Data, Json as JsonBody};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileFailure, FileStat, file_start::Request};

use super::{
    FileError, FileType, PathRequest,
    session::{self, FileAccess},
    types,
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Existence of a file, folder or link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExistsResponse {
    /// True for a dangling link, too.
    exists: bool,
    /// Absent if nothing exists at the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    r#type: Option<FileType>,
}

/// Check if a file, folder or link exists
#[utoipa::path(
    post, path = Action::FileExists.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "Existence and type", body = ExistsResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn file_exists(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<PathRequest>),
    >,
) -> Result<JsonBody<ExistsResponse>, ApiError> {
    let access = FileAccess::new(&app, &principal, Action::FileExists, id);
    let stat = Request::Stat(FileStat { path: request.path });
    let r#type = match access.entry(request.user, stat).await {
        Ok(entry) => Some(types(entry.kind()).0),
        // A path below something that is not a folder does not exist.
        Err(FileError::Failed { kind: FileFailure::NotFound | FileFailure::NotDirectory, .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(JsonBody(ExistsResponse { exists: r#type.is_some(), r#type }))
}
