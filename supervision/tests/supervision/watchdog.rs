//! A watchdog reports who holds a thread, and nobody who only waits.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use wrenn_base::Clock;
use wrenn_supervision::{
    ArbiterPool, Hang, HangCulprit, Watchdog, WatchdogConfig, call, metrics_snapshot, spawn,
};
use wrenn_testkit::wait::eventually;

use crate::probe::{Do, Hooks, Journal, Probe, Say, hook, quick, run};

/// Long enough that no thread is starved for as long on a busy machine.
const HANG_AFTER: Duration = Duration::from_millis(300);

/// All hangs of this process that a watchdog saw; other tests run in it as well.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Hang>>>);

impl Reports {
    fn watch(&self) -> Watchdog {
        let config = WatchdogConfig { period: Duration::from_millis(2), arbiter_hang_after: HANG_AFTER };
        let reports = self.0.clone();
        Watchdog::start(config, Clock::process(), move |hang| reports.lock().push(hang.clone())).unwrap()
    }

    /// Returns after a hang twice as long as [`HANG_AFTER`], of an actor of this name on a thread of its own, was
    /// reported: whatever was to be reported before, has been.
    async fn outlast(&self, name: &'static str) {
        let arbiter = Arbiter::new();
        let actor = spawn(&arbiter.handle(), quick(name).hang_after(2 * HANG_AFTER), |_| Probe::default());
        let (release, released) = std::sync::mpsc::channel();
        actor.addr().do_send(Do::block_until(released));
        eventually("the longer hang", async || self.of_actor(name).len() == 1).await;
        drop(release);
        arbiter.stop();
        arbiter.join().unwrap();
    }

    fn of_actor(&self, wanted: &str) -> Vec<Hang> {
        let is_wanted =
            |hang: &&Hang| matches!(&hang.culprit, HangCulprit::Actor { name, .. } if name == wanted);
        self.0.lock().iter().filter(is_wanted).cloned().collect()
    }

    fn of_thread(&self, thread: &str) -> Vec<Hang> {
        self.0.lock().iter().filter(|hang| hang.thread == thread).cloned().collect()
    }
}

#[test]
fn a_blocking_handler_is_reported_once_with_its_name_and_thread() {
    run(async {
        let reports = Reports::default();
        let _watchdog = reports.watch();
        let journal = Journal::default();
        let pool = ArbiterPool::named("blocked", 1).unwrap();
        let probe = Probe::new(&journal);
        let child = pool.spawn(quick("hanging").hang_after(HANG_AFTER), move |_| probe);
        for round in 1..=2 {
            let (release, released) = std::sync::mpsc::channel();
            child.addr().do_send(Do::block_until(released));
            eventually("a report", async || reports.of_actor("hanging").len() == round).await;
            // The watchdog goes on looking at the same hang.
            reports.outlast(["outlast-1", "outlast-2"][round - 1]).await;
            assert_eq!(reports.of_actor("hanging").len(), round);
            drop(release);
            call(&child.addr(), Say(1)).await.unwrap();
        }
        let hang = &reports.of_actor("hanging")[0];
        assert_eq!(hang.thread, "blocked-0");
        assert!(hang.blocked_for >= HANG_AFTER);
        assert_eq!(child.snapshot().hangs, 2);
        assert_eq!(metrics_snapshot().kind("hanging").unwrap().hangs, 2);
        pool.shutdown();
    });
}

#[test]
fn slow_io_is_no_hang() {
    run(async {
        let reports = Reports::default();
        let _watchdog = reports.watch();
        let pool = ArbiterPool::named("waiting", 1).unwrap();
        let child = pool.spawn(quick("slow-io").hang_after(HANG_AFTER), |_| Probe::default());
        let (release, released) = oneshot::channel();
        call(&child.addr(), Do::wait_for(released)).await.unwrap();
        reports.outlast("outlast-io").await;
        assert_eq!(reports.of_actor("slow-io"), []);
        assert_eq!(reports.of_thread("waiting-0"), []);
        release.send(()).unwrap();
        assert_eq!(call(&child.addr(), Say(1)).await, Ok(1));
        assert_eq!(child.snapshot().hangs, 0);
        pool.shutdown();
    });
}

#[test]
fn a_hang_in_started_is_reported_too() {
    run(async {
        let reports = Reports::default();
        let _watchdog = reports.watch();
        let pool = ArbiterPool::named("start-block", 1).unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Mutex::new(released);
        let hooks = Hooks {
            started: hook(move |_| {
                let _ = released.lock().recv();
            }),
            ..Hooks::default()
        };
        let probe = Probe::with_hooks(&Journal::default(), hooks);
        let child = pool.spawn(quick("hanging-start").hang_after(HANG_AFTER), move |_| probe);
        eventually("a report", async || reports.of_actor("hanging-start").len() == 1).await;
        drop(release);
        assert_eq!(call(&child.addr(), Say(1)).await, Ok(1));
        pool.shutdown();
    });
}

#[test]
fn an_arbiter_blocked_by_something_else_is_reported_without_an_actor() {
    run(async {
        let reports = Reports::default();
        let _watchdog = reports.watch();
        let pool = ArbiterPool::named("other", 1).unwrap();
        let child = pool.spawn(quick("bystander"), |_| Probe::default());
        call(&child.addr(), Say(1)).await.unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        pool.round_robin().spawn_fn(move || {
            let _ = released.recv();
        });
        eventually("a report", async || !reports.of_thread("other-0").is_empty()).await;
        let hang = &reports.of_thread("other-0")[0];
        assert_eq!(hang.culprit, HangCulprit::Other);
        assert!(hang.blocked_for >= HANG_AFTER);
        assert!(metrics_snapshot().arbiter_hangs >= 1);
        drop(release);
        assert_eq!(call(&child.addr(), Say(2)).await, Ok(2));
        assert_eq!(child.snapshot().hangs, 0);
        pool.shutdown();
    });
}

#[test]
fn two_watchdogs_count_a_hang_once() {
    run(async {
        let (one, two) = (Reports::default(), Reports::default());
        let _watchdogs = (one.watch(), two.watch());
        let pool = ArbiterPool::named("twice", 1).unwrap();
        let child = pool.spawn(quick("watched-twice").hang_after(HANG_AFTER), |_| Probe::default());
        let (release, released) = std::sync::mpsc::channel();
        child.addr().do_send(Do::block_until(released));
        let both = async || one.of_actor("watched-twice").len() + two.of_actor("watched-twice").len() == 2;
        eventually("both reports", both).await;
        assert_eq!(child.snapshot().hangs, 1);
        drop(release);
        pool.shutdown();
    });
}
