//! `GET /v1/me`

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Session, error::ErrorBody};

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

/// Show who is signed in
#[utoipa::path(
    get, path = "/v1/me", tag = "auth", security(("bearerAuth" = [])),
    responses(
        (status = 200, description = "The signed-in user", body = MeResponse),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn get_me(session: Session) -> HttpResponse {
    let Session { user, team_id } = session;
    HttpResponse::Ok().json(MeResponse {
        user_id: user.id.to_string(),
        team_id: team_id.to_string(),
        name: user.name,
        email: user.email,
        is_admin: user.is_admin,
        // So far there is no other way to make an account.
        has_password: true,
        providers: Vec::new(),
    })
}
