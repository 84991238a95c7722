//! The actor that stands for a host, attached or not, as long as its record lives.
//!
//! ```text
//!            commands, tunnels                    frames (bounded)
//!  sandboxes ────────────────▶ HostConnection ══════════════════════▶ agent
//!            ◀────────────────      │    ▲                              │
//!            outcomes, reports      ▼    └──────── FromAgent ◀══════════┘
//!                                 board          one at a time
//! ```
//!
//! It keeps no list of what it has sent: what is in flight is what the rows say, and it is sent again whenever a host
//! attaches. What became of everything the [reconciler](crate::reconcile) finds out, with an inventory that the hello
//! brings or that it asks for here. After a panic the stream is kept (nothing of it can be half changed), and the host is
//! due for a comparison, because the frame being handled, perhaps an exit, was lost. While an inventory is compared no
//! frame is handled.
//!
//! | what happens | what follows |
//! |---|---|
//! | the stream ends | `offline`; tunnels being opened fail; operations in flight stay so |
//! | silence while attached | the stream is cut, then as above |
//! | not heard of for long | `unreachable`; its sandboxes become `missing` until it is back, however often they have to be told |
//! | a second agent attaches | the first is told to go; the second takes over |
//! | the agent does not read | the stream is cut; everything is sent again when it is back |
//! | another server holds the host | nothing is written or told about it; its agent may still attach here |
//!
//! An agent is not trusted, see [`frames`](super::frames), and its stream is read no faster than what it says is handled.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, ResponseFuture, Supervised,
    WrapFuture, fut::ready,
};
use tokio::sync::oneshot;
use wrenn_base::Clock;
use wrenn_domain::{
    host::{Attachment, Epoch, HostCapacity, HostStatus},
    ids::ServerId,
    lifecycle::{End, Lifecycle, SandboxStatus},
    sandbox::{Sandbox, inventory::Baseline, state::Input},
};
use wrenn_proto::{
    agent::{self, AgentHello, server_frame},
    ids::{HostId, SandboxId, TemplateId},
};
use wrenn_store::Store;
use wrenn_supervision::call_within;

use super::{
    board::{AgentInfo, HostBoard, HostView},
    inventory,
    link::{AgentLink, Attach, Detach, Link, LinkNumber},
    messages::{Complain, DropFailure, HostAway},
    pending_metrics::PendingMetrics,
    text::harmless,
};
use crate::{
    AttachError,
    config::Config,
    placement::Placement,
    reconcile::{DueHosts, ForHost, Reconciler},
    retry::until_answered,
    sandbox::{CaughtUp, Observe, SandboxDirectory},
    transfer::TransferDesk,
    tunnel::TunnelDesk,
};

/// Parts of others that a connection needs.
#[derive(Clone)]
pub(crate) struct HostParts {
    pub(crate) store: Store,
    pub(crate) server: ServerId,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) board: HostBoard,
    pub(crate) sandboxes: SandboxDirectory,
    pub(crate) tunnels: TunnelDesk,
    pub(crate) transfers: TransferDesk,
    pub(crate) due: DueHosts,
    pub(crate) reconciler: Reconciler,
    pub(crate) placement: Placement,
}

