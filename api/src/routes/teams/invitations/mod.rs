//! Invitations to a team.

pub(crate) mod accept;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::team::Invitation;

use super::TeamRole;

/// An invitation to a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationResponse {
    #[schema(example = "inv-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    team_id: String,
    #[schema(format = Email)]
    email: String,
    role: TeamRole,
    /// Id of the user who made it.
    invited_by: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// Token that the invited person needs; only in the answer to the creation, and only where the server sends no mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    token: Option<String>,
}

impl InvitationResponse {
    pub(super) fn new(invitation: Invitation, token: Option<String>) -> Self {
        Self {
            id: invitation.id.to_string(),
            team_id: invitation.team_id.to_string(),
            email: invitation.email,
            role: invitation.role.into(),
            invited_by: invitation.invited_by.to_string(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            token,
        }
    }
}
