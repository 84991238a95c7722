//! Kill overtakes everything but the code that is running right now.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use wrenn_supervision::{Backoff, CallError, ChildState, ExitReason, call, spawn, spawn_local};
use wrenn_testkit::wait::eventually;

use crate::probe::{Do, Hooks, Journal, Probe, Say, hook, quick, run};

#[test]
fn kill_ends_an_idle_actor_without_its_consent() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("kill-idle"), |_| probe);
        call(&child.addr(), Say(1)).await.unwrap();
        child.kill();
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
        assert_eq!(journal.entries(), ["started 1", "say 1", "dropped"]);
    });
}

#[test]
fn kill_before_the_factory_ran_spares_it() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("kill-new"), |_| probe);
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
        assert_eq!(journal.entries(), ["dropped"]);
    });
}

#[test]
fn kill_does_not_wait_for_slow_io_or_a_full_mailbox() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("kill-waiting").capacity(3), |_| probe);
        let addr = child.addr();
        let (_never, released) = oneshot::channel();
        call(&addr, Do::wait_for(released)).await.unwrap();
        let queued = (call(&addr, Say(1)), call(&addr, Say(2)), call(&addr, Say(3)));
        let kill_when_full = async {
            eventually("a full mailbox", async || child.snapshot().calls_in_flight == 3).await;
            assert_eq!(call(&addr, Say(4)).await, Err(CallError::Full));
            child.kill();
            child.wait_exit().await
        };
        let (first, second, third, reason) = tokio::join!(queued.0, queued.1, queued.2, kill_when_full);
        assert_eq!(reason, ExitReason::Killed);
        assert_eq!([first, second, third], [Err(CallError::MayHaveExecuted); 3]);
        assert_eq!(journal.entries(), ["started 1", "dropped"]);
    });
}

#[test]
fn kill_does_not_wait_for_a_backoff() {
    run(async {
        let probe = Probe::default();
        let spec = quick("kill-backoff").backoff(Backoff::fixed(Duration::from_secs(3600)));
        let child = spawn_local(spec, |_| probe);
        let _ = call(&child.addr(), Do::panic()).await;
        assert_eq!(child.snapshot().state, ChildState::BackingOff);
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
    });
}

#[test]
fn kill_during_a_handler_takes_effect_before_the_next_message() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let arbiter = Arbiter::new();
        let child = spawn(&arbiter.handle(), quick("kill-blocked"), move |_| probe);
        let (release, released) = std::sync::mpsc::channel();
        child.addr().do_send(Do::block_until(released));
        for n in 0..20 {
            child.addr().do_send(Say(n));
        }
        eventually("the handler runs", async || journal.count("blocking") == 1).await;
        child.kill();
        drop(release);
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
        assert_eq!(journal.entries(), ["started 1", "blocking", "dropped"]);
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

#[test]
fn an_actor_may_kill_itself() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("kill-self"), |_| probe);
        let handle = child.handle();
        let addr = child.addr();
        let (killed, queued) =
            tokio::join!(call(&addr, Do::new(move |_, _| handle.kill())), call(&addr, Say(1)));
        assert_eq!((killed, queued), (Ok(()), Err(CallError::MayHaveExecuted)));
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
        assert_eq!(journal.entries(), ["started 1", "dropped"]);
    });
}

#[test]
fn kill_while_restarting_reloads_ends_the_reload() {
    run(async {
        let journal = Journal::default();
        let never = hook(|ctx| ctx.wait(actix::fut::wrap_future(std::future::pending::<()>())));
        let probe = Probe::with_hooks(&journal, Hooks { restarting: never, ..Hooks::default() });
        let child = spawn_local(quick("kill-reload"), |_| probe);
        let _ = call(&child.addr(), Do::panic()).await;
        eventually("the reload", async || journal.count("started 2") == 1).await;
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
    });
}
