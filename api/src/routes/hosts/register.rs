//! `POST /v1/hosts/register`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::host_register::{self, RegisterHostError, Registration};
use wrenn_domain::{action::Action, error_code::ErrorCode, host::HostCapacity};

use super::RegisterHostResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Json},
};

/// A host that registers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterHostRequest {
    /// The registration token.
    token: String,
    #[schema(max_length = 200)]
    address: String,
    #[schema(nullable = false, required = false, max_length = 200)]
    arch: Option<String>,
    #[schema(nullable = false, required = false)]
    cpu_cores: Option<u32>,
    #[schema(nullable = false, required = false)]
    memory_mb: Option<u64>,
    #[schema(nullable = false, required = false)]
    disk_gb: Option<u64>,
}

impl ClientError for RegisterHostError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Fact(_) | Self::Key(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Token => ApiError::new(ErrorCode::Unauthorized, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Register a host
///
/// For agents of older clients. The token is good once; the answer is the only one that carries the credentials.
#[utoipa::path(
    post, path = Action::HostRegister.path(), tag = "hosts",
    request_body = RegisterHostRequest,
    responses(
        (status = 201, description = "The host, and its credentials", body = RegisterHostResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "The token is not valid, was used, or has expired", body = ErrorBody),
    ),
)]
pub(crate) async fn register_host(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(request): Json<RegisterHostRequest>,
) -> Result<HttpResponse, ApiError> {
    let capacity = HostCapacity {
        cpu_cores: request.cpu_cores.unwrap_or_default(),
        memory_mb: request.memory_mb.unwrap_or_default(),
        disk_mb: request.disk_gb.unwrap_or_default().saturating_mul(1024),
    };
    let arch = request.arch.unwrap_or_default();
    let registration = Registration { token: request.token, capacity, arch, address: request.address };
    let registered = host_register::run(&app.control, address, registration).await?;
    Ok(HttpResponse::Created().json(RegisterHostResponse::of(registered)))
}
