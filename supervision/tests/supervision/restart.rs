//! A failure costs one incarnation, not the actor.

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use wrenn_supervision::{
    Backoff, CallError, Child, ChildState, Failure, RestartLimit, SupervisedContext, call, spawn, spawn_local,
};
use wrenn_testkit::wait::eventually;

use crate::probe::{
    Do, Hooks, Journal, PanicInActFuture, PanicInAtomic, PanicInFuture, Probe, Say, hook, panicking_hook,
    passes, quick, run, run_paused,
};

/// Expects that exactly one failure with this message happened, and that the actor goes on in incarnation 2.
async fn assert_restarted_once(child: &Child<Probe>, journal: &Journal, message: &str) {
    eventually("a restart", async || journal.count("started 2") == 1).await;
    assert_eq!(call(&child.addr(), Say(7)).await, Ok(7));
    let snapshot = child.snapshot();
    assert_eq!((snapshot.restarts, snapshot.panics, snapshot.incarnation), (1, 1, 2));
    assert_eq!(snapshot.last_failure, Some(Failure::Panic(message.to_owned())));
    assert_eq!(snapshot.state, ChildState::Running);
    assert_eq!(journal.entries()[..3], ["started 1", "restarting 2", "started 2"]);
    assert_eq!(journal.count("dropped"), 0);
}

fn start(kind: &'static str, journal: &Journal) -> Child<Probe> {
    let probe = Probe::new(journal);
    spawn_local(quick(kind), |_| probe)
}

#[test]
fn a_panic_in_a_handler_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-handler", &journal);
        assert_eq!(call(&child.addr(), Do::panic()).await, Err(CallError::MayHaveExecuted));
        assert_restarted_once(&child, &journal, "boom").await;
    });
}

#[test]
fn a_panic_in_started_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let hooks = Hooks { started: panicking_hook(1), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("panic-started"), |_| probe);
        assert_restarted_once(&child, &journal, "hook").await;
    });
}

#[test]
fn a_panic_in_a_spawned_future_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-spawned", &journal);
        let spawn_it = |probe: &mut Probe, ctx: &mut Context<Probe>| {
            ctx.spawn(tokio::task::yield_now().into_actor(probe).map(|(), _, _| panic!("in a future")));
        };
        assert_eq!(call(&child.addr(), Do::new(spawn_it)).await, Ok(()));
        assert_restarted_once(&child, &journal, "in a future").await;
    });
}

#[test]
fn a_panic_in_a_waited_future_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-waited", &journal);
        let wait_for_it = |probe: &mut Probe, ctx: &mut Context<Probe>| {
            ctx.wait(tokio::task::yield_now().into_actor(probe).map(|(), _, _| panic!("while waiting")));
        };
        assert_eq!(call(&child.addr(), Do::new(wait_for_it)).await, Ok(()));
        assert_restarted_once(&child, &journal, "while waiting").await;
    });
}

#[test]
fn a_panic_in_a_timer_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-timer", &journal);
        let set_timer = |_: &mut Probe, ctx: &mut Context<Probe>| {
            ctx.run_later(Duration::from_millis(1), |_, _| panic!("in a timer"));
        };
        assert_eq!(call(&child.addr(), Do::new(set_timer)).await, Ok(()));
        assert_restarted_once(&child, &journal, "in a timer").await;
    });
}

#[test]
fn a_panic_in_a_response_act_future_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-act-future", &journal);
        assert_eq!(call(&child.addr(), PanicInActFuture).await, Err(CallError::MayHaveExecuted));
        assert_restarted_once(&child, &journal, "in ResponseActFuture").await;
    });
}

#[test]
fn a_panic_in_an_atomic_response_restarts_the_actor() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-atomic", &journal);
        assert_eq!(call(&child.addr(), PanicInAtomic).await, Err(CallError::MayHaveExecuted));
        assert_restarted_once(&child, &journal, "in AtomicResponse").await;
    });
}

