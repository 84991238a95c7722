//! Users: the accounts that can sign in.

use chrono::{DateTime, Utc};

use crate::ids::UserId;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Address, spelled as at signup; two accounts never differ in case only.
    pub email: String,
    /// Name for people, 1 to 100 characters.
    pub name: String,
    /// True if it may administer the platform.
    pub is_admin: bool,
    /// False once an administrator switched the account off.
    pub is_active: bool,
    /// When it signed up.
    pub created_at: DateTime<Utc>,
}

/// Content of a new account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Address to sign in with.
    pub email: String,
    /// Name for people, 1 to 100 characters.
    pub name: String,
    /// PHC string of the password's argon2id hash.
    pub password_hash: String,
    /// Name of the account's first team, 1 to 100 characters.
    pub team_name: String,
    /// Slug of that team; unique.
    pub team_slug: String,
}
