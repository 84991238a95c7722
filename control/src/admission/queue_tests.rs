//! The queue against a naive model of itself: all short histories, and random long ones.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use uuid::Uuid;
use wrenn_base::Clock;
use wrenn_domain::{admission::Overload, ids::TeamId};

use super::queue::{Arrival, Bounds, Queue, Team, Ticket};

const WAIT: Duration = Duration::from_secs(5);
const PLENTY: usize = 1000;

/// Event in the life of a queue. Indices are taken modulo the requests that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Arrive(u8),
    Release(usize),
    Cancel(usize),
    Expire(usize),
    Pass(Duration),
}

/// A queue beside a list of what must be in it. Waiters are the numbers of the requests.
struct Checked {
    queue: Queue<u32>,
    bounds: Bounds,
    now: Instant,
    next: u32,
    in_flight: Vec<(u32, Team, Instant)>,
    /// Teams in the order of their turns, and their requests in the order of arrival.
    turns: VecDeque<(Team, VecDeque<(u32, Ticket)>)>,
    /// By team that waits: grants to each of the others since the team's last turn.
    passed_over: BTreeMap<Team, Vec<Team>>,
}

/// `None`, and the teams 1, 2, ….
fn team(n: u8) -> Team {
    (n > 0).then(|| TeamId(Uuid::from_u128(n.into())))
}

impl Checked {
    fn new(slots: usize, waiting: usize) -> Self {
        let bounds = Bounds { slots, wait: WAIT, waiting };
        let now = Clock::manual().0.now();
        Self {
            queue: Queue::new(bounds, now),
            bounds,
            now,
            next: 0,
            in_flight: Vec::new(),
            turns: VecDeque::new(),
            passed_over: BTreeMap::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Arrive(n) => self.arrive(team(n)),
            Event::Release(n) if !self.in_flight.is_empty() => self.release(n % self.in_flight.len()),
            Event::Cancel(n) if self.waiting() > 0 => {
                let (request, ticket) = self.take(n);
                assert_eq!(self.queue.cancel(ticket), Some(request));
                assert_eq!(self.queue.cancel(ticket), None, "cancelled twice");
            }
            Event::Expire(n) if self.waiting() > 0 => {
                let (request, ticket) = self.take(n);
                let (waiter, _) = self.queue.expire(ticket, self.now).unwrap();
                assert_eq!(waiter, request);
                assert!(self.queue.expire(ticket, self.now).is_none(), "expired twice");
            }
            Event::Pass(time) => self.now += time,
            Event::Release(_) | Event::Cancel(_) | Event::Expire(_) => {}
        }
        assert!(self.in_flight.len() <= self.bounds.slots, "more in flight than slots");
        assert!(self.waiting() <= self.bounds.waiting, "more wait than may");
        assert!(self.waiting() == 0 || self.in_flight.len() == self.bounds.slots, "a slot is lost");
        assert_eq!(self.queue.in_flight(), self.in_flight.len());
        assert_eq!(self.queue.waiting(), self.waiting());
    }

    fn waiting(&self) -> usize {
        self.turns.iter().map(|(_, requests)| requests.len()).sum()
    }

    fn waiting_of(&self, team: Team) -> usize {
        self.turns.iter().filter(|(of, _)| *of == team).map(|(_, requests)| requests.len()).sum()
    }

    fn arrive(&mut self, team: Team) {
        let request = self.next;
        self.next += 1;
        let (own, all) = (self.waiting_of(team), self.waiting());
        let position = self.position(team);
        let exact = self.exact_position(team);
        assert!((exact..=exact + self.turns.len()).contains(&position), "{position} for {exact}");
        let fits = self.is_in_time(position);
        let is_free = self.in_flight.len() < self.bounds.slots;
        match self.queue.arrive(team, self.now, || (request, ())) {
            Arrival::Granted => {
                assert!(is_free, "granted without a slot");
                self.in_flight.push((request, team, self.now));
            }
            Arrival::Refused(overload) => {
                assert!(!is_free && !fits, "refused at {position}");
                self.check_blame(team, overload);
            }
            Arrival::Waiting { ticket, receiver: (), evicted } => {
                assert!(!is_free && fits, "waits at {position}");
                match self.turns.iter_mut().find(|(of, _)| *of == team) {
                    Some((_, requests)) => requests.push_back((request, ticket)),
                    None => self.turns.push_back((team, [(request, ticket)].into())),
                }
                self.passed_over.entry(team).or_default();
                assert_eq!(evicted.is_none(), self.is_in_time(all + 1), "evicted without need");
                if let Some((waiter, overload)) = evicted {
                    self.evicted(waiter, own + 1, overload);
                }
            }
        }
    }

