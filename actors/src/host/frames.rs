//! What an agent says, frame by frame.
//!
//! Nothing of it is trusted: it counts for the host's own sandboxes only, and its texts are cut.

use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture, fut::ready};
use wrenn_domain::{
    lifecycle::Generation,
    sandbox::state::{Input, Machine, Outcome},
};
use wrenn_proto::{
    MAX_WARNINGS,
    agent::{self, agent_frame},
    ids::SandboxId,
};

use super::{
    board::HostLoad,
    connection::{Asked, HeartbeatNote, HostConnection},
    inventory,
    link::FromAgent,
    messages::{Complain, DropFailure},
    text::harmless,
};

/// Reads the state of a machine from the wire; `None` if it is unspecified.
pub(super) fn machine_state(state: agent::MachineState) -> Option<Machine> {
    match state {
        agent::MachineState::Unspecified => None,
        agent::MachineState::Starting => Some(Machine::Starting),
        agent::MachineState::Running => Some(Machine::Running),
        agent::MachineState::Paused => Some(Machine::Paused),
        agent::MachineState::Stopped => Some(Machine::Stopped),
        agent::MachineState::Exited => Some(Machine::Exited),
    }
}

impl Handler<FromAgent> for HostConnection {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, FromAgent { link, frame }: FromAgent, ctx: &mut Context<Self>) -> Self::Result {
        if self.link.as_ref().is_none_or(|current| current.number != link) {
            return Box::pin(ready(()));
        }
        self.heard = self.parts.clock.now();
        match frame.frame {
            Some(agent_frame::Frame::Heartbeat(heartbeat)) => self.heartbeat(heartbeat, ctx),
            Some(agent_frame::Frame::Result(result)) => return self.command_result(result, ctx),
            Some(agent_frame::Frame::Event(event)) => return self.machine_event(event, ctx),
            Some(agent_frame::Frame::TunnelRefused(refused)) => {
                if let Ok(tunnel) = refused.tunnel_id.parse() {
                    self.parts.tunnels.refuse(self.id, tunnel, refused.error.unwrap_or_default());
                }
            }
            Some(agent_frame::Frame::Inventory(inventory)) => self.inventory(inventory, ctx),
            Some(agent_frame::Frame::TemplateDropped(dropped)) => self.template_dropped(&dropped),
            Some(agent_frame::Frame::TemplateNotSent(refused)) => {
                if let Ok(transfer) = refused.transfer_id.parse() {
                    self.parts.transfers.refuse(self.id, transfer, &refused.error);
                }
            }
            Some(agent_frame::Frame::MetricsReport(report)) => self.metrics_report(report),
            Some(agent_frame::Frame::MetricsHistory(history)) => return self.metrics_history(history, ctx),
            // Its inventory says so, too, and that counts.
            Some(agent_frame::Frame::TemplateFetched(_)) => self.parts.due.soon(self.id),
            Some(agent_frame::Frame::Hello(_)) | None => self.complain("a frame makes no sense here", ""),
        }
        Box::pin(ready(()))
    }
}

impl HostConnection {
    fn heartbeat(&mut self, heartbeat: agent::Heartbeat, ctx: &mut Context<Self>) {
        if let Some(view) = &mut self.view {
            view.load = Some(HostLoad {
                memory_available_mb: heartbeat.memory_available_mb,
                disk_available_mb: heartbeat.disk_available_mb,
                load_1m: heartbeat.load_1m,
                machines: heartbeat.machines,
            });
        }
        self.publish(ctx);
        let Some(attachment) = self.attachment else { return };
        let pause = self.parts.config.heartbeat_interval / 2;
        match self.noted {
            HeartbeatNote::UnderWay => return,
            HeartbeatNote::Done(at) if self.parts.clock.since(at) < pause => return,
            HeartbeatNote::Done(_) | HeartbeatNote::Never => self.noted = HeartbeatNote::UnderWay,
        }
        let (store, id) = (self.parts.store.clone(), self.id);
        let note = async move {
            store.host_heartbeat(attachment).await.unwrap_or_else(|error| {
                tracing::warn!(host = %id, %error, "a heartbeat was not noted");
                true
            })
        };
        ctx.spawn(note.into_actor(self).map(|is_held, actor: &mut Self, ctx| {
            actor.noted = HeartbeatNote::Done(actor.parts.clock.now());
            if !is_held {
                actor.read_again(ctx);
            }
        }));
    }

