//! `GET /v1/admin/events`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use wrenn_control::event_follow;
use wrenn_domain::{action::Action, event::EventTypes};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Query},
    routes::events::{EventNotice, EventQuery, respond},
};

/// Follow the events of the platform and of all teams
///
/// Server-sent events, as for a team, and `user.changed` and `settings.changed` besides.
#[utoipa::path(
    get, path = Action::AdminEventFollow.path(), tag = "administration",
    params(
        EventQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was received"),
    ),
    responses(
        (status = 200, description = "Events, for as long as the client likes", body = EventNotice, content_type = "text/event-stream"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn follow_all_events(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<EventQuery>>,
) -> Result<HttpResponse, ApiError> {
    let wanted = query.wanted(&request, EventTypes::all())?;
    let followed = event_follow::run_any(&app.control, &principal, wanted).await?;
    Ok(respond(&app, followed))
}