    fn evicted(&mut self, waiter: u32, joined_depth: usize, overload: Overload) {
        let longest = self.turns.iter().map(|(_, requests)| requests.len()).max().unwrap();
        assert!(longest > joined_depth, "the newcomer's team is the longest");
        let (team, requests) =
            self.turns.iter_mut().find(|(_, of)| of.back().is_some_and(|last| last.0 == waiter)).unwrap();
        assert_eq!(requests.len(), longest);
        requests.pop_back();
        let team = *team;
        self.check_blame(team, overload);
    }

    fn release(&mut self, index: usize) {
        let (_, team, since) = self.in_flight.remove(index);
        let granted = self.queue.release(team, since, self.now);
        let Some((to, mut requests)) = self.turns.pop_front() else {
            assert_eq!(granted, None);
            return;
        };
        let (request, _) = requests.pop_front().unwrap();
        assert_eq!(granted, Some((to, request)), "not the first request of the team whose turn it is");
        self.in_flight.push((request, to, self.now));
        if !requests.is_empty() {
            self.turns.push_back((to, requests));
        }
        self.passed_over.remove(&to);
        for others in self.passed_over.values_mut() {
            assert!(!others.contains(&to), "two turns of one team in a round");
            others.push(to);
        }
        if self.waiting_of(to) > 0 {
            self.passed_over.insert(to, Vec::new());
        }
    }

    /// Takes the `n`th waiting request out of the model.
    fn take(&mut self, n: usize) -> (u32, Ticket) {
        let mut n = n % self.waiting();
        let turn = self.turns.iter().position(|(_, requests)| {
            let is_here = n < requests.len();
            n -= if is_here { 0 } else { requests.len() };
            is_here
        });
        let turn = turn.unwrap();
        let (team, requests) = &mut self.turns[turn];
        let team = *team;
        let taken = requests.remove(n).unwrap();
        if requests.is_empty() {
            self.turns.remove(turn);
            self.passed_over.remove(&team);
        }
        taken
    }

    /// The position by its definition: own requests, and of every other team those of the same rows.
    fn position(&self, team: Team) -> usize {
        let own = self.waiting_of(team);
        let others = self.turns.iter().filter(|(of, _)| *of != team);
        1 + own + others.map(|(_, requests)| requests.len().min(own + 1)).sum::<usize>()
    }

    /// The turn in which the request would be served, by serving everything.
    fn exact_position(&self, team: Team) -> usize {
        let mut turns: VecDeque<_> = self.turns.iter().map(|(of, requests)| (*of, requests.len())).collect();
        match turns.iter_mut().find(|(of, _)| *of == team) {
            Some((_, requests)) => *requests += 1,
            None => turns.push_back((team, 1)),
        }
        for turn in 1.. {
            match turns.pop_front().unwrap() {
                (of, 1) if of == team => return turn,
                (_, 1) => {}
                (of, requests) => turns.push_back((of, requests - 1)),
            }
        }
        unreachable!("every team gets its turn")
    }

    /// The rule of refusal.
    fn is_in_time(&self, position: usize) -> bool {
        position <= self.bounds.waiting && self.queue.expected_wait(position, self.now) <= WAIT
    }

    fn check_blame(&self, team: Team, overload: Overload) {
        let mut held: BTreeMap<Team, usize> = BTreeMap::new();
        self.in_flight.iter().for_each(|(_, of, _)| *held.entry(*of).or_default() += 1);
        self.turns.iter().for_each(|(of, requests)| *held.entry(*of).or_default() += requests.len());
        let fair = held.values().sum::<usize>() as f64 / held.len() as f64;
        let is_above = held.len() > 1 && held.get(&team).is_some_and(|own| *own as f64 > fair);
        let (is_blamed, retry_after_sec) = match overload {
            Overload::Team { retry_after_sec } => (true, retry_after_sec),
            Overload::Server { retry_after_sec } => (false, retry_after_sec),
        };
        assert_eq!(is_blamed, is_above);
        assert!((1..=60).contains(&retry_after_sec), "{retry_after_sec}");
    }

    /// Serves everything, and checks that nothing is left behind.
    fn drain(mut self) {
        while !self.in_flight.is_empty() {
            self.apply(Event::Release(0));
        }
        assert_eq!(self.waiting(), 0, "a request was forgotten");
        assert!(self.queue.is_empty(), "{:?}", self.queue);
    }
}

fn run(slots: usize, waiting: usize, events: &[Event]) {
    let mut checked = Checked::new(slots, waiting);
    events.iter().for_each(|event| checked.apply(*event));
    checked.drain();
}