pub(crate) struct HostConnection {
    pub(super) id: HostId,
    pub(super) parts: HostParts,
    /// The host's attachment to this server; without one nothing is written.
    pub(super) attachment: Option<Attachment>,
    /// The newest epoch that was heard of; a row with an older one was read too early.
    pub(super) newest: Epoch,
    /// When the row was read last because a write had changed nothing.
    pub(super) checked: Option<Instant>,
    /// Replaced as a whole, never changed.
    pub(super) link: Option<Link>,
    next_link: LinkNumber,
    /// When the host was heard of last, or this actor began.
    pub(super) heard: Instant,
    pub(super) view: Option<HostView>,
    /// The status that the database is known to hold.
    pub(super) written: Option<HostStatus>,
    /// The inventory that was asked for.
    pub(super) asked: Option<Asked>,
    next_request: u64,
    /// Templates that the host was told to remove, and who waits for that.
    pub(super) dropping: HashMap<TemplateId, Vec<oneshot::Sender<Result<(), DropFailure>>>>,
    /// Questions about measurements that the host was asked.
    pub(super) metrics: PendingMetrics,
    /// When the sandboxes of a host that is unreachable are told again.
    tell_lost_due: Instant,
    pub(super) noted: HeartbeatNote,
    /// When frames that make no sense were logged last, and how many came since.
    nonsense: (Option<Instant>, u64),
    /// True once the host was found deleted; then nothing is shown of it any more.
    pub(super) is_deleted: bool,
}

/// Longest wait of a frame for the sandbox's actor that it is for; then the next one is read all the same.
const HANDLED_WITHIN: Duration = Duration::from_secs(2);

/// Machines, and templates, that a host is told at once to remove because nobody knows them.
const REMOVED_AT_ONCE: usize = 256;
/// Shortest time between two lines in the log about frames that make no sense.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Whether the database knows of the last heartbeats.
#[derive(Clone, Copy)]
pub(super) enum HeartbeatNote {
    Never,
    UnderWay,
    Done(Instant),
}

/// An inventory that was asked for, and what it can be compared with.
pub(super) struct Asked {
    pub(super) request_id: u64,
    pub(super) baseline: Baseline,
    pub(super) compared: oneshot::Sender<()>,
}

impl HostConnection {
    pub(crate) fn new(id: HostId, parts: HostParts) -> Self {
        let heard = parts.clock.now();
        Self {
            id,
            parts,
            attachment: None,
            newest: Epoch::default(),
            checked: None,
            link: None,
            next_link: LinkNumber(1),
            heard,
            view: None,
            written: None,
            asked: None,
            next_request: 1,
            dropping: HashMap::new(),
            metrics: PendingMetrics::default(),
            tell_lost_due: heard,
            noted: HeartbeatNote::Never,
            nonsense: (None, 0),
            is_deleted: false,
        }
    }

    /// Asks for an inventory, which will be compared with what was read before; `compared` is told then, and dropped if
    /// that does not happen.
    pub(super) fn ask_inventory(
        &mut self,
        baseline: Baseline,
        compared: oneshot::Sender<()>,
        ctx: &mut Context<Self>,
    ) {
        let request_id = self.next_request;
        self.next_request += 1;
        let ask = server_frame::Frame::InventoryRequest(agent::InventoryRequest { request_id });
        // A host that is away brings one when it is back.
        if self.send(ask, ctx).is_ok() {
            self.asked = Some(Asked { request_id, baseline, compared });
        }
    }

    /// Shows the view, and writes its status if the database does not hold it.
    pub(super) fn publish(&mut self, ctx: &mut Context<Self>) {
        self.show();
        let Some(status) = self.view.as_ref().map(|view| view.status) else { return };
        let Some(attachment) = self.attachment.filter(|_| self.written != Some(status)) else { return };
        let store = self.parts.store.clone();
        let write = async move { store.host_set_status(attachment, status).await };
        ctx.wait(write.into_actor(self).map(move |written, actor: &mut Self, ctx| match written {
            Ok(true) => actor.written = Some(status),
            Ok(false) => actor.read_again(ctx),
            // The next tick tries again.
            Err(error) => tracing::warn!(host = %actor.id, %error, "host status was not written"),
        }));
    }

    fn set_status(&mut self, status: HostStatus, ctx: &mut Context<Self>) {
        if let Some(view) = &mut self.view {
            view.status = status;
        }
        self.publish(ctx);
    }