#[test]
fn a_panic_in_a_response_future_fails_the_call_and_leaves_the_actor_alone() {
    run(async {
        let journal = Journal::default();
        let child = start("panic-future", &journal);
        assert_eq!(call(&child.addr(), PanicInFuture).await, Err(CallError::MayHaveExecuted));
        assert_eq!(call(&child.addr(), Say(1)).await, Ok(1));
        assert_eq!((child.snapshot().restarts, child.snapshot().panics), (0, 0));
    });
}

#[test]
fn a_panic_in_restarting_is_one_more_failure() {
    run(async {
        let journal = Journal::default();
        let hooks = Hooks { restarting: panicking_hook(2), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("panic-restarting"), |_| probe);
        assert_eq!(call(&child.addr(), Do::panic()).await, Err(CallError::MayHaveExecuted));
        assert_eq!(call(&child.addr(), Say(1)).await, Ok(1));
        let expected = ["started 1", "restarting 2", "restarting 3", "restarting 4", "started 4", "say 1"];
        assert_eq!(journal.entries(), expected);
        assert_eq!((child.snapshot().panics, child.snapshot().restarts), (3, 3));
    });
}

#[test]
fn a_panic_while_old_futures_are_dropped_is_one_more_failure() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    run(async {
        let journal = Journal::default();
        let child = start("panic-future-drop", &journal);
        let plant = |probe: &mut Probe, ctx: &mut Context<Probe>| {
            let bomb = Bomb;
            let future = async move {
                let _bomb = bomb;
                std::future::pending::<()>().await;
            };
            ctx.spawn(future.into_actor(probe));
        };
        assert_eq!(call(&child.addr(), Do::new(plant)).await, Ok(()));
        assert_eq!(call(&child.addr(), Do::panic()).await, Err(CallError::MayHaveExecuted));
        assert_eq!(call(&child.addr(), Say(1)).await, Ok(1));
        assert_eq!(child.snapshot().panics, 2);
        assert_eq!(child.snapshot().last_failure, Some(Failure::Panic("dropped".to_owned())));
    });
}

#[test]
fn queued_messages_survive_in_order_and_only_the_panicking_one_is_lost() {
    run(async {
        let journal = Journal::default();
        let child = start("queue", &journal);
        let addr = child.addr();
        let say = |n| call(&addr, Say(n));
        let (first, lost, second, lost_too, third) =
            tokio::join!(say(1), call(&addr, Do::panic()), say(2), call(&addr, Do::panic()), say(3),);
        assert_eq!((first, second, third), (Ok(1), Ok(2), Ok(3)));
        assert_eq!((lost, lost_too), (Err(CallError::MayHaveExecuted), Err(CallError::MayHaveExecuted)));
        let said: Vec<_> = journal.entries().into_iter().filter(|entry| entry.starts_with("say")).collect();
        assert_eq!(said, ["say 1", "say 2", "say 3"]);
        assert_eq!(child.addr(), addr);
        assert_eq!(child.snapshot().restarts, 2);
    });
}

#[test]
fn the_context_hands_out_the_address_that_everybody_has() {
    run(async {
        let journal = Journal::default();
        let child = start("address", &journal);
        for _ in 0..2 {
            let (answer, answered) = oneshot::channel();
            let send_address = move |_: &mut Probe, ctx: &mut Context<Probe>| {
                ctx.address().do_send(Say(5));
                let _ = answer.send(ctx.address());
            };
            call(&child.addr(), Do::new(send_address)).await.unwrap();
            assert_eq!(answered.await.unwrap(), child.addr());
            let _ = call(&child.addr(), Do::panic()).await;
        }
        call(&child.addr(), Say(6)).await.unwrap();
        assert_eq!(journal.count("say 5"), 2);
    });
}

