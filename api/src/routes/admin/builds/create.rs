//! `POST /v1/admin/builds`

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use wrenn_control::build_create;
use wrenn_domain::action::Action;

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::AuthThen,
    routes::builds::{
        Build, intake,
        request::{CreateBuildForm, CreateBuildRequest},
    },
};

/// Build a template of the platform
///
/// Answers at once; follow it with `GET /v1/admin/builds/{id}/logs`.
#[utoipa::path(
    post, path = Action::AdminBuildCreate.path(), tag = "administration",
    request_body(content(
        (CreateBuildRequest = "application/json"),
        (CreateBuildForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "The build, which waits for a worker", body = Build),
        (status = 400, description = "Request, recipe, healthcheck or archive are not valid", body = ErrorBody),
        (status = 404, description = "There is no such base template", body = ErrorBody),
        (status = 409, description = "A build of that name has not ended (`template_name_taken`), or the name is an image's (`name_reserved`)", body = ErrorBody),
        (status = 413, description = "The archive is larger than 100 MB (`too_large`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_build(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), payload): AuthThen<Authorized, Payload>,
) -> Result<HttpResponse, ApiError> {
    intake::create(&app, &request, payload, async |build, archive| {
        build_create::run_platform(&app.control, &principal, build, archive).await
    })
    .await
}