    /// Looks at the clock.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.attachment.is_none() {
            return;
        }
        let silence = self.parts.clock.since(self.heard);
        let status = self.view.as_ref().map(|view| view.status);
        let is_away = matches!(status, Some(HostStatus::Offline | HostStatus::Draining));
        if self.link.is_some() && silence > self.parts.config.silent_after {
            self.end_link("the agent is silent", ctx);
        } else if self.link.is_none() && is_away && silence > self.parts.config.unreachable_after {
            tracing::warn!(host = %self.id, "host is unreachable");
            self.set_status(HostStatus::Unreachable, ctx);
            self.tell_lost(ctx);
        } else if self.link.is_none()
            && status == Some(HostStatus::Unreachable)
            && self.parts.clock.now() >= self.tell_lost_due
        {
            // An actor may have failed while it was told, or the server before this one.
            self.tell_lost(ctx);
        } else {
            self.publish(ctx);
        }
    }

    /// Tells the actors of sandboxes that are not missing yet that their host is lost.
    fn tell_lost(&mut self, ctx: &mut Context<Self>) {
        self.tell_lost_due = self.parts.clock.now() + self.parts.config.inventory_interval;
        self.tell_all(Input::HostLost, ctx, |lifecycle| {
            !matches!(lifecycle.status, SandboxStatus::Missing | SandboxStatus::Error)
        });
    }

    /// Tells the actors of those of the host's sandboxes that it concerns, before any further message is handled.
    pub(super) fn tell_all(&self, input: Input, ctx: &mut Context<Self>, concerns: fn(&Lifecycle) -> bool) {
        let (store, id) = (self.parts.store.clone(), self.id);
        let read = async move { until_answered("sandboxes_of_host", || store.sandboxes_of_host(id)).await };
        ctx.wait(read.into_actor(self).map(move |rows: Vec<Sandbox>, actor: &mut Self, _| {
            for row in rows.into_iter().filter(|row| concerns(&row.lifecycle)) {
                actor.tell(row.id, input.clone());
            }
        }));
    }

    /// Past the mailbox's bound: what a host says must not get lost.
    fn tell(&self, sandbox: SandboxId, input: Input) {
        self.parts.sandboxes.tell(sandbox, Observe { from: self.id, input });
    }

    /// As [`tell`](Self::tell), for what an agent says by itself: the answer comes when it was handled, or after a
    /// while, so that its stream is slowed; and no actor is started for a sandbox that is not on this host.
    pub(super) fn tell_and_wait(
        &self,
        sandbox: SandboxId,
        input: Input,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let connection = ctx.address();
        let (store, sandboxes, from) = (self.parts.store.clone(), self.parts.sandboxes.clone(), self.id);
        Box::pin(async move {
            let actor = match sandboxes.living(sandbox) {
                Some(actor) => actor,
                None if is_here(&store, sandbox, from).await => sandboxes.address(sandbox),
                None => {
                    connection.do_send(Complain {
                        what: "a host speaks for a sandbox that it does not have",
                        about: sandbox.to_string(),
                    });
                    return;
                }
            };
            actor.do_send(Observe { from, input });
            // The observation stays, whether it is waited for or not.
            let _ = call_within(&actor, CaughtUp, HANDLED_WITHIN).await;
        })
    }

    pub(super) fn end_link(&mut self, reason: &'static str, ctx: &mut Context<Self>) {
        if self.drop_link(reason) {
            self.set_status(HostStatus::Offline, ctx);
        }
    }

    /// Drops the link, and whatever waits for it; returns false if there is none.
    pub(super) fn drop_link(&mut self, reason: &'static str) -> bool {
        let Some(link) = self.link.take() else { return false };
        tracing::info!(host = %self.id, link = link.number.0, reason, "agent detached");
        drop(link);
        self.dropping.clear();
        self.metrics.clear();
        self.parts.tunnels.link_ended(self.id);
        self.parts.transfers.link_ended(self.id);
        if let Some(view) = &mut self.view {
            view.agent = None;
            view.load = None;
        }
        true
    }

    pub(super) fn send(
        &mut self,
        frame: server_frame::Frame,
        ctx: &mut Context<Self>,
    ) -> Result<(), HostAway> {
        let link = self.link.as_ref().ok_or(HostAway)?;
        link.send(frame).map_err(|failure| {
            tracing::warn!(host = %self.id, ?failure, "a frame cannot be sent");
            self.end_link("the agent does not read", ctx);
            HostAway
        })
    }

    /// Takes over the stream of an agent whose attachment is written.
    fn attached(&mut self, hello: AgentHello, attach: Link, ctx: &mut Context<Self>) {
        if let Some(old) = self.link.take() {
            tracing::warn!(host = %self.id, link = old.number.0, "another agent attached for this host");
            let reason = "another agent attached for this host".to_owned();
            let terminate = agent::Terminate { reason, r#final: false };
            // If it does not read, it will notice the end of the stream.
            let _ = old.send(server_frame::Frame::Terminate(terminate));
            self.dropping.clear();
            self.metrics.clear();
            self.parts.tunnels.link_ended(self.id);
            self.parts.transfers.link_ended(self.id);
        }
        tracing::info!(host = %self.id, link = attach.number.0, version = hello.agent_version, "agent attached");
        self.link = Some(attach);
        self.heard = self.parts.clock.now();
        self.written = Some(HostStatus::Online);
        self.asked = None;
        if let Some(view) = &mut self.view {
            view.status = HostStatus::Online;
            view.capacity = capacity(hello.capacity.as_ref());
            view.load = None;
            view.agent = Some(AgentInfo {
                version: harmless(&hello.agent_version),
                vmm: harmless(&hello.vmm),
                kernel: harmless(&hello.kernel),
                boot_id: harmless(&hello.boot_id),
                attached_at: self.parts.clock.utc(),
            });
        }
        self.publish(ctx);
        let interval = self.parts.config.heartbeat_interval.as_millis();
        let welcome = agent::Welcome {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            heartbeat_interval_ms: u32::try_from(interval).unwrap_or(u32::MAX),
        };
        let _ = self.send(server_frame::Frame::Welcome(welcome), ctx);
    }

    /// Tells the host to remove what nobody knows: a bounded part of it, with one line in the log. The next comparison finds
    /// the rest.
    pub(super) fn remove_unknown(&mut self, found: ForHost, ctx: &mut Context<Self>) {
        let ForHost { unknown_machines, unknown_templates } = found;
        if let Some((example, _)) = unknown_machines.first() {
            tracing::warn!(host = %self.id, machines = unknown_machines.len(), %example, "removing machines that nobody knows");
        }
        for (sandbox, generation) in unknown_machines.into_iter().take(REMOVED_AT_ONCE) {
            let command = agent::Command {
                sandbox_id: sandbox.to_string(),
                generation: generation.0,
                command: Some(agent::command::Command::Destroy(agent::DestroyMachine {})),
                ..Default::default()
            };
            let _ = self.send(server_frame::Frame::Command(command), ctx);
        }
        if let Some(example) = unknown_templates.first() {
            tracing::warn!(host = %self.id, templates = unknown_templates.len(), %example, "removing templates that nobody knows");
        }
        for template in unknown_templates.into_iter().take(REMOVED_AT_ONCE) {
            let drop = agent::DropTemplate { template_id: template.to_string() };
            let _ = self.send(server_frame::Frame::DropTemplate(drop), ctx);
        }
    }

    /// Logs that the agent sent something that makes no sense: now and then, however often it does.
    pub(super) fn complain(&mut self, what: &'static str, about: &str) {
        let now = self.parts.clock.now();
        self.nonsense.1 += 1;
        if self.nonsense.0.is_some_and(|logged| now.saturating_duration_since(logged) < COMPLAIN_EVERY) {
            return;
        }
        tracing::warn!(host = %self.id, about = harmless(about), frames = self.nonsense.1, "{what}");
        self.nonsense = (Some(now), 0);
    }
}

