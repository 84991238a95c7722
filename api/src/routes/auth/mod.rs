//! Signing up and signing in.

pub(crate) mod login;
pub(crate) mod signup;

use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::user::User;
use wrenn_proto::ids::TeamId;

use crate::auth::token::{Claims, TTL_SEC, TokenSigner};

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
    /// Whether the user administers the platform.
    is_admin: bool,
}

impl AuthResponse {
    /// Signs a token for a user who acts in a team.
    fn sign(signer: &TokenSigner, user: User, team_id: TeamId) -> Result<Self, serde_json::Error> {
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
