//! Permission: a pure function of a principal and an action, from the table of actions.
//!
//! The function knows nothing of resources: a use case looks up the team's own, and answers *not found* for all others.

use crate::{
    action::{Access, Action},
    principal::Principal,
    team::Role,
};

/// The reason for which a principal may not carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The principal has not signed in.
    #[error("sign in first")]
    NotSignedIn,
    /// The API key does not open this action.
    #[error("an API key cannot do this; sign in")]
    NotForKeys,
    /// The role in the team is too low.
    #[error("only a team's {} may do this", .0.as_str())]
    Role(Role),
    /// The user does not administer the platform.
    #[error("only a platform administrator may do this")]
    NotAdmin,
    /// The principal is a host.
    #[error("a host cannot do this")]
    NotForHosts,
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
        (_, Principal::Host { .. }) => Err(Denial::NotForHosts),
        (Access::Team(least), Principal::User { role, .. }) => {
            if role.includes(least) {
                Ok(())
            } else {
                Err(Denial::Role(least))
            }
        }
        (Access::Team(_), Principal::ApiKey { .. }) if spec.scope.is_some() => Ok(()),
        (_, Principal::ApiKey { .. }) => Err(Denial::NotForKeys),
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
    };

    fn user(role: Role, is_admin: bool) -> Principal {
        Principal::User { id: UserId::new(), team: TeamId::new(), role, is_admin }
    }

    fn key() -> Principal {
        Principal::ApiKey { id: ApiKeyId::new(), team: TeamId::new(), created_by: UserId::new() }
    }

    #[test]
    fn each_kind_of_principal_may_what_the_table_says_and_nothing_else() {
        for &action in Action::ALL {
            let spec = action.spec();
            let is_open = spec.access == Access::Open;
            let is_team = matches!(spec.access, Access::Team(_));
            assert_eq!(permit(&Principal::Anonymous, action).is_ok(), is_open, "{action}");
            assert_eq!(permit(&Principal::Host { id: HostId::new() }, action).is_ok(), is_open, "{action}");
            assert_eq!(permit(&user(Role::Member, false), action).is_ok(), is_open || is_team, "{action}");
            assert_eq!(permit(&user(Role::Member, true), action), Ok(()), "{action}");
            assert_eq!(permit(&key(), action).is_ok(), is_open || spec.scope.is_some(), "{action}");
            assert_eq!(permit(&Principal::system(SystemReason::Idle), action), Ok(()), "{action}");
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
