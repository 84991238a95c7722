//! `POST /v1/capsules/{id}/files/write`, and `…/files/stream/write`

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use wrenn_proto::ids::SandboxId;

use super::upload::{self, UploadError, UploadForm};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, PathId},
};

/// Most that `files/write` takes.
const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// Write a file of up to 100 MB
///
/// It appears complete or not at all. Its parents are made; it belongs to the user. One that is replaced keeps its mode.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/write", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 204, description = "The file is there, complete"),
        (status = 400, description = "The form is not valid, or the path is that of a folder", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
        (status = 413, description = "The file is larger than 100 MB (`too_large`)", body = ErrorBody),
    ),
)]
pub(crate) async fn write_file(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(caller, (PathId(id), payload)): AuthThen<Caller, (PathId<SandboxId>, Payload)>,
) -> Result<HttpResponse, UploadError> {
    upload::run(&app, caller, id, &request, payload, Some(MAX_BYTES)).await
}

/// Write a file of any size
///
/// As `files/write`, without its limit.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/stream/write", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 204, description = "The file is there, complete"),
        (status = 400, description = "The form is not valid, or the path is that of a folder", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running, or its disk is full (`invalid_state`); or something else is in the way (`conflict`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn stream_write_file(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(caller, (PathId(id), payload)): AuthThen<Caller, (PathId<SandboxId>, Payload)>,
) -> Result<HttpResponse, UploadError> {
    upload::run(&app, caller, id, &request, payload, None).await
}
