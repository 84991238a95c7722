//! Creation of accounts, shared by sign-up and the bootstrap of an installation.

use wrenn_base::Rng;
use wrenn_domain::{
    limits::{self, LimitError},
    user::{AdminRule, NewAccount, NewIdentity, SecretHash},
};
use wrenn_store::{StoreError, users::CreateAccountError};

use crate::auth::password::{PasswordError, Passwords};

/// The reason for which an account was not made; nothing is left of it then.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name, the email address or the password is not valid.
    #[error(transparent)]
    Invalid(#[from] LimitError),
    /// There is an account with this address.
    #[error("an account with this email address exists already")]
    EmailTaken,
    /// The set-up link was used, or is another one by now.
    #[error("setup_token: the set-up link is not valid; start the server again, which prints a new one")]
    SetUpToken,
    /// The invitation was used or taken back, is too old, or is for another address.
    #[error("invitation_token: the invitation is not valid for this address; ask for a new one")]
    Invitation,
    /// The password was not hashed.
    #[error("the password could not be hashed")]
    Password(#[from] PasswordError),
    /// The database failed.
    #[error("the account could not be stored")]
    Store(#[source] StoreError),
}

impl From<CreateAccountError> for AccountError {
    fn from(error: CreateAccountError) -> Self {
        match error {
            // Only a sign-in with a provider links an identity, and it looks for the other account itself.
            CreateAccountError::EmailTaken | CreateAccountError::IdentityTaken => Self::EmailTaken,
            CreateAccountError::SetUpToken => Self::SetUpToken,
            CreateAccountError::Invitation => Self::Invitation,
            CreateAccountError::Store(error) => Self::Store(error),
        }
    }
}

/// Rules under which an account is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) admin: AdminRule,
    pub(crate) invitation: Option<SecretHash>,
    /// True if the address counts as proved.
    pub(crate) is_verified: bool,
}

impl Terms {
    /// Returns the terms of an account that an operator makes.
    pub(crate) const fn of_operator() -> Self {
        Self { admin: AdminRule::Never, invitation: None, is_verified: true }
    }
}

/// Validates a person's input and hashes the password, which takes a second of a processor and nothing of the database.
pub(crate) async fn prepare(
    passwords: &Passwords,
    rng: &Rng,
    email: &str,
    password: String,
    name: &str,
    terms: Terms,
) -> Result<NewAccount, AccountError> {
    let email = email.trim();
    let name = name.trim();
    if !is_email(email) {
        return Err(LimitError { field: "email", wrong: "must be an email address".to_owned() }.into());
    }
    limits::check_name("name", name)?;
    limits::check_password(&password)?;
    Ok(NewAccount {
        email: email.to_owned(),
        name: name.to_owned(),
        password_hash: Some(passwords.hash(password).await?),
        identity: None,
        team_name: team_name(name),
        team_slug: slug(name, rng),
        admin: terms.admin,
        invitation: terms.invitation,
        is_verified: terms.is_verified,
    })
}

/// Makes the content of an account that an identity provider signs in, with a name and an address that are valid.
pub(crate) fn of_identity(
    rng: &Rng,
    email: &str,
    name: &str,
    identity: NewIdentity,
    terms: Terms,
) -> NewAccount {
    NewAccount {
        email: email.to_owned(),
        name: name.to_owned(),
        password_hash: None,
        identity: Some(identity),
        team_name: team_name(name),
        team_slug: slug(name, rng),
        admin: terms.admin,
        invitation: terms.invitation,
        is_verified: terms.is_verified,
    }
}

/// Returns true if a text has the form of an email address. Only delivery can tell if the address exists.
pub(crate) fn is_email(text: &str) -> bool {
    let is_clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let has_two_parts = text
        .rsplit_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !local.contains('@') && !domain.is_empty());
    text.len() <= limits::MAX_EMAIL_BYTES && is_clean && has_two_parts
}

/// Returns `Ada's team`, with the name truncated so that the result is not too long.
fn team_name(name: &str) -> String {
    const SUFFIX: &str = "'s team";
    let kept: String = name.chars().take(limits::NAME_CHARACTERS.end() - SUFFIX.len()).collect();
    kept + SUFFIX
}

/// Returns the letters and digits of a name that a slug can have, and a random suffix that makes it unique.
pub(crate) fn slug(name: &str, rng: &Rng) -> String {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(30);
    if slug.is_empty() {
        slug.push_str("team");
    }
    let chance = rng.alphanumeric(10).to_lowercase();
    format!("{}-{chance}", slug.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_two_parts_and_nothing_odd() {
        for good in ["a@b", "ada.lovelace+x@example.org", "ü@example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in
            ["", "ada", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a\0@b", &format!("{}@b", "a".repeat(300))]
        {
            assert!(!is_email(bad), "{bad:?}");
        }
    }

    #[test]
    fn slugs_are_readable_where_the_name_is() {
        let rng = Rng::seeded(1);
        assert!(slug("Ada  Lovelace!", &rng).starts_with("ada-lovelace-"));
        assert!(slug("日本", &rng).starts_with("team-"));
        assert_ne!(slug("Ada", &rng), slug("Ada", &rng));
    }

    #[test]
    fn the_longest_name_still_makes_a_team_name() {
        assert_eq!(team_name("Ada"), "Ada's team");
        assert_eq!(team_name(&"ä".repeat(100)).chars().count(), 100);
    }
}