#[test]
fn an_asynchronous_reload_holds_messages_back() {
    run(async {
        let journal = Journal::default();
        let reloaded = journal.clone();
        let reload = move |ctx: &mut Context<Probe>| {
            let reloaded = reloaded.clone();
            let load = async move {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                reloaded.note("reloaded");
            };
            ctx.wait(actix::fut::wrap_future::<_, Probe>(load));
        };
        let hooks = Hooks { restarting: hook(reload), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("reload"), |_| probe);
        let addr = child.addr();
        let _ = tokio::join!(call(&addr, Do::panic()), call(&addr, Say(1)));
        assert_eq!(journal.entries(), ["started 1", "restarting 2", "started 2", "reloaded", "say 1"]);
    });
}

#[test]
fn timers_and_futures_end_with_their_incarnation() {
    run_paused(async {
        let journal = Journal::default();
        let tick = |ctx: &mut Context<Probe>| {
            let incarnation = ctx.incarnation();
            ctx.run_interval(Duration::from_secs(1), move |probe, _| {
                probe.journal.note(format!("tick {incarnation}"))
            });
        };
        let hooks = Hooks { started: hook(tick), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("timers"), |_| probe);
        passes(Duration::from_millis(3500)).await;
        let _ = call(&child.addr(), Do::panic()).await;
        passes(Duration::from_millis(2500)).await;
        assert_eq!((journal.count("tick 1"), journal.count("tick 2")), (3, 2));
    });
}

#[test]
fn cancellations_do_not_leak_into_the_next_incarnation() {
    run_paused(async {
        let journal = Journal::default();
        let tick = |ctx: &mut Context<Probe>| {
            for _ in 0..4 {
                ctx.run_interval(Duration::from_secs(1), |probe, _| probe.journal.note("tick"));
            }
        };
        let hooks = Hooks { started: hook(tick), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("cancellations"), |_| probe);
        let cancel_everything_and_panic = |_: &mut Probe, ctx: &mut Context<Probe>| {
            let mut handle = SpawnHandle::default();
            for _ in 0..16 {
                ctx.cancel_future(handle);
                handle = handle.next();
            }
            panic!("after cancelling");
        };
        let _ = call(&child.addr(), Do::new(cancel_everything_and_panic)).await;
        passes(Duration::from_millis(1500)).await;
        assert_eq!(journal.count("tick"), 4);
    });
}

#[test]
fn an_actor_cannot_deafen_itself_with_a_stale_spawn_handle() {
    run(async {
        let journal = Journal::default();
        let child = start("deaf", &journal);
        let cancel_everything = |_: &mut Probe, ctx: &mut Context<Probe>| {
            let mut handle = SpawnHandle::default();
            for _ in 0..16 {
                ctx.cancel_future(handle);
                handle = handle.next();
            }
        };
        call(&child.addr(), Do::new(cancel_everything)).await.unwrap();
        assert_eq!(call(&child.addr(), Say(1)).await, Ok(1));
        assert_eq!(child.snapshot().restarts, 0);
    });
}

#[test]
fn delays_grow_while_failures_go_on_and_shrink_after_a_quiet_time() {
    run_paused(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let spec = quick("growth")
            .backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(8)).jitter(0.0))
            .limit(RestartLimit::new(10, Duration::from_secs(100)));
        let child = spawn_local(spec, |_| probe);
        let addr = child.addr();
        let mut delays = Vec::new();
        for _ in 0..5 {
            let start = tokio::time::Instant::now();
            let _ = call(&addr, Do::panic()).await;
            call(&addr, Say(1)).await.unwrap();
            delays.push(start.elapsed().as_secs());
        }
        assert_eq!(delays, [1, 2, 4, 8, 8]);
        passes(Duration::from_secs(100)).await;
        let start = tokio::time::Instant::now();
        let _ = call(&addr, Do::panic()).await;
        call(&addr, Say(1)).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 1);
    });
}

