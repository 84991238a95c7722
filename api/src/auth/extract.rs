//! The extractors that stand for a principal. A handler that takes one cannot be reached without permission.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, header},
};
use futures_util::future::LocalBoxFuture;
use wrenn_control::authenticate::{self, ActingTeam, AuthenticateError, TokenIdentity};
use wrenn_domain::{
    action::{Access, Action},
    error_code::ErrorCode,
    permission::{Denial, permit},
    principal::Principal,
};

use super::token::TokenError;
use crate::{
    app::App,
    error::{ApiError, impl_response_error},
    http::extract::{PathId, PathIdError},
};

/// Header with a host's token.
pub(crate) const HOST_TOKEN: &str = "X-Host-Token";

/// The reason for which a caller was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("send `Authorization: Bearer <token>` or `X-API-Key: wrn_…`")]
    Missing,
    #[error("this address takes a signed-in user's token; send `Authorization: Bearer <token>`")]
    MissingToken,
    #[error("this address takes a host's token; send `X-Host-Token`")]
    MissingHostToken,
    #[error("the Authorization header must be `Bearer <token>`")]
    Scheme,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the API key is not valid")]
    ApiKey,
    #[error(transparent)]
    TeamId(#[from] PathIdError),
    #[error(transparent)]
    Authenticate(#[from] AuthenticateError),
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl AuthError {
    pub(crate) fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Missing
            | Self::MissingToken
            | Self::MissingHostToken
            | Self::Scheme
            | Self::Token(_)
            | Self::ApiKey => ErrorCode::Unauthorized,
            Self::TeamId(_) => ErrorCode::InvalidRequest,
            Self::Authenticate(error) => match error {
                AuthenticateError::Token
                | AuthenticateError::SessionEnded
                | AuthenticateError::ApiKey
                | AuthenticateError::HostToken => ErrorCode::Unauthorized,
                AuthenticateError::AccountDisabled => ErrorCode::AccountDisabled,
                AuthenticateError::NotInTeam(_) => ErrorCode::NotFound,
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
pub(crate) async fn of_token(app: &App, token: &str, acting: ActingTeam) -> Result<Principal, AuthError> {
    let claims = app.tokens.verify(token).await?;
    let identity = TokenIdentity { user: claims.sub, team: claims.team_id, epoch: claims.epoch };
    Ok(authenticate::user(&app.control, identity, acting).await?)
}

/// Returns the principal of an API key.
///
/// # Errors
/// See [`AuthError`].
pub(crate) async fn of_api_key(app: &App, key: &str, acting: ActingTeam) -> Result<Principal, AuthError> {
    Ok(authenticate::api_key(&app.control, key, acting).await?)
}

/// Returns the team for which the principal of a request acts: the one in the path, where the action names one.
fn acting_team(request: &HttpRequest, action: Action) -> Result<ActingTeam, AuthError> {
    match action.spec().access {
        Access::NamedTeam(_) => Ok(ActingTeam::Named(PathId::of(request)?.0)),
        _ => Ok(ActingTeam::OfCredentials),
    }
}

/// Returns whoever sent the request, with permission; `None` if it has no credentials that the action takes.
async fn authorize(request: &HttpRequest) -> Result<Option<Principal>, AuthError> {
    let app = App::of(request);
    let action = ResourceActions::action_of(request);
    if action.spec().access == Access::Host {
        let Some(token) = request.headers().get(HOST_TOKEN) else { return Ok(None) };
        let token = token.to_str().map_err(|_| AuthenticateError::HostToken)?;
        let (principal, _) = authenticate::host(&app.control, token).await?;
        permit(&principal, action)?;
        return Ok(Some(principal));
    }
    // Where keys open nothing, a key is not looked at.
    let takes_keys = !action.spec().scopes.is_empty();
    let key = request.headers().get("x-api-key").filter(|_| takes_keys);
    let token = if key.is_none() { bearer(request)? } else { None };
    let principal = match (key, token) {
        (None, None) => return Ok(None),
        (Some(key), _) => {
            let key = key.to_str().map_err(|_| AuthError::ApiKey)?;
            of_api_key(app, key, acting_team(request, action)?).await?
        }
        (None, Some(token)) => of_token(app, token, acting_team(request, action)?).await?,
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
            let missing = || {
                let spec = ResourceActions::action_of(&request).spec();
                match (spec.access, spec.scopes.is_empty()) {
                    (Access::Host, _) => AuthError::MissingHostToken,
                    (_, false) => AuthError::Missing,
                    (_, true) => AuthError::MissingToken,
                }
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
