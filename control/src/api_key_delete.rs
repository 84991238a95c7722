//! Deletes an API key, which stops working at once.

use wrenn_domain::{action::Action, admission::EnterError, ids::ApiKeyId, principal::Principal};
use wrenn_store::StoreError;

use crate::Control;

/// The reason for which a key is still there, or never was.
#[derive(Debug, thiserror::Error)]
pub enum DeleteApiKeyError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The team has no such key.
    #[error("there is no API key {0}")]
    NotFound(ApiKeyId),
    /// The database failed.
    #[error("the key could not be deleted")]
    Store(#[from] StoreError),
}

/// Deletes a key of the principal's team.
///
/// # Errors
/// See [`DeleteApiKeyError`].
pub async fn run(control: &Control, principal: &Principal, id: ApiKeyId) -> Result<(), DeleteApiKeyError> {
    let pass = control.enter(principal, Action::ApiKeyDelete).await?;
    let intent = pass.intent().of(id);
    let deleted = match control.store().api_key_delete(pass.team(), id, &intent).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(DeleteApiKeyError::NotFound(id)),
        Err(error) => Err(error.into()),
    };
    control.audited(intent, deleted).await?;
    tracing::info!(api_key_id = %id, "api key deleted");
    Ok(())
}
