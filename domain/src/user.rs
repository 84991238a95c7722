//! Users: the accounts that can sign in.

use chrono::{DateTime, Utc};

use crate::{ids::UserId, word::words};

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
    /// True if the address was proved by its link, or is taken as proved because there is no mail.
    pub is_verified: bool,
    /// True if it can sign in with a password.
    pub has_password: bool,
    /// True if signing in with the password takes a second factor.
    pub has_totp: bool,
    /// Number that each of its tokens repeats; tokens with another one have ended.
    pub token_epoch: i64,
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
    /// PHC string of the password's argon2id hash; `None` for an account that an identity provider signs in.
    pub password_hash: Option<String>,
    /// Identity that is linked to the account.
    pub identity: Option<NewIdentity>,
    /// Name of the account's first team, 1 to 100 characters.
    pub team_name: String,
    /// Slug of that team; unique.
    pub team_slug: String,
    /// Rule that decides whether the account administers the platform.
    pub admin: AdminRule,
    /// Hash of the invitation that the account accepts.
    pub invitation: Option<SecretHash>,
    /// True if the address counts as proved.
    pub is_verified: bool,
}

/// Account at an identity provider that is linked to an account here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Name of the provider.
    pub provider: String,
    /// Id of the account at the provider.
    pub subject: String,
    /// Address of the account at the provider.
    pub email: String,
}

/// A sign-in that is under way at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSignIn {
    /// Name of the provider.
    pub provider: String,
    /// Value that the ID token repeats.
    pub nonce: String,
    /// Secret that proves who began the sign-in.
    pub pkce_verifier: String,
    /// The user who connects the provider; `None` for a sign-in.
    pub user: Option<ConnectingUser>,
}

/// A user who connects a provider to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectingUser {
    /// The account.
    pub id: UserId,
    /// The account's epoch when the user began; with another one, the token that was used has ended.
    pub epoch: i64,
}

/// SHA-256 of a secret that is sent to one person, such as the token of a link.
pub type SecretHash = [u8; 32];

/// Rule that decides whether a new account administers the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminRule {
    /// The first account ever made does, no other one.
    FirstAccount,
    /// The account does not.
    Never,
    /// The account does, and ends the set-up token with this hash; without such a token no account is made.
    SetUpToken(SecretHash),
}

words! {
    /// Purpose of a link that is sent to a user.
    LinkKind, "kind of link" {
        /// Proves the address of the account.
        Activation = "activation",
        /// Replaces the password of the account.
        PasswordReset = "password_reset",
    }
}

impl LinkKind {
    /// Returns the time for which a link is valid, in seconds.
    pub const fn ttl_sec(self) -> i64 {
        match self {
            Self::Activation => 3 * 24 * 60 * 60,
            Self::PasswordReset => 60 * 60,
        }
    }
}

words! {
    /// Rule for people who want an account.
    SignUpPolicy, "sign-up policy" {
        /// Everybody can sign up.
        Open = "open",
        /// People with an invitation to a team can sign up.
        Invite = "invite",
        /// Administrators make accounts; sign-up is refused.
        Closed = "closed",
    }
}

/// An account as a search shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUser {
    /// Its id.
    pub user_id: UserId,
    /// Name for people.
    pub name: String,
    /// The account's address.
    pub email: String,
}
