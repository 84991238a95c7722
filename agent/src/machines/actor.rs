//! One machine, as an actor: the only one that changes it.
//!
//! ```text
//!   Order (from Machines) ─▶ decide() ─▶ Stale, Join, Replay   answered at once
//!                                   └──▶ work: one piece at a time, as a task under the machine's lock
//!   VmExited (own watcher) ─────────────▶ work: clean up
//!   WorkDone ◀── task                     then the order that waited, if any: fit() says whether it makes sense
//! ```
//!
//! At most one order waits for the work in progress. A later one takes its place, and the one replaced is answered:
//! its generation is lower by then.
//!
//! **Failure.** The truth is the record on disk. A restarted actor waits for the lock, that is, for work begun by
//! the incarnation before, reads the record and goes on from there, just as after a restart of the whole agent.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use actix::{WeakAddr, prelude::*};
use futures_util::FutureExt as _;
use tokio::sync::Mutex;
use tracing::Instrument as _;
use wrenn_base::trace;
use wrenn_proto::{
    agent as wire,
    ids::{SandboxId, TemplateId},
};
use wrenn_supervision::SupervisedContext as _;

use super::{
    fence::{self, CommandKind, Fit, Known, Presence, Verdict, Work},
    library::{DiskForm, Source},
    record::{
        CommandError, FailureKind, GuestDefaults, MachineSpec, MachineState, OnDisk, Outcome, Phase, Record,
    },
    registry::{Machines, Quiet},
    work::{Done, Host, Memory, Overtaken, Running},
};
use crate::vmm::VmExit;

/// What the control plane wants of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// It should be there, and run.
    Start(MachineSpec),
    /// Its memory should be kept, and nothing of it run.
    Pause,
    /// Machine that runs again, with these defaults in its guest; with those that it has if there are none.
    Resume(Memory, Option<GuestDefaults>),
    /// There should be a template of its disk and memory.
    Snapshot(TemplateId),
    /// There should be a template of its disk.
    Flatten(TemplateId, DiskForm),
    /// It should be gone.
    Destroy,
}

impl Wish {
    fn kind(&self) -> CommandKind {
        match self {
            Self::Start(_) => CommandKind::Start,
            Self::Pause => CommandKind::Pause,
            Self::Resume(..) => CommandKind::Resume,
            Self::Snapshot(_) => CommandKind::Snapshot,
            Self::Flatten(..) => CommandKind::Flatten,
            Self::Destroy => CommandKind::Destroy,
        }
    }
}

/// A command for one machine, on its way to the machine's actor.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(super) struct Order {
    pub(super) generation: u64,
    pub(super) wish: Wish,
    /// Counts the orders given to this actor; tells [`Machines`] when it may retire it.
    pub(super) number: u64,
    /// Trace of the request that led to it; empty if it is part of none.
    pub(super) traceparent: String,
}

/// The virtual machine ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct VmExited {
    exit: VmExit,
}

/// A piece of work ended; `done` is none if it panicked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct WorkDone {
    number: u64,
    done: Option<Done>,
}

/// A piece of work that goes on.
#[derive(Debug)]
struct WorkInProgress {
    kind: Work,
    number: u64,
    overtaken: Overtaken,
    begun: Instant,
}

/// The actor of one machine.
pub struct MachineActor {
    id: SandboxId,
    host: Arc<Host>,
    machines: WeakAddr<Machines>,
    /// Held by the work in progress, also by that of an earlier incarnation or an earlier actor of this machine.
    lock: Arc<Mutex<()>>,
    /// Highest generation accepted.
    generation: Option<u64>,
    /// As it was when the latest work ended; none while work goes on that may change it, and for a machine that is no
    /// more.
    record: Option<Record>,
    running: Option<Running>,
    /// Watches the running machine.
    watcher: Option<SpawnHandle>,
    work: Option<WorkInProgress>,
    waiting: Option<Order>,
    /// The kind of a command that came again, and is to be answered again when the work in progress is done.
    repeated: Option<CommandKind>,
    works_begun: u64,
    last_order: u64,
    /// Trace of the command that is carried out next.
    traceparent: String,
}

