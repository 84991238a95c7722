//! `POST /v1/channels/test`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::channel_test::{self, TestChannelError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::Provider;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::limit_schemas,
};

/// A destination to which a test is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestChannelRequest {
    provider: Provider,
    #[schema(schema_with = limit_schemas::channel_config)]
    config: BTreeMap<String, String>,
}

/// Outcome of a test that arrived.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestChannelResponse {
    /// Always `ok`.
    status: &'static str,
}

impl ClientError for TestChannelError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Config(_) | Self::NotDelivered(_) => {
                ApiError::new(ErrorCode::InvalidRequest, self.to_string())
            }
        }
    }
}

/// Send a test to a destination
///
/// No channel is made. The test of a webhook is signed with a key that nobody knows.
#[utoipa::path(
    post, path = Action::ChannelTest.path(), tag = "channels",
    request_body = TestChannelRequest,
    responses(
        (status = 200, description = "The receiver took the test", body = TestChannelResponse),
        (status = 400, description = "The request is not valid, or the test did not arrive", body = ErrorBody),
    ),
)]
pub(crate) async fn test_channel(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<TestChannelRequest>>,
) -> Result<HttpResponse, ApiError> {
    channel_test::run(&app.control, &principal, request.provider.into(), &request.config).await?;
    Ok(HttpResponse::Ok().json(TestChannelResponse { status: "ok" }))
}
