//! Removes what is older than it is kept: events, deliveries, audit entries, measurements of capsules that are gone, and the
//! tokens and certificates of hosts.
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
/// Age at which an audit entry is removed.
const ENTRIES_KEPT: Duration = Duration::from_secs(400 * DAY.as_secs());
/// Time for which measurements of a capsule are kept after its end.
const METRICS_KEPT: Duration = Duration::from_secs(30 * DAY.as_secs());
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
    let mut metrics = 0;
    for _ in 0..PORTIONS {
        let removed = store.capsule_metrics_retire(METRICS_KEPT, PORTION).await?;
        metrics += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    let tokens = store.host_tokens_retire(PORTION).await? + store.host_certificates_retire(PORTION).await?;
    if events + deliveries + entries + metrics + tokens > 0 {
        tracing::info!(events, deliveries, entries, metrics, tokens, "old rows removed");
    }
    Ok(())
}
