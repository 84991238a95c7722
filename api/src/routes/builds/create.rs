//! `POST /v1/builds`

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use wrenn_control::build_create::{self, BuildCreateError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::{
    Build, intake,
    request::{CreateBuildForm, CreateBuildRequest},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::AuthThen,
};

impl ClientError for BuildCreateError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Name(_)
            | Self::Limit(_)
            | Self::Plan(_)
            | Self::UselessArchive
            | Self::OtherSize { .. } => ErrorCode::InvalidRequest,
            Self::NoBase(_) => ErrorCode::NotFound,
            Self::Reserved(_) | Self::Platform(_) => ErrorCode::NameReserved,
            Self::InUse(_) => ErrorCode::TemplateNameTaken,
            Self::NotAdmitted(refusal) => return ApiError::not_admitted(refusal),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Build a template of the team
///
/// Answers at once; follow it with `GET /v1/builds/{id}/logs`.
#[utoipa::path(
    post, path = Action::BuildCreate.path(), tag = "builds",
    request_body(content(
        (CreateBuildRequest = "application/json"),
        (CreateBuildForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "The build, which waits for a worker", body = Build),
        (status = 400, description = "Request, recipe, healthcheck or archive are not valid", body = ErrorBody),
        (status = 404, description = "Neither the team nor the platform has such a base template", body = ErrorBody),
        (status = 409, description = "A build of that name has not ended (`template_name_taken`), or the name is the platform's (`name_reserved`)", body = ErrorBody),
        (status = 413, description = "The archive is larger than 100 MB (`too_large`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_team_build(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), payload): AuthThen<Authorized, Payload>,
) -> Result<HttpResponse, ApiError> {
    intake::create(&app, &request, payload, async |build, archive| {
        build_create::run(&app.control, &principal, build, archive).await
    })
    .await
}
