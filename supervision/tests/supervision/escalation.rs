//! A failure that restarts do not cure goes to the parent, and from there up to the root.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wrenn_base::{Clock, Rng};
use wrenn_supervision::{
    Backoff, CallError, Child, ChildExited, ChildSpec, ESCALATION_EXIT_CODE, ExitReason, Failure,
    RestartLimit, Root, SupervisedContext, call, metrics_snapshot, spawn_local,
};
use wrenn_testkit::wait::eventually;

use crate::probe::{Do, Hooks, Journal, Probe, Say, panicking_hook, quick, run};

fn boom() -> Failure {
    Failure::Panic("boom".to_owned())
}

#[test]
fn the_limit_is_spent_by_failures_within_the_window_only() {
    run(async {
        let (clock, hand) = Clock::manual();
        let spec = ChildSpec::new("limit", "limit", clock, Rng::seeded(1))
            .backoff(Backoff::fixed(Duration::ZERO))
            .limit(RestartLimit::new(2, Duration::from_secs(60)));
        let child = spawn_local(spec, |_| Probe::default());
        let addr = child.addr();
        for _ in 0..5 {
            let _ = call(&addr, Do::panic()).await;
            assert_eq!(call(&addr, Say(0)).await, Ok(0), "it was restarted");
            hand.advance(Duration::from_secs(31));
        }
        assert_eq!(call(&addr, Say(1)).await, Ok(1));
        hand.advance(Duration::from_secs(60));
        let (_, _, _, queued) = tokio::join!(
            call(&addr, Do::panic()),
            call(&addr, Do::panic()),
            call(&addr, Do::panic()),
            call(&addr, Say(2))
        );
        assert_eq!(queued, Err(CallError::MayHaveExecuted));
        let ExitReason::RestartLimitExceeded { failures, within } = child.wait_exit().await else {
            panic!("no escalation");
        };
        assert_eq!(failures, [boom(), boom(), boom()]);
        assert!(within < Duration::from_secs(1));
        assert_eq!(call(&addr, Say(3)).await, Err(CallError::NotDelivered));
        assert_eq!(metrics_snapshot().kind("limit").unwrap().escalations, 1);
    });
}

#[test]
fn an_actor_that_always_fails_in_started_escalates_after_its_restarts() {
    run(async {
        let journal = Journal::default();
        let hooks = Hooks { started: panicking_hook(usize::MAX), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let spec = quick("limit-started").limit(RestartLimit::new(3, Duration::from_secs(3600)));
        let child = spawn_local(spec, |_| probe);
        assert!(child.wait_exit().await.is_escalation());
        let starts: Vec<_> = (1..=4).map(|n| journal.count(&format!("started {n}"))).collect();
        assert_eq!(starts, [1, 1, 1, 1]);
        assert_eq!(child.snapshot().restarts, 3);
        assert_eq!(journal.count("dropped"), 1);
    });
}

/// Starts one child in each incarnation, and fails itself when that failed for good.
struct Parent {
    journal: Journal,
    child: Arc<Mutex<Option<Child<Probe>>>>,
}

impl Actor for Parent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let spec = quick("escalating-child")
            .limit(RestartLimit::new(1, Duration::from_secs(3600)))
            .notify(ctx.address().recipient());
        let probe = Probe::new(&self.journal);
        *self.child.lock() = Some(spawn_local(spec, |_| probe));
        self.journal.note(format!("parent started {}", ctx.incarnation()));
    }
}

impl Supervised for Parent {}

impl Handler<ChildExited> for Parent {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Context<Self>) {
        self.journal.note(format!("{} {}", exited.kind, exited.reason));
        if exited.reason.is_escalation() {
            ctx.fail(format!("{} {}", exited.name, exited.reason));
        }
    }
}

#[test]
fn a_failure_escalates_level_by_level_to_the_root() {
    run(async {
        let journal = Journal::default();
        let child = Arc::new(Mutex::new(None));
        let (sender, mut escalations) = mpsc::unbounded_channel();
        let root = Root::new(move |exited| sender.send(exited.clone()).unwrap());
        let spec = quick("escalating-parent").limit(RestartLimit::new(1, Duration::from_secs(3600)));
        let parent = Parent { journal: journal.clone(), child: child.clone() };
        let parent = spawn_local(root.adopt(spec), |_| parent);

        for level in 1..=2 {
            let started = format!("parent started {level}");
            eventually("a parent", async || journal.count(&started) == 1).await;
            let child = child.lock().clone().expect("the parent has started it");
            for _ in 0..2 {
                let _ = call(&child.addr(), Do::panic()).await;
            }
            assert!(child.wait_exit().await.is_escalation());
        }

        let reason = parent.wait_exit().await;
        let ExitReason::RestartLimitExceeded { failures, .. } = &reason else { panic!("{reason}") };
        let told = "escalating-child failed 2 times within";
        assert!(
            failures.iter().all(|failure| matches!(failure, Failure::Declared(why) if why.starts_with(told)))
        );
        let expected = ChildExited {
            kind: "escalating-parent",
            name: "escalating-parent".to_owned(),
            reason: reason.clone(),
        };
        assert_eq!(escalations.recv().await, Some(expected));
        assert!(root.has_escalated());
    });
}