    fn command_result(
        &mut self,
        result: agent::CommandResult,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let Ok(sandbox) = result.sandbox_id.parse::<SandboxId>() else {
            self.complain("an outcome for a strange id", &result.sandbox_id);
            return Box::pin(ready(()));
        };
        let outcome = match result.outcome {
            Some(agent::command_result::Outcome::Started(started)) => Outcome::Started {
                guest_ip: harmless(&started.guest_ip),
                host_ip: harmless(&started.host_ip),
                warnings: started.warnings.iter().take(MAX_WARNINGS).map(|text| harmless(text)).collect(),
            },
            Some(agent::command_result::Outcome::Paused(_)) => Outcome::Paused,
            Some(agent::command_result::Outcome::TemplateMade(made)) => match made.template_id.parse() {
                Ok(template) => Outcome::TemplateMade {
                    template,
                    size_bytes: made.size_bytes,
                    disk_size_mb: made.disk_size_mb,
                    machine: machine_state(made.state()),
                },
                Err(_) => {
                    let message = "the host made a template with a strange id".to_owned();
                    Outcome::Failed { message, machine: machine_state(made.state()) }
                }
            },
            Some(agent::command_result::Outcome::Destroyed(_)) => Outcome::Destroyed,
            Some(agent::command_result::Outcome::Failed(failed)) => {
                Outcome::Failed { machine: machine_state(failed.state()), message: harmless(&failed.message) }
            }
            None => {
                let message = "the host sent an outcome of another version".to_owned();
                Outcome::Failed { message, machine: None }
            }
        };
        let generation = Generation(result.generation);
        self.tell_and_wait(sandbox, Input::Finished { generation, outcome }, ctx)
    }

    fn machine_event(&mut self, event: agent::MachineEvent, ctx: &mut Context<Self>) -> ResponseFuture<()> {
        let Ok(sandbox) = event.sandbox_id.parse::<SandboxId>() else {
            self.complain("an event of a strange id", &event.sandbox_id);
            return Box::pin(ready(()));
        };
        let generation = Generation(event.generation);
        match event.event {
            Some(agent::machine_event::Event::Exited(exited)) => {
                let machine = machine_state(exited.state()).filter(|machine| machine.has_ended());
                let machine = machine.unwrap_or(Machine::Exited);
                let reason = harmless(&exited.reason);
                self.tell_and_wait(sandbox, Input::Exited { generation, machine, reason }, ctx)
            }
            None => {
                self.complain("an event of another version", &event.sandbox_id);
                Box::pin(ready(()))
            }
        }
    }

    fn inventory(&mut self, inventory: agent::Inventory, ctx: &mut Context<Self>) {
        let Some(asked) = self.asked.take_if(|asked| asked.request_id == inventory.request_id) else {
            self.complain("an inventory that nobody asked for", "");
            return;
        };
        let listed = match inventory::read(self.id, inventory) {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(host = %self.id, %error, "inventory refused");
                self.end_link("the inventory is larger than a host can have", ctx);
                return;
            }
        };
        let Some(attachment) = self.attachment else { return };
        let reconciler = self.parts.reconciler.clone();
        let Asked { baseline, compared, .. } = asked;
        let compare = async move { reconciler.compare(attachment, listed, Some(baseline)).await };
        ctx.wait(compare.into_actor(self).map(|found, actor, ctx| match found {
            Ok(found) => {
                actor.remove_unknown(found, ctx);
                // The reconciler may have gone on without the answer.
                let _ = compared.send(());
            }
            Err(error) => {
                tracing::warn!(host = %actor.id, %error, "an inventory cannot be compared");
                // The agent dials again and brings another one.
                actor.end_link("the database does not answer", ctx);
            }
        }));
    }

    fn template_dropped(&mut self, dropped: &agent::TemplateDropped) {
        let Some(waiting) = dropped.template_id.parse().ok().and_then(|id| self.dropping.remove(&id)) else {
            return;
        };
        let result = if dropped.error.is_empty() {
            Ok(())
        } else {
            Err(DropFailure::Failed(harmless(&dropped.error)))
        };
        for reply in waiting {
            // Whoever asked may have left.
            let _ = reply.send(result.clone());
        }
    }
}

impl Handler<Complain> for HostConnection {
    type Result = ();

    fn handle(&mut self, Complain { what, about }: Complain, _: &mut Context<Self>) {
        self.complain(what, &about);
    }
}