#[test]
fn a_sibling_on_the_same_arbiter_is_not_disturbed() {
    run(async {
        let (journal, calm) = (Journal::default(), Journal::default());
        let failing = start("failing-sibling", &journal);
        let sibling = start("calm-sibling", &calm);
        let (failing_addr, sibling_addr) = (failing.addr(), sibling.addr());
        for n in 0..50 {
            let (lost, said) = tokio::join!(call(&failing_addr, Do::panic()), call(&sibling_addr, Say(n)));
            assert_eq!((lost, said), (Err(CallError::MayHaveExecuted), Ok(n)));
        }
        assert_eq!(calm.count("started 1"), 1);
        assert_eq!((sibling.snapshot().incarnation, sibling.snapshot().panics), (1, 0));
    });
}

#[test]
fn an_actor_flooded_with_messages_lets_its_siblings_run() {
    run(async {
        let (journal, calm) = (Journal::default(), Journal::default());
        let flooded = start("flooded", &journal);
        let sibling = start("flooded-sibling", &calm);
        // Each message sends the next: actix's own loop would never leave this actor again.
        fn again(_: &mut Probe, ctx: &mut Context<Probe>) {
            ctx.address().do_send(Do::new(again));
        }
        call(&flooded.addr(), Do::new(again)).await.unwrap();
        assert_eq!(call(&sibling.addr(), Say(1)).await, Ok(1));
        flooded.kill();
        flooded.wait_exit().await;
    });
}

#[test]
fn an_actor_on_another_arbiter_is_restarted_there() {
    run(async {
        let journal = Journal::default();
        let arbiter = Arbiter::new();
        let probe = Probe::new(&journal);
        let child = spawn(&arbiter.handle(), quick("remote"), move |_| probe);
        let addr = child.addr();
        let (lost, said) = tokio::join!(call(&addr, Do::panic()), call(&addr, Say(1)));
        assert_eq!((lost, said), (Err(CallError::MayHaveExecuted), Ok(1)));
        let (sender, thread) = oneshot::channel();
        let tell_thread = move |_: &mut Probe, _: &mut Context<Probe>| {
            let _ = sender.send(std::thread::current().id());
        };
        call(&addr, Do::new(tell_thread)).await.unwrap();
        assert_ne!(thread.await.unwrap(), std::thread::current().id());
        child.kill();
        child.wait_exit().await;
        arbiter.stop();
        arbiter.join().unwrap();
    });
}

#[test]
fn with_many_callers_and_many_failures_every_message_is_handled_once_or_refused() {
    run(async {
        let journal = Journal::default();
        let arbiter = Arbiter::new();
        let probe = Probe::new(&journal);
        let child = spawn(
            &arbiter.handle(),
            quick("soak").limit(RestartLimit::new(u32::MAX, Duration::ZERO)),
            |_| probe,
        );
        let callers: Vec<_> = (0..4_u32)
            .map(|caller| {
                let addr = child.addr();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    let one_of = |n| {
                        let addr = addr.clone();
                        async move {
                            match n % 5 {
                                0 => call(&addr, Do::panic()).await.map(|()| None),
                                1 => call(&addr, Do::new(|_, ctx| ctx.fail("declared"))).await.map(|()| None),
                                _ => call(&addr, Say(caller * 1000 + n)).await.map(Some),
                            }
                        }
                    };
                    runtime.block_on(futures_util::future::join_all((0..50_u32).map(one_of)))
                })
            })
            .collect();
        let mut answered = 0;
        for caller in callers {
            for (n, answer) in caller.join().unwrap().into_iter().enumerate() {
                match (n % 5, answer) {
                    (0, Err(CallError::MayHaveExecuted)) | (1, Ok(None)) => {}
                    (2.., Ok(Some(said))) => {
                        assert_eq!(journal.count(&format!("say {said}")), 1);
                        answered += 1;
                    }
                    unexpected => panic!("{unexpected:?}"),
                }
            }
        }
        assert_eq!(answered, 4 * 30);
        let snapshot = child.snapshot();
        assert_eq!((snapshot.panics, snapshot.declared_failures), (40, 40));
        arbiter.stop();
        arbiter.join().unwrap();
    });
}