#[test]
fn a_parent_hears_of_every_end_even_with_a_full_mailbox() {
    struct Deaf(mpsc::UnboundedSender<ChildExited>);
    impl Actor for Deaf {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            ctx.set_mailbox_capacity(1);
        }
    }
    impl Handler<ChildExited> for Deaf {
        type Result = ();
        fn handle(&mut self, exited: ChildExited, _: &mut Context<Self>) {
            self.0.send(exited).unwrap();
        }
    }
    run(async {
        let (sender, mut heard) = mpsc::unbounded_channel();
        let parent = Deaf(sender).start();
        let start = |n: u32| {
            let spec = ChildSpec::new("noisy", format!("noisy {n}"), Clock::process(), Rng::seeded(1))
                .notify(parent.clone().recipient());
            spawn_local(spec, |_| Probe::default())
        };
        let children: Vec<_> = (0..50).map(start).collect();
        children.iter().for_each(Child::kill);
        for _ in 0..50 {
            assert_eq!(heard.recv().await.unwrap().reason, ExitReason::Killed);
        }
    });
}

#[test]
fn an_end_after_the_parent_s_is_no_error() {
    run(async {
        let parent = Probe::default().start();
        struct Other;
        impl Actor for Other {
            type Context = Context<Self>;
        }
        impl Handler<ChildExited> for Other {
            type Result = ();
            fn handle(&mut self, _: ChildExited, _: &mut Context<Self>) {}
        }
        drop(parent);
        let gone = Other.start();
        let spec = quick("orphan").notify(gone.clone().recipient());
        let weak = gone.downgrade();
        drop(gone);
        eventually("the parent is gone", async || weak.upgrade().is_none()).await;
        let child = spawn_local(spec, |_| Probe::default());
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
    });
}

#[test]
fn the_root_acts_once_and_only_on_escalations() {
    run(async {
        let (sender, mut escalations) = mpsc::unbounded_channel();
        let root = Root::new(move |exited| sender.send(exited.name.clone()).unwrap());
        let start = |name: &str| {
            let spec = ChildSpec::new("rooted", name, Clock::process(), Rng::seeded(1))
                .limit(RestartLimit::never_restart());
            spawn_local(root.adopt(spec), |_| Probe::default())
        };
        let (stopped, killed, first, second) =
            (start("stopped"), start("killed"), start("first"), start("second"));
        call(&stopped.addr(), Do::new(|_, ctx| ctx.stop())).await.unwrap();
        stopped.wait_exit().await;
        killed.kill();
        killed.wait_exit().await;
        assert!(!root.has_escalated());
        for failing in [first, second] {
            let _ = call(&failing.addr(), Do::panic()).await;
            assert!(failing.wait_exit().await.is_escalation());
        }
        assert_eq!(escalations.recv().await.as_deref(), Some("first"));
        assert!(escalations.try_recv().is_err());

        let adopted = spawn_local::<Probe, _>(
            ChildSpec::new("rooted", "factory", Clock::process(), Rng::seeded(1)),
            |_| panic!("no start"),
        );
        let (sender, mut escalations) = mpsc::unbounded_channel();
        Root::new(move |exited| sender.send(exited.name.clone()).unwrap()).adopt_child(&adopted.handle());
        assert_eq!(escalations.recv().await.as_deref(), Some("factory"));
    });
}

#[test]
fn the_root_can_end_the_process() {
    const IN_CHILD_PROCESS: &str = "WRENN_TEST_ROOT_ENDS_PROCESS";
    if std::env::var_os(IN_CHILD_PROCESS).is_some() {
        run(async {
            let spec = quick("exit").limit(RestartLimit::never_restart());
            let child = spawn_local(Root::exit_process().adopt(spec), |_| Probe::default());
            let _ = call(&child.addr(), Do::panic()).await;
            std::future::pending::<()>().await;
        });
    }
    let this_test = ["escalation::the_root_can_end_the_process", "--exact", "--test-threads=1"];
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(this_test)
        .env(IN_CHILD_PROCESS, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(ESCALATION_EXIT_CODE));
}
