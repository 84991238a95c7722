//! `POST /v1/capsules/{id}/files/write`, and `…/files/stream/write`

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use wrenn_domain::{action::Action, ids::SandboxId};

use super::{
    session::{self, FileAccess},
    upload::{self, UploadForm},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Largest file that `files/write` takes.
const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// Write a file of up to 100 MB
///
/// The file appears complete or not at all. Its parents are created; it belongs to the user. A file that is replaced keeps
/// its mode.
#[utoipa::path(
    post, path = Action::FileWrite.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 204, description = "The file is written completely"),
        (status = 400, description = "The form is not valid, or the path is that of a folder", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
        (status = 413, description = "The file is larger than 100 MB (`too_large`)", body = ErrorBody),
    ),
)]
pub(crate) async fn write_file(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), (PathId(id), payload)): AuthThen<
        Authorized,
        (PathId<SandboxId>, Payload),
    >,
) -> Result<HttpResponse, ApiError> {
    let access = FileAccess::new(&app, &principal, Action::FileWrite, id);
    Ok(upload::run(access, &request, payload, Some(MAX_BYTES)).await?)
}

/// Write a file of any size
///
/// Same as `files/write`, without its limit.
#[utoipa::path(
    post, path = Action::FileStreamWrite.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 204, description = "The file is written completely"),
        (status = 400, description = "The form is not valid, or the path is that of a folder", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn stream_write_file(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), (PathId(id), payload)): AuthThen<
        Authorized,
        (PathId<SandboxId>, Payload),
    >,
) -> Result<HttpResponse, ApiError> {
    let access = FileAccess::new(&app, &principal, Action::FileStreamWrite, id);
    Ok(upload::run(access, &request, payload, None).await?)
}
