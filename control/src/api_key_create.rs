//! Makes an API key for the principal's team.

use wrenn_domain::{
    action::Action,
    api_key::{ApiKey, NewApiKey},
    ids::ApiKeyId,
    limits::{self, LimitError},
    permission::Denial,
    principal::Principal,
};
use wrenn_store::StoreError;

use crate::{Control, EnterError, auth::api_key_text::ApiKeyText};

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
    /// The database failed.
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

/// Makes a key; returns its record and its text, which is nowhere else.
///
/// # Errors
/// See [`CreateApiKeyError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    name: Option<&str>,
) -> Result<(ApiKey, String), CreateApiKeyError> {
    let pass = control.enter(principal, Action::ApiKeyCreate).await?;
    let id = ApiKeyId::new();
    let intent = pass.intent().of(id);
    let created: Result<_, CreateApiKeyError> = async {
        let name = name.unwrap_or(DEFAULT_NAME).trim();
        limits::check_name("name", name)?;
        let created_by = principal.user().ok_or(EnterError::Denied(Denial::NotSignedIn))?;
        let text = ApiKeyText::generate();
        let new = NewApiKey {
            id,
            team_id: pass.team(),
            name: name.to_owned(),
            key_hash: text.hash(),
            key_prefix: text.kept_prefix().to_owned(),
            created_by,
        };
        Ok((control.store().api_key_create(new, &intent).await?, text.into_text()))
    }
    .await;
    let (record, text) = control.audited(intent, created).await?;
    tracing::info!(api_key_id = %record.id, team_id = %record.team_id, "api key created");
    Ok((record, text))
}
