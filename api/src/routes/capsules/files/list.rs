//! `POST /v1/capsules/{id}/files/list`
//!
//! A bounded number of entries is kept, whatever the guest sends.

use std::ops::RangeInclusive;

use actix_web::web::{Data, Json as JsonBody};
use serde::{Deserialize, Serialize};
use utoipa::{ToSchema, openapi::Object};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::SandboxId};
use wrenn_proto::guest::{FileList, file_event::Event, file_start::Request};

use super::{
    FileEntry, FileError,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::{capsules::session::UNAVAILABLE, limit_schemas},
};

/// Depths that the guest accepts.
const DEPTH: RangeInclusive<i64> = 1..=256;
const DEFAULT_DEPTH: i64 = 1;
/// Most entries of an answer, and most text in them, in bytes.
const MAX_ENTRIES: usize = 20_000;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The folder to list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDirRequest {
    /// A relative path starts at the user's home.
    path: String,
    #[schema(required = false, schema_with = depth)]
    depth: Option<i64>,
    /// User whose rights apply; by default the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
}

/// Returns the schema of the depth.
fn depth() -> Object {
    let schema = limit_schemas::integer(&DEPTH).default(Some(DEFAULT_DEPTH.into()));
    schema.description(Some("1 lists the folder itself, 2 includes its subfolders, and so on.")).build()
}

/// Content of a folder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListDirResponse {
    /// Sorted by path. Links to folders are not followed.
    entries: Vec<FileEntry>,
    /// True if there are more entries than an answer holds: 20,000.
    truncated: bool,
}

/// A depth out of range.
#[derive(Debug, thiserror::Error)]
#[error("depth: must be from {} to {}, not {given}", DEPTH.start(), DEPTH.end())]
pub(crate) struct DepthError {
    given: i64,
}

impl ClientError for DepthError {
    fn api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::InvalidRequest, self.to_string())
    }
}

/// List a folder, and its subfolders down to a depth
#[utoipa::path(
    post, path = Action::FileList.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = ListDirRequest,
    responses(
        (status = 200, description = "Content of the folder", body = ListDirResponse),
        (status = 400, description = "The request is not valid, or the path is not a folder", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn list_dir(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<ListDirRequest>),
    >,
) -> Result<JsonBody<ListDirResponse>, ApiError> {
    let given = request.depth.unwrap_or(DEFAULT_DEPTH);
    let depth = u32::try_from(given).ok().filter(|_| DEPTH.contains(&given));
    let list = FileList { path: request.path, depth: depth.ok_or(DepthError { given })? };
    let access = FileAccess::new(&app, &principal, Action::FileList, id);
    let mut session = access.open(request.user, Request::List(list)).await?;
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
