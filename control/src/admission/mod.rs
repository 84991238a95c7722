//! Admission: bounds the requests in flight and serves teams in turns.
//!
//! ```text
//!             ┌─ a slot is free ────────────────────────────────────────────┐
//!   admit ────┼─ expected wait ≤ 5 s ─▶ Queue: team A ▪▪▪▪▪▪▪▪ ┐  next turn ▼
//!     │       │                                team B ▪        ├──────────▶ Slot ─▶ use case ─▶ drop
//!     │       │                                team C ▪▪       ┘              ▲                  │
//!     │       │                          │ no turn within 5 s                 └── handed over ───┘
//!     │       └─ longer ──┐              ▼
//!     ▼                   └─▶ Overload: Server (503) or Team (429), with the time to retry
//!   caller leaves: its request leaves the queue, and a slot that was on its way to it goes on to the next one
//! ```
//!
//! Without admission a burst piles up in front of the database pool, which serves everybody in one line and fails after
//! 10 s. Here requests wait in order within a team, and teams take turns, so a burst of one team delays the request of
//! another by about one turn. The expected wait is the position in the queue × smoothed service time / slots.
//!
//! | failure | consequence |
//! |---|---|
//! | more requests than are served in 5 s | refused on arrival, without a wait |
//! | the same, but of a team with fewer requests than others | admitted; the last request of the longest team is refused |
//! | service becomes slower while requests wait | the estimate follows within some 30 requests; waiters give up after 5 s |
//! | the database hangs, nothing is released | the estimate grows with the stall; arrivals are refused, waiters after 5 s |
//! | a use case holds its slot for minutes | one slot less; its sample is clamped, so the estimate hardly moves |
//! | a use case panics | unwinding drops the slot, which frees it |
//! | a caller leaves while its slot is granted | the slot travels inside the channel, and is freed when that is dropped |
//!
//! A mutex guards the queue. It is held for about a microsecond and never across an await; waiters are notified and
//! dropped outside of it, because both may run code of others. An admission without contention costs 0.2 to 0.3 µs, one
//! through the queue about 1 µs (`cost_of_an_admission`).

mod queue;
#[cfg(test)]
mod queue_tests;
mod service_time;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use wrenn_base::Clock;
use wrenn_domain::admission::Overload;

use self::queue::{Arrival, Bounds, Queue, Team, Ticket};

/// Slots per connection of the database pool. A use case uses one connection at a time and spends part of its time
/// without one (placement, actors, encoding); a second use case keeps the connection busy meanwhile. The surplus waits
/// in the pool, which knows no teams and serves the lookups of credentials and the control plane's own statements in the
/// same line, so it must stay small. Not tuned by a benchmark.
const SLOTS_PER_CONNECTION: u32 = 2;
/// Longest wait for a slot. Half of the pool's own timeout (10 s), and short enough for an interactive client; given by
/// issue 11.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Most waiting requests; bounds memory when service is fast. A waiting request is a connection with its buffers, by
/// estimate 10 KiB, so 200 MiB in all. Below the 25,600 connections that actix serves per worker.
const MAX_WAITING: usize = 20_000;

/// Admits requests in turns of teams.
#[derive(Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

/// Requests at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLoad {
    /// Requests that have a slot.
    pub admitted: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

/// Outcome for a request that waited.
type Turn = Result<Slot, Overload>;

#[derive(Debug)]
struct Shared {
    clock: Clock,
    wait: Duration,
    queue: Mutex<Queue<oneshot::Sender<Turn>>>,
}

/// Slot of a request in flight. Dropping it hands the slot to the next request.
#[must_use = "the slot is released when it is dropped"]
pub(crate) struct Slot {
    /// `None` once the slot is released.
    shared: Option<Arc<Shared>>,
    team: Team,
    since: Instant,
}

/// Request in the queue. Dropping it takes the request out.
struct Waiting {
    shared: Arc<Shared>,
    ticket: Ticket,
    turn: oneshot::Receiver<Turn>,
}

