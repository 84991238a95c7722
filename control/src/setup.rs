//! The set-up link of an installation without an administrator.

use wrenn_base::Rng;
use wrenn_store::{Store, StoreError};

use crate::{
    FirstAdmin,
    auth::secret,
    public_url::{Page, PublicUrl},
};

/// Makes the link that makes the first administrator, once; the former one ends. `None` if there is an administrator, or
/// the first account becomes one.
///
/// # Errors
/// If the database failed.
pub async fn link(
    store: &Store,
    rng: &Rng,
    first_admin: FirstAdmin,
    public_url: &PublicUrl,
) -> Result<Option<String>, StoreError> {
    if first_admin == FirstAdmin::FirstAccount || store.admin_exists().await? {
        store.setup_token_end().await?;
        return Ok(None);
    }
    let token = secret::token(rng);
    store.setup_token_set(&secret::hash(&token)).await?;
    Ok(Some(public_url.link(Page::SetUp, &token)))
}
