//! `GET /v1/hosts/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::host_get;
use wrenn_domain::{action::Action, ids::HostId};

use super::Host;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Show a host
#[utoipa::path(
    get, path = Action::HostGet.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    responses(
        (status = 200, description = "The host", body = Host),
        (status = 404, description = "You see no such host", body = ErrorBody),
    ),
)]
pub(crate) async fn get_host(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<HostId>>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(Host::from(host_get::run(&app.control, &principal, id).await?)))
}