/// Returns true if the sandbox is on this host and not gone.
async fn is_here(store: &Store, sandbox: SandboxId, host: HostId) -> bool {
    let row = until_answered("sandbox_load", || store.sandbox_load(sandbox)).await;
    row.is_some_and(|row| row.host_id == host && row.lifecycle.end != End::Reached)
}

fn capacity(wire: Option<&agent::Capacity>) -> HostCapacity {
    wire.map_or_else(HostCapacity::default, |wire| HostCapacity {
        cpu_cores: wire.cpu_cores,
        memory_mb: wire.memory_mb,
        disk_mb: wire.disk_mb,
    })
}

impl Actor for HostConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.read_again(ctx);
        ctx.run_interval(self.parts.config.look_period(), Self::tick);
    }
}

impl Supervised for HostConnection {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // `started` reads the record again. The link is kept: it is never half changed, and its agent would
        // only have to dial again.
        self.written = None;
        self.asked = None;
        self.noted = HeartbeatNote::Never;
    }
}

impl Handler<Attach> for HostConnection {
    type Result = AtomicResponse<Self, Result<AgentLink, AttachError>>;

    fn handle(&mut self, Attach { mut hello, outgoing }: Attach, ctx: &mut Context<Self>) -> Self::Result {
        if hello.host_id != self.id.to_string() {
            return AtomicResponse::new(Box::pin(ready(Err(AttachError::WrongHost))));
        }
        let listed = match inventory::read(self.id, hello.inventory.take().unwrap_or_default()) {
            Ok(listed) => listed,
            Err(error) => return AtomicResponse::new(Box::pin(ready(Err(AttachError::Inventory(error))))),
        };
        let link = Link::new(self.next_link, outgoing);
        self.next_link = LinkNumber(self.next_link.0 + 1);
        let agent_end = AgentLink {
            host: self.id,
            number: link.number,
            connection: ctx.address(),
            cut: link.cut_token(),
        };
        let capacity = capacity(hello.capacity.as_ref());
        let HostParts { store, reconciler, server, .. } = self.parts.clone();
        let id = self.id;
        let attach = async move { store.host_attached(id, server, capacity).await };
        let attach = attach.into_actor(self).map(move |attached, actor: &mut Self, _| {
            let attachment = attached.map_err(|error| AttachError::Store(id, error))?;
            let attachment = attachment.ok_or(AttachError::NotFound(id))?;
            // Those who are told what follows from the inventory must know that the host is held.
            actor.hold(attachment);
            // The row says `online`; if the comparison fails that is not so.
            actor.written = None;
            // An actor that loses a message from now on requests another comparison.
            actor.parts.due.done(actor.id);
            Ok(attachment)
        });
        // An agent takes its inventory after its last session ended, and what a session said was handled
        // before the next one attaches: so a row is not ahead of a hello.
        let compare = attach.then(move |attachment: Result<_, AttachError>, actor: &mut Self, _| {
            let compare = async move {
                let compared = reconciler.compare(attachment?, listed, None).await;
                compared.map_err(|error| AttachError::Store(id, error))
            };
            compare.into_actor(actor)
        });
        AtomicResponse::new(Box::pin(compare.map(
            move |read: Result<ForHost, AttachError>, actor: &mut Self, ctx| {
                let found = read?;
                actor.attached(hello, link, ctx);
                actor.remove_unknown(found, ctx);
                Ok(agent_end)
            },
        )))
    }
}

impl Handler<Detach> for HostConnection {
    type Result = ();

    fn handle(&mut self, Detach { link }: Detach, ctx: &mut Context<Self>) {
        if self.link.as_ref().is_some_and(|current| current.number == link) {
            self.end_link("the stream ended", ctx);
        }
    }
}
