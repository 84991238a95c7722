//! Teams, and the roles of their members.

use chrono::{DateTime, Utc};

use crate::{ids::TeamId, word::words};

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
