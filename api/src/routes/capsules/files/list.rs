//! `POST /v1/capsules/{id}/files/list`
//!
//! However many files the guest tells of, a bounded number is kept.

use std::ops::RangeInclusive;

use actix_web::web::{Data, Json as JsonBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::{
    guest::{FileList, file_event::Event, file_start::Request},
    ids::SandboxId,
};

use super::{FileEntry, FileError, session};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json, PathId},
};

/// As deep as a guest goes.
const DEPTH: RangeInclusive<i64> = 1..=256;
/// Most entries of an answer, and most text in them, in bytes.
const MAX_ENTRIES: usize = 20_000;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Which folder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDirRequest {
    /// A relative path is meant from the user's home.
    path: String,
    /// 1 lists the folder itself, 2 its subfolders, too, and so on.
    #[schema(value_type = i32, required = false, default = 1, minimum = 1, maximum = 256)]
    depth: Option<i64>,
    /// With whose rights; by default those of the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
}

/// What is in a folder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListDirResponse {
    /// Sorted by path. Links to folders are not followed.
    entries: Vec<FileEntry>,
    /// Whether there are more than fit into an answer: 20,000.
    truncated: bool,
}

/// Why a folder was not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error("depth: must be from {} to {}, not {given}", DEPTH.start(), DEPTH.end())]
    Depth { given: i64 },
    #[error(transparent)]
    File(#[from] FileError),
}

impl ListError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Depth { .. } => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::File(error) => error.api_error(),
        }
    }
}
impl_response_error!(ListError);

/// List a folder, and its subfolders as deep as wanted
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/list", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = ListDirRequest,
    responses(
        (status = 200, description = "What is in it", body = ListDirResponse),
        (status = 400, description = "The request is not valid, or the path is not a folder", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or it no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn list_dir(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<
        Caller,
        (PathId<SandboxId>, Json<ListDirRequest>),
    >,
) -> Result<JsonBody<ListDirResponse>, ListError> {
    let given = request.depth.unwrap_or(1);
    let depth = u32::try_from(given).ok().filter(|_| DEPTH.contains(&given));
    let list = FileList { path: request.path, depth: depth.ok_or(ListError::Depth { given })? };
    let mut session = session::open(&app, caller, id, request.user, Request::List(list)).await?;
    let mut response = ListDirResponse { entries: Vec::new(), truncated: false };
    let mut bytes = 0;
    while let Some(event) = session::next(&mut session.events).await? {
        let Event::Entries(entries) = event else { return Err(FileError::Unexpected.into()) };
        response.truncated |= entries.truncated;
        for entry in entries.entries {
            bytes += entry.name.len() + entry.path.len() + entry.symlink_target.len();
            if response.entries.len() >= MAX_ENTRIES || bytes > MAX_BYTES {
                response.truncated = true;
                return Ok(JsonBody(response));
            }
            response.entries.push(entry.into());
        }
    }
    Ok(JsonBody(response))
}
