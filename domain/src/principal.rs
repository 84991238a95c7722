//! Principals: on whose behalf something is done.
//!
//! Every use case, and every actor that acts by itself, acts for one. [`permit`](crate::permission::permit) decides what a
//! principal may do; the audit log says what it did.

use uuid::Uuid;

use crate::{
    ids::{ApiKeyId, HostId, TeamId, UserId},
    scope::Scopes,
    team::Role,
    word::words,
};

/// A user's place in a team at the time of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The team.
    pub team: TeamId,
    /// The user's role in it.
    pub role: Role,
}

/// The user, program or part of the system that acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A client that has not signed in. It may sign up, sign in, and ask for the server's health.
    Anonymous,
    /// A signed-in user, active at the time of the request.
    User {
        /// The user.
        id: UserId,
        /// The team for which the user acts; `None` for a user without a team.
        membership: Option<Membership>,
        /// True if the user administers the platform.
        is_admin: bool,
        /// The account's epoch when the token was made; the token ends when the account has another one.
        epoch: i64,
    },
    /// A program with an API key of a team.
    ApiKey {
        /// The key's record.
        id: ApiKeyId,
        /// The team to which the key belongs.
        team: TeamId,
        /// The user who made the key.
        created_by: UserId,
        /// Scopes that the key opens; no more than its maker may do at the time of the request.
        scopes: Scopes,
    },
    /// The agent of a host.
    Host {
        /// The host.
        id: HostId,
    },
    /// The control plane itself.
    System {
        /// The part of it that acts.
        reason: SystemReason,
    },
}

words! {
    /// The reason for which the control plane acts by itself.
    SystemReason, "system reason" {
        /// A sandbox was idle for longer than its timeout.
        Idle = "idle",
        /// A preview or session woke a paused sandbox.
        Traffic = "traffic",
        /// A build works in a capsule of its own.
        Build = "build",
        /// An attempt at a build is over, and its leftovers are removed.
        BuildCleanUp = "build_clean_up",
        /// A machine failed or ended, and its leftovers are removed from the host.
        MachineCleanUp = "machine_clean_up",
        /// Something is older or larger than what is kept.
        Retention = "retention",
        /// The installation is set up.
        Bootstrap = "bootstrap",
        /// A team was deleted, and everything that it had is removed.
        TeamDeleted = "team_deleted",
        /// A host was deleted, and everything that only it had ends.
        HostDeleted = "host_deleted",
        /// The receiver of a notification channel fails.
        DeadChannel = "dead_channel",
        /// An operator of the server works at its command line.
        Operator = "operator",
    }
}

impl Principal {
    /// Returns the principal of the control plane itself.
    pub const fn system(reason: SystemReason) -> Self {
        Self::System { reason }
    }

    /// Returns the team for which it acts.
    pub const fn team(&self) -> Option<TeamId> {
        match self {
            Self::User { membership: Some(Membership { team, .. }), .. } | Self::ApiKey { team, .. } => {
                Some(*team)
            }
            Self::User { membership: None, .. }
            | Self::Anonymous
            | Self::Host { .. }
            | Self::System { .. } => None,
        }
    }

    /// Returns the user behind it: the one who signed in, or who made the key.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::ApiKey { created_by, .. } => Some(*created_by),
            Self::Anonymous | Self::Host { .. } | Self::System { .. } => None,
        }
    }

    /// Returns its kind as the audit log spells it: `anonymous`, `user`, `api_key`, `host` or `system`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User { .. } => "user",
            Self::ApiKey { .. } => "api_key",
            Self::Host { .. } => "host",
            Self::System { .. } => "system",
        }
    }

    /// Returns the UUID of the user, key or host.
    pub const fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(id.0),
            Self::ApiKey { id, .. } => Some(id.0),
            Self::Host { id } => Some(id.0),
            Self::Anonymous | Self::System { .. } => None,
        }
    }

    /// Returns the part of the control plane that acts.
    pub const fn reason(&self) -> Option<SystemReason> {
        match self {
            Self::System { reason } => Some(*reason),
            Self::Anonymous | Self::User { .. } | Self::ApiKey { .. } | Self::Host { .. } => None,
        }
    }
}