impl MachineActor {
    pub(super) fn new(
        id: SandboxId,
        host: Arc<Host>,
        machines: WeakAddr<Machines>,
        lock: Arc<Mutex<()>>,
    ) -> Self {
        Self {
            id,
            host,
            machines,
            lock,
            generation: None,
            record: None,
            running: None,
            watcher: None,
            work: None,
            waiting: None,
            repeated: None,
            works_begun: 0,
            last_order: 0,
            traceparent: String::new(),
        }
    }

    fn presence(&self) -> Presence {
        self.record.as_ref().map_or(Presence::Absent, Record::presence)
    }

    fn known(&self) -> Known {
        let work = match (&self.work, &self.waiting) {
            // What waits was accepted last, so it is the work of the highest generation.
            (Some(_), Some(order)) => Some(Work::Command(order.wish.kind())),
            (Some(work), None) => Some(work.kind),
            (None, _) => None,
        };
        Known { generation: self.generation, work }
    }

    /// Loads the record and takes up from there. Runs at the start of every incarnation.
    fn load(&mut self, ctx: &mut Context<Self>) {
        self.generation = self.host.tombstones.generation(self.id);
        match self.host.store.load(self.id) {
            Ok(Some(record)) => {
                self.generation = self.generation.max(Some(record.generation));
                let busy = !matches!(record.phase, Phase::Exited { .. } | Phase::Stopped { .. });
                self.host.board.publish(self.id, record.report(busy));
                let host = self.host.clone();
                self.begin(
                    Work::Upkeep,
                    ctx,
                    |overtaken| async move { host.recover(record, overtaken).await },
                );
            }
            Ok(None) => {}
            Err(error) => ctx.fail(format!("cannot read its record: {error}")),
        }
    }

    /// Begins a piece of work; there must be none.
    fn begin<F>(&mut self, kind: Work, ctx: &mut Context<Self>, work: impl FnOnce(Overtaken) -> F)
    where
        F: Future<Output = Done> + 'static,
    {
        self.works_begun += 1;
        let number = self.works_begun;
        let overtaken = Overtaken::default();
        if let Some(watcher) = self.watcher.take() {
            ctx.cancel_future(watcher);
        }
        let work = work(overtaken.clone());
        self.work = Some(WorkInProgress { kind, number, overtaken, begun: self.host.clock.now() });
        let span = match kind {
            Work::Command(command) => {
                tracing::info_span!("command", command = command.as_str(), sandbox_id = %self.id)
            }
            Work::Upkeep | Work::Sync => tracing::Span::none(),
        };
        trace::continue_from(&span, &std::mem::take(&mut self.traceparent));
        let (lock, addr) = (self.lock.clone(), ctx.address().downgrade());
        let work = async move {
            let held = lock.lock_owned().await;
            let done = AssertUnwindSafe(work).catch_unwind().await.ok();
            drop(held);
            if let Some(addr) = addr.upgrade() {
                addr.do_send(WorkDone { number, done });
            }
        };
        let killed = self.host.killed.clone();
        let work = async move { killed.run_until_cancelled(work).await };
        self.host.works.spawn_local(work.instrument(span));
    }

