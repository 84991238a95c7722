//! The attachment of a host to this server: how it begins and ends for the host's connection.
//!
//! ```text
//!   row read, agent attaches ─▶ hold ─▶ shown to sandboxes and placement ─▶ writes repeat server and epoch
//!   row read, a write changes nothing ─▶ lose ─▶ link dropped, sandboxes' actors read their rows again
//! ```

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use wrenn_domain::host::{Attachment, Host, HostStatus, Intake};
use wrenn_proto::agent::{self, server_frame};

use super::{
    board::{Held, HostView},
    connection::HostConnection,
};
use crate::{retry::until_answered, sandbox::RowRead};

/// Reason for which the agent of a deleted host is terminated.
pub const HOST_DELETED: &str = "the host was deleted";

impl HostConnection {
    pub(super) fn loaded(&mut self, host: Option<Host>, ctx: &mut Context<Self>) {
        let Some(host) = host else {
            self.end(ctx);
            return;
        };
        let is_new = match host.attachment {
            Some(attachment) if attachment.server == self.parts.server => self.hold(attachment),
            Some(attachment) => {
                self.lose(attachment, ctx);
                false
            }
            // This server was taken for dead, and takes the host again with its next look.
            None if self.attachment.is_some() => return,
            None => false,
        };
        self.written = Some(host.status);
        let view = self.view.get_or_insert_with(|| HostView {
            id: host.id,
            team_id: host.team_id,
            status: host.status,
            intake: host.intake,
            capacity: host.capacity.unwrap_or_default(),
            load: None,
            agent: None,
            attachment: None,
        });
        view.intake = host.intake;
        if self.attachment.is_none() || is_new {
            // Other servers knew more of it.
            view.status = host.status;
        }
        if self.attachment.is_none() {
            self.publish(ctx);
            return;
        }
        match &self.link {
            Some(link) if link.is_open() => {
                view.status = HostStatus::Online;
                self.parts.due.soon(self.id);
            }
            _ if view.status == HostStatus::Online => view.status = HostStatus::Offline,
            _ => {}
        }
        self.publish(ctx);
    }

    /// Compares the row with what is known: the host may have changed hands.
    pub(super) fn refreshed(&mut self, row: Host, ctx: &mut Context<Self>) {
        let is_stale = match (row.attachment, self.attachment) {
            (None, known) => known.is_some(),
            (Some(read), _) => read.epoch < self.newest,
        };
        if is_stale {
            return;
        }
        if row.attachment.is_some() && row.attachment == self.attachment {
            self.set_intake(row.intake);
            return;
        }
        self.loaded(Some(row), ctx);
    }

    fn set_intake(&mut self, intake: Intake) {
        let Some(view) = self.view.as_mut().filter(|view| view.intake != intake) else { return };
        tracing::info!(host = %self.id, %intake, "intake of the host changed");
        view.intake = intake;
        self.show();
    }

    /// Ends the connection of a host that is deleted: its agent is told, and the actors of its sandboxes read their rows.
    fn end(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(host = %self.id, "host is deleted");
        if let Some(link) = &self.link {
            let reason = HOST_DELETED.to_owned();
            // An agent that does not read learns it when it dials again.
            let _ = link.send(server_frame::Frame::Terminate(agent::Terminate { reason, r#final: true }));
        }
        self.drop_link(HOST_DELETED);
        self.is_deleted = true;
        self.attachment = None;
        self.parts.placement.lost(self.id);
        self.parts.board.remove(self.id);
        self.parts.due.forget(self.id);
        let (store, sandboxes, id) = (self.parts.store.clone(), self.parts.sandboxes.clone(), self.id);
        let tell = async move {
            for row in
                until_answered("sandboxes_ended_with_host", || store.sandboxes_ended_with_host(id)).await
            {
                if let Some(actor) = sandboxes.living(row.id) {
                    actor.do_send(RowRead(row.lifecycle));
                }
            }
        };
        ctx.wait(tell.into_actor(self).map(|(), _, ctx: &mut Context<Self>| ctx.stop()));
    }

    /// Speaks for the host from now on. Returns false if it does already.
    pub(super) fn hold(&mut self, attachment: Attachment) -> bool {
        if self.attachment == Some(attachment) {
            return false;
        }
        tracing::info!(host = %self.id, epoch = attachment.epoch.0, "this server speaks for the host");
        self.attachment = Some(attachment);
        self.newest = self.newest.max(attachment.epoch);
        self.heard = self.parts.clock.now();
        self.written = None;
        self.show();
        // Promises of other servers count, and what they left in flight is taken up.
        self.parts.placement.taken(attachment);
        true
    }

    /// Does not speak for the host any more: another server does.
    pub(super) fn lose(&mut self, to: Attachment, ctx: &mut Context<Self>) {
        self.newest = self.newest.max(to.epoch);
        if self.attachment.take().is_none() {
            return;
        }
        tracing::warn!(host = %self.id, "another server speaks for the host");
        self.drop_link("the host is attached to another server");
        self.parts.due.forget(self.id);
        self.parts.placement.lost(self.id);
        self.show();
        // Actors of its sandboxes must not answer from what they knew.
        let (store, sandboxes, id) = (self.parts.store.clone(), self.parts.sandboxes.clone(), self.id);
        let tell = async move {
            for row in until_answered("sandboxes_of_host", || store.sandboxes_of_host(id)).await {
                if let Some(actor) = sandboxes.living(row.id) {
                    actor.do_send(RowRead(row.lifecycle));
                }
            }
        };
        ctx.spawn(tell.into_actor(self));
    }

    /// Shows the view to others.
    pub(super) fn show(&mut self) {
        let attachment = self.attachment;
        let Some(view) = self.view.as_mut().filter(|_| !self.is_deleted) else { return };
        if view.attachment.map(|held| held.attachment) != attachment {
            let since = self.parts.clock.now();
            view.attachment = attachment.map(|attachment| Held { attachment, since });
        }
        self.parts.board.publish(view.clone());
    }

    /// Reads the row, before any further message is handled: the host has changed hands, or is gone.
    pub(super) fn read_again(&mut self, ctx: &mut Context<Self>) {
        let (store, id) = (self.parts.store.clone(), self.id);
        let read = async move { until_answered("host_fetch", || store.host_fetch(id)).await };
        ctx.wait(read.into_actor(self).map(|host, actor: &mut Self, ctx| actor.loaded(host, ctx)));
    }
}
