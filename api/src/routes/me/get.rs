//! `GET /v1/me`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::user_get::{self, GetUserError, Me};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError},
};

/// The signed-in user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeResponse {
    user_id: String,
    /// The team for which the user acts; empty if they belong to none.
    team_id: String,
    name: String,
    #[schema(format = Email)]
    email: String,
    is_admin: bool,
    has_password: bool,
    /// Identity providers by which the user can sign in.
    providers: Vec<String>,
    /// True if the address is confirmed, or counts as confirmed because the server sends no mail.
    is_verified: bool,
    /// True if signing in with the password takes a code.
    totp_enabled: bool,
}

impl ClientError for GetUserError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Read(error) => error.api_error(),
            Self::Gone => ApiError::new(ErrorCode::Unauthorized, self.to_string()),
        }
    }
}

/// Show who is signed in
#[utoipa::path(
    get, path = Action::MeGet.path(), tag = "auth",
    responses((status = 200, description = "The signed-in user", body = MeResponse)),
)]
pub(crate) async fn get_me(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let Me { user, team, providers, is_verified } = user_get::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(MeResponse {
        user_id: user.id.to_string(),
        team_id: team.map(|team| team.to_string()).unwrap_or_default(),
        name: user.name,
        email: user.email,
        is_admin: user.is_admin,
        has_password: user.has_password,
        providers,
        is_verified,
        totp_enabled: user.has_totp,
    }))
}
