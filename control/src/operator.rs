//! Commands of an operator who has the database: `wrenn admin`.

use chrono::{DateTime, Utc};
use wrenn_base::Rng;
use wrenn_domain::{
    action::Action,
    administration::FormerKeys,
    audit::AuditIntent,
    ids::UserId,
    principal::SystemReason,
    user::{LinkKind, User},
};
use wrenn_store::{Store, StoreError};

use crate::{
    account::{self, AccountError, Terms},
    auth::{password::Passwords, secret},
    public_url::{Page, PublicUrl},
    token_key_rotate,
};

/// Characters of a password that nobody is told.
const UNKNOWN_PASSWORD_CHARACTERS: usize = 48;

/// The reason for which a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no account with this address.
    #[error("there is no account with the email address {0}")]
    NoAccount(String),
    /// The account was not made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The database failed.
    #[error("the database could not be read or written")]
    Store(#[from] StoreError),
}

/// A link that its user opens to choose a password.
#[derive(Clone)]
pub struct PasswordLink {
    /// The link, a secret.
    pub url: String,
    /// The end of its time.
    pub expires_at: DateTime<Utc>,
}

/// Makes an account, and a link by which its user chooses a password.
///
/// # Errors
/// See [`OperatorError`].
pub async fn create_user(
    store: &Store,
    rng: &Rng,
    public_url: &PublicUrl,
    email: &str,
    name: &str,
) -> Result<(User, PasswordLink), OperatorError> {
    let passwords = Passwords::new(rng.clone()).map_err(AccountError::from)?;
    let unknown = rng.alphanumeric(UNKNOWN_PASSWORD_CHARACTERS);
    let account = account::prepare(&passwords, rng, email, unknown, name, Terms::of_operator()).await?;
    let intent = AuditIntent::system(SystemReason::Operator, Action::SignUp);
    let (user, _) = store.account_create(account, &intent).await.map_err(AccountError::from)?;
    let link = password_link(store, rng, public_url, &user).await?;
    Ok((user, link))
}

/// Makes a link by which the user with this address chooses a new password.
///
/// # Errors
/// See [`OperatorError`].
pub async fn reset_password(
    store: &Store,
    rng: &Rng,
    public_url: &PublicUrl,
    email: &str,
) -> Result<PasswordLink, OperatorError> {
    let user = find(store, email).await?;
    password_link(store, rng, public_url, &user).await
}

/// Removes the second factor of the user with this address, who has lost it, and ends all tokens of the user; false if
/// there is none.
///
/// # Errors
/// See [`OperatorError`].
pub async fn remove_second_factor(store: &Store, email: &str) -> Result<bool, OperatorError> {
    let user = find(store, email).await?;
    let intent = AuditIntent::system(SystemReason::Operator, Action::TotpDisable).of(user.id);
    Ok(store.totp_disable(user.id, &intent).await?.is_some())
}

/// Makes the user with this address an administrator of the platform.
///
/// # Errors
/// See [`OperatorError`].
pub async fn grant_admin(store: &Store, email: &str) -> Result<UserId, OperatorError> {
    let user = find(store, email).await?;
    let intent = AuditIntent::system(SystemReason::Operator, Action::AdminUserAdmin);
    store.user_grant_admin(user.id, &intent.of(user.id).with("is_admin", true)).await?;
    Ok(user.id)
}

/// Adds a key that signs tokens from now on; returns its id.
///
/// # Errors
/// If the database failed.
pub async fn rotate_token_key(store: &Store, rng: &Rng, former: FormerKeys) -> Result<String, StoreError> {
    let intent = AuditIntent::system(SystemReason::Operator, Action::TokenKeyRotate);
    token_key_rotate::rotate(store, rng, former, &intent).await
}

async fn find(store: &Store, email: &str) -> Result<User, OperatorError> {
    let found = store.user_find_by_email(email.trim()).await?;
    found.map(|(user, _)| user).ok_or_else(|| OperatorError::NoAccount(email.trim().to_owned()))
}

async fn password_link(
    store: &Store,
    rng: &Rng,
    public_url: &PublicUrl,
    user: &User,
) -> Result<PasswordLink, OperatorError> {
    let token = secret::token(rng);
    let intent = AuditIntent::system(SystemReason::Operator, Action::ResetLinkCreate).of(user.id);
    let hash = secret::hash(&token);
    let issued = store.user_link_issue(user.id, LinkKind::PasswordReset, &hash, Some(&intent)).await?;
    let expires_at = issued.ok_or_else(|| OperatorError::NoAccount(user.email.clone()))?;
    Ok(PasswordLink { url: public_url.link(Page::ResetPassword, &token), expires_at })
}
