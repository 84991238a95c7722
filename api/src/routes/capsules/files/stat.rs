//! `POST /v1/capsules/{id}/files/stat`

use actix_web::web::{Data, Json as JsonBody};
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileStat, file_start::Request};

use super::{
    EntryResponse, PathRequest,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Get the metadata of a file, folder or link
#[utoipa::path(
    post, path = Action::FileStat.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The entry; for a link, the link's own", body = EntryResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn stat_file(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<PathRequest>),
    >,
) -> Result<JsonBody<EntryResponse>, ApiError> {
    let stat = Request::Stat(FileStat { path: request.path });
    let access = FileAccess::new(&app, &principal, Action::FileStat, id);
    let entry = access.entry(request.user, stat).await?;
    Ok(JsonBody(EntryResponse { entry: entry.into() }))
}
