//! The extractors that stand for a principal. A handler that takes one cannot be reached without permission.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, header},
};
use chrono::Utc;
use futures_util::future::LocalBoxFuture;
use wrenn_control::authenticate::{self, AuthenticateError};
use wrenn_domain::{
    action::Action,
    error_code::ErrorCode,
    permission::{Denial, permit},
    principal::Principal,
};

use super::token::TokenError;
use crate::{
    app::App,
    error::{ApiError, impl_response_error},
};

/// The reason for which a caller was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("send `Authorization: Bearer <token>` or `X-API-Key: wrn_…`")]
    Missing,
    #[error("this address takes a signed-in user's token; send `Authorization: Bearer <token>`")]
    MissingToken,
    #[error("the Authorization header must be `Bearer <token>`")]
    Scheme,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the API key is not valid")]
    ApiKey,
    #[error(transparent)]
    Authenticate(#[from] AuthenticateError),
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl AuthError {
    pub(crate) fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Missing | Self::MissingToken | Self::Scheme | Self::Token(_) | Self::ApiKey => {
                ErrorCode::Unauthorized
            }
            Self::Authenticate(error) => match error {
                AuthenticateError::Token | AuthenticateError::ApiKey => ErrorCode::Unauthorized,
                AuthenticateError::AccountDisabled => ErrorCode::AccountDisabled,
                AuthenticateError::NoTeam => ErrorCode::NoTeam,
                AuthenticateError::Overload(overload) => return ApiError::overload(overload),
                AuthenticateError::Store(error) => return ApiError::of_store(error),
            },
            Self::Denied(denial) => return ApiError::denied(*denial),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(AuthError);

/// The action of each method of a resource; part of the resource's data.
#[derive(Debug, Clone)]
pub(crate) struct ResourceActions(pub(crate) Vec<(Method, Action)>);

impl ResourceActions {
    /// Returns the action of the route that serves a request.
    #[expect(clippy::expect_used, reason = "routes are bound to actions, and only their handlers ask")]
    fn action_of(request: &HttpRequest) -> Action {
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let actions = request.app_data::<Self>().expect("the route is bound to an action");
        let found = actions.0.iter().find(|(of, _)| of == method);
        found.map(|(_, action)| *action).expect("the method is bound to an action")
    }
}

/// The principal of the request, with permission for the action of its route.
///
/// The use case asks the same table once more, whoever calls it; here it is asked before the rest of the request is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorized(pub(crate) Principal);

/// The principal of a request, unless it has no credentials: then its first frame must bring them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionallyAuthorized(pub(crate) Option<Principal>);

/// The token of the request, if it has one.
fn bearer(request: &HttpRequest) -> Result<Option<&str>, AuthError> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or(AuthError::Scheme)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(AuthError::Scheme) }
}

/// Returns the principal of a token.
///
/// # Errors
/// See [`AuthError`].
pub(crate) async fn of_token(app: &App, token: &str) -> Result<Principal, AuthError> {
    let claims = app.tokens.verify(token, Utc::now())?;
    Ok(authenticate::user(&app.control, claims.sub, claims.team_id).await?)
}

/// Returns the principal of an API key.
///
/// # Errors
/// See [`AuthError`].
pub(crate) async fn of_api_key(app: &App, key: &str) -> Result<Principal, AuthError> {
    Ok(authenticate::api_key(&app.control, key).await?)
}

/// Returns whoever sent the request, with permission; `None` if it has no credentials that the action takes.
async fn authorize(request: &HttpRequest) -> Result<Option<Principal>, AuthError> {
    let app = App::of(request);
    let action = ResourceActions::action_of(request);
    // Where keys open nothing, a key is not looked at.
    let key = action.spec().scope.and_then(|_| request.headers().get("x-api-key"));
    let principal = match key {
        Some(key) => of_api_key(app, key.to_str().map_err(|_| AuthError::ApiKey)?).await?,
        None => match bearer(request)? {
            Some(token) => of_token(app, token).await?,
            None => return Ok(None),
        },
    };
    permit(&principal, action)?;
    Ok(Some(principal))
}

impl FromRequest for Authorized {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let missing = || match ResourceActions::action_of(&request).spec().scope {
                Some(_) => AuthError::Missing,
                None => AuthError::MissingToken,
            };
            authorize(&request).await?.map(Self).ok_or_else(missing)
        })
    }
}

impl FromRequest for OptionallyAuthorized {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { authorize(&request).await.map(Self) })
    }
}
