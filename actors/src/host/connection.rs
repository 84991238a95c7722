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
//! It keeps no list of what it has sent: what is in flight is what the rows say, and it is sent again
//! whenever a host attaches. So there is one way to find out what became of everything, used
//! - when an agent attaches: its hello carries an inventory, which is compared with the rows;
//! - after a panic, here or in a sandbox's actor: the stream is kept (nothing of it can be half changed), and a
//!   fresh inventory is asked for, because the frame being handled, perhaps an exit, was lost;
//! - every minute or so, for what nobody noticed.
//!
//! While rows are read no frame is handled, so an inventory is always compared with rows that are not ahead of it.
//!
//! | what happens | what follows |
//! |---|---|
//! | the stream ends | `offline`; tunnels being opened fail; operations in flight stay so |
//! | silence while attached | the stream is cut, then as above |
//! | not heard of for long | `unreachable`; its sandboxes become `missing` until it is back, however often they have to be told |
//! | a second agent attaches | the first is told to go; the second takes over |
//! | the agent does not read | the stream is cut; everything is sent again when it is back |
//!
//! An agent is not trusted, see [`frames`](super::frames), and its stream is read no faster than what it says is handled.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, ResponseFuture,
    Supervised, WrapFuture, fut::ready,
};
use chrono::Utc;
use tokio::{sync::oneshot, time::Instant};
use wrenn_domain::{
    host::{Host, HostCapacity, HostStatus},
    lifecycle::{End, Lifecycle, SandboxStatus},
    sandbox::{Sandbox, state::Input},
};
use wrenn_proto::{
    agent::{self, AgentHello, server_frame},
    ids::{HostId, SandboxId, TemplateId},
};
use wrenn_store::StoreError;
use wrenn_supervision::call_within;

use super::{
    board::{AgentInfo, HostView},
    inventory::{self, Baseline, Found, Unwanted, look_up},
    link::{AgentLink, Link, LinkNumber},
    messages::{Attach, Detach, DropFailure, HostAway},
    text::harmless,
};
use crate::{
    AttachError,
    retry::until_answered,
    sandbox::{CaughtUp, Observe, RowRead},
    shared::Shared,
};

pub(crate) struct HostConnection {
    pub(super) id: HostId,
    pub(super) shared: Arc<Shared>,
    /// Replaced as a whole, never changed.
    pub(super) link: Option<Link>,
    next_link: LinkNumber,
    /// When the host was heard of last, or this actor began.
    pub(super) heard: Instant,
    pub(super) view: Option<HostView>,
    /// The status that the database is known to hold.
    written: Option<HostStatus>,
    /// The inventory that was asked for.
    pub(super) asked: Option<Asked>,
    next_request: u64,
    /// Templates that the host was told to remove, and who waits for that.
    pub(super) dropping: HashMap<TemplateId, Vec<oneshot::Sender<Result<(), DropFailure>>>>,
    /// When the next inventory is to be asked for.
    pub(super) inventory_due: Instant,
    pub(super) noted: HeartbeatNote,
}

/// How long a frame waits for the sandbox's actor that it is for; then the next one is read all the same.
const HANDLED_WITHIN: Duration = Duration::from_secs(2);

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
}

impl HostConnection {
    pub(crate) fn new(id: HostId, shared: Arc<Shared>) -> Self {
        let heard = Instant::now();
        Self {
            id,
            shared,
            link: None,
            next_link: LinkNumber(1),
            heard,
            view: None,
            written: None,
            asked: None,
            next_request: 1,
            dropping: HashMap::new(),
            inventory_due: heard,
            noted: HeartbeatNote::Never,
        }
    }

    fn loaded(&mut self, host: Option<Host>, ctx: &mut Context<Self>) {
        let Some(host) = host else {
            tracing::info!(host = %self.id, "host has no record any more");
            self.shared.board.remove(self.id);
            ctx.stop();
            return;
        };
        self.written = Some(host.status);
        let view = self.view.get_or_insert_with(|| HostView {
            id: host.id,
            team_id: host.team_id,
            status: host.status,
            capacity: host.capacity.unwrap_or_default(),
            load: None,
            agent: None,
        });
        match &self.link {
            Some(link) if link.is_open() => {
                view.status = HostStatus::Online;
                self.inventory_due = Instant::now();
            }
            _ if view.status == HostStatus::Online => view.status = HostStatus::Offline,
            _ => {}
        }
        self.publish(ctx);
    }

    /// Asks for an inventory, which will be compared with what was read before.
    fn ask_inventory(&mut self, baseline: Baseline, ctx: &mut Context<Self>) {
        let request_id = self.next_request;
        self.next_request += 1;
        self.asked = Some(Asked { request_id, baseline });
        self.inventory_due = Instant::now() + self.shared.config.inventory_interval;
        let ask = server_frame::Frame::InventoryRequest(agent::InventoryRequest { request_id });
        // A host that is away brings one when it is back.
        let _ = self.send(ask, ctx);
    }

