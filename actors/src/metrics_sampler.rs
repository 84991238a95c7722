//! Samples what teams have running and reserved.
//!
//! Every server looks for a slot of time that is not sampled, several times in each slot; the database lets the first one
//! take its samples (`store/src/team_samples.rs`). A server that ends in between takes its claim back, and the next look
//! of another one follows within seconds. The sampler keeps nothing.

use wrenn_store::{Store, StoreError};

/// Samples all teams, unless another server has done so for the present slot.
///
/// # Errors
/// The database did not answer; the next look goes on.
pub(crate) async fn sample_teams(store: &Store) -> Result<(), StoreError> {
    if let Some(slot) = store.teams_sample().await?
        && slot.bridged > 0
    {
        tracing::info!(at = %slot.at, bridged = slot.bridged, "samples of a short pause filled");
    }
    Ok(())
}
