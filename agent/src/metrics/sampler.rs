//! The actor that measures all machines, twice a second, and sends histories that are due.
//!
//! A look reads everything on a thread for blocking work: an arbiter has other things to do.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::task::TaskTracker;
use wrenn_base::Clock;
use wrenn_proto::agent::agent_frame::Frame;
use wrenn_supervision::{FirstLook, Periodic};

use super::{meter::MeterSource, store::MetricsStore};
use crate::outbox::Outbox;

/// Time from one sample to the next.
pub const SAMPLE_PERIOD: Duration = Duration::from_millis(500);
/// Histories that are sent after one look at most: what else is sent must not wait for them.
const SENT_AT_ONCE: usize = 8;

/// Parts of the actor.
#[derive(Clone)]
pub struct Sampler {
    /// Histories of the machines.
    pub store: Arc<MetricsStore>,
    /// The machines.
    pub source: Arc<dyn MeterSource>,
    /// The way to the control plane.
    pub outbox: Outbox,
    /// Time of the agent.
    pub clock: Clock,
    /// Tracker of work that outlives its actor.
    pub works: TaskTracker,
}

impl Sampler {
    /// Makes the actor.
    pub fn into_actor(self) -> Periodic {
        let clock = self.clock.clone();
        Periodic::new("metrics", clock, FirstLook::AtOnce, SAMPLE_PERIOD, move || {
            let sampler = self.clone();
            async move { sampler.look().await }
        })
    }

    async fn look(&self) -> io::Result<()> {
        if self.store.is_quiet() && self.source.measurable().is_empty() {
            return Ok(());
        }
        let Self { store, source, outbox, .. } = self.clone();
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let unix = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        let look = move || {
            store.sample(source.as_ref(), now, unix_ms);
            if !outbox.is_open() {
                return;
            }
            for history in store.due(now, SENT_AT_ONCE) {
                outbox.publish(Frame::MetricsHistory(history));
            }
        };
        self.works.spawn_blocking(look).await.map_err(io::Error::other)
    }
}
