//! `POST /v1/capsules/{id}/files/rename`, and `…/files/move`

use actix_web::web::{Data, Json as JsonBody};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileRename, file_start::Request};

use super::{
    EntryResponse,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Source and destination of a move.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameRequest {
    from: String,
    /// Its parents are made.
    to: String,
    /// Replaces a file, link or empty folder at `to`.
    #[serde(default)]
    #[schema(required = false, default = false)]
    overwrite: bool,
    /// User whose rights apply; by default the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
}

/// Move a file, folder or link
///
/// Atomic, within one filesystem. `files/move` is an alias.
#[utoipa::path(
    post, path = Action::FileRename.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = RenameRequest,
    responses(
        (status = 200, description = "The entry at its new path", body = EntryResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn rename_file(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<RenameRequest>),
    >,
) -> Result<JsonBody<EntryResponse>, ApiError> {
    let RenameRequest { from, to, overwrite, user } = request;
    let rename = Request::Rename(FileRename { from, to, overwrite });
    let access = FileAccess::new(&app, &principal, Action::FileRename, id);
    let entry = access.entry(user, rename).await?;
    Ok(JsonBody(EntryResponse { entry: entry.into() }))
}
