//! `GET /v1/capsules`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::sandbox_list;
use wrenn_domain::action::Action;

use super::Capsule;
use crate::{app::App, auth::Authorized, error::ApiError};

/// List the team's capsules
///
/// Destroyed ones are left out.
#[utoipa::path(
    get, path = Action::SandboxList.path(), tag = "capsules",
    responses((status = 200, description = "The capsules, newest first", body = [Capsule])),
)]
pub(crate) async fn list_capsules(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let sandboxes = sandbox_list::run(&app.control, &principal).await?;
    let capsules: Vec<_> = sandboxes.into_iter().map(|sandbox| Capsule::of(&app, sandbox)).collect();
    Ok(HttpResponse::Ok().json(capsules))
}
