//! Who is being used: what decides whether a sandbox is idle.
//!
//! Every use of a machine passes through this process, so it is noted here, in memory; the row's `last_active_at` is
//! written less often, and is what is left after a restart. An open session counts as use for as long as it is open.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wrenn_proto::ids::SandboxId;

/// What is known of the use of one sandbox.
#[derive(Debug)]
struct Use {
    sessions: usize,
    last: Instant,
}

/// The uses of all sandboxes; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity {
    uses: Arc<Mutex<HashMap<SandboxId, Use>>>,
}

impl Activity {
    /// Notes that a sandbox was used just now.
    pub(crate) fn note(&self, sandbox: SandboxId) {
        let now = Instant::now();
        self.uses.lock().entry(sandbox).or_insert(Use { sessions: 0, last: now }).last = now;
    }

    /// Counts as use until it is dropped.
    pub(crate) fn open(&self, sandbox: SandboxId) -> ActivityGuard {
        let now = Instant::now();
        let mut uses = self.uses.lock();
        let entry = uses.entry(sandbox).or_insert(Use { sessions: 0, last: now });
        entry.sessions += 1;
        entry.last = now;
        ActivityGuard { sandbox, activity: self.clone() }
    }

    /// Returns for how long a sandbox was not used; none if this process knows of no use.
    pub(crate) fn idle_for(&self, sandbox: SandboxId) -> Option<Duration> {
        let uses = self.uses.lock();
        let entry = uses.get(&sandbox)?;
        Some(if entry.sessions > 0 { Duration::ZERO } else { entry.last.elapsed() })
    }

    /// Forgets a sandbox that is gone.
    pub(crate) fn forget(&self, sandbox: SandboxId) {
        self.uses.lock().remove(&sandbox);
    }

    /// Forgets what nobody uses for so long that it is idle by any timeout.
    pub(crate) fn forget_older_than(&self, age: Duration) {
        self.uses.lock().retain(|_, entry| entry.sessions > 0 || entry.last.elapsed() < age);
    }
}

/// An open session, or something else that counts as use of a sandbox until it is dropped.
#[derive(Debug)]
pub struct ActivityGuard {
    sandbox: SandboxId,
    activity: Activity,
}

impl Drop for ActivityGuard {
    fn drop(&mut self) {
        if let Some(entry) = self.activity.uses.lock().get_mut(&self.sandbox) {
            entry.sessions -= 1;
            entry.last = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_with_an_open_session_is_never_idle() {
        let (activity, sandbox) = (Activity::default(), SandboxId::new());
        assert_eq!(activity.idle_for(sandbox), None);
        let (first, second) = (activity.open(sandbox), activity.open(sandbox));
        drop(first);
        assert_eq!(activity.idle_for(sandbox), Some(Duration::ZERO));
        activity.forget_older_than(Duration::ZERO);
        assert_eq!(activity.idle_for(sandbox), Some(Duration::ZERO));
        drop(second);
        assert!(activity.idle_for(sandbox).is_some_and(|idle| idle > Duration::ZERO));
        activity.forget_older_than(Duration::ZERO);
        assert_eq!(activity.idle_for(sandbox), None);
        activity.note(sandbox);
        activity.forget(sandbox);
        assert_eq!(activity.idle_for(sandbox), None);
    }
}
