//! `GET /v1/me`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::user_get::{self, GetUserError};
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
    team_id: String,
    name: String,
    #[schema(format = Email)]
    email: String,
    is_admin: bool,
    has_password: bool,
    /// Other ways in which the user can sign in.
    providers: Vec<String>,
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
    let (user, team_id) = user_get::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(MeResponse {
        user_id: user.id.to_string(),
        team_id: team_id.to_string(),
        name: user.name,
        email: user.email,
        is_admin: user.is_admin,
        // So far there is no other way to make an account.
        has_password: true,
        providers: Vec::new(),
    }))
}
