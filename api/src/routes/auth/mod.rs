//! Sign-up and sign-in.

pub(crate) mod login;
pub(crate) mod signup;

use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::{ids::TeamId, user::User};

use crate::{
    auth::token::{Claims, TTL_SEC, TokenSigner},
    error::{ApiError, ClientError},
};

/// A user who is signed in now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthResponse {
    /// For `Authorization: Bearer <token>`; good for six hours.
    token: String,
    #[schema(example = "usr-01jx3m8k2vdqg5z7c9h4f6t8r")]
    user_id: String,
    /// The team that the token acts in.
    #[schema(example = "team-01jx3m8k2vdqg5z7c9h4f6t8r")]
    team_id: String,
    email: String,
    name: String,
    /// True if the user administers the platform.
    is_admin: bool,
}

/// The reason for which there is no token, although the user is known.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be made")]
struct SignTokenError(#[from] serde_json::Error);

impl ClientError for SignTokenError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}

impl AuthResponse {
    /// Signs a token for a user who acts in a team.
    fn sign(signer: &TokenSigner, user: User, team_id: TeamId) -> Result<Self, SignTokenError> {
        let now = Utc::now().timestamp();
        let claims = Claims {
            sub: user.id,
            team_id,
            email: user.email,
            name: user.name,
            is_admin: user.is_admin,
            iat: now,
            exp: now + TTL_SEC,
        };
        Ok(Self {
            token: signer.sign(&claims)?,
            user_id: claims.sub.to_string(),
            team_id: team_id.to_string(),
            email: claims.email,
            name: claims.name,
            is_admin: claims.is_admin,
        })
    }
}
