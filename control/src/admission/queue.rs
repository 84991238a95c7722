//! Order of admission, without clock and without I/O.
//!
//! ```text
//!                    row 0   row 1   row 2
//!   turns ─▶ team A    a0      a1      a2     depths[n] counts the teams with a request in row n.
//!            team B    b0      b1             Teams take turns, so a row is served before the next one:
//!            team C    c0                     the position of a new request is 1 + the requests in the
//!                                             rows up to its own (B's next: 1 + 3 + 2 + 1 = 7).
//! ```
//!
//! The position is exact up to one turn: it counts every team of the request's own row, also those that come after the
//! request. A team without waiting requests joins at the end of the turns, so its single request is at most one turn of
//! every other waiting team away, however many requests those have.
//!
//! | invariant | reason |
//! |---|---|
//! | at most `slots` requests are in flight | only a free or released slot is granted |
//! | requests wait only while all slots are taken | a released slot goes to the next request at once |
//! | a request joins only at a position that is served within [`Bounds::wait`] | any other is refused |
//! | waiting requests do not grow beyond that either | one that joins ahead evicts the last one of the longest team |

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use wrenn_domain::{admission::Overload, ids::TeamId};

use super::service_time::ServiceTime;

/// Longest time after which a refused client is sent back, in seconds: the estimate says nothing about later.
const MAX_RETRY_AFTER_SEC: u64 = 60;

/// Team of a request; requests without a team form one of their own.
pub(super) type Team = Option<TeamId>;

/// Limits of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Requests in flight; at least 1.
    pub(super) slots: usize,
    /// Longest expected wait of a request that joins.
    pub(super) wait: Duration,
    /// Largest number of waiting requests, however fast they are served.
    pub(super) waiting: usize,
}

/// Identity of a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    team: Team,
    number: u64,
}

/// Decision about a request that arrived.
#[derive(Debug)]
#[must_use]
pub(super) enum Arrival<W, R> {
    /// The request has a slot.
    Granted,
    /// The request waits.
    Waiting {
        /// Identity in the queue.
        ticket: Ticket,
        /// Other end of the waiter.
        receiver: R,
        /// Waiter of another request that was refused in exchange.
        evicted: Option<(W, Overload)>,
    },
    /// The request would wait too long.
    Refused(Overload),
}

/// Requests in flight and waiting requests. `W` is the handle by which a waiter is notified.
#[derive(Debug)]
pub(super) struct Queue<W> {
    bounds: Bounds,
    in_flight: usize,
    waiting: usize,
    /// Teams with a request in flight or waiting.
    teams: HashMap<Team, Requests<W>>,
    /// Teams with waiting requests, in the order of their turns.
    turns: BTreeMap<u64, Team>,
    /// Entry `n` is the number of teams with more than `n` waiting requests; the last entry is not 0.
    depths: Vec<usize>,
    service: ServiceTime,
    /// Every request in flight has held its slot since then, or for longer.
    last_grant: Instant,
    /// Next number of a ticket or a turn.
    next: u64,
}

/// Requests of one team.
#[derive(Debug)]
struct Requests<W> {
    in_flight: usize,
    /// By the number of the ticket, and so in order of arrival.
    waiting: BTreeMap<u64, W>,
    /// Key in the turns, if anything waits.
    turn: u64,
}

// Derived, it would ask for `W: Default`.
impl<W> Default for Requests<W> {
    fn default() -> Self {
        Self { in_flight: 0, waiting: BTreeMap::new(), turn: 0 }
    }
}

