//! Removes what is older than it is kept: events, deliveries, audit entries, statistics, capsules that are gone and
//! their measurements, the output of builds, and the tokens and certificates of hosts.
//!
//! Each look removes rows in small portions, so that no statement holds others
//! up; a look that fails is followed by the next.

use std::{future::Future, time::Duration};

use wrenn_store::{Store, StoreError};

use crate::config::RetentionConfig;

const DAY: Duration = Duration::from_secs(86_400);
/// Age at which an event is removed: readers that were away for longer begin anew.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * DAY.as_secs());
/// Age at which a delivery to a notification channel is removed, from its end.
const DELIVERIES_KEPT: Duration = Duration::from_secs(7 * DAY.as_secs());
/// Age at which an audit entry is removed, and what happened to a capsule without one.
const ENTRIES_KEPT: Duration = Duration::from_secs(400 * DAY.as_secs());
/// Age at which a sample of a team is removed: twice the longest range.
const SAMPLES_KEPT: Duration = Duration::from_secs(60 * DAY.as_secs());
/// Age at which the roll-up of samples is removed, and with it the usage of its day.
const ROLLUPS_KEPT: Duration = Duration::from_secs(400 * DAY.as_secs());
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
pub(crate) async fn remove_old_rows(store: &Store, kept: RetentionConfig) -> Result<(), StoreError> {
    let events = in_portions(|| store.outbox_retire(EVENTS_KEPT, PORTION)).await?;
    let deliveries = in_portions(|| store.deliveries_retire(DELIVERIES_KEPT, PORTION)).await?;
    let entries = in_portions(|| store.audit_retire(ENTRIES_KEPT, PORTION)).await?
        + in_portions(|| store.sandbox_incidents_retire(ENTRIES_KEPT, PORTION)).await?;
    let samples = in_portions(|| store.samples_retire(SAMPLES_KEPT, PORTION)).await?
        + in_portions(|| store.rollups_retire(ROLLUPS_KEPT, PORTION)).await?;
    let capsules = in_portions(|| store.sandboxes_retire(kept.capsules, PORTION)).await?;
    let metrics = in_portions(|| store.capsule_metrics_retire(METRICS_KEPT, PORTION)).await?;
    let lines = in_portions(|| store.build_logs_retire(kept.build_logs, PORTION)).await?;
    let tokens = store.host_tokens_retire(PORTION).await? + store.host_certificates_retire(PORTION).await?;
    if events + deliveries + entries + samples + capsules + metrics + lines + tokens > 0 {
        tracing::info!(
            events,
            deliveries,
            entries,
            samples,
            capsules,
            metrics,
            lines,
            tokens,
            "old rows removed"
        );
    }
    Ok(())
}

/// Removes portions of rows until one is not full, or the look has removed enough; returns how many rows.
async fn in_portions<F: Future<Output = Result<u64, StoreError>>>(
    remove: impl Fn() -> F,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    for _ in 0..PORTIONS {
        let portion = remove().await?;
        removed += portion;
        if portion < PORTION.into() {
            break;
        }
    }
    Ok(removed)
}
