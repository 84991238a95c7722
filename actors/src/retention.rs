//! Removes what is older than it is kept: events, deliveries, audit entries, and the tokens and certificates of hosts.
//!
//! Each look removes rows in small portions, so that no statement holds others
//! up; a look that fails is followed by the next.

use std::time::Duration;

use wrenn_store::{Store, StoreError};

const DAY: Duration = Duration::from_secs(86_400);
/// Age at which an event is removed: readers that were away for longer begin anew.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * DAY.as_secs());
/// Age at which a delivery to a notification channel is removed, from its end.
const DELIVERIES_KEPT: Duration = Duration::from_secs(7 * DAY.as_secs());
/// Age at which an audit entry is removed, and what happened to a capsule without one.
const ENTRIES_KEPT: Duration = Duration::from_secs(400 * DAY.as_secs());
/// Rows that one statement removes at most: readers of events wait for its end.
const PORTION: u32 = 5_000;
/// Statements of one look for each kind of rows; together four times what a busy server writes in that time.
const PORTIONS: u32 = 20;

/// Removes old rows, a bounded number of them.
///
/// # Errors
/// The database did not answer; the next look goes on.
pub(crate) async fn remove_old_rows(store: &Store) -> Result<(), StoreError> {
    let (mut events, mut deliveries, mut entries) = (0, 0, 0);
    for _ in 0..PORTIONS {
        let removed = store.outbox_retire(EVENTS_KEPT, PORTION).await?;
        events += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    for _ in 0..PORTIONS {
        let removed = store.deliveries_retire(DELIVERIES_KEPT, PORTION).await?;
        deliveries += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    for _ in 0..PORTIONS {
        let removed = store.audit_retire(ENTRIES_KEPT, PORTION).await?;
        entries += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    for _ in 0..PORTIONS {
        let removed = store.sandbox_incidents_retire(ENTRIES_KEPT, PORTION).await?;
        entries += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    let tokens = store.host_tokens_retire(PORTION).await? + store.host_certificates_retire(PORTION).await?;
    if events + deliveries + entries + tokens > 0 {
        tracing::info!(events, deliveries, entries, tokens, "old rows removed");
    }
    Ok(())
}
