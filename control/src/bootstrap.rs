//! Bootstrap of an installation: an administrator, an API key, a host that may register.
//!
//! For programs that own the database, such as `wrenn up`. Each function can be called on every start.

use wrenn_base::Rng;
use wrenn_domain::{
    action::Action,
    api_key::NewApiKey,
    audit::AuditIntent,
    host::NewHost,
    ids::{ApiKeyId, HostId, TeamId, UserId},
    principal::SystemReason,
    scope::Scopes,
};
use wrenn_store::{Store, StoreError};

use crate::{
    account::{self, AccountError, Terms},
    auth::{
        api_key_text::ApiKeyText,
        password::{PasswordError, Passwords},
    },
};

/// Provider in the record of the local host, by which the record is found again.
const LOCAL: &str = "local";

/// The reason for which the administrator's account could not be ensured.
#[derive(Debug, thiserror::Error)]
pub enum EnsureAdminError {
    /// The email address or the password is not valid; the text says which, and why.
    #[error("the administrator's account is not valid: {0}")]
    Invalid(String),
    /// The account exists, but belongs to no team.
    #[error("the account {0} belongs to no team")]
    NoTeam(UserId),
    /// The password could not be hashed or compared.
    #[error("the administrator's password could not be hashed")]
    Password(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the administrator's account could not be read or written")]
    Store(#[from] StoreError),
}

impl From<AccountError> for EnsureAdminError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Invalid(error) => Self::Invalid(error.to_string()),
            // Another process made it between the lookup and the attempt.
            AccountError::EmailTaken | AccountError::SetUpToken | AccountError::Invitation => {
                Self::Invalid("another process made it just now; try again".to_owned())
            }
            AccountError::Password(error) => error.into(),
            AccountError::Store(error) => Self::Store(error),
        }
    }
}

impl From<PasswordError> for EnsureAdminError {
    fn from(error: PasswordError) -> Self {
        Self::Password(Box::new(error))
    }
}

/// The reason for which there is no API key for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum CreateAdminKeyError {
    /// The account left its team since it was looked up.
    #[error("the account {0} has left its team")]
    NoTeam(UserId),
    /// The database failed.
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

/// Origin of the administrator's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminOutcome {
    /// The account is new.
    Created,
    /// The account existed, with this password.
    Existing,
    /// The account existed, with another password, which is unchanged.
    ExistingWithOtherPassword,
}

/// The administrator of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Administrator {
    /// The account.
    pub user_id: UserId,
    /// The team in which it acts.
    pub team_id: TeamId,
    /// Origin of the account.
    pub outcome: AdminOutcome,
}

/// Makes the account if it does not exist, and makes it an administrator of the platform if the password is right: an
/// account that another person made with this address gains no rights.
///
/// # Errors
/// See [`EnsureAdminError`].
pub async fn ensure_admin(
    store: &Store,
    rng: &Rng,
    email: &str,
    password: &str,
) -> Result<Administrator, EnsureAdminError> {
    let passwords = Passwords::new(rng.clone())?;
    let (user, team_id, outcome) = match store.user_find_by_email(email).await? {
        None => {
            let intent = AuditIntent::system(SystemReason::Bootstrap, Action::SignUp);
            let account = account::prepare(
                &passwords,
                rng,
                email,
                password.to_owned(),
                "Administrator",
                Terms::of_operator(),
            )
            .await?;
            let created = store.account_create(account, &intent).await;
            let (user, team_id) = created.map_err(AccountError::from)?;
            (user, team_id, AdminOutcome::Created)
        }
        Some((user, hash)) => {
            let team_id =
                store.team_default_of_user(user.id).await?.ok_or(EnsureAdminError::NoTeam(user.id))?;
            let outcome = if passwords.verify(password.to_owned(), hash).await? {
                AdminOutcome::Existing
            } else {
                AdminOutcome::ExistingWithOtherPassword
            };
            (user, team_id, outcome)
        }
    };
    if !user.is_admin && outcome != AdminOutcome::ExistingWithOtherPassword {
        let intent = AuditIntent::system(SystemReason::Bootstrap, Action::AdminUserAdmin);
        store.user_grant_admin(user.id, &intent.of(user.id).with("is_admin", true)).await?;
    }
    Ok(Administrator { user_id: user.id, team_id, outcome })
}

/// Replaces the password of an account.
///
/// # Errors
/// [`EnsureAdminError::Password`] or [`EnsureAdminError::Store`].
pub async fn reset_password(
    store: &Store,
    rng: &Rng,
    user_id: UserId,
    password: &str,
) -> Result<(), EnsureAdminError> {
    let hash = Passwords::new(rng.clone())?.hash(password.to_owned()).await?;
    let intent = AuditIntent::system(SystemReason::Bootstrap, Action::PasswordReset).of(user_id);
    store.user_set_password(user_id, &hash, &intent).await?;
    Ok(())
}

/// Makes an API key for the administrator's team and returns its text, which is stored nowhere.
///
/// # Errors
/// If the database failed, or the administrator has left the team.
pub async fn create_api_key(
    store: &Store,
    rng: &Rng,
    administrator: &Administrator,
    name: &str,
) -> Result<String, CreateAdminKeyError> {
    let key = ApiKeyText::generate(rng);
    let id = ApiKeyId::new();
    let new = NewApiKey {
        id,
        team_id: administrator.team_id,
        name: name.to_owned(),
        key_hash: key.hash(),
        key_prefix: key.kept_prefix().to_owned(),
        created_by: administrator.user_id,
        scopes: Scopes::DEFAULT,
        expires_at: None,
    };
    let intent = AuditIntent::system(SystemReason::Bootstrap, Action::ApiKeyCreate);
    let created = store.api_key_create(new, &intent.in_team(administrator.team_id).of(id)).await?;
    created.map(|_| key.into_text()).ok_or(CreateAdminKeyError::NoTeam(administrator.user_id))
}

/// Returns the record of this machine as a host of the platform; makes it if there is none.
///
/// # Errors
/// If the database failed.
pub async fn ensure_local_host(store: &Store, administrator: &Administrator) -> Result<HostId, StoreError> {
    let hosts = store.host_list().await?;
    let is_local = |provider: Option<&str>| provider == Some(LOCAL);
    if let Some(host) = hosts.iter().find(|host| host.team_id.is_none() && is_local(host.provider.as_deref()))
    {
        return Ok(host.id);
    }
    let new = NewHost {
        provider: Some(LOCAL.to_owned()),
        created_by: Some(administrator.user_id),
        ..NewHost::default()
    };
    Ok(store.host_create(&new).await?.id)
}
