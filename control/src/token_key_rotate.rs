//! Replaces the key that signs the tokens of users.

use std::time::Duration;

use wrenn_base::Rng;
use wrenn_domain::{
    action::Action, administration::FormerKeys, admission::EnterError, audit::AuditIntent,
    principal::Principal,
};
use wrenn_store::{Store, StoreError, token_keys::TokenKey};

use crate::Control;

/// Name of the keys in the audit log.
const RESOURCE: &str = "token_key";
/// Time for which a former key is kept: tokens are valid for six hours, and a server may sign with it for another moment.
const KEEP_KEYS: Duration = Duration::from_secs(7 * 60 * 60);
/// Bytes of a key that signs tokens.
const KEY_BYTES: usize = 32;

/// The reason for which the key was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotateTokenKeyError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The database failed.
    #[error("the key could not be written")]
    Store(#[from] StoreError),
}

/// Adds a key that signs tokens from now on; returns its id. Every server reads it within half a minute.
///
/// # Errors
/// See [`RotateTokenKeyError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    former: FormerKeys,
) -> Result<String, RotateTokenKeyError> {
    let pass = control.enter(principal, Action::TokenKeyRotate).await?;
    let intent = pass.intent().of_platform();
    let rotated = rotate(control.store(), control.rng(), former, &intent).await;
    let id = control.audited(intent.of(RESOURCE), rotated).await?;
    tracing::info!(key = id, "token key rotated");
    Ok(id)
}

/// Adds a key on behalf of whoever the intent names, and completes the intent with the facts.
///
/// # Errors
/// The database failed.
pub(crate) async fn rotate(
    store: &Store,
    rng: &Rng,
    former: FormerKeys,
    intent: &AuditIntent,
) -> Result<String, StoreError> {
    let key = new_token_key(rng);
    let ends = former == FormerKeys::End;
    let intent = intent.clone().of(RESOURCE).with("key", key.id.as_str()).with("end_sessions", ends);
    store.token_key_rotate(&key, KEEP_KEYS, former, &intent).await?;
    Ok(key.id)
}

/// Makes a key that signs tokens.
pub fn new_token_key(rng: &Rng) -> TokenKey {
    TokenKey { id: rng.alphanumeric(16), secret: rng.bytes::<KEY_BYTES>().to_vec() }
}
