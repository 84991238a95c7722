//! Makes an API key for the principal's team.

use chrono::{DateTime, Utc};
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    api_key::{ApiKey, NewApiKey},
    ids::ApiKeyId,
    limits::{self, LimitError},
    permission::Denial,
    principal::{Membership, Principal},
    scope::{Scope, Scopes},
};
use wrenn_store::StoreError;

use crate::{Control, auth::api_key_text::ApiKeyText};

/// Name of a key that has none.
pub const DEFAULT_NAME: &str = "Unnamed API Key";

/// The reason for which there is no key.
#[derive(Debug, thiserror::Error)]
pub enum CreateApiKeyError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The name is too long, empty, or has control characters.
    #[error(transparent)]
    Name(#[from] LimitError),
    /// The list of scopes is empty.
    #[error("scopes: must have at least one of `read`, `capsules`, `builds`, `admin`")]
    NoScope,
    /// The maker may not do so much itself.
    #[error("scopes: you can give {0} at most")]
    TooBroad(Scopes),
    /// The key would have ended already.
    #[error("expires_at: `{0}` is not in the future")]
    Expired(DateTime<Utc>),
    /// The database failed.
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

/// An API key that somebody wants. Everything has a default.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyRequest {
    /// Name for people.
    pub name: Option<String>,
    /// Scopes that it opens.
    pub scopes: Option<Scopes>,
    /// When it ends; never by default, or with the key with which it is made.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a key; returns its record and its text, which is nowhere else.
///
/// # Errors
/// See [`CreateApiKeyError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    request: ApiKeyRequest,
) -> Result<(ApiKey, String), CreateApiKeyError> {
    let pass = control.enter(principal, Action::ApiKeyCreate).await?;
    let id = ApiKeyId::new();
    let intent = pass.intent().of(id);
    let created: Result<_, CreateApiKeyError> = async {
        let name = request.name.as_deref().unwrap_or(DEFAULT_NAME).trim();
        limits::check_name("name", name)?;
        let scopes = request.scopes.unwrap_or(Scopes::DEFAULT);
        if scopes.is_empty() {
            return Err(CreateApiKeyError::NoScope);
        }
        let most = may_give(principal);
        if !most.includes(scopes) {
            return Err(CreateApiKeyError::TooBroad(most));
        }
        let now = control.clock().utc();
        if let Some(expires_at) = request.expires_at.filter(|expires_at| *expires_at <= now) {
            return Err(CreateApiKeyError::Expired(expires_at));
        }
        let created_by = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
        let text = ApiKeyText::generate(control.rng());
        let new = NewApiKey {
            id,
            team_id: pass.team(),
            name: name.to_owned(),
            key_hash: text.hash(),
            key_prefix: text.kept_prefix().to_owned(),
            created_by,
            scopes,
            expires_at: request.expires_at,
        };
        let record = control.store().api_key_create(new, &intent).await?;
        Ok((record.ok_or(EnterError::Denied(Denial::NoTeam))?, text.into_text()))
    }
    .await;
    let (record, text) = control.audited(intent, created).await?;
    tracing::info!(api_key_id = %record.id, team_id = %record.team_id, "api key created");
    Ok((record, text))
}

/// Returns the scopes that a principal can give: no key opens more than its maker may do.
fn may_give(principal: &Principal) -> Scopes {
    let all: Scopes = Scope::ALL.iter().copied().collect();
    match principal {
        Principal::User { membership: Some(Membership { role, .. }), .. } => all.limited_to(*role),
        Principal::ApiKey { scopes, .. } => *scopes,
        Principal::User { membership: None, .. }
        | Principal::Anonymous
        | Principal::Host { .. }
        | Principal::System { .. } => Scopes::default(),
    }
}
