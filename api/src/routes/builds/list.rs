//! `GET /v1/builds`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::build_list;
use wrenn_domain::action::Action;

use super::{Build, DEFAULT_ROWS};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
};

/// List the team's builds
///
/// Newest first; 200 if there is no `limit`. A log entry has the last 16 KB of each stream, and appears when its step has
/// ended.
#[utoipa::path(
    get, path = Action::BuildList.path(), tag = "builds",
    params(PageQuery),
    responses(
        (status = 200, description = "The builds", body = Vec<Build>, headers(("X-Next-Token" = String, description = "Token of the next page, if there is one"))),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_team_builds(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let wanted = wanted.request_of(DEFAULT_ROWS)?;
    let found = build_list::run(&app.control, &principal, wanted).await?;
    Ok(page::respond(found.map(Build::listed)))
}
