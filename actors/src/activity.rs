//! The uses of sandboxes, which decide whether one is idle.
//!
//! ```text
//!   request, session ─▶ note, open ─▶ uses, in memory ── take_due ─▶ Postgres ─ written ─▶ (forgotten)
//!                                         └─ is_in_use: not yet in the row, or a session is open
//! ```
//!
//! Every use of a sandbox passes through the server to which its host is attached. The idle watch writes uses to the rows
//! a moment later, as ages, so that Postgres' clock stamps them; an open session counts as a use at each of these
//! moments. Idleness is decided in SQL, except that a sandbox is in use while its last use is not written.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wrenn_base::Clock;
use wrenn_proto::ids::SandboxId;

/// The use of one sandbox.
#[derive(Debug)]
struct Use {
    sessions: usize,
    last: Instant,
    /// True if the row does not hold the last use.
    is_unwritten: bool,
    /// When the row was written last by this process.
    written: Option<Instant>,
}

/// The uses of all sandboxes; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    clock: Clock,
    uses: Arc<Mutex<HashMap<SandboxId, Use>>>,
}

/// Uses on their way to the rows: the sandboxes, and how long ago each was used last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DueUses {
    pub(crate) ages: Vec<(SandboxId, Duration)>,
    taken: Option<Instant>,
}

impl Activity {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, uses: Arc::default() }
    }

    /// Notes that a sandbox was used just now.
    pub(crate) fn note(&self, sandbox: SandboxId) {
        self.change(sandbox, |_| {});
    }

    /// Counts as use until it is dropped.
    pub(crate) fn open(&self, sandbox: SandboxId) -> ActivityGuard {
        self.change(sandbox, |entry| entry.sessions += 1);
        ActivityGuard { sandbox, activity: self.clone() }
    }

    fn change(&self, sandbox: SandboxId, change: impl FnOnce(&mut Use)) {
        let now = self.clock.now();
        let mut uses = self.uses.lock();
        let entry =
            uses.entry(sandbox).or_insert(Use { sessions: 0, last: now, is_unwritten: true, written: None });
        change(entry);
        entry.last = now;
        entry.is_unwritten = true;
    }

    /// Returns true if the row cannot say that the sandbox is idle: a session is open, or the last use is not written.
    pub(crate) fn is_in_use(&self, sandbox: SandboxId) -> bool {
        self.uses.lock().get(&sandbox).is_some_and(|entry| entry.sessions > 0 || entry.is_unwritten)
    }

    /// Returns the uses that are to be written now: those whose rows were not written for `interval`, and those of
    /// `urgent`.
    pub(crate) fn take_due(&self, interval: Duration, urgent: &[SandboxId]) -> DueUses {
        let now = self.clock.now();
        let mut uses = self.uses.lock();
        let urgent: HashSet<_> = urgent.iter().collect();
        let is_old = |entry: &Use| {
            entry.written.is_none_or(|written| now.saturating_duration_since(written) >= interval)
        };
        uses.retain(|_, entry| entry.sessions > 0 || entry.is_unwritten || !is_old(entry));
        let ages = uses.iter().filter(|(id, entry)| {
            (entry.sessions > 0 || entry.is_unwritten) && (is_old(entry) || urgent.contains(id))
        });
        let age = |entry: &Use| {
            if entry.sessions > 0 { Duration::ZERO } else { now.saturating_duration_since(entry.last) }
        };
        DueUses { ages: ages.map(|(id, entry)| (*id, age(entry))).collect(), taken: Some(now) }
    }

    /// Notes that uses were written; what was used meanwhile is to be written again.
    pub(crate) fn written(&self, due: &DueUses) {
        let Some(taken) = due.taken else { return };
        let mut uses = self.uses.lock();
        for (id, _) in &due.ages {
            if let Some(entry) = uses.get_mut(id) {
                entry.written = Some(taken);
                entry.is_unwritten &= entry.last > taken;
            }
        }
    }

    /// Forgets a sandbox that is gone.
    pub(crate) fn forget(&self, sandbox: SandboxId) {
        self.uses.lock().remove(&sandbox);
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
        let now = self.activity.clock.now();
        if let Some(entry) = self.activity.uses.lock().get_mut(&self.sandbox) {
            entry.sessions = entry.sessions.saturating_sub(1);
            entry.last = now;
            entry.is_unwritten = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn a_sandbox_is_in_use_until_its_last_use_is_written() {
        let (clock, hand) = Clock::manual();
        let (activity, sandbox) = (Activity::new(clock), SandboxId::new());
        assert!(!activity.is_in_use(sandbox));
        activity.note(sandbox);
        hand.advance(Duration::from_secs(1));
        let due = activity.take_due(INTERVAL, &[]);
        assert_eq!(due.ages, [(sandbox, Duration::from_secs(1))]);
        assert!(activity.is_in_use(sandbox), "the statement may fail");
        activity.written(&due);
        assert!(!activity.is_in_use(sandbox));
        activity.note(sandbox);
        assert!(activity.take_due(INTERVAL, &[]).ages.is_empty(), "the row was written a moment ago");
        assert_eq!(activity.take_due(INTERVAL, &[sandbox]).ages.len(), 1, "somebody wants to know");
        hand.advance(INTERVAL);
        let due = activity.take_due(INTERVAL, &[]);
        assert_eq!(due.ages, [(sandbox, INTERVAL)]);
        hand.advance(Duration::from_secs(1));
        activity.note(sandbox);
        activity.written(&due);
        assert!(activity.is_in_use(sandbox), "it was used while the statement ran");
    }

    #[test]
    fn a_sandbox_with_an_open_session_is_used_at_every_moment() {
        let (clock, hand) = Clock::manual();
        let (activity, sandbox) = (Activity::new(clock), SandboxId::new());
        let (first, second) = (activity.open(sandbox), activity.open(sandbox));
        drop(first);
        for _ in 0..3 {
            hand.advance(INTERVAL);
            let due = activity.take_due(INTERVAL, &[]);
            assert_eq!(due.ages, [(sandbox, Duration::ZERO)]);
            activity.written(&due);
            assert!(activity.is_in_use(sandbox));
        }
        drop(second);
        hand.advance(INTERVAL);
        let due = activity.take_due(INTERVAL, &[]);
        assert_eq!(due.ages, [(sandbox, INTERVAL)]);
        activity.written(&due);
        hand.advance(INTERVAL);
        activity.take_due(INTERVAL, &[]);
        assert!(activity.uses.lock().is_empty(), "what is written is forgotten");
        activity.note(sandbox);
        activity.forget(sandbox);
        assert!(!activity.is_in_use(sandbox));
    }
}