    /// Carries an order out whose generation is accepted; no work is in progress.
    fn execute(&mut self, order: Order, ctx: &mut Context<Self>) {
        self.traceparent = order.traceparent;
        let (id, generation, host) = (self.id, order.generation, self.host.clone());
        let (command, presence) = (order.wish.kind(), self.presence());
        let (record, running) = (self.record.take(), self.running.take());
        let kind = Work::Command(command);
        let mut record = match (record, order.wish) {
            (record, Wish::Destroy) => {
                return self.begin(kind, ctx, |_| async move { host.destroy(id, generation, record).await });
            }
            (_, Wish::Start(spec)) if fence::fit(command, presence) == Fit::CarryOut => {
                let record = Record::new(id, generation, spec);
                return self.begin(kind, ctx, |overtaken| async move { host.start(record, overtaken).await });
            }
            (None, _) => {
                return self
                    .begin(kind, ctx, |_| async move { host.refuse_absent(id, generation, command).await });
            }
            (Some(record), wish) => (record, wish),
        };
        record.0.generation = generation;
        let (mut record, wish) = record;
        match (fence::fit(command, presence), wish, running) {
            (Fit::AlreadySo, _, running) => {
                self.begin(kind, ctx, |_| async move { host.confirm(record, running).await });
            }
            (Fit::CarryOut, Wish::Pause, Some(running)) => {
                self.begin(kind, ctx, |overtaken| async move { host.pause(record, running, overtaken).await })
            }
            (Fit::CarryOut, Wish::Resume(memory, defaults), None) => {
                if let Some(defaults) = defaults {
                    record.spec.set_defaults(defaults);
                }
                self.begin(kind, ctx, |overtaken| async move { host.resume(record, memory, overtaken).await })
            }
            (Fit::CarryOut, Wish::Snapshot(template), running) => {
                self.begin(kind, ctx, |overtaken| async move {
                    host.make_template(record, running, template, Source::Snapshot, overtaken).await
                });
            }
            (Fit::CarryOut, Wish::Flatten(template, form), running) => {
                self.begin(kind, ctx, |overtaken| async move {
                    host.make_template(record, running, template, Source::Disk(form), overtaken).await
                });
            }
            (_, _, running) => {
                self.begin(kind, ctx, |_| async move { host.refuse(record, running, command).await });
            }
        }
    }

    /// Lets an order wait for the work in progress, in place of the one that waited.
    fn wait(&mut self, order: Order) {
        let accepted = order.generation;
        if let Some(replaced) = self.waiting.replace(order) {
            self.refuse_stale(replaced.generation, accepted);
        }
    }

    fn refuse_stale(&self, generation: u64, accepted: u64) {
        tracing::info!(sandbox_id = %self.id, generation, accepted, "refusing a stale command");
        let state = match self.host.board.report(self.id).map(|report| report.state()) {
            Some(wire::MachineState::Starting) => MachineState::Starting,
            Some(wire::MachineState::Running) => MachineState::Running,
            Some(wire::MachineState::Paused) => MachineState::Paused,
            Some(wire::MachineState::Stopped) => MachineState::Stopped,
            _ => MachineState::Exited,
        };
        let refused = Outcome::Failed(CommandError {
            kind: FailureKind::StaleGeneration,
            message: format!("generation {accepted} was accepted before"),
            state,
        });
        self.host.outbox.publish(wire::agent_frame::Frame::Result(refused.to_wire(self.id, generation)));
    }

    /// Answers a command again that was carried out before.
    fn replay(&mut self, command: CommandKind) {
        match (&self.record, &self.work) {
            (Some(record), _) => self.host.tell_again(record),
            // Somebody changes the record just now, and then says what is true.
            (None, Some(_)) => self.repeated = Some(command),
            // Nothing is left of it, and its tombstone says who did that.
            (None, None) => {
                let generation = self.generation.unwrap_or_default();
                self.host.tell_absent(self.id, generation, command);
            }
        }
    }

    /// Brings the files of the paused machine to the disk. Its record is at hand meanwhile: only that changes.
    fn sync_paused(&mut self, ctx: &mut Context<Self>) {
        if let Some(record) = self.record.clone() {
            let host = self.host.clone();
            self.begin(Work::Sync, ctx, |overtaken| async move { host.sync_paused(record, overtaken).await });
        }
    }

