//! `GET /v1/admin/builds/{id}/logs`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use wrenn_control::build_follow;
use wrenn_domain::{action::Action, ids::BuildId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
    routes::builds::logs::{LogLine, follow},
};

/// Follow any team's build
///
/// Server-sent events, as for the builds of a team.
#[utoipa::path(
    get, path = Action::AdminBuildFollow.path(), tag = "administration",
    params(
        ("id" = String, Path, description = "The build"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last `line` that was received"),
    ),
    responses(
        (status = 200, description = "Events, until the build has ended", body = LogLine, content_type = "text/event-stream"),
        (status = 404, description = "There is no such build", body = ErrorBody),
    ),
)]
pub(crate) async fn follow_build(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<BuildId>>,
) -> Result<HttpResponse, ApiError> {
    let followed = build_follow::run_any(&app.control, &principal, id).await?;
    Ok(follow(&app, &request, followed))
}
