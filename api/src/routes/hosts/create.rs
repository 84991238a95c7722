//! `POST /v1/hosts`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::host_create::{self, HostRequest};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::TeamId};

use super::{CreateHostResponse, HostType};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
};

/// A new host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateHostRequest {
    #[serde(rename = "type")]
    kind: HostType,
    /// Team that brings a `byoc` host; your own by default.
    #[schema(nullable = false, required = false)]
    team_id: Option<String>,
    /// Provider from whom the machine is rented.
    #[schema(nullable = false, required = false, min_length = 1, max_length = 100)]
    provider: Option<String>,
    #[schema(nullable = false, required = false, min_length = 1, max_length = 100)]
    availability_zone: Option<String>,
}

/// Add a host
///
/// Platform administrators add `regular` hosts; owners and admins of a team that may bring hosts of its own add `byoc` hosts. The
/// token in the answer is what `wrenn agent` registers with on the new machine.
#[utoipa::path(
    post, path = Action::HostCreate.path(), tag = "hosts",
    request_body = CreateHostRequest,
    responses(
        (status = 201, description = "The host, and its registration token", body = CreateHostResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = "You may not add such a host, or the team may not bring hosts of its own (`forbidden`), or the \
            account is disabled (`account_disabled`)", body = ErrorBody),
        (status = 404, description = "You belong to no such team", body = ErrorBody),
        (status = 409, description = "The team has as many hosts as it may (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_host(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<CreateHostRequest>>,
) -> Result<HttpResponse, ApiError> {
    let team = request.team_id.as_deref().map(str::parse::<TeamId>).transpose();
    let team = team.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("team_id: {error}")))?;
    let wanted = HostRequest {
        kind: request.kind.into(),
        team,
        provider: request.provider,
        availability_zone: request.availability_zone,
    };
    let (host, registration_token) = host_create::run(&app.control, &principal, wanted).await?;
    Ok(HttpResponse::Created().json(CreateHostResponse { host: host.into(), registration_token }))
}
