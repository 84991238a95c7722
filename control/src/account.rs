//! Making an account; signup and the bootstrap of an installation do the same thing.

use rand::distr::{Alphanumeric, SampleString as _};
use wrenn_domain::{
    error_code::ErrorCode,
    user::{NewAccount, User},
};
use wrenn_proto::ids::TeamId;
use wrenn_store::{Store, StoreError, users::CreateAccountError};

use crate::{
    auth::password::{self, PasswordError, Passwords},
    error::ApiError,
};

/// Longest name of a user or a team, in characters.
const MAX_NAME: usize = 100;
/// Longest email address, as mail servers have it.
pub(crate) const MAX_EMAIL: usize = 254;

/// Why an account could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("{}", .0.message)]
    Invalid(ApiError),
    #[error("an account with this email address exists already")]
    EmailTaken,
    #[error("the password could not be hashed")]
    Password(#[from] PasswordError),
    #[error("the account could not be stored")]
    Store(#[source] StoreError),
}

impl From<CreateAccountError> for AccountError {
    fn from(error: CreateAccountError) -> Self {
        match error {
            CreateAccountError::EmailTaken => Self::EmailTaken,
            CreateAccountError::Store(error) => Self::Store(error),
        }
    }
}

/// Checks what a person entered and makes the account with its first team.
pub(crate) async fn create(
    store: &Store,
    passwords: &Passwords,
    email: &str,
    password: String,
    name: &str,
) -> Result<(User, TeamId), AccountError> {
    let email = email.trim();
    let name = name.trim();
    check_email(email)?;
    check_name(name)?;
    password::check(&password).map_err(AccountError::Invalid)?;
    let password_hash = passwords.hash(password).await?;
    let account = NewAccount {
        email: email.to_owned(),
        name: name.to_owned(),
        password_hash,
        team_name: team_name(name),
        team_slug: slug(name),
    };
    Ok(store.account_create(account).await?)
}

/// Whether this could be an address at all; whether it is, only a letter to it can tell.
pub(crate) fn is_email(text: &str) -> bool {
    let is_clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let has_two_parts = text
        .rsplit_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !local.contains('@') && !domain.is_empty());
    text.len() <= MAX_EMAIL && is_clean && has_two_parts
}

fn check_email(email: &str) -> Result<(), AccountError> {
    if is_email(email) { Ok(()) } else { Err(invalid("email: must be an email address")) }
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let length = name.chars().count();
    if (1..=MAX_NAME).contains(&length) && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(invalid("name: must have 1 to 100 characters and no control characters"))
    }
}

fn invalid(message: &str) -> AccountError {
    AccountError::Invalid(ApiError::new(ErrorCode::InvalidRequest, message))
}

/// `Ada's team`, cut so that it fits.
fn team_name(name: &str) -> String {
    const SUFFIX: &str = "'s team";
    let kept: String = name.chars().take(MAX_NAME - SUFFIX.len()).collect();
    kept + SUFFIX
}

/// What is left of a name in an address, and enough chance that two of them differ.
fn slug(name: &str) -> String {
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
    let chance = Alphanumeric.sample_string(&mut rand::rng(), 10).to_lowercase();
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
        assert!(slug("Ada  Lovelace!").starts_with("ada-lovelace-"));
        assert!(slug("日本").starts_with("team-"));
        assert_ne!(slug("Ada"), slug("Ada"));
    }

    #[test]
    fn the_longest_name_still_makes_a_team_name() {
        assert_eq!(team_name("Ada"), "Ada's team");
        assert_eq!(team_name(&"ä".repeat(100)).chars().count(), 100);
    }
}
