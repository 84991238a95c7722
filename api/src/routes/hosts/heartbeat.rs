//! `POST /v1/hosts/{id}/heartbeat`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::host_heartbeat as heartbeat;
use wrenn_domain::{action::Action, ids::HostId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Report that a host lives
///
/// For agents of older clients. The status of a host is that of its agent's link, which a heartbeat does not change.
#[utoipa::path(
    post, path = Action::HostHeartbeat.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    responses(
        (status = 204, description = "Noted"),
        (status = 404, description = "There is no such host any more", body = ErrorBody),
    ),
)]
pub(crate) async fn host_heartbeat(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<HostId>>,
) -> Result<HttpResponse, ApiError> {
    heartbeat::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
