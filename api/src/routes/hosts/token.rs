//! `POST /v1/hosts/{id}/token`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::host_token_issue;
use wrenn_domain::{action::Action, ids::HostId};

use super::CreateHostResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Issue another registration token
///
/// The former one is void. A host that registers anew stays the same host, with its capsules; its earlier credentials are void.
#[utoipa::path(
    post, path = Action::HostTokenIssue.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    responses(
        (status = 201, description = "The host, and its registration token", body = CreateHostResponse),
        (status = 404, description = "You see no such host", body = ErrorBody),
        (status = 409, description = "The host is online (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn issue_host_token(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<HostId>>,
) -> Result<HttpResponse, ApiError> {
    let (host, registration_token) = host_token_issue::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::Created().json(CreateHostResponse { host: host.into(), registration_token }))
}
