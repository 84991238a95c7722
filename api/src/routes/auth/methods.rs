//! `GET /v1/auth/methods`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::auth_methods;
use wrenn_domain::action::Action;

use crate::{app::App, error::ApiError};

/// Ways to sign up and in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthMethodsResponse {
    /// People who can sign up: everybody (`open`), those with an invitation (`invite`), or nobody (`closed`).
    #[schema(example = "open")]
    signup: &'static str,
    /// True if the server sends mail: new addresses must be confirmed, and a forgotten password can be replaced.
    mail: bool,
    /// Identity providers by which users can sign in.
    providers: Vec<String>,
}

/// Show the ways to sign up and in
#[utoipa::path(
    get, path = Action::AuthMethods.path(), tag = "auth",
    responses((status = 200, description = "Ways to sign up and in", body = AuthMethodsResponse)),
)]
pub(crate) async fn get_auth_methods(app: Data<App>) -> Result<HttpResponse, ApiError> {
    let methods = auth_methods::run(&app.control).await.map_err(|error| ApiError::not_entered(&error))?;
    Ok(HttpResponse::Ok().json(AuthMethodsResponse {
        signup: methods.signup.as_str(),
        mail: methods.mail,
        providers: methods.providers,
    }))
}
