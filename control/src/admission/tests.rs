//! The shell: waiting, leaving, and threads that race. Clocks stand until a test advances them.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};
use uuid::Uuid;
use wrenn_base::ManualClock;
use wrenn_domain::ids::TeamId;

use super::*;

/// Bound of a test that waits for a condition.
const PATIENCE: Duration = Duration::from_secs(60);

fn admission(connections: u32) -> (Admission, ManualClock) {
    let (clock, hand) = Clock::manual();
    (Admission::new(connections, clock), hand)
}

fn team(n: u128) -> Team {
    Some(TeamId(Uuid::from_u128(n)))
}

impl Admission {
    fn counts(&self) -> (usize, usize) {
        let queue = self.shared.queue.lock();
        (queue.in_flight(), queue.waiting())
    }

    /// Takes all slots.
    async fn fill(&self) -> Vec<Slot> {
        let (slots, _) = self.counts();
        assert_eq!(slots, 0);
        let mut held = Vec::new();
        while let Poll::Ready(slot) = poll_once(pin!(self.admit(None))) {
            held.push(slot.unwrap());
        }
        assert_eq!(self.counts(), (held.len(), 0), "the last one has left");
        held
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

#[tokio::test]
async fn slots_are_two_per_connection_and_at_least_two() {
    for (connections, slots) in [(0, 2), (1, 2), (5, 10)] {
        assert_eq!(admission(connections).0.fill().await.len(), slots);
    }
}

#[tokio::test]
async fn a_single_request_overtakes_a_burst_of_two_thousand() {
    const BURST: usize = 2000;
    let admission = Arc::new(admission(5).0);
    let held = admission.fill().await;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut requests = JoinSet::new();
    for (of, count) in [(1, BURST), (2, 1)] {
        for _ in 0..count {
            let (admission, served) = (admission.clone(), served.clone());
            requests.spawn(async move {
                let _slot = admission.admit(team(of)).await.unwrap();
                served.lock().push(of);
            });
        }
        until(|| admission.counts().1 >= count).await;
    }
    until(|| admission.counts().1 == BURST + 1).await;
    drop(held);
    while requests.join_next().await.transpose().unwrap().is_some() {}
    let turn = served.lock().iter().position(|of| *of == 2).unwrap();
    assert!(turn <= 2, "served after {turn} requests of the burst");
    assert_eq!(served.lock().len(), BURST + 1);
    assert_eq!(admission.counts(), (0, 0));
}

#[tokio::test]
async fn requests_of_a_team_are_served_in_order() {
    let (admission, _) = admission(1);
    let mut held = admission.fill().await;
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(admission.admit(team(1)))).collect();
    for request in &mut waiting {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    held.pop();
    for mut request in waiting {
        let Poll::Ready(slot) = poll_once(request.as_mut()) else { panic!("a later one was first") };
        drop(slot.unwrap());
    }
    drop(held);
    assert_eq!(admission.counts(), (0, 0));
}

#[tokio::test]
async fn a_request_is_refused_after_five_seconds() {
    let (admission, hand) = admission(1);
    let held = admission.fill().await;
    let mut request = Box::pin(admission.admit(team(1)));
    assert!(poll_once(request.as_mut()).is_pending());
    hand.advance(MAX_WAIT - Duration::from_millis(1));
    assert!(poll_once(request.as_mut()).is_pending());
    hand.advance(Duration::from_millis(1));
    let Poll::Ready(refused) = poll_once(request.as_mut()) else { panic!("it waits for longer") };
    let refused = refused.unwrap_err();
    drop(request);
    // 5 s of service by the stall, on 2 slots.
    assert_eq!(refused, Overload::Server { retry_after_sec: 3 });
    assert_eq!(admission.counts(), (2, 0));
    drop(held);
    assert!(admission.admit(team(1)).await.is_ok());
}

#[tokio::test]
async fn a_request_that_would_wait_longer_is_refused_on_arrival() {
    let (admission, hand) = admission(1);
    let _held = admission.fill().await;
    hand.advance(Duration::from_millis(2500));
    // With 2.5 s of service, 2 slots serve 4 requests within 5 s.
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(admission.admit(team(1)))).collect();
    for request in &mut waiting {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    let refused = admission.admit(team(1)).await.unwrap_err();
    assert_eq!(refused, Overload::Team { retry_after_sec: 7 });
    // The single request of another team is let in, and the last one of the long queue is refused instead.
    let mut other = pin!(admission.admit(team(2)));
    assert!(poll_once(other.as_mut()).is_pending());
    let Poll::Ready(evicted) = poll_once(waiting[3].as_mut()) else { panic!("nothing was refused") };
    assert_eq!(evicted.unwrap_err(), Overload::Team { retry_after_sec: 7 });
    assert_eq!(admission.counts(), (2, 4));
}

#[tokio::test]
async fn a_caller_that_leaves_while_waiting_gives_up_its_turn_at_once() {
    let (admission, _) = admission(1);
    let held = admission.fill().await;
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(admission.admit(team(1)))).collect();
    for request in &mut waiting {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    drop(waiting.remove(0));
    assert_eq!(admission.counts(), (2, 2));
    drop(held);
    assert!(waiting.iter_mut().all(|request| poll_once(request.as_mut()).is_ready()));
}

#[tokio::test]
async fn a_caller_that_leaves_after_the_grant_passes_the_slot_on() {
    let (admission, _) = admission(1);
    let mut held = admission.fill().await;
    let mut granted = Box::pin(admission.admit(team(1)));
    let mut next = pin!(admission.admit(team(2)));
    assert!(poll_once(granted.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    held.pop();
    assert_eq!(admission.counts(), (2, 1), "the slot is on its way");
    drop(granted);
    let Poll::Ready(Ok(slot)) = poll_once(next.as_mut()) else { panic!("the slot is lost") };
    drop((slot, held));
    assert_eq!(admission.counts(), (0, 0));
}

/// The moment between a grant and its delivery, in which another thread may be interrupted.
#[tokio::test]
async fn callers_that_leave_while_a_slot_is_on_its_way_pass_it_on() {
    let (admission, _) = admission(1);
    let mut held = admission.fill().await;
    let mut gone: Vec<_> = (0..2).map(|_| Box::pin(admission.admit(team(1)))).collect();
    assert!(gone.iter_mut().all(|request| poll_once(request.as_mut()).is_pending()));
    let mut next = pin!(admission.admit(team(1)));
    assert!(poll_once(next.as_mut()).is_pending());
    let (slot, waiter) = held.pop().unwrap().release().unwrap();
    drop(gone);
    hand_over(slot, waiter);
    let Poll::Ready(Ok(slot)) = poll_once(next.as_mut()) else { panic!("the slot is lost") };
    drop((slot, held));
    assert_eq!(admission.counts(), (0, 0));
}

#[tokio::test]
async fn a_request_whose_time_is_over_while_its_slot_is_on_its_way_takes_it() {
    let (admission, hand) = admission(1);
    let mut held = admission.fill().await;
    let mut request = pin!(admission.admit(team(1)));
    assert!(poll_once(request.as_mut()).is_pending());
    let (slot, waiter) = held.pop().unwrap().release().unwrap();
    hand.advance(MAX_WAIT * 2);
    assert!(poll_once(request.as_mut()).is_pending(), "refused, though it was granted");
    hand_over(slot, waiter);
    assert!(matches!(poll_once(request.as_mut()), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_slot_that_was_granted_in_time_is_taken_also_when_it_is_seen_late() {
    let (admission, hand) = admission(1);
    let mut held = admission.fill().await;
    let mut request = pin!(admission.admit(team(1)));
    assert!(poll_once(request.as_mut()).is_pending());
    held.pop();
    hand.advance(MAX_WAIT * 2);
    assert!(matches!(poll_once(request.as_mut()), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_use_case_that_panics_frees_its_slot() {
    let admission = Arc::new(admission(1).0);
    let of_task = admission.clone();
    let task = tokio::spawn(async move {
        let _slot = of_task.admit(None).await;
        panic!("as a use case might");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(admission.counts(), (0, 0));
}

/// Callers on several threads of which every second one leaves, at a moment that depends on the scheduler.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_lose_no_slot_and_grant_none_twice() {
    const CALLERS: u128 = 64;
    const ROUNDS: u128 = 300;
    const SLOTS: usize = 2;
    // Time stands, so no request is refused, however slow the machine is.
    let (admission, _) = admission(1);
    let admission = Arc::new(admission);
    let in_flight = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (admission, in_flight) = (admission.clone(), in_flight.clone());
        callers.spawn(async move {
            for round in 0..ROUNDS {
                let leaves = async {
                    for _ in 0..(caller + round) % 40 {
                        yield_now().await;
                    }
                    if caller % 2 == 0 {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    slot = admission.admit(team(caller % 5)) => {
                        let slot = slot.unwrap();
                        assert!(in_flight.fetch_add(1, Ordering::SeqCst) < SLOTS, "more in flight than slots");
                        yield_now().await;
                        in_flight.fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                    }
                    () = leaves => {}
                }
            }
        });
    }
    let all = async { while callers.join_next().await.transpose().unwrap().is_some() {} };
    timeout(PATIENCE, all).await.expect("somebody waits for a slot that is lost");
    assert_eq!(admission.counts(), (0, 0));
    assert!(admission.shared.queue.lock().is_empty());
}

/// Prints the cost of an admission: `cargo test --release -p wrenn-control -- --ignored --nocapture cost`.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "the time of the machine is measured")]
async fn cost_of_an_admission() {
    const ROUNDS: u32 = 1_000_000;
    let clock = Clock::process();
    let admission = Admission::new(10, clock.clone());
    let begun = clock.now();
    for _ in 0..ROUNDS {
        drop(admission.admit(team(1)).await);
    }
    println!("without contention: {:?}", clock.since(begun) / ROUNDS);
    let mut held = admission.fill().await;
    let begun = clock.now();
    for n in 0..ROUNDS {
        let mut next = pin!(admission.admit(team(u128::from(n % 20))));
        assert!(poll_once(next.as_mut()).is_pending());
        drop(held.swap_remove(0));
        held.push(next.await.unwrap());
    }
    println!("through the queue: {:?}", clock.since(begun) / ROUNDS);
    let _held = held;
    let mut waiting = Vec::new();
    for n in 0..u128::from(ROUNDS) {
        let mut request = Box::pin(admission.admit(team(n % 100)));
        if poll_once(request.as_mut()).is_ready() {
            break;
        }
        waiting.push(request);
    }
    let begun = clock.now();
    for n in 0..ROUNDS {
        assert!(poll_once(pin!(admission.admit(team(u128::from(n % 100))))).is_ready());
    }
    println!("refusal with {} waiting: {:?}", waiting.len(), clock.since(begun) / ROUNDS);
}
