//! The actor that looks after something again and again.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use wrenn_base::{Clock, ManualClock};
use wrenn_supervision::{FirstLook, Periodic, spawn_local};
use wrenn_testkit::wait::eventually;

use crate::probe::{quick, run};

const PERIOD: Duration = Duration::from_secs(60);

/// Waits until the actor waits.
async fn rests(hand: &ManualClock) {
    eventually("the actor waits", async || hand.sleepers() == 1).await;
}

#[test]
fn looks_follow_each_other_also_after_an_error_and_a_panic() {
    run(async {
        let (clock, hand) = Clock::manual();
        let looks = Arc::new(AtomicU32::new(0));
        let seen = looks.clone();
        let periodic = Periodic::new("test", clock, FirstLook::AtOnce, PERIOD, move || {
            let number = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                match number {
                    1 => Err(io::Error::other("on purpose")),
                    2 => panic!("on purpose"),
                    _ => Ok(()),
                }
            }
        });
        let child = spawn_local(quick("periodic"), move |_| periodic);
        rests(&hand).await;
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        hand.advance(PERIOD / 2);
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        hand.advance(PERIOD / 2);
        eventually("the look that fails", async || looks.load(Ordering::SeqCst) == 2).await;
        rests(&hand).await;
        hand.advance(PERIOD);
        // The one that panics is followed by the first look of the next incarnation.
        eventually("the look after the panic", async || looks.load(Ordering::SeqCst) == 4).await;
        child.kill();
        child.wait_exit().await;
        assert_eq!(hand.sleepers(), 0, "a killed actor waits for nothing");
    });
}

#[test]
fn the_first_look_may_be_a_period_away() {
    run(async {
        let (clock, hand) = Clock::manual();
        let looks = Arc::new(AtomicU32::new(0));
        let seen = looks.clone();
        let look = move || {
            seen.fetch_add(1, Ordering::SeqCst);
            async { io::Result::Ok(()) }
        };
        let periodic = Periodic::new("test", clock, FirstLook::AfterPeriod, PERIOD, look);
        let child = spawn_local(quick("periodic"), move |_| periodic);
        rests(&hand).await;
        assert_eq!(looks.load(Ordering::SeqCst), 0);
        hand.advance(PERIOD);
        eventually("the first look", async || looks.load(Ordering::SeqCst) == 1).await;
        child.kill();
    });
}
