//! Teams, and the roles of their members.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    ids::{InvitationId, TeamId, UserId},
    word::words,
};

/// Teams that a user can own; each has a quota of its own, so this bounds what one account can occupy.
pub const MAX_OWNED_TEAMS: u32 = 100;
/// Members of a team; lists of them are not paged.
pub const MAX_MEMBERS: u32 = 1000;
/// Teams to which a user can belong, of whomever; lists of them are not paged.
pub const MAX_MEMBERSHIPS: u32 = 1000;
/// Open invitations of a team.
pub const MAX_INVITATIONS: u32 = 200;
/// Time for which an invitation can be accepted.
pub const INVITATION_TTL: Duration = Duration::from_secs(7 * 86_400);

words! {
    /// Role of a member in a team.
    Role, "role" {
        /// Made the team or was given it; exactly one.
        Owner = "owner",
        /// May change members.
        Admin = "admin",
        /// May use what the team has.
        Member = "member",
    }
}

impl Role {
    /// Returns true if this role may do everything that `other` may.
    pub const fn includes(self, other: Self) -> bool {
        self as u8 <= other as u8
    }
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Name for people, 1 to 100 characters.
    pub name: String,
    /// Name in addresses; unique.
    pub slug: String,
    /// True if it may bring hosts of its own.
    pub is_byoc: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A member of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamMember {
    /// The account.
    pub user_id: UserId,
    /// Name for people.
    pub name: String,
    /// The account's address.
    pub email: String,
    /// The member's role.
    pub role: Role,
    /// When the member joined.
    pub joined_at: DateTime<Utc>,
}

/// Content of a new team.
#[derive(Debug, Clone)]
pub struct NewTeam {
    /// Its id.
    pub id: TeamId,
    /// Name for people, 1 to 100 characters.
    pub name: String,
    /// Name in addresses; unique.
    pub slug: String,
}

/// SHA-256 of an invitation's token.
pub type InvitationHash = [u8; 32];

/// An invitation to a team, which the user with its address can accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The team.
    pub team_id: TeamId,
    /// Address of the invited person.
    pub email: String,
    /// Role that the person is given; never [`Role::Owner`].
    pub role: Role,
    /// The user who made it; the invitation ends with that user's place among the team's admins.
    pub invited_by: UserId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Content of a new invitation.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Its id.
    pub id: InvitationId,
    /// The team.
    pub team_id: TeamId,
    /// Address of the invited person.
    pub email: String,
    /// Role that the person is given; never [`Role::Owner`].
    pub role: Role,
    /// SHA-256 of its token.
    pub token_hash: InvitationHash,
}

/// The reason for which a team or its members stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TeamRefusal {
    /// The team was deleted.
    #[error("there is no such team")]
    Gone,
    /// The principal's role is too low at the time of the change.
    #[error("only a team's {} may do this", .0.as_str())]
    RoleTooLow(Role),
    /// The team has no such member.
    #[error("the team has no member {0}")]
    NotMember(UserId),
    /// The person is a member.
    #[error("email: `{0}` belongs to a member of the team")]
    AlreadyMember(String),
    /// There is no account with the address.
    #[error("email: there is no account with the address `{0}`; send an invitation")]
    NoAccount(String),
    /// Ownership is given with a member's role only.
    #[error("role: must be `admin` or `member`; ownership is handed over to a member")]
    OwnerNotGiven,
    /// The owner's role is changed.
    #[error(
        "role: the owner's role cannot be changed; hand over ownership by giving a member the role `owner`"
    )]
    OwnerRole,
    /// A member other than the owner gives ownership.
    #[error("role: only the owner can hand over ownership")]
    NotOwner,
    /// The new owner could not sign in.
    #[error("role: the account of member {0} is disabled, so it cannot own the team")]
    Disabled(UserId),
    /// The owner is removed.
    #[error("the owner cannot be removed; the owner can hand over ownership first")]
    OwnerRemoved,
    /// The owner leaves.
    #[error(
        "the owner cannot leave; hand over ownership by giving a member the role `owner`, or delete the team"
    )]
    OwnerLeaves,
    /// The team has no such invitation.
    #[error("the team has no invitation {0}")]
    NoInvitation(InvitationId),
    /// The token opens no invitation.
    #[error("token: the invitation is not valid, or has ended; ask for another one")]
    InvalidInvitation,
    /// The invitation is for another address than the user's.
    #[error("token: the invitation is for another email address; sign in with that one")]
    OtherAddress,
    /// The user owns as many teams as a user can.
    #[error("you own {MAX_OWNED_TEAMS} teams, which is the maximum; delete one first")]
    TooManyTeams,
    /// The team has as many invitations as a team can.
    #[error("the team has {MAX_INVITATIONS} open invitations, which is the maximum; delete one first")]
    TooManyInvitations,
    /// The team has as many members as a team can.
    #[error("the team has {MAX_MEMBERS} members, which is the maximum; remove one first")]
    TooManyMembers,
    /// The user belongs to as many teams as a user can.
    #[error(
        "the user belongs to {MAX_MEMBERSHIPS} teams, which is the maximum; the user can leave one first"
    )]
    TooManyMemberships,
}

/// Change of a member's role that the rules allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    /// The member has the role.
    None,
    /// The member becomes an admin or a member.
    Set,
    /// The member becomes the owner, and the owner an admin.
    HandOver,
}

/// Decides about a change of a member's role by a member whose own role is `by`.
///
/// # Errors
/// The reason if the role stays as it is.
pub fn change_role(by: Role, from: Role, to: Role) -> Result<RoleChange, TeamRefusal> {
    if !by.includes(Role::Admin) {
        return Err(TeamRefusal::RoleTooLow(Role::Admin));
    }
    match (from, to) {
        (_, Role::Owner) if by != Role::Owner => Err(TeamRefusal::NotOwner),
        (Role::Owner, Role::Owner) => Ok(RoleChange::None),
        (_, Role::Owner) => Ok(RoleChange::HandOver),
        (Role::Owner, _) => Err(TeamRefusal::OwnerRole),
        (from, to) if from == to => Ok(RoleChange::None),
        _ => Ok(RoleChange::Set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_change_among_admins_and_members_and_only_owners_hand_over() {
        use Role::{Admin, Member, Owner};
        for (by, from, to, expected) in [
            (Owner, Member, Admin, Ok(RoleChange::Set)),
            (Admin, Admin, Member, Ok(RoleChange::Set)),
            (Admin, Admin, Admin, Ok(RoleChange::None)),
            (Owner, Member, Owner, Ok(RoleChange::HandOver)),
            (Owner, Owner, Owner, Ok(RoleChange::None)),
            (Admin, Admin, Owner, Err(TeamRefusal::NotOwner)),
            (Admin, Owner, Owner, Err(TeamRefusal::NotOwner)),
            (Admin, Owner, Member, Err(TeamRefusal::OwnerRole)),
            (Owner, Owner, Admin, Err(TeamRefusal::OwnerRole)),
            (Member, Member, Admin, Err(TeamRefusal::RoleTooLow(Admin))),
        ] {
            assert_eq!(change_role(by, from, to), expected, "{by}: {from} to {to}");
        }
    }
}
