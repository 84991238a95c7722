//! The extractors that stand for a caller. A handler that takes one cannot be reached without it.

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header};
use chrono::Utc;
use futures_util::future::LocalBoxFuture;
use wrenn_domain::{error_code::ErrorCode, user::User};
use wrenn_proto::ids::{TeamId, UserId};
use wrenn_store::StoreError;

use super::{
    api_key,
    token::{Claims, TokenError},
};
use crate::{
    app::App,
    error::{ApiError, impl_response_error},
};

/// Why a caller was not let in.
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
    #[error("the account is disabled")]
    AccountDisabled,
    #[error("you are not a member of this team")]
    NoTeam,
    #[error("only a platform administrator may do this")]
    NotAdmin,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuthError {
    pub(crate) fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Missing | Self::MissingToken | Self::Scheme | Self::Token(_) | Self::ApiKey => {
                ErrorCode::Unauthorized
            }
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::NoTeam => ErrorCode::NoTeam,
            Self::NotAdmin => ErrorCode::Forbidden,
            Self::Store(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(AuthError);

/// A signed-in user, active and a member of the team at this moment.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: User,
    pub(crate) team_id: TeamId,
}

/// That the caller is a signed-in administrator of the platform at this moment.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) user_id: UserId,
}

/// Whoever may act for a team: a signed-in member or an API key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) team_id: TeamId,
}

/// The token of the request, if it has one.
fn bearer(request: &HttpRequest) -> Result<Option<&str>, AuthError> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or(AuthError::Scheme)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(AuthError::Scheme) }
}

/// The user whose token this is.
async fn session_of(app: &App, token: &str) -> Result<Session, AuthError> {
    let Claims { sub, team_id, .. } = app.tokens.verify(token, Utc::now())?;
    // A token of an account that is gone is as good as one that never was.
    let (user, role) = app.store.user_find_with_role(sub, team_id).await?.ok_or(TokenError::Invalid)?;
    if !user.is_active {
        return Err(AuthError::AccountDisabled);
    }
    if role.is_none() {
        return Err(AuthError::NoTeam);
    }
    Ok(Session { user, team_id })
}

async fn session(request: &HttpRequest) -> Result<Option<Session>, AuthError> {
    match bearer(request)? {
        Some(token) => session_of(App::of(request), token).await.map(Some),
        None => Ok(None),
    }
}

impl Caller {
    /// Whose token this is.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub(crate) async fn of_token(app: &App, token: &str) -> Result<Self, AuthError> {
        Ok(Self { team_id: session_of(app, token).await?.team_id })
    }

    /// Whose API key this is.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub(crate) async fn of_api_key(app: &App, key: &str) -> Result<Self, AuthError> {
        if !key.starts_with(api_key::PREFIX) {
            return Err(AuthError::ApiKey);
        }
        let identity = app.store.api_key_authenticate(&api_key::hash(key)).await?;
        let identity = identity.ok_or(AuthError::ApiKey)?;
        if !identity.creator_is_active {
            return Err(AuthError::AccountDisabled);
        }
        Ok(Self { team_id: identity.team_id })
    }
}

/// Whoever sent the request; none if it has no credentials at all.
async fn caller(request: &HttpRequest) -> Result<Option<Caller>, AuthError> {
    let app = App::of(request);
    if let Some(key) = request.headers().get("x-api-key") {
        let key = key.to_str().map_err(|_| AuthError::ApiKey)?;
        return Caller::of_api_key(app, key).await.map(Some);
    }
    match bearer(request)? {
        Some(token) => Caller::of_token(app, token).await.map(Some),
        None => Ok(None),
    }
}

async fn admin(request: &HttpRequest) -> Result<Admin, AuthError> {
    let session = session(request).await?.ok_or(AuthError::MissingToken)?;
    if session.user.is_admin { Ok(Admin { user_id: session.user.id }) } else { Err(AuthError::NotAdmin) }
}

impl FromRequest for Session {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { session(&request).await?.ok_or(AuthError::MissingToken) })
    }
}

impl FromRequest for Caller {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { caller(&request).await?.ok_or(AuthError::Missing) })
    }
}

/// The caller, unless the request has no credentials: then it will say later who it is.
#[derive(Debug)]
pub(crate) struct OptionalCaller(pub(crate) Option<Caller>);

impl FromRequest for OptionalCaller {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { caller(&request).await.map(Self) })
    }
}

impl FromRequest for Admin {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { admin(&request).await })
    }
}
