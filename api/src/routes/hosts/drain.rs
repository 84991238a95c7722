//! `POST /v1/hosts/{id}/drain`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::host_drain;
use wrenn_domain::{action::Action, host::Intake, ids::HostId};

use super::Host;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
};

/// Drain of a host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrainHostRequest {
    /// True to drain the host, false to open it for new capsules again.
    enabled: bool,
}

/// Drain a host
///
/// A drained host takes no new capsules and builds. What runs or is paused there goes on, and can be resumed; the preview of
/// its deletion lists it.
#[utoipa::path(
    post, path = Action::HostDrain.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    request_body = DrainHostRequest,
    responses(
        (status = 200, description = "The host", body = Host),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You see no such host", body = ErrorBody),
    ),
)]
pub(crate) async fn drain_host(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<HostId>, Json<DrainHostRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let intake = if request.enabled { Intake::Closed } else { Intake::Open };
    Ok(HttpResponse::Ok().json(Host::from(host_drain::run(&app.control, &principal, id, intake).await?)))
}
