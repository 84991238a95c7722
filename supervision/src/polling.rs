//! Which supervised actor each thread is running right now, and since when.
//!
//! ```text
//!  arbiter thread                          watchdog thread
//!    PollScope::enter ─► slot.polling ◄──── looks at every slot
//!      actor code (started, handler, ..)
//!    drop(PollScope)  ─► slot.polling = None
//! ```
//!
//! An actor that awaits is in no slot: only code that holds the thread is. The same slot tells actor code whose
//! code it is, which is how a [`Lifeline`](crate::Lifeline) is found without passing it around.

use std::{
    cell::OnceCell,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix_rt::{Arbiter, ArbiterHandle};
use parking_lot::Mutex;

use crate::core::ChildCore;

static SLOTS: Mutex<Vec<Weak<ThreadSlot>>> = Mutex::new(Vec::new());
static NEXT_SLOT: AtomicU64 = AtomicU64::new(1);
static NEXT_POLL: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static THREAD_NAME: OnceCell<String> = const { OnceCell::new() };
    static SLOT: Arc<ThreadSlot> = ThreadSlot::register();
}

/// One thread that has run supervised actors.
pub(crate) struct ThreadSlot {
    pub(crate) id: u64,
    pub(crate) thread: String,
    /// None where the thread is no arbiter.
    pub(crate) arbiter: Option<ArbiterHandle>,
    polling: Mutex<Option<Polling>>,
}

/// A poll in progress.
struct Polling {
    /// Unique in the process.
    number: u64,
    core: Arc<ChildCore>,
    since: Instant,
    /// A watchdog has counted this poll as a hang.
    counted: bool,
}

/// What a watchdog sees of a poll in progress.
pub(crate) struct PollView {
    pub(crate) number: u64,
    pub(crate) core: Arc<ChildCore>,
    pub(crate) elapsed: Duration,
}

impl ThreadSlot {
    fn register() -> Arc<Self> {
        let slot = Arc::new(Self {
            id: NEXT_SLOT.fetch_add(1, Ordering::Relaxed),
            thread: thread_name(),
            arbiter: Arbiter::try_current(),
            polling: Mutex::new(None),
        });
        let mut slots = SLOTS.lock();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(&slot));
        slot
    }

    /// Returns the slots of all living threads.
    pub(crate) fn all() -> Vec<Arc<Self>> {
        SLOTS.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn poll_in_progress(&self) -> Option<PollView> {
        let polling = self.polling.lock();
        polling.as_ref().map(|poll| PollView {
            number: poll.number,
            core: poll.core.clone(),
            elapsed: poll.core.clock.since(poll.since),
        })
    }

    /// Counts poll `number` as a hang unless it has ended or another watchdog was first.
    pub(crate) fn count_hang(&self, number: u64) {
        let mut polling = self.polling.lock();
        if let Some(poll) = polling.as_mut().filter(|poll| poll.number == number && !poll.counted) {
            poll.counted = true;
            poll.core.count_hang();
        }
    }
}

/// Gives this thread a name for reports, before it runs any actor; the first one stays.
pub(crate) fn name_thread(name: &str) {
    THREAD_NAME.with(|cell| {
        cell.get_or_init(|| name.to_owned());
    });
}

fn thread_name() -> String {
    let given = THREAD_NAME.with(|cell| cell.get().cloned());
    given.unwrap_or_else(|| std::thread::current().name().unwrap_or("unnamed").to_owned())
}

/// Returns the child whose code is running on this thread.
pub(crate) fn current_child() -> Option<Arc<ChildCore>> {
    // A thread that is being torn down has no slot any more, and then no child either.
    SLOT.try_with(|slot| slot.polling.lock().as_ref().map(|poll| poll.core.clone())).ok().flatten()
}

/// Marks this thread as running code of one child until it is dropped.
pub(crate) struct PollScope {
    outer: Option<Polling>,
}

impl PollScope {
    pub(crate) fn enter(core: &Arc<ChildCore>) -> Self {
        let number = NEXT_POLL.fetch_add(1, Ordering::Relaxed);
        let polling = Polling { number, core: core.clone(), since: core.clock.now(), counted: false };
        let outer = SLOT.try_with(|slot| slot.polling.lock().replace(polling)).ok().flatten();
        Self { outer }
    }
}

impl Drop for PollScope {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let ended = SLOT.try_with(|slot| std::mem::replace(&mut *slot.polling.lock(), outer)).ok().flatten();
        if let Some(poll) = ended.filter(|poll| poll.counted) {
            let blocked_ms = u64::try_from(poll.core.clock.since(poll.since).as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(kind = poll.core.kind, actor = %poll.core.name, blocked_ms, "hanging actor went on");
        }
    }
}
