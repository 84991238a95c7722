//! `GET /v1/auth/oauth/{provider}` and its callback: sign-in with an identity provider, by redirects of the browser.
//!
//! ```text
//!   browser ─▶ …/{provider} ── 302, cookie with the state ─▶ provider ── 302 ─▶ …/{provider}/callback?code&state
//!           ◀─ 302 to the dashboard, with the token, or the error, behind the `#`
//! ```
//!
//! The cookie binds the state to the browser: nobody can have another browser complete a sign-in of theirs. What stands
//! behind the `#` reaches no server and no log.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    http::header,
    web::{Data, Path},
};
use form_urlencoded::Serializer;
use serde::Deserialize;
use utoipa::IntoParams;
use wrenn_base::Chain;
use wrenn_control::{
    provider_sign_in_begin::{self, BeginSignInError, BegunSignIn, TTL_SEC},
    provider_sign_in_complete::{self, CompleteSignInError, CompletedSignIn},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::AuthResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Query},
};

/// The cookie that holds the state.
const COOKIE: &str = "wrenn_sign_in";
/// Page of the dashboard to which a browser returns.
const PAGE: &str = "auth/callback";

impl ClientError for BeginSignInError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::NoProvider(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::NotVerified => ApiError::new(ErrorCode::Forbidden, self.to_string()),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Provider(_) => ApiError::new(ErrorCode::AgentError, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

impl ClientError for CompleteSignInError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NoProvider(_) => ErrorCode::NotFound,
            Self::NoSignIn => ErrorCode::InvalidRequest,
            Self::Provider(_) => ErrorCode::AgentError,
            Self::NotVerified(_) | Self::Closed(_) => ErrorCode::Forbidden,
            Self::SignInFirst(_) | Self::Taken => ErrorCode::Conflict,
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::Account(error) => return error.api_error(),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Returns the cookie that binds a sign-in to the browser that began it.
pub(in crate::routes) fn cookie(app: &App, state: String) -> Cookie<'static> {
    Cookie::build(COOKIE, state)
        .path("/")
        .http_only(true)
        .secure(app.public_url.is_https())
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(TTL_SEC.into()))
        .finish()
}

/// Sign in with an identity provider
///
/// For browsers: redirects to the provider. The browser returns to the dashboard, at `/auth/callback`, with the fields of
/// `AuthResponse` behind the `#`, or with `error` (a code) and `message`.
#[utoipa::path(
    get, path = Action::ProviderSignIn.path(), tag = "auth",
    params(("provider" = String, Path, description = "Name of the provider, see `GET /v1/auth/methods`")),
    responses(
        (status = 302, description = "To the provider"),
        (status = 404, description = "There is no such provider", body = ErrorBody),
        (status = 502, description = "The provider does not answer (`agent_error`)", body = ErrorBody),
    ),
)]
pub(crate) async fn sign_in_with_provider(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    provider: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let BegunSignIn { url, state } = provider_sign_in_begin::run(&app.control, address, &provider).await?;
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, url.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(cookie(&app, state))
        .finish())
}

/// The query with which a provider sends the browser back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    /// Code that is redeemed at the provider.
    #[param(nullable = false)]
    code: Option<String>,
    /// State of the sign-in.
    #[param(nullable = false)]
    state: Option<String>,
    /// Code of the provider's error.
    #[param(nullable = false)]
    error: Option<String>,
}

/// Complete a sign-in with an identity provider
///
/// The address to which the provider redirects the browser. Redirects to the dashboard, whatever happened.
#[utoipa::path(
    get, path = Action::ProviderCallback.path(), tag = "auth",
    params(("provider" = String, Path, description = "Name of the provider"), CallbackQuery),
    responses((status = 302, description = "To the dashboard")),
)]
pub(crate) async fn complete_provider_sign_in(
    app: Data<App>,
    request: HttpRequest,
    provider: Path<String>,
    Query(query): Query<CallbackQuery>,
) -> HttpResponse {
    let known = request.cookie(COOKIE).map(|cookie| cookie.value().to_owned());
    let mut fields = Serializer::new(String::new());
    match complete(&app, &provider, query, known).await {
        Ok(Some(response)) => {
            response.append_to(&mut fields);
        }
        Ok(None) => {
            fields.append_pair("connected", &provider);
        }
        Err(error) => {
            fields.append_pair("error", error.code.as_str()).append_pair("message", &error.message);
        }
    }
    let location = format!("{}#{}", app.public_url.address_of(&[PAGE]), fields.finish());
    let mut gone = Cookie::build(COOKIE, "").path("/").finish();
    gone.make_removal();
    HttpResponse::Found()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .cookie(gone)
        .finish()
}

async fn complete(
    app: &App,
    provider: &str,
    CallbackQuery { code, state, error }: CallbackQuery,
    known: Option<String>,
) -> Result<Option<AuthResponse>, ApiError> {
    if let Some(error) = error {
        tracing::info!(provider, error = %wrenn_domain::audit::harmless(&error), "sign-in was refused at the provider");
        let message = "the identity provider did not sign you in; begin again";
        return Err(ApiError::new(ErrorCode::Unauthorized, message));
    }
    let (Some(code), Some(state)) = (code, state) else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "code, state: must be given"));
    };
    if known.as_deref() != Some(state.as_str()) {
        return Err(CompleteSignInError::NoSignIn.api_error());
    }
    match provider_sign_in_complete::run(&app.control, provider, &state, code).await {
        Ok(CompletedSignIn::SignedIn(user, team)) => Ok(Some(AuthResponse::sign(app, user, team).await?)),
        Ok(CompletedSignIn::Connected) => Ok(None),
        Err(error) => {
            tracing::info!(provider, error = %Chain(&error), "sign-in with provider failed");
            Err(error.api_error())
        }
    }
}
