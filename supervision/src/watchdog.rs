//! Noticing actors that hold their thread, from a thread of its own.
//!
//! ```text
//!  watchdog thread, each period, for each thread that has run supervised actors:
//!    a poll is in progress ── longer than its actor's `hang_after` ──► the actor hangs
//!    no poll is in progress ─ and a ping to the arbiter is unanswered ─► something else blocks it
//! ```
//!
//! An actor that *awaits* slow I/O holds no thread: no poll is in progress and the arbiter answers the ping. So
//! however long it takes, it is not reported. The watchdog only reports; Rust cannot interrupt code, and the right
//! answer (wait, or end the process) belongs to the caller.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use actix_rt::ArbiterHandle;
use parking_lot::{Condvar, Mutex};
use wrenn_base::Clock;

use crate::{
    counters::count_arbiter_hang,
    polling::{PollView, ThreadSlot},
};

/// How a watchdog looks.
#[derive(Debug, Clone, Copy)]
pub struct WatchdogConfig {
    /// The time between two looks; a hang is noticed at most this much late. By default 1 s.
    pub period: Duration,
    /// How long an arbiter may leave a ping unanswered while no supervised actor runs on it. By default 10 s.
    pub arbiter_hang_after: Duration,
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self { period: Duration::from_secs(1), arbiter_hang_after: Duration::from_secs(10) }
    }
}

/// A thread that has been held for too long. Each hang is reported once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// The name of the thread.
    pub thread: String,
    /// Who holds it.
    pub culprit: HangCulprit,
    /// For how long already.
    pub blocked_for: Duration,
}

/// Who holds a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HangCulprit {
    /// A supervised actor, in one poll: a hook, a handler, a timer or a future of its context.
    Actor {
        /// The actor's kind.
        kind: &'static str,
        /// The actor's name.
        name: String,
    },
    /// Something on the arbiter that is not a supervised actor.
    Other,
}

/// A running watchdog over all supervised actors of this process; dropping it stops its thread.
pub struct Watchdog {
    stop: Arc<StopSignal>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the watchdog's thread. Each hang is logged, counted, and passed to `on_hang` on that thread.
    ///
    /// # Errors
    /// Fails if the operating system gives no thread.
    pub fn start(
        config: WatchdogConfig,
        clock: Clock,
        on_hang: impl FnMut(&Hang) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(StopSignal::default());
        let signal = stop.clone();
        let mut rounds = Rounds { config, clock, on_hang: Box::new(on_hang), threads: HashMap::new() };
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            while !signal.wait(config.period) {
                rounds.look();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("watchdog panicked");
        }
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    /// Waits for `period`; returns true as soon as the signal is raised.
    fn wait(&self, period: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        // A thread that wakes for no reason only looks once more.
        if !*stopped {
            self.changed.wait_for(&mut stopped, period);
        }
        *stopped
    }

    fn raise(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }
}

/// What the watchdog remembers between two looks.
struct Rounds {
    config: WatchdogConfig,
    clock: Clock,
    on_hang: Box<dyn FnMut(&Hang) + Send>,
    /// By the id of the thread's slot.
    threads: HashMap<u64, ThreadWatch>,
}

#[derive(Default)]
struct ThreadWatch {
    /// The poll that was reported last.
    reported_poll: Option<u64>,
    ping: Option<Ping>,
}

/// A question to one arbiter.
struct Ping {
    waiting_since: Instant,
    answered: Arc<AtomicBool>,
    reported: bool,
}

impl Ping {
    fn send(arbiter: &ArbiterHandle, now: Instant) -> Option<Self> {
        let answered = Arc::new(AtomicBool::new(false));
        let answer = answered.clone();
        let sent = arbiter.spawn_fn(move || answer.store(true, Ordering::Release));
        sent.then_some(Self { waiting_since: now, answered, reported: false })
    }
}

impl Rounds {
    fn look(&mut self) {
        let slots = ThreadSlot::all();
        let now = self.clock.now();
        self.threads.retain(|id, _| slots.iter().any(|slot| slot.id == *id));
        for slot in &slots {
            let watch = self.threads.entry(slot.id).or_default();
            let hang = match slot.poll_in_progress() {
                Some(poll) => watch.look_at_poll(slot, &poll, now),
                None => watch.look_at_arbiter(slot, self.config.arbiter_hang_after, now),
            };
            if let Some(hang) = hang {
                let blocked_ms = u64::try_from(hang.blocked_for.as_millis()).unwrap_or(u64::MAX);
                match &hang.culprit {
                    HangCulprit::Actor { kind, name } => {
                        tracing::error!(kind, actor = %name, thread = %hang.thread, blocked_ms, "actor hangs");
                    }
                    HangCulprit::Other => tracing::error!(thread = %hang.thread, blocked_ms, "arbiter hangs"),
                }
                (self.on_hang)(&hang);
            }
        }
    }
}

impl ThreadWatch {
    fn look_at_poll(&mut self, slot: &ThreadSlot, poll: &PollView, now: Instant) -> Option<Hang> {
        // The actor answers for this time, by its own limit; the ping's clock begins anew.
        if let Some(ping) = &mut self.ping {
            ping.waiting_since = now;
        }
        if poll.elapsed < poll.core.hang_after || self.reported_poll == Some(poll.number) {
            return None;
        }
        self.reported_poll = Some(poll.number);
        slot.count_hang(poll.number);
        let culprit = HangCulprit::Actor { kind: poll.core.kind, name: poll.core.name.clone() };
        Some(Hang { thread: slot.thread.clone(), culprit, blocked_for: poll.elapsed })
    }

    fn look_at_arbiter(&mut self, slot: &ThreadSlot, hang_after: Duration, now: Instant) -> Option<Hang> {
        let arbiter = slot.arbiter.as_ref()?;
        match &mut self.ping {
            Some(ping) if !ping.answered.load(Ordering::Acquire) => {
                let blocked_for = now.saturating_duration_since(ping.waiting_since);
                if blocked_for < hang_after || ping.reported {
                    return None;
                }
                ping.reported = true;
                count_arbiter_hang();
                Some(Hang { thread: slot.thread.clone(), culprit: HangCulprit::Other, blocked_for })
            }
            _ => {
                self.ping = Ping::send(arbiter, now);
                None
            }
        }
    }
}
