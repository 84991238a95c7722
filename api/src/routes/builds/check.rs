//! `POST /v1/builds/check`

use actix_web::web::{self, Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::build_check::{self, BuildFaults};
use wrenn_domain::{action::Action, recipe::RecipeError};

use super::request::RecipeText;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
};

/// Recipe and healthcheck to check.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckBuildRequest {
    recipe: RecipeText,
    #[schema(required = false)]
    healthcheck: Option<String>,
}

/// Faults of a recipe and of a healthcheck; none if a build would take them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckBuildResponse {
    /// Faults of the recipe, at most 50, in the order of their lines.
    recipe: Vec<RecipeFault>,
    /// Fault of the healthcheck.
    healthcheck: Option<String>,
}

/// Fault of a recipe.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipeFault {
    /// Line of the instruction, counted from 1.
    #[schema(minimum = 1)]
    line: usize,
    /// The instruction, if it is known.
    instruction: Option<&'static str>,
    /// The fault, and the right form.
    message: String,
}

impl From<RecipeError> for RecipeFault {
    fn from(RecipeError { line, instruction, fault }: RecipeError) -> Self {
        Self { line, instruction, message: fault.to_string() }
    }
}

impl From<BuildFaults> for CheckBuildResponse {
    fn from(faults: BuildFaults) -> Self {
        Self {
            recipe: faults.recipe.into_iter().map(Into::into).collect(),
            healthcheck: faults.healthcheck.map(|error| error.to_string()),
        }
    }
}

/// Check a recipe
///
/// Tells every fault for which a build would be refused, without making one.
#[utoipa::path(
    post, path = Action::BuildCheck.path(), tag = "builds",
    request_body = CheckBuildRequest,
    responses(
        (status = 200, description = "The faults; none if a build would take them", body = CheckBuildResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn check_build(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<CheckBuildRequest>>,
) -> Result<web::Json<CheckBuildResponse>, ApiError> {
    let recipe = request.recipe.into_parts();
    let faults = build_check::run(&app.control, &principal, &recipe, request.healthcheck.as_deref()).await;
    Ok(web::Json(faults.map_err(|error| ApiError::not_entered(&error))?.into()))
}
