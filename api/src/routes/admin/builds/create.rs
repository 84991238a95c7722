//! `POST /v1/admin/builds`

use actix_web::{
    FromRequest as _, HttpRequest, HttpResponse,
    http::header,
    web::{Data, Payload},
};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_actors::BuildCreateError;
use wrenn_domain::{
    build::BuildOrder,
    error_code::ErrorCode,
    limits::{self, ECHO_CHARACTERS, LimitError},
};
use wrenn_proto::ids::UserId;

use super::{
    Build,
    intake::{self, Archive, IntakeError},
};
use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json, JsonError},
};

/// What the build shall make, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBuildRequest {
    /// Of the platform's template that it makes; one of that name is replaced when the build succeeds.
    #[schema(example = "python-app")]
    name: String,
    /// A template of the platform.
    #[schema(nullable = false, required = false, default = "minimal")]
    base_template: Option<String>,
    /// Instructions: `RUN`, `START`, `ENV`, `WORKDIR`, `USER`, `COPY`.
    recipe: RecipeText,
    /// `[--interval=3s] [--timeout=10s] [--start-period=30s] [--retries=3] command`. With one the template has memory, and
    /// what was started runs in its capsules; without one it is a disk.
    #[schema(required = false)]
    healthcheck: Option<String>,
    #[schema(value_type = i32, required = false, default = 1, minimum = 1, maximum = 32)]
    vcpus: Option<i64>,
    #[schema(value_type = i32, required = false, default = 512, minimum = 128, maximum = 65536)]
    memory_mb: Option<i64>,
    #[schema(value_type = i32, required = false, default = 5120, minimum = 256, maximum = 1048576)]
    disk_size_mb: Option<i64>,
    /// Leaves out `RUN apt-get update`, `USER wrenn-user` and `WORKDIR /home/wrenn-user` before the recipe, and the
    /// clean-up after it.
    #[schema(nullable = false, required = false, default = false)]
    skip_pre_post: Option<bool>,
    /// Carries out every step, also those whose outcome is known from an earlier build.
    #[schema(nullable = false, required = false, default = false)]
    no_cache: Option<bool>,
}

/// A recipe: one text, or a list of instructions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum RecipeText {
    Lines(Vec<String>),
    Text(String),
}

/// The request as a form, for a recipe that copies something.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form, whose parts are read one by one")]
pub(crate) struct CreateBuildForm {
    /// The same as JSON.
    config: CreateBuildRequest,
    /// A tar, tar.gz or zip archive of up to 100 MB.
    #[schema(value_type = Option<String>, format = Binary, required = false)]
    archive: Option<Vec<u8>>,
}

/// Why there is no build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateBuildError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(
        "name: `{0}` cannot be a template's name; it has 1 to 63 of a-z, 0-9, `.`, `_`, `-` and begins with a letter or digit"
    )]
    Name(String),
    #[error(transparent)]
    Create(#[from] BuildCreateError),
}

impl CreateBuildError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Json(error) => return error.api_error(),
            Self::Intake(error) => return error.api_error(),
            Self::Limit(_) | Self::Name(_) => ErrorCode::InvalidRequest,
            Self::Create(error) => match error {
                BuildCreateError::Plan(_)
                | BuildCreateError::UselessArchive
                | BuildCreateError::OtherSize { .. } => ErrorCode::InvalidRequest,
                BuildCreateError::NoBase(_) => ErrorCode::NotFound,
                BuildCreateError::Reserved(_) => ErrorCode::NameReserved,
                BuildCreateError::InUse(_) => ErrorCode::TemplateNameTaken,
                BuildCreateError::Store(_) => return ApiError::internal(),
            },
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(CreateBuildError);

/// Build a template
///
/// Answers at once; follow it with `GET /v1/admin/builds/{id}/logs`.
#[utoipa::path(
    post, path = "/v1/admin/builds", tag = "administration", security(("bearerAuth" = [])),
    request_body(content(
        (CreateBuildRequest = "application/json"),
        (CreateBuildForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "The build, which waits for a worker", body = Build),
        (status = 400, description = "Request, recipe, healthcheck or archive are not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
        (status = 404, description = "There is no such base template", body = ErrorBody),
        (status = 409, description = "A build of that name has not ended (`template_name_taken`), or the name is an image's (`name_reserved`)", body = ErrorBody),
        (status = 413, description = "The archive is larger than 100 MB (`too_large`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_build(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(admin, payload): AuthThen<Admin, Payload>,
) -> Result<HttpResponse, CreateBuildError> {
    let (config, archive) = if is_form(&request) {
        let (config, archive) = intake::form(&app, &request, payload).await?;
        (config, archive)
    } else {
        let Json(config) = Json::from_request(&request, &mut payload.into_inner()).await?;
        (config, None)
    };
    let object = archive.as_ref().map(|archive| archive.name.clone());
    let created = create(&app, config, archive, admin.user_id).await;
    if let (Err(_), Some(object)) = (&created, object) {
        intake::remove(&app, &object).await;
    }
    created
}

async fn create(
    app: &App,
    config: CreateBuildRequest,
    archive: Option<Archive>,
    user: UserId,
) -> Result<HttpResponse, CreateBuildError> {
    let order = config.into_order(user)?;
    let archive = archive.map(|archive| (archive.name, archive.contents));
    let build = app.control_plane.build_create(order, archive).await?;
    tracing::info!(build = %build.id, name = build.order.name, "build created");
    Ok(HttpResponse::Created().json(Build::from(build)))
}

fn is_form(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("multipart/"))
}

impl CreateBuildRequest {
    fn into_order(self, user: UserId) -> Result<BuildOrder, CreateBuildError> {
        let short = |name: &str| name.chars().take(ECHO_CHARACTERS).collect::<String>();
        if !limits::is_template_name(&self.name) {
            return Err(CreateBuildError::Name(short(&self.name)));
        }
        let base_template = self.base_template.unwrap_or_else(|| "minimal".to_owned());
        if !limits::is_template_name(&base_template) {
            return Err(BuildCreateError::NoBase(short(&base_template)).into());
        }
        let recipe = match self.recipe {
            RecipeText::Lines(lines) => lines,
            RecipeText::Text(text) => vec![text],
        };
        Ok(BuildOrder {
            name: self.name,
            base_template,
            recipe,
            healthcheck: self.healthcheck,
            vcpus: limits::in_range("vcpus", self.vcpus.unwrap_or(limits::DEFAULT_VCPUS), limits::VCPUS)?,
            memory_mb: limits::in_range(
                "memory_mb",
                self.memory_mb.unwrap_or(limits::DEFAULT_MEMORY_MB),
                limits::MEMORY_MB,
            )?,
            disk_size_mb: limits::in_range(
                "disk_size_mb",
                self.disk_size_mb.unwrap_or(limits::DEFAULT_DISK_MB),
                limits::BUILD_DISK_MB,
            )?,
            skip_pre_post: self.skip_pre_post.unwrap_or(false),
            no_cache: self.no_cache.unwrap_or(false),
            created_by: Some(user),
        })
    }
}