#[test]
fn all_histories_of_six_events() {
    const EVENTS: [Event; 7] = [
        Event::Arrive(0),
        Event::Arrive(1),
        Event::Arrive(2),
        Event::Release(0),
        Event::Cancel(0),
        Event::Cancel(usize::MAX),
        Event::Pass(Duration::from_secs(3)),
    ];
    const LENGTH: u32 = 6;
    for history in 0..EVENTS.len().pow(LENGTH) {
        let nth = |n| EVENTS[history / EVENTS.len().pow(n) % EVENTS.len()];
        let events: Vec<_> = (0..LENGTH).map(nth).collect();
        run(1, 2, &events);
        run(2, PLENTY, &events);
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (0..5_u8).prop_map(Event::Arrive),
        // A burst of one team, beside what the others do.
        3 => Just(Event::Arrive(1)),
        4 => any::<usize>().prop_map(Event::Release),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => any::<usize>().prop_map(Event::Expire),
        1 => (0..3000_u64).prop_map(|ms| Event::Pass(Duration::from_millis(ms))),
    ]
}

proptest! {
    #[test]
    fn long_histories(
        slots in 1..6_usize,
        waiting in prop_oneof![1..20_usize, Just(PLENTY)],
        events in prop::collection::vec(event(), 0..400),
    ) {
        run(slots, waiting, &events);
    }
}

#[test]
fn teams_take_turns_and_a_single_request_is_served_in_the_first_round() {
    let mut checked = Checked::new(1, PLENTY);
    let burst = std::iter::repeat_n(Event::Arrive(1), 500);
    burst.chain([Event::Arrive(2), Event::Arrive(3)]).for_each(|event| checked.apply(event));
    let mut served = Vec::new();
    for _ in 0..4 {
        checked.apply(Event::Release(0));
        served.push(checked.in_flight[0].1);
    }
    assert_eq!(served, [team(1), team(2), team(3), team(1)]);
}

#[test]
fn a_full_queue_takes_the_request_of_another_team_and_refuses_the_last_one_of_the_burst() {
    let mut queue = Queue::new(Bounds { slots: 1, wait: WAIT, waiting: 3 }, Clock::manual().0.now());
    let now = Clock::manual().0.now();
    assert!(matches!(queue.arrive(team(1), now, || ("in flight", ())), Arrival::Granted));
    for name in ["first", "second", "third"] {
        let arrival = queue.arrive(team(1), now, || (name, ()));
        assert!(matches!(arrival, Arrival::Waiting { evicted: None, .. }), "{arrival:?}");
    }
    let alone = queue.arrive(team(1), now, || ("fourth", ()));
    assert!(matches!(alone, Arrival::Refused(Overload::Server { retry_after_sec: 1 })), "{alone:?}");
    match queue.arrive(team(2), now, || ("other", ())) {
        Arrival::Waiting { evicted: Some(evicted), .. } => {
            assert_eq!(evicted, ("third", Overload::Team { retry_after_sec: 1 }));
        }
        arrival => panic!("{arrival:?}"),
    }
    let above_share = queue.arrive(team(1), now, || ("fifth", ()));
    assert!(matches!(above_share, Arrival::Refused(Overload::Team { .. })), "{above_share:?}");
}

#[test]
fn a_stall_is_noticed_without_a_release() {
    let mut checked = Checked::new(2, PLENTY);
    (0..22).for_each(|_| checked.apply(Event::Arrive(1)));
    checked.apply(Event::Pass(Duration::from_millis(2500)));
    // 2 slots that are held for 2.5 s each serve 4 requests in 5 s; others are refused, and the model checks it.
    checked.apply(Event::Arrive(1));
    assert_eq!(checked.waiting(), 20);
    assert!(checked.is_in_time(4) && !checked.is_in_time(5));
    let overload = match checked.queue.arrive(team(1), checked.now, || (0, ())) {
        Arrival::Refused(overload) => overload,
        arrival => panic!("{arrival:?}"),
    };
    // Position 21 × 2.5 s / 2 slots.
    assert_eq!(overload, Overload::Server { retry_after_sec: 27 });
    (0..2).for_each(|_| checked.apply(Event::Release(0)));
    assert!(checked.is_in_time(100), "the stall is over");
}

#[test]
fn retry_after_is_at_most_a_minute() {
    let mut checked = Checked::new(1, PLENTY);
    (0..200).for_each(|_| checked.apply(Event::Arrive(1)));
    checked.apply(Event::Pass(WAIT));
    let arrival = checked.queue.arrive(team(1), checked.now, || (0, ()));
    assert!(matches!(arrival, Arrival::Refused(Overload::Server { retry_after_sec: 60 })), "{arrival:?}");
}
