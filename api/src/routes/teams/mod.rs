//! Teams and their members.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod invitations;
pub(crate) mod leave;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod quota;
pub(crate) mod rename;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::team_error::TeamChangeError;
use wrenn_domain::{
    error_code::ErrorCode,
    team::{Role, Team, TeamMember, TeamRefusal},
};

use crate::{
    error::{ApiError, ClientError},
    routes::limit_schemas,
};

/// Role of a member in a team.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TeamRole {
    Owner,
    Admin,
    Member,
}

impl From<Role> for TeamRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Member => Self::Member,
        }
    }
}

impl From<TeamRole> for Role {
    fn from(role: TeamRole) -> Self {
        match role {
            TeamRole::Owner => Self::Owner,
            TeamRole::Admin => Self::Admin,
            TeamRole::Member => Self::Member,
        }
    }
}

/// Role that a person can be given on joining.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NewMemberRole {
    Admin,
    Member,
}

impl From<NewMemberRole> for Role {
    fn from(role: NewMemberRole) -> Self {
        match role {
            NewMemberRole::Admin => Self::Admin,
            NewMemberRole::Member => Self::Member,
        }
    }
}

/// Name of a team.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeamNameRequest {
    #[schema(schema_with = limit_schemas::name)]
    name: String,
}

impl ClientError for TeamChangeError {
    fn api_error(&self) -> ApiError {
        let refusal = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Store(error) => return ApiError::of_store(error),
            Self::Limit(_) => return ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Refused(refusal) => refusal,
        };
        ApiError::new(refusal_code(refusal), refusal.to_string())
    }
}

/// Returns the code for a change of a team that the rules do not allow.
pub(in crate::routes) fn refusal_code(refusal: &TeamRefusal) -> ErrorCode {
    match refusal {
        TeamRefusal::Gone
        | TeamRefusal::NotMember(_)
        | TeamRefusal::NoAccount(_)
        | TeamRefusal::NoInvitation(_)
        | TeamRefusal::InvalidInvitation => ErrorCode::NotFound,
        TeamRefusal::AlreadyMember(_) | TeamRefusal::OwnerNotGiven | TeamRefusal::Disabled(_) => {
            ErrorCode::InvalidRequest
        }
        TeamRefusal::RoleTooLow(_)
        | TeamRefusal::OwnerRole
        | TeamRefusal::NotOwner
        | TeamRefusal::OwnerRemoved
        | TeamRefusal::OwnerLeaves
        | TeamRefusal::OtherAddress
        | TeamRefusal::TooManyTeams => ErrorCode::Forbidden,
        TeamRefusal::TooManyInvitations | TeamRefusal::TooManyMembers | TeamRefusal::TooManyMemberships => {
            ErrorCode::Conflict
        }
    }
}

/// A team and the caller's role in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamWithRole {
    id: String,
    name: String,
    /// Name in addresses; unique.
    slug: String,
    /// True if the team may bring hosts of its own.
    is_byoc: bool,
    created_at: DateTime<Utc>,
    role: TeamRole,
}

impl From<(Team, Role)> for TeamWithRole {
    fn from((team, role): (Team, Role)) -> Self {
        Self {
            id: team.id.to_string(),
            name: team.name,
            slug: team.slug,
            is_byoc: team.is_byoc,
            created_at: team.created_at,
            role: role.into(),
        }
    }
}

/// A team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Team)]
pub(crate) struct TeamResponse {
    id: String,
    name: String,
    /// Name in addresses; unique.
    slug: String,
    /// True if the team may bring hosts of its own.
    is_byoc: bool,
    created_at: DateTime<Utc>,
}

impl From<Team> for TeamResponse {
    fn from(team: Team) -> Self {
        Self {
            id: team.id.to_string(),
            name: team.name,
            slug: team.slug,
            is_byoc: team.is_byoc,
            created_at: team.created_at,
        }
    }
}

/// A member of a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TeamMember)]
pub(crate) struct MemberResponse {
    user_id: String,
    name: String,
    #[schema(format = Email)]
    email: String,
    role: TeamRole,
    joined_at: DateTime<Utc>,
}

impl From<TeamMember> for MemberResponse {
    fn from(member: TeamMember) -> Self {
        Self {
            user_id: member.user_id.to_string(),
            name: member.name,
            email: member.email,
            role: member.role.into(),
            joined_at: member.joined_at,
        }
    }
}
