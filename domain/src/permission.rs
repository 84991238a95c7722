//! Permission: a pure function of a principal and an action, from the table of actions.
//!
//! The function knows nothing of resources: a use case looks up the team's own, and answers *not found* for all others.

use crate::{
    action::{Access, Action},
    principal::{Membership, Principal},
    scope::Scopes,
    team::Role,
};

/// The reason for which a principal may not carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The principal has not signed in.
    #[error("sign in first")]
    NotSignedIn,
    /// The user belongs to no team, or to none that is left.
    #[error("you are not a member of this team; join one, or create one")]
    NoTeam,
    /// No API key opens this action.
    #[error("an API key cannot do this; sign in")]
    NotForKeys,
    /// The API key has none of the scopes that open this action.
    #[error("the API key needs the scope {0}")]
    Scope(Scopes),
    /// The role in the team is too low.
    #[error("only a team's {} may do this", .0.as_str())]
    Role(Role),
    /// The user does not administer the platform.
    #[error("only a platform administrator may do this")]
    NotAdmin,
    /// The principal is a host.
    #[error("a host cannot do this")]
    NotForHosts,
    /// The principal is no host.
    #[error("only a host may do this, with its own token; send `X-Host-Token`")]
    NotAHost,
    /// The principal is another host.
    #[error("the token is another host's")]
    OtherHost,
}

/// Decides whether `principal` may carry out `action`.
///
/// The control plane itself may do everything: it acts by rules of its own.
///
/// # Errors
/// The reason if it may not.
pub const fn permit(principal: &Principal, action: Action) -> Result<(), Denial> {
    let spec = action.spec();
    match (spec.access, principal) {
        (_, Principal::System { .. }) | (Access::Open, _) => Ok(()),
        (_, Principal::Anonymous) => Err(Denial::NotSignedIn),
        (Access::Host, Principal::Host { .. }) => Ok(()),
        (Access::Host, Principal::User { .. } | Principal::ApiKey { .. }) => Err(Denial::NotAHost),
        (_, Principal::Host { .. }) => Err(Denial::NotForHosts),
        (Access::SignedIn, Principal::User { .. }) => Ok(()),
        (Access::Team(least) | Access::NamedTeam(least), Principal::User { membership, .. }) => {
            match membership {
                None => Err(Denial::NoTeam),
                Some(Membership { role, .. }) if role.includes(least) => Ok(()),
                Some(_) => Err(Denial::Role(least)),
            }
        }
        (_, Principal::ApiKey { .. }) if spec.scopes.is_empty() => Err(Denial::NotForKeys),
        (_, Principal::ApiKey { scopes, .. }) if scopes.intersects(spec.scopes) => Ok(()),
        (_, Principal::ApiKey { .. }) => Err(Denial::Scope(spec.scopes)),
        (Access::Platform, Principal::User { is_admin, .. }) => {
            if *is_admin {
                Ok(())
            } else {
                Err(Denial::NotAdmin)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{ApiKeyId, HostId, TeamId, UserId},
        principal::SystemReason,
        scope::Scope,
    };

    fn user(role: Option<Role>, is_admin: bool) -> Principal {
        let membership = role.map(|role| Membership { team: TeamId::new(), role });
        Principal::User { id: UserId::new(), membership, is_admin, epoch: 0 }
    }

    fn key(scopes: Scopes) -> Principal {
        Principal::ApiKey { id: ApiKeyId::new(), team: TeamId::new(), created_by: UserId::new(), scopes }
    }

    /// Says once more, in other words than the function, what the table means.
    fn is_permitted(action: Action, principal: &Principal) -> bool {
        let spec = action.spec();
        let least = match spec.access {
            Access::Open => return true,
            Access::Team(role) | Access::NamedTeam(role) => Some(role),
            Access::Host => return matches!(principal, Principal::Host { .. } | Principal::System { .. }),
            Access::SignedIn | Access::Platform => None,
        };
        match principal {
            Principal::System { .. } => true,
            Principal::Anonymous | Principal::Host { .. } => false,
            Principal::ApiKey { scopes, .. } => {
                scopes.iter().any(|scope| spec.scopes.iter().any(|s| s == scope))
            }
            Principal::User { is_admin, .. } if spec.access == Access::Platform => *is_admin,
            Principal::User { membership, .. } => {
                least.is_none_or(|least| membership.is_some_and(|membership| membership.role <= least))
            }
        }
    }

    #[test]
    fn each_kind_of_principal_may_what_the_table_says_and_nothing_else() {
        let roles = [None, Some(Role::Member), Some(Role::Admin), Some(Role::Owner)];
        let users = roles.into_iter().flat_map(|role| [user(role, false), user(role, true)]);
        let keys = Scope::ALL.iter().map(|scope| key(Scopes::of(&[*scope])));
        let others = [
            Principal::Anonymous,
            Principal::Host { id: HostId::new() },
            key(Scopes::default()),
            Principal::system(SystemReason::Idle),
        ];
        for principal in users.chain(keys).chain(others) {
            for &action in Action::ALL {
                let is_ok = permit(&principal, action).is_ok();
                assert_eq!(is_ok, is_permitted(action, &principal), "{action} by {principal:?}");
            }
        }
    }

    #[test]
    fn a_higher_role_includes_the_lower_ones() {
        for (role, includes) in [
            (Role::Owner, [true, true, true]),
            (Role::Admin, [false, true, true]),
            (Role::Member, [false, false, true]),
        ] {
            for (other, expected) in [Role::Owner, Role::Admin, Role::Member].into_iter().zip(includes) {
                assert_eq!(role.includes(other), expected, "{role} {other}");
            }
        }
    }
}
