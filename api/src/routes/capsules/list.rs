//! `GET /v1/capsules`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::sandbox_list;
use wrenn_domain::action::Action;

use super::Capsule;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
};

/// List the team's capsules
///
/// Destroyed ones are left out.
#[utoipa::path(
    get, path = Action::SandboxList.path(), tag = "capsules",
    params(PageQuery),
    responses(
        (status = 200, description = "The capsules, newest first", body = [Capsule], headers(("X-Next-Token" = String, description = "Token of the next page, if there is one"))),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_capsules(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = sandbox_list::run(&app.control, &principal, wanted.request()?).await?;
    Ok(page::respond(found.map(|sandbox| Capsule::of(&app, &principal, sandbox))))
}