    /// Watches the machine that runs.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        if let Some(running) = &self.running {
            let vm = running.vm.clone();
            let died = async move { vm.exited().await }.into_actor(self);
            self.watcher = Some(ctx.spawn(died.map(|exit, _, ctx| ctx.notify(VmExited { exit }))));
        }
    }

    /// Tells the parent that nothing is left to be done here, and nothing to be kept.
    fn offer_to_retire(&self, ctx: &mut Context<Self>) {
        if let Some(machines) = self.machines.upgrade() {
            machines.do_send(Quiet { id: self.id, last_order: self.last_order, addr: ctx.address() });
        }
    }
}

impl Actor for MachineActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Free at the first start; later held as long as work of the incarnation before goes on.
        let lock = self.lock.clone();
        let awaited = async move { drop(lock.lock().await) }.into_actor(self);
        ctx.wait(awaited.map(|(), this, ctx| this.load(ctx)));
    }
}

impl Supervised for MachineActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        // Numbers go on counting, so that late messages of earlier work are known as such.
        self.generation = None;
        self.record = None;
        self.running = None;
        self.watcher = None;
        self.work = None;
        self.waiting = None;
        self.repeated = None;
    }
}

impl Handler<Order> for MachineActor {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) {
        self.last_order = order.number;
        let verdict = fence::decide(self.known(), order.generation, order.wish.kind());
        tracing::debug!(sandbox_id = %self.id, generation = order.generation, ?verdict, "order");
        match verdict {
            Verdict::Stale { accepted } => return self.refuse_stale(order.generation, accepted),
            Verdict::Join => return,
            Verdict::Replay => return self.replay(order.wish.kind()),
            Verdict::Execute | Verdict::Overtake | Verdict::Queue => {}
        }
        self.generation = Some(order.generation);
        self.repeated = None;
        match &self.work {
            None => self.execute(order, ctx),
            Some(work) => {
                if verdict == Verdict::Overtake {
                    work.overtaken.ask(order.wish.kind());
                }
                self.wait(order);
            }
        }
    }
}

impl Handler<VmExited> for MachineActor {
    type Result = ();

    fn handle(&mut self, VmExited { exit }: VmExited, ctx: &mut Self::Context) {
        if self.work.is_some() {
            // It dies because it is being destroyed.
            return;
        }
        let Some(record) = self.record.take().filter(|record| record.phase == Phase::Running) else { return };
        self.running = None;
        let (id, generation) = (self.id, record.generation);
        tracing::warn!(sandbox_id = %id, generation, reason = %exit.reason, console = exit.console, log = exit.log, "machine ended");
        let host = self.host.clone();
        self.begin(
            Work::Upkeep,
            ctx,
            |_| async move { host.clean_up(record, exit.reason.to_string()).await },
        );
    }
}

impl Handler<WorkDone> for MachineActor {
    type Result = ();

    fn handle(&mut self, WorkDone { number, done }: WorkDone, ctx: &mut Self::Context) {
        if self.work.as_ref().is_none_or(|work| work.number != number) {
            return;
        }
        let Some(done) = done else {
            ctx.fail("work on the machine panicked");
            return;
        };
        if let Some(WorkInProgress { kind: Work::Command(command), begun, .. }) = self.work.take() {
            let outcome = done.record.as_ref().and_then(|record| record.outcome.as_ref());
            let succeeded = !matches!(outcome, Some(Outcome::Failed(_)));
            self.host.instruments.command_ended(command, succeeded, self.host.clock.since(begun));
        }
        self.record = done.record;
        self.running = done.running;
        if let Some(order) = self.waiting.take() {
            self.execute(order, ctx);
            return;
        }
        if let Some(command) = self.repeated.take() {
            self.replay(command);
        }
        self.watch(ctx);
        match &self.record {
            None => self.offer_to_retire(ctx),
            Some(Record { phase: Phase::Paused { saved }, .. }) if saved.on_disk == OnDisk::InPart => {
                self.sync_paused(ctx);
            }
            Some(_) => {}
        }
    }
}