    /// Reads the rows and asks for an inventory.
    fn look_again(&mut self, ctx: &mut Context<Self>) {
        // Should the database not answer, the next time is soon enough.
        self.inventory_due = Instant::now() + self.shared.config.inventory_interval;
        let (store, id) = (self.shared.store.clone(), self.id);
        let read = async move {
            let templates = store.templates_on_host(id).await?;
            Ok::<_, StoreError>(Baseline::of(&store.sandboxes_of_host(id).await?, templates))
        };
        ctx.wait(read.into_actor(self).map(|baseline, actor: &mut Self, ctx| match baseline {
            Ok(baseline) => actor.ask_inventory(baseline, ctx),
            Err(error) => tracing::warn!(host = %actor.id, %error, "no inventory is asked for"),
        }));
    }

    /// Shows the view, and writes its status if the database does not hold it.
    pub(super) fn publish(&mut self, ctx: &mut Context<Self>) {
        let Some(view) = &self.view else { return };
        self.shared.board.publish(view.clone());
        let status = view.status;
        if self.written == Some(status) {
            return;
        }
        let (store, id) = (self.shared.store.clone(), self.id);
        let write = async move { store.host_set_status(id, status).await };
        ctx.wait(write.into_actor(self).map(move |written, actor: &mut Self, _| match written {
            Ok(_) => actor.written = Some(status),
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
        let silence = self.heard.elapsed();
        let status = self.view.as_ref().map(|view| view.status);
        let is_away = matches!(status, Some(HostStatus::Offline | HostStatus::Draining));
        if self.link.is_some() && silence > self.shared.config.silent_after {
            self.end_link("the agent is silent", ctx);
        } else if self.link.is_none() && is_away && silence > self.shared.config.unreachable_after {
            tracing::warn!(host = %self.id, "host is unreachable");
            self.set_status(HostStatus::Unreachable, ctx);
            self.tell_lost(ctx);
        } else if self.link.is_none()
            && status == Some(HostStatus::Unreachable)
            && Instant::now() >= self.inventory_due
        {
            // An actor may have failed while it was told, or the server before this one.
            self.tell_lost(ctx);
        } else {
            self.publish(ctx);
            if self.link.is_some() && Instant::now() >= self.inventory_due {
                self.look_again(ctx);
            }
        }
    }

    /// Tells the actors of sandboxes that are not missing yet that their host is lost.
    fn tell_lost(&mut self, ctx: &mut Context<Self>) {
        self.inventory_due = Instant::now() + self.shared.config.inventory_interval;
        self.tell_all(Input::HostLost, ctx, |lifecycle| {
            !matches!(lifecycle.status, SandboxStatus::Missing | SandboxStatus::Error)
        });
    }

    /// Tells the actors of those of the host's sandboxes that it concerns, before any further message is handled.
    pub(super) fn tell_all(&self, input: Input, ctx: &mut Context<Self>, concerns: fn(&Lifecycle) -> bool) {
        let (store, id) = (self.shared.store.clone(), self.id);
        let read = async move { until_answered("sandboxes_of_host", || store.sandboxes_of_host(id)).await };
        ctx.wait(read.into_actor(self).map(move |rows: Vec<Sandbox>, actor: &mut Self, _| {
            for row in rows.into_iter().filter(|row| concerns(&row.lifecycle)) {
                actor.tell(row.id, input.clone());
            }
        }));
    }

    /// Past the mailbox's bound: what a host says must not get lost.
    fn tell(&self, sandbox: SandboxId, input: Input) {
        self.shared.sandbox(sandbox).do_send(Observe { from: self.id, input });
    }

    /// As [`tell`](Self::tell), for what an agent says by itself: the answer comes when it was handled, or after a
    /// while, so that its stream is slowed; and no actor is started for a sandbox that is not on this host.
    pub(super) fn tell_and_wait(&self, sandbox: SandboxId, input: Input) -> ResponseFuture<()> {
        let (shared, from) = (self.shared.clone(), self.id);
        Box::pin(async move {
            let actor = match shared.sandboxes.get(&sandbox) {
                Some(actor) => actor,
                None if is_here(&shared, sandbox, from).await => shared.sandbox(sandbox),
                None => {
                    tracing::warn!(host = %from, %sandbox, ?input, "a host speaks for a sandbox that it does not have");
                    return;
                }
            };
            actor.do_send(Observe { from, input });
            // The observation stays, whether it is waited for or not.
            let _ = call_within(&actor, CaughtUp, HANDLED_WITHIN).await;
        })
    }

    pub(super) fn end_link(&mut self, reason: &'static str, ctx: &mut Context<Self>) {
        let Some(link) = self.link.take() else { return };
        tracing::info!(host = %self.id, link = link.number.0, reason, "agent detached");
        drop(link);
        self.dropping.clear();
        self.shared.desk.link_ended(self.id);
        self.shared.transfers.link_ended(self.id);
        if let Some(view) = &mut self.view {
            view.agent = None;
            view.load = None;
        }
        self.set_status(HostStatus::Offline, ctx);
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
            self.shared.desk.link_ended(self.id);
            self.shared.transfers.link_ended(self.id);
        }
        tracing::info!(host = %self.id, link = attach.number.0, version = hello.agent_version, "agent attached");
        self.link = Some(attach);
        self.heard = Instant::now();
        self.written = Some(HostStatus::Online);
        self.asked = None;
        self.inventory_due = Instant::now() + self.shared.config.inventory_interval;
        if let Some(view) = &mut self.view {
            view.status = HostStatus::Online;
            view.capacity = capacity(hello.capacity.as_ref());
            view.load = None;
            view.agent = Some(AgentInfo {
                version: harmless(&hello.agent_version),
                vmm: harmless(&hello.vmm),
                kernel: harmless(&hello.kernel),
                boot_id: harmless(&hello.boot_id),
                attached_at: Utc::now(),
            });
        }
        self.publish(ctx);
        let interval = self.shared.config.heartbeat_interval.as_millis();
        let welcome = agent::Welcome {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            heartbeat_interval_ms: u32::try_from(interval).unwrap_or(u32::MAX),
        };
        let _ = self.send(server_frame::Frame::Welcome(welcome), ctx);
    }

    /// Acts on an inventory and the rows that were read after it.
    pub(super) fn reconcile(&mut self, found: Found, ctx: &mut Context<Self>) {
        for (sandbox, lifecycle) in found.rows {
            // Who does not live reads its row anyway.
            if let Some(actor) = self.shared.sandboxes.get(&sandbox) {
                actor.do_send(RowRead(lifecycle));
            }
        }
        for (sandbox, input) in found.tell {
            self.tell(sandbox, input);
        }
        for Unwanted { sandbox, generation } in found.unwanted {
            tracing::warn!(host = %self.id, %sandbox, %generation, "removing a machine that nobody knows");
            let command = agent::Command {
                sandbox_id: sandbox.to_string(),
                generation: generation.0,
                command: Some(agent::command::Command::Destroy(agent::DestroyMachine {})),
            };
            let _ = self.send(server_frame::Frame::Command(command), ctx);
        }
        for template in found.unwanted_templates {
            tracing::warn!(host = %self.id, %template, "removing a template that nobody knows");
            let drop = agent::DropTemplate { template_id: template.to_string() };
            let _ = self.send(server_frame::Frame::DropTemplate(drop), ctx);
        }
        for template in found.lost_templates {
            tracing::error!(host = %self.id, %template, "the host does not have a template any more");
            let (store, id) = (self.shared.store.clone(), self.id);
            let remove = async move {
                if let Err(error) = store.template_host_remove(template, id).await {
                    tracing::warn!(host = %id, %template, %error, "the loss of a template was not written");
                }
            };
            ctx.spawn(remove.into_actor(self));
        }
    }
}

/// Returns true if the sandbox is on this host and not gone.
async fn is_here(shared: &Shared, sandbox: SandboxId, host: HostId) -> bool {
    let row = until_answered("sandbox_load", || shared.store.sandbox_load(sandbox)).await;
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
        let (store, id) = (self.shared.store.clone(), self.id);
        let read = async move { until_answered("host_fetch", || store.host_fetch(id)).await };
        ctx.wait(read.into_actor(self).map(|host, actor, ctx| actor.loaded(host, ctx)));
        let shortest = self.shared.config.silent_after.min(self.shared.config.unreachable_after);
        let period = (shortest / 6).max(Duration::from_millis(10));
        ctx.run_interval(period, Self::tick);
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
        let link = Link::new(self.next_link, outgoing);
        self.next_link = LinkNumber(self.next_link.0 + 1);
        let agent_end = AgentLink {
            host: self.id,
            number: link.number,
            connection: ctx.address(),
            cut: link.cut_token(),
        };
        let listed = inventory::read(hello.inventory.take().unwrap_or_default());
        let capacity = capacity(hello.capacity.as_ref());
        let (store, id) = (self.shared.store.clone(), self.id);
        let attach = async move {
            if !store.host_attached(id, capacity).await.map_err(|error| AttachError::Store(id, error))? {
                return Err(AttachError::NotFound(id));
            }
            // An agent takes its inventory after its last session ended, and what a session said was handled
            // before the next one attaches: so a row is not ahead of a hello.
            look_up(&store, id, listed, None).await.map_err(|error| AttachError::Store(id, error))
        };
        AtomicResponse::new(Box::pin(attach.into_actor(self).map(
            move |read: Result<Found, AttachError>, actor: &mut Self, ctx| {
                let found = read?;
                actor.attached(hello, link, ctx);
                actor.reconcile(found, ctx);
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
