//! Supervised, restartable actors on [actix].
//!
//! actix's own `Supervisor` restarts an actor that *stops*; a panic still kills it, closes its address and drops its
//! mailbox. Here one failure costs one incarnation of one actor: the address stays, queued messages stay, the state
//! is rebuilt, and nobody else notices.
//!
//! ```text
//!                        Root ── first escalation ends the process
//!                         ▲
//!            ChildExited  │ RestartLimitExceeded, StartFailed
//!                         │
//!   spawn(arbiter, spec, factory) ─► Child ─ kill, wait_exit, snapshot ─┐  past the mailbox
//!                         │                                             ▼
//!   call(addr, msg) ─► mailbox ─► Runner: catch panic ─► back off ─► restart ─► restarting(), started()
//!                         ▲                 │                          same address, same queue
//!        Registry (weak, by id)             └─► slot of the thread ◄── Watchdog (its own thread)
//! ```
//!
//! | concept | what it is |
//! |---|---|
//! | [`spawn`], [`spawn_local`], [`ChildSpec`] | starting an actor under rules: [`Backoff`], [`RestartLimit`], a hang limit, who hears of its end |
//! | [`Periodic`] | an actor that looks after something again and again |
//! | [`Child`], [`ChildHandle`] | its address; kill that overtakes the mailbox; waiting for its end; state and counters |
//! | [`ExitReason`], [`Failure`] | why it ended; why an incarnation of it failed |
//! | [`SupervisedContext::fail`], [`Lifeline`] | an actor gives up on itself; work outside of it learns that its incarnation is over |
//! | [`call`], [`CallError`] | asking with an error that says whether the message may have been executed |
//! | [`Registry`] | living actors by typed id |
//! | [`ArbiterPool`], [`Watchdog`] | threads to spread actors over; noticing one that is held |
//! | [`Root`] | the top of the tree |
//! | [`metrics_snapshot`], [`children_snapshot`] | counters per kind, states per actor |
//!
//! # What happens when
//!
//! - **A panic** in `started()`, a handler, a `ResponseActFuture`, `AtomicResponse`, timer, `ctx.spawn` or `ctx.wait`
//!   future, or `restarting()`, or a **declared failure**: the incarnation ends, its [`Lifeline`] is cancelled. After
//!   the back-off its futures are dropped, then `restarting()` and `started()` run on the *same value*. `restarting()`
//!   has to replace whatever may be half changed; to load it asynchronously, `ctx.wait(..)` on the load.
//! - **The message being handled** is lost and its caller gets [`CallError::MayHaveExecuted`]. Queued ones wait, in
//!   order, through back-off and restart.
//! - **A panic in a `ResponseFuture`** happens in a task of its own: its caller gets
//!   [`CallError::MayHaveExecuted`], the actor is not concerned. Such futures also outlive a restart: run them under
//!   [`Lifeline::guard`].
//! - **More failures than the limit** within its window: [`ExitReason::RestartLimitExceeded`] goes to the parent,
//!   which may [`fail`](SupervisedContext::fail) in turn, and so on up to the [`Root`].
//! - **`ctx.stop()`** is obeyed, never restarted, even if `stopping()` or `stopped()` panics. These two hooks run
//!   *only* then. What must happen at every end belongs into `Drop`; a panic there is caught, too.
//! - **`kill`** ends it at once; only code that holds the thread delays it.
//! - **The arbiter ends**: the actor is dropped with it and reported as [`ExitReason::Aborted`].
//! - **Nobody holds an address**: nothing; a supervised actor lives until one of the above.
//!
//! # Requirements and limits
//!
//! - `panic = "unwind"`. No panic hook is installed: the default one still prints; the panic is also logged with the
//!   actor's name.
//! - An actor whose futures *and* whose value all panic on drop aborts the process: Rust allows one panic at a time.
//! - `SpawnHandle`s do not survive a restart (actix numbers futures anew): forget them in `restarting()`.
//! - actix numbers and drops futures per context, so `ctx.spawn` in the factory belongs to the first incarnation only;
//!   begin timers in `started()`, which runs in each.
//!
//! # Example
//!
//! A counter whose truth lives elsewhere; a poisonous message costs one call:
//!
//! ```
//! use std::{sync::{Arc, atomic::{AtomicU64, Ordering}}, time::Duration};
//! use actix::prelude::*;
//! use wrenn_base::{Clock, Rng};
//! use wrenn_supervision::{Backoff, CallError, ChildSpec, ExitReason, call, spawn_local};
//!
//! struct Counter { stored: Arc<AtomicU64>, cached: u64 }
//!
//! impl Actor for Counter {
//!     type Context = Context<Self>;
//! }
//!
//! impl Supervised for Counter {
//!     fn restarting(&mut self, _: &mut Context<Self>) {
//!         self.cached = self.stored.load(Ordering::SeqCst); // never trust what a panic left behind
//!     }
//! }
//!
//! #[derive(Message)]
//! #[rtype(u64)]
//! struct Add(u64);
//!
//! impl Handler<Add> for Counter {
//!     type Result = u64;
//!
//!     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
//!         self.cached += n;
//!         assert_ne!(n, 13, "an unlucky number");
//!         self.stored.store(self.cached, Ordering::SeqCst);
//!         self.cached
//!     }
//! }
//!
//! actix::System::new().block_on(async {
//!     let stored = Arc::new(AtomicU64::new(0));
//!     let spec = ChildSpec::new("counter", "counter 1", Clock::process(), Rng::process()).backoff(Backoff::fixed(Duration::from_millis(1)));
//!     let counter = spawn_local(spec, move |_| Counter { stored, cached: 0 });
//!     let addr = counter.addr();
//!
//!     assert_eq!(call(&addr, Add(2)).await, Ok(2));
//!     assert_eq!(call(&addr, Add(13)).await, Err(CallError::MayHaveExecuted));
//!     assert_eq!(call(&addr, Add(3)).await, Ok(5)); // the same address, the state reloaded
//!     assert_eq!(counter.snapshot().restarts, 1);
//!
//!     counter.kill();
//!     assert_eq!(counter.wait_exit().await, ExitReason::Killed);
//!     assert_eq!(call(&addr, Add(1)).await, Err(CallError::NotDelivered));
//! });
//! ```

mod arbiters;
mod call;
mod child;
mod core;
mod counters;
mod exit;
mod inbox;
mod lifeline;
mod limit;
mod metrics;
mod periodic;
mod polling;
mod registry;
mod root;
mod runner;
mod spec;
mod watchdog;

pub use crate::core::{ChildSnapshot, ChildState};
pub use arbiters::{ArbiterPool, PoolError};
pub use call::{CallError, call, call_within};
pub use child::{Child, ChildHandle, children_snapshot, spawn, spawn_local};
pub use exit::{ChildExited, ExitReason, Failure};
pub use lifeline::{Lifeline, SupervisedContext};
pub use limit::RestartLimit;
pub use metrics::{KindSnapshot, MetricsSnapshot, metrics_snapshot};
pub use periodic::{FirstLook, Periodic};
pub use registry::Registry;
pub use root::{ESCALATION_EXIT_CODE, Root};
pub use spec::{ChildSpec, Restartable};
pub use watchdog::{Hang, HangCulprit, Watchdog, WatchdogConfig};
pub use wrenn_base::Backoff;
