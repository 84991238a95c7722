//! Questions about measurements that wait for the answer of one host.

use std::collections::HashMap;

use tokio::sync::oneshot;
use wrenn_domain::metrics::Tier;

use super::messages::MetricsReport;

/// Questions that may wait for one host.
const PENDING_MAX: usize = 256;

/// Questions that wait for one host, by their number.
#[derive(Debug, Default)]
pub(super) struct PendingMetrics {
    last_request: u64,
    waiting: HashMap<u64, Waiting>,
}

/// A question.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tier: Tier,
    pub(super) reply: oneshot::Sender<MetricsReport>,
}

impl PendingMetrics {
    /// Notes a question; `None` if too many wait already. Those whose asker has left wait no longer.
    pub(super) fn add(&mut self, tier: Tier) -> Option<(u64, oneshot::Receiver<MetricsReport>)> {
        self.waiting.retain(|_, waiting| !waiting.reply.is_closed());
        if self.waiting.len() >= PENDING_MAX {
            return None;
        }
        self.last_request += 1;
        let (reply, report) = oneshot::channel();
        self.waiting.insert(self.last_request, Waiting { tier, reply });
        Some((self.last_request, report))
    }

    /// Takes a question out that is answered.
    pub(super) fn take(&mut self, request_id: u64) -> Option<Waiting> {
        self.waiting.remove(&request_id)
    }

    /// Lets all who wait know that there will be no answer.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_a_bounded_number_of_questions_at_once() {
        let mut pending = PendingMetrics::default();
        let mut waiting: Vec<_> = (0..PENDING_MAX).map(|_| pending.add(Tier::Fine).unwrap()).collect();
        assert!(pending.add(Tier::Fine).is_none());
        let (left, _) = waiting.pop().unwrap();
        let (next, report) = pending.add(Tier::Coarse).unwrap();
        assert!(next > left && pending.take(left).is_none());
        pending.clear();
        assert!(report.blocking_recv().is_err());
    }
}
