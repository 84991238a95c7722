//! What each error of a call says about the message.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use wrenn_supervision::{CallError, call, call_within, spawn, spawn_local};
use wrenn_testkit::wait::eventually;

use crate::probe::{AnswerAfter, Do, Journal, Probe, Say, quick, run, run_paused};

#[test]
fn only_two_errors_are_certain() {
    assert!(CallError::Full.certainly_not_executed());
    assert!(CallError::NotDelivered.certainly_not_executed());
    assert!(!CallError::MayHaveExecuted.certainly_not_executed());
    assert!(!CallError::TimedOut.certainly_not_executed());
}

#[test]
fn the_capacity_bounds_unanswered_calls_over_all_addresses_and_never_waits() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("capacity").capacity(2), |_| probe);
        let (release_one, one) = oneshot::channel();
        let (release_two, two) = oneshot::channel();
        let (first, second) = (child.addr(), child.weak().upgrade().unwrap());
        let test = async {
            eventually("two calls", async || child.snapshot().calls_in_flight == 2).await;
            let fresh = child.addr();
            assert_eq!(call(&fresh, Say(1)).await, Err(CallError::Full));
            release_one.send(()).unwrap();
            eventually("room", async || child.snapshot().calls_in_flight == 1).await;
            assert_eq!(call(&fresh, Say(2)).await, Ok(2));
            release_two.send(()).unwrap();
        };
        let (one, two, ()) =
            tokio::join!(call(&first, AnswerAfter(one)), call(&second, AnswerAfter(two)), test);
        assert_eq!((one, two), (Ok(()), Ok(())));
        assert_eq!(journal.entries(), ["started 1", "say 2"]);
        assert_eq!(child.snapshot().calls_in_flight, 0);
    });
}

#[test]
fn a_restart_fails_answers_that_were_still_to_come_and_frees_their_room() {
    run(async {
        let child = spawn_local(quick("restart-answers").capacity(2), |_| Probe::default());
        let addr = child.addr();
        let (_never, released) = oneshot::channel();
        let (unanswered, lost) = tokio::join!(call(&addr, AnswerAfter(released)), call(&addr, Do::panic()));
        assert_eq!((unanswered, lost), (Err(CallError::MayHaveExecuted), Err(CallError::MayHaveExecuted)));
        assert_eq!(call(&addr, Say(1)).await, Ok(1));
    });
}

#[test]
fn a_call_that_takes_too_long_times_out_and_is_skipped_if_it_had_not_begun() {
    run_paused(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("timeout"), |_| probe);
        let addr = child.addr();
        let (release, released) = oneshot::channel();
        call(&addr, Do::wait_for(released)).await.unwrap();
        let start = tokio::time::Instant::now();
        let within = Duration::from_secs(60);
        assert_eq!(call_within(&addr, Say(1), within).await, Err(CallError::TimedOut));
        assert_eq!(start.elapsed().as_secs(), 60);
        release.send(()).unwrap();
        assert_eq!(call_within(&addr, Say(2), within).await, Ok(2));
        assert_eq!(journal.entries(), ["started 1", "say 2"]);
        assert_eq!(child.snapshot().calls_in_flight, 0);
    });
}

#[test]
fn a_handler_that_has_begun_finishes_though_its_caller_left() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let arbiter = Arbiter::new();
        let child = spawn(&arbiter.handle(), quick("caller-left"), move |_| probe);
        let addr = child.addr();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let slow = Do::new(move |probe, _| {
            probe.journal.note("begun");
            let _ = released.recv();
            probe.journal.note("finished");
        });
        let caller = actix_rt::spawn(async move { call(&addr, slow).await });
        eventually("the handler runs", async || journal.count("begun") == 1).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        drop(release);
        eventually("the handler is through", async || journal.count("finished") == 1).await;
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

#[test]
fn unsupervised_actors_can_be_called_too() {
    run(async {
        let addr = Probe::default().start();
        assert_eq!(call(&addr, Say(1)).await, Ok(1));
        call(&addr, Do::new(|_, ctx| ctx.stop())).await.unwrap();
        eventually("the end", async || !addr.connected()).await;
        assert_eq!(call(&addr, Say(1)).await, Err(CallError::NotDelivered));
    });
}

#[test]
fn calls_can_be_made_from_any_thread() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    run(async {
        let child = spawn_local(quick("send"), |_| Probe::default());
        let addr = child.addr();
        let answer = assert_send(async move { call(&addr, Say(1)).await });
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            sender.send(runtime.block_on(answer)).unwrap();
        });
        assert_eq!(receiver.await.unwrap(), Ok(1));
    });
}
