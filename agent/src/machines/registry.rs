//! The machines of one host: which actor stands for which sandbox.
//!
//! Commands pass through here in the order in which they arrive, and go to the actor of their machine at once; a
//! machine that is slow delays no other. An actor is made with the first command for its machine, or at the start of
//! the agent for every record there is. It is retired when its machine is destroyed: the tombstone remembers
//! all that has to be remembered.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::sync::Mutex;
use wrenn_base::Backoff;
use wrenn_proto::{
    agent as wire,
    ids::{SandboxId, TemplateId},
};
use wrenn_supervision::{Child, ChildExited, ChildSpec, spawn_local};

use super::{
    actor::{MachineActor, Order, Wish},
    library::DiskForm,
    record::GuestDefaults,
    work::{Host, Memory},
};

/// Rest before a machine whose actor failed for good gets a new one.
const REVIVAL: Duration = Duration::from_secs(60);

/// A command, as it came from the control plane.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Dispatch(pub wire::Command);

/// Nothing is left of a machine, and its actor waits for nothing.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Quiet {
    pub(super) id: SandboxId,
    /// Number of the last order it has seen.
    pub(super) last_order: u64,
    pub(super) addr: Addr<MachineActor>,
}

#[derive(Debug)]
struct Entry {
    child: Child<MachineActor>,
    /// Held by work on the machine; it outlives the actor.
    lock: Arc<Mutex<()>>,
    orders: u64,
}

/// The parent of all machine actors of a host.
pub struct Machines {
    host: Arc<Host>,
    /// Machines that had records when the agent started.
    known: Vec<SandboxId>,
    entries: HashMap<SandboxId, Entry>,
}

impl Machines {
    /// Makes the parent; it starts an actor for each of the `known` machines.
    pub fn new(host: Arc<Host>, known: Vec<SandboxId>) -> Self {
        Self { host, known, entries: HashMap::new() }
    }

    fn spawn(&self, id: SandboxId, lock: Arc<Mutex<()>>, ctx: &mut Context<Self>) -> Child<MachineActor> {
        let (host, machines) = (self.host.clone(), ctx.address().downgrade());
        let spec = ChildSpec::new("machine", id.to_string(), self.host.clock.clone(), self.host.rng.clone())
            .backoff(Backoff::new(Duration::from_millis(50), Duration::from_secs(10)))
            .notify(ctx.address().recipient());
        spawn_local(spec, move |_| MachineActor::new(id, host, machines, lock))
    }

    /// Makes sure that the machine has a living actor.
    fn revive(&mut self, id: SandboxId, ctx: &mut Context<Self>) {
        let known = self.entries.get(&id);
        if known.is_some_and(|entry| entry.child.addr().connected()) {
            return;
        }
        let lock = known.map(|entry| entry.lock.clone()).unwrap_or_default();
        let child = self.spawn(id, lock.clone(), ctx);
        self.entries.insert(id, Entry { child, lock, orders: 0 });
    }

    fn order(
        &mut self,
        id: SandboxId,
        generation: u64,
        (wish, traceparent): (Wish, String),
        ctx: &mut Context<Self>,
    ) {
        self.revive(id, ctx);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.orders += 1;
            // Past the capacity of the mailbox: the control plane has few commands in flight per machine, and an
            // order that is dropped here would be one that silently never happens.
            entry.child.addr().do_send(Order { generation, wish, number: entry.orders, traceparent });
        }
    }

    fn refuse(&self, command: &wire::Command, problem: &str) {
        tracing::warn!(
            sandbox_id = command.sandbox_id,
            generation = command.generation,
            problem,
            "bad command"
        );
        let failed = wire::CommandFailed {
            kind: wire::FailureKind::Internal.into(),
            message: problem.to_owned(),
            state: wire::MachineState::Unspecified.into(),
        };
        self.host.outbox.publish(wire::agent_frame::Frame::Result(wire::CommandResult {
            sandbox_id: command.sandbox_id.clone(),
            generation: command.generation,
            outcome: Some(wire::command_result::Outcome::Failed(failed)),
        }));
    }
}

impl Actor for Machines {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for id in std::mem::take(&mut self.known) {
            self.revive(id, ctx);
        }
    }
}

impl Supervised for Machines {
    fn restarting(&mut self, _: &mut Self::Context) {
        // Each change of the map is one insertion or removal, so it is whole at any moment; and to forget a living
        // actor would give its machine two of them.
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        // Work in progress goes on in tasks of its own, under the locks of the machines.
        for entry in self.entries.values() {
            entry.child.kill();
        }
    }
}

impl Handler<Dispatch> for Machines {
    type Result = ();

    fn handle(&mut self, Dispatch(command): Dispatch, ctx: &mut Self::Context) {
        let Ok(id) = command.sandbox_id.parse() else {
            return self.refuse(&command, "not the id of a sandbox");
        };
        match wish(command.command.clone()) {
            Ok(wish) => self.order(id, command.generation, (wish, command.traceparent), ctx),
            Err(problem) => self.refuse(&command, problem),
        }
    }
}

/// Reads what a command asks for.
fn wish(command: Option<wire::command::Command>) -> Result<Wish, &'static str> {
    use wire::command::Command;
    let template_id = |make: wire::MakeTemplate| {
        make.template_id.parse::<TemplateId>().map_err(|_| "not the id of a template")
    };
    Ok(match command {
        Some(Command::Start(start)) => Wish::Start(start.into()),
        Some(Command::Destroy(_)) => Wish::Destroy,
        Some(Command::Pause(_)) => Wish::Pause,
        Some(Command::Resume(resume)) => {
            let memory = if resume.drop_memory { Memory::Drop } else { Memory::Use };
            Wish::Resume(memory, GuestDefaults::of_resume(resume))
        }
        Some(Command::Snapshot(make)) => Wish::Snapshot(template_id(make)?),
        Some(Command::Flatten(make)) => {
            let form = if make.as_it_is { DiskForm::AsItIs } else { DiskForm::Small };
            Wish::Flatten(template_id(make)?, form)
        }
        None => return Err("this version of the agent does not know the command"),
    })
}

impl Handler<Quiet> for Machines {
    type Result = ();

    fn handle(&mut self, quiet: Quiet, _: &mut Self::Context) {
        let Some(entry) = self.entries.get(&quiet.id) else { return };
        // An order that is on its way to the actor keeps it; the actor will be quiet again.
        if entry.orders == quiet.last_order && entry.child.addr() == quiet.addr {
            entry.child.kill();
            self.entries.remove(&quiet.id);
        }
    }
}

impl Handler<ChildExited> for Machines {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Self::Context) {
        if !exited.reason.is_escalation() {
            return;
        }
        // One machine that cannot be dealt with must not end the whole host. Its virtual machine goes on, its record
        // stays, and a new actor takes it up later, or with the next command.
        let Ok(id) = exited.name.parse() else { return };
        tracing::error!(sandbox_id = %id, reason = %exited.reason, retry_in = ?REVIVAL, "giving a machine a rest");
        let clock = self.host.clock.clone();
        let rest = async move { clock.sleep(REVIVAL).await }.into_actor(self);
        ctx.spawn(rest.map(move |(), this, ctx| this.revive(id, ctx)));
    }
}