impl Admission {
    /// Sizes the number of slots by the pool of the database.
    pub(crate) fn new(database_connections: u32, clock: Clock) -> Self {
        let slots = database_connections.max(1).saturating_mul(SLOTS_PER_CONNECTION);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        let bounds = Bounds { slots, wait: MAX_WAIT, waiting: MAX_WAITING };
        let queue = Mutex::new(Queue::new(bounds, clock.now()));
        Self { shared: Arc::new(Shared { clock, wait: bounds.wait, queue }) }
    }

    /// Returns the number of requests that have a slot, and that wait for one.
    pub(crate) fn load(&self) -> AdmissionLoad {
        let (admitted, waiting) = self.shared.queue.lock().load();
        AdmissionLoad { admitted, waiting }
    }

    /// Waits for a slot for a request of `team`; requests without a team take the turns of one team.
    ///
    /// A caller that drops the future gives up its turn, and frees a slot that was granted meanwhile.
    ///
    /// # Errors
    /// [`Overload`] at once if the expected wait exceeds [`MAX_WAIT`], and after [`MAX_WAIT`] if no slot was granted.
    pub(crate) async fn admit(&self, team: Team) -> Result<Slot, Overload> {
        let now = self.shared.clock.now();
        let arrival = self.shared.queue.lock().arrive(team, now, oneshot::channel);
        match arrival {
            Arrival::Granted => Ok(Slot { shared: Some(self.shared.clone()), team, since: now }),
            Arrival::Refused(overload) => Err(overload),
            Arrival::Waiting { ticket, receiver, evicted } => {
                let waiting = Waiting { shared: self.shared.clone(), ticket, turn: receiver };
                if let Some((waiter, overload)) = evicted {
                    // A caller that has left in the meantime needs no answer.
                    drop(waiter.send(Err(overload)));
                }
                waiting.granted().await
            }
        }
    }
}

impl Waiting {
    /// Waits for the turn of the request, for a bounded time.
    async fn granted(mut self) -> Turn {
        let in_time = self.shared.clock.timeout(self.shared.wait, &mut self.turn).await;
        let answer = match in_time {
            Ok(answer) => answer,
            Err(_elapsed) => {
                let expired = self.shared.queue.lock().expire(self.ticket, self.shared.clock.now());
                match expired {
                    Some((_, overload)) => return Err(overload),
                    // Another thread has taken the waiter out, and is about to send.
                    None => (&mut self.turn).await,
                }
            }
        };
        // A waiter is dropped unsent only if its thread panicked in between.
        answer.unwrap_or(Err(Overload::Server { retry_after_sec: 1 }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // If the slot was granted already, it is in the channel or will be refused by it; either way it is dropped.
        let waiter = self.shared.queue.lock().cancel(self.ticket);
        drop(waiter);
    }
}

impl Slot {
    /// Releases the slot. If a request waits, the slot is that request's now, and must be sent to its waiter.
    fn release(&mut self) -> Option<(Self, oneshot::Sender<Turn>)> {
        let shared = self.shared.take()?;
        let now = shared.clock.now();
        let next = shared.queue.lock().release(self.team, self.since, now);
        let (team, waiter) = next?;
        Some((Self { shared: Some(shared), team, since: now }, waiter))
    }
}

/// Sends a slot to its waiter, or if that caller has left, to the next one; a loop, so that many that have left need no
/// stack.
fn hand_over(mut slot: Slot, mut waiter: oneshot::Sender<Turn>) {
    // A channel that took the slot owns it: if the receiver is dropped before it reads, so is the slot.
    while let Err(Ok(mut unsent)) = waiter.send(Ok(slot)) {
        let Some(next) = unsent.release() else { return };
        (slot, waiter) = next;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((slot, waiter)) = self.release() {
            hand_over(slot, waiter);
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("team", &self.team).finish_non_exhaustive()
    }
}