impl<W> Queue<W> {
    /// Returns the number of requests in flight, and of waiting ones.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.in_flight, self.waiting)
    }

    /// Makes an empty queue.
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            in_flight: 0,
            waiting: 0,
            teams: HashMap::new(),
            turns: BTreeMap::new(),
            depths: Vec::new(),
            service: ServiceTime::new(bounds.wait),
            last_grant: now,
            next: 0,
        }
    }

    /// Grants a slot, lets the request wait, or refuses it. `channel` makes a waiter and its other end, if the request
    /// waits.
    pub(super) fn arrive<R>(
        &mut self,
        team: Team,
        now: Instant,
        channel: impl FnOnce() -> (W, R),
    ) -> Arrival<W, R> {
        if self.in_flight < self.bounds.slots {
            debug_assert_eq!(self.waiting, 0, "requests wait for a free slot");
            self.teams.entry(team).or_default().in_flight += 1;
            self.granted(now);
            return Arrival::Granted;
        }
        let (position, capacity) = (self.position(team), self.capacity(now));
        if position > capacity {
            return Arrival::Refused(self.refusal(team, position, now));
        }
        let (waiter, receiver) = channel();
        let ticket = self.join(team, waiter);
        let evicted = if self.waiting > capacity { self.evict(now) } else { None };
        Arrival::Waiting { ticket, receiver, evicted }
    }

    /// Frees a slot that was granted at `since`; if a request waits, it has the slot now and its waiter is returned.
    pub(super) fn release(&mut self, team: Team, since: Instant, now: Instant) -> Option<(Team, W)> {
        self.service.record(now.saturating_duration_since(since));
        let requests = self.teams.get_mut(&team);
        debug_assert!(requests.as_ref().is_some_and(|of| of.in_flight > 0), "released twice: {team:?}");
        if let Some(requests) = requests {
            requests.in_flight -= 1;
        }
        self.in_flight -= 1;
        self.forget_if_idle(team);

        let (_, next) = self.turns.pop_first()?;
        let requests = self.teams.get_mut(&next)?;
        let (_, waiter) = requests.waiting.pop_first()?;
        requests.in_flight += 1;
        if !requests.waiting.is_empty() {
            requests.turn = self.next;
            self.turns.insert(self.next, next);
            self.next += 1;
        }
        let left = requests.waiting.len();
        self.waiting_fell_to(left);
        self.granted(now);
        Some((next, waiter))
    }

    /// Removes a waiting request; `None` if its waiter has been taken out already.
    pub(super) fn cancel(&mut self, ticket: Ticket) -> Option<W> {
        let Ticket { team, number } = ticket;
        let requests = self.teams.get_mut(&team)?;
        let waiter = requests.waiting.remove(&number)?;
        let left = requests.waiting.len();
        if left == 0 {
            self.turns.remove(&requests.turn);
        }
        self.waiting_fell_to(left);
        self.forget_if_idle(team);
        Some(waiter)
    }

    /// Removes a waiting request whose time is over, and says why; `None` if its waiter has been taken out already.
    pub(super) fn expire(&mut self, ticket: Ticket, now: Instant) -> Option<(W, Overload)> {
        let waiter = self.cancel(ticket)?;
        Some((waiter, self.refusal(ticket.team, self.position(ticket.team), now)))
    }

    /// Returns the number of requests that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the number of requests that hold a slot.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns true if nothing is left of any request.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.teams.is_empty()
            && self.turns.is_empty()
            && self.depths.is_empty()
            && (self.waiting, self.in_flight) == (0, 0)
    }

    fn granted(&mut self, now: Instant) {
        self.in_flight += 1;
        self.last_grant = now;
    }

    fn join(&mut self, team: Team, waiter: W) -> Ticket {
        let requests = self.teams.entry(team).or_default();
        let row = requests.waiting.len();
        if row == 0 {
            requests.turn = self.next;
            self.turns.insert(self.next, team);
        }
        requests.waiting.insert(self.next, waiter);
        let ticket = Ticket { team, number: self.next };
        self.next += 1;
        self.waiting += 1;
        match self.depths.get_mut(row) {
            Some(teams) => *teams += 1,
            None => self.depths.push(1),
        }
        ticket
    }

    /// Refuses the last request of the team with the most waiting ones.
    ///
    /// Others have joined ahead of it, so its wait would be too long by now: it is refused as soon as that is known.
    fn evict(&mut self, now: Instant) -> Option<(W, Overload)> {
        let longest = self.depths.len();
        let found = self.teams.iter().find(|(_, requests)| requests.waiting.len() == longest);
        let (&team, requests) = found?;
        let (&number, _) = requests.waiting.last_key_value()?;
        let waiter = self.cancel(Ticket { team, number })?;
        Some((waiter, self.refusal(team, self.position(team), now)))
    }

    fn waiting_fell_to(&mut self, left: usize) {
        self.waiting -= 1;
        if let Some(teams) = self.depths.get_mut(left) {
            *teams -= 1;
            if *teams == 0 {
                // Counts fall with the row, so only the last one can become 0.
                self.depths.pop();
            }
        }
    }

    fn forget_if_idle(&mut self, team: Team) {
        if self.teams.get(&team).is_some_and(|of| of.in_flight == 0 && of.waiting.is_empty()) {
            self.teams.remove(&team);
        }
    }

    /// Returns the turn in which a new request of `team` would be served; the next one is 1.
    fn position(&self, team: Team) -> usize {
        let row = self.teams.get(&team).map_or(0, |requests| requests.waiting.len());
        1 + self.depths.iter().take(row + 1).sum::<usize>()
    }

    fn service_time(&self, now: Instant) -> Duration {
        self.service.estimate(now.saturating_duration_since(self.last_grant))
    }

    /// Returns the last position that is served in time; at least `slots`, because no service time exceeds the wait.
    fn capacity(&self, now: Instant) -> usize {
        let turns = self.bounds.wait * self.slots();
        let served = turns.as_nanos() / self.service_time(now).as_nanos().max(1);
        usize::try_from(served).unwrap_or(usize::MAX).min(self.bounds.waiting)
    }

    /// Returns the expected wait at a position: with all slots taken, one is released every service time / slots.
    pub(super) fn expected_wait(&self, position: usize, now: Instant) -> Duration {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.service_time(now).saturating_mul(position) / self.slots()
    }

    fn slots(&self) -> u32 {
        u32::try_from(self.bounds.slots).unwrap_or(u32::MAX)
    }

    /// Blames the team if others are active and it has more than its fair share without the refused request.
    fn refusal(&self, team: Team, position: usize, now: Instant) -> Overload {
        let wait = self.expected_wait(position, now);
        let retry_after_sec = wait.as_millis().div_ceil(1000).clamp(1, MAX_RETRY_AFTER_SEC.into()) as u64;
        let own = self.teams.get(&team).map_or(0, |requests| requests.in_flight + requests.waiting.len());
        let teams = self.teams.len();
        if teams > 1 && own * teams > self.in_flight + self.waiting {
            Overload::Team { retry_after_sec }
        } else {
            Overload::Server { retry_after_sec }
        }
    }
}
