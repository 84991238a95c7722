//! Keeps the wall clock of a running guest within [`LIMIT`] of the host's.
//!
//! ```text
//!   host ── Clock ──▶ guest      offset = time of sending + round trip / 2 - guest's time
//!        ◀── time ───            error  ≤ round trip / 2
//! ```
//!
//! `Init` sets the clock as well, but its time ages while the host dials and the guest wakes: 0.4 to 1.0 s under emulation.
//! The exchange begins when the machine is opened for users, beside their first requests. Of up to [`SAMPLES_MAX`] round
//! trips the shortest counts. A large offset is stepped, a small one slewed; the correction is relative, so its own way
//! to the guest does not matter. Monotonic clocks are not touched.
//!
//! A check of a clock that needs no correction is one round trip of two small messages. The waits between them double
//! up to four minutes, so that a thousand capsules cause four round trips a second. The control plane does not see them: they
//! are no use of a capsule.
//!
//! `estimate` decides, without input or output; this file asks and waits.

mod estimate;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use wrenn_base::{Chain, Clock, Rng};
use wrenn_proto::ids::SandboxId;

pub use self::estimate::LIMIT;
use self::estimate::{Checked, Doubt, Sample, Schedule};
use crate::guest::{Guest, GuestError};

/// Most round trips of one check; a busy host needs several until one is short.
const SAMPLES_MAX: u32 = 8;

/// Keeps one guest's clock until it is dropped.
pub(super) struct TimeSync {
    stood_still: Arc<Notify>,
    task: AbortOnDropHandle<()>,
}

impl TimeSync {
    /// Begins to keep the clock. Must be called within a tokio runtime.
    pub(super) fn start(id: SandboxId, guest: Arc<dyn Guest>, clock: Clock, rng: Rng) -> Self {
        let stood_still = Arc::new(Notify::new());
        let keeper = Keeper { id, guest, clock, rng, stood_still: Arc::clone(&stood_still) };
        Self { stood_still, task: AbortOnDropHandle::new(tokio::spawn(keeper.run())) }
    }

    /// Notes that the machine stood still for a while: its clock is checked at once.
    pub(super) fn note_stood_still(&self) {
        self.stood_still.notify_one();
    }

    /// Ends it, also for those who still hold it.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

struct Keeper {
    id: SandboxId,
    guest: Arc<dyn Guest>,
    clock: Clock,
    rng: Rng,
    stood_still: Arc<Notify>,
}

impl Keeper {
    async fn run(mut self) {
        let (mut schedule, mut doubt) = (Schedule::default(), Doubt::default());
        loop {
            let checked = self.check().await;
            let outcome = checked.as_ref().map_or(Checked::Doubtful, |checked| *checked);
            if doubt.note(outcome, self.clock.now()) {
                let error = checked.as_ref().err().map(|error| Chain(error).to_string());
                tracing::warn!(sandbox_id = %self.id, limit = ?LIMIT, error, "guest clock not known within its limit");
            }
            let rest = schedule.rest(outcome, &mut self.rng);
            tokio::select! {
                () = self.clock.sleep(rest) => {}
                () = self.stood_still.notified() => schedule = Schedule::default(),
            }
        }
    }

    /// Compares the guest's clock with the host's, and corrects it.
    async fn check(&self) -> Result<Checked, GuestError> {
        let mut sample = self.sample().await?;
        let mut samples = 1;
        while !sample.is_precise() && samples < SAMPLES_MAX {
            sample = sample.better(self.sample().await?);
            samples += 1;
        }
        let correction = sample.correction();
        if correction.is_some() {
            self.guest.clock(correction).await?;
        }
        let checked = sample.outcome(correction);
        tracing::debug!(sandbox_id = %self.id, %sample, samples, ?correction, ?checked, "guest clock checked");
        Ok(checked)
    }

    async fn sample(&self) -> Result<Sample, GuestError> {
        let (sent, begun) = (self.clock.wall(), self.clock.now());
        let guest = self.guest.clock(None).await?;
        Ok(Sample::new(sent, self.clock.since(begun), guest))
    }
}

#[cfg(test)]
mod tests;
