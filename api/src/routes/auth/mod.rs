//! Sign-up, sign-in, sign-out, and the proof of an address.

pub(crate) mod activate;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod methods;
pub(in crate::routes) mod oauth;
pub(crate) mod signup;
pub(crate) mod switch_team;

use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::{ids::TeamId, user::User};

use crate::{
    app::App,
    auth::token::{Claims, TTL_SEC},
    error::{ApiError, ClientError},
};

/// A user who is signed in now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthResponse {
    /// For `Authorization: Bearer <token>`; good for six hours.
    token: String,
    #[schema(example = "usr-01jx3m8k2vdqg5z7c9h4f6t8r")]
    user_id: String,
    /// The team for which the token acts; empty if the user belongs to none.
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
pub(in crate::routes) struct SignTokenError(#[from] jsonwebtoken::errors::Error);

impl ClientError for SignTokenError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}

impl AuthResponse {
    /// Appends the fields to the part of an address behind the `#`.
    fn append_to(&self, fields: &mut form_urlencoded::Serializer<'_, String>) {
        let Self { token, user_id, team_id, email, name, is_admin } = self;
        let is_admin = is_admin.to_string();
        fields.extend_pairs([
            ("token", token),
            ("user_id", user_id),
            ("team_id", team_id),
            ("email", email),
            ("name", name),
            ("is_admin", &is_admin),
        ]);
    }

    /// Returns the token alone.
    pub(in crate::routes) fn into_token(self) -> String {
        self.token
    }

    /// Signs a token for a user who acts for a team, or for none.
    pub(in crate::routes) async fn sign(
        app: &App,
        user: User,
        team_id: Option<TeamId>,
    ) -> Result<Self, SignTokenError> {
        let now = app.clock.utc().timestamp();
        let claims = Claims {
            sub: user.id,
            team_id,
            epoch: user.token_epoch,
            email: user.email,
            name: user.name,
            is_admin: user.is_admin,
            iat: now,
            exp: now + TTL_SEC,
        };
        Ok(Self {
            token: app.tokens.sign(&claims).await?,
            user_id: claims.sub.to_string(),
            team_id: team_id.map(|team| team.to_string()).unwrap_or_default(),
            email: claims.email,
            name: claims.name,
            is_admin: claims.is_admin,
        })
    }
}
