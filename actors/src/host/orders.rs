//! What a host's connection is asked to do by others.

use std::time::Duration;

use actix::{Context, Handler, ResponseFuture, fut::ready};
use tokio::sync::oneshot;
use wrenn_domain::sandbox::state::Input;
use wrenn_proto::agent::{self, server_frame};

use super::{
    connection::HostConnection,
    messages::{
        Check, CutLink, DropFailure, DropTemplate, HostAway, HostDeleted, InjectPanic, OpenTunnel,
        OrderTemplate, Refresh, Retire, SendCommand, TakeInventory,
    },
};

/// Shortest time between two reads of the row because writes change nothing.
const CHECK_EVERY: Duration = Duration::from_millis(20);

impl Handler<DropTemplate> for HostConnection {
    type Result = ResponseFuture<Result<(), DropFailure>>;

    fn handle(&mut self, DropTemplate(template): DropTemplate, ctx: &mut Context<Self>) -> Self::Result {
        let frame = agent::DropTemplate { template_id: template.to_string() };
        if self.send(server_frame::Frame::DropTemplate(frame), ctx).is_err() {
            return Box::pin(ready(Err(DropFailure::HostAway)));
        }
        let (reply, dropped) = oneshot::channel();
        self.dropping.entry(template).or_default().push(reply);
        Box::pin(async move { dropped.await.unwrap_or(Err(DropFailure::HostAway)) })
    }
}

impl Handler<SendCommand> for HostConnection {
    type Result = ();

    fn handle(&mut self, SendCommand(command): SendCommand, ctx: &mut Context<Self>) {
        let sandbox = command.sandbox_id.clone();
        if self.send(server_frame::Frame::Command(command), ctx).is_err() {
            tracing::info!(host = %self.id, sandbox, "host is away; the command is sent when it is back");
        }
    }
}

impl Handler<OpenTunnel> for HostConnection {
    type Result = Result<(), HostAway>;

    fn handle(&mut self, open: OpenTunnel, ctx: &mut Context<Self>) -> Self::Result {
        let frame = agent::OpenTunnel {
            tunnel_id: open.tunnel.to_string(),
            sandbox_id: open.sandbox.to_string(),
            traceparent: open.traceparent,
        };
        self.send(server_frame::Frame::OpenTunnel(frame), ctx)
    }
}

impl Handler<OrderTemplate> for HostConnection {
    type Result = Result<(), HostAway>;

    fn handle(&mut self, order: OrderTemplate, ctx: &mut Context<Self>) -> Self::Result {
        let OrderTemplate { transfer, template } = order;
        let frame =
            agent::SendTemplate { transfer_id: transfer.to_string(), template_id: template.to_string() };
        self.send(server_frame::Frame::SendTemplate(frame), ctx)
    }
}

impl Handler<TakeInventory> for HostConnection {
    type Result = ResponseFuture<Result<(), HostAway>>;

    fn handle(&mut self, TakeInventory { baseline }: TakeInventory, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, compared) = oneshot::channel();
        self.ask_inventory(baseline, reply, ctx);
        Box::pin(async move { compared.await.map_err(|_| HostAway) })
    }
}

impl Handler<Check> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: Check, ctx: &mut Context<Self>) {
        // Many sandboxes may find it out at once.
        let now = self.parts.clock.now();
        if self.checked.is_none_or(|checked| now.saturating_duration_since(checked) >= CHECK_EVERY) {
            self.checked = Some(now);
            self.read_again(ctx);
        }
    }
}

impl Handler<Refresh> for HostConnection {
    type Result = ();

    fn handle(&mut self, Refresh(row): Refresh, ctx: &mut Context<Self>) {
        self.refreshed(row, ctx);
    }
}

impl Handler<Retire> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Context<Self>) {
        if self.link.is_none() && self.attachment.is_some() {
            self.tell_all(Input::HostRetired, ctx, |_| true);
        }
    }
}

impl Handler<HostDeleted> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: HostDeleted, ctx: &mut Context<Self>) {
        self.read_again(ctx);
    }
}

impl Handler<CutLink> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: CutLink, ctx: &mut Context<Self>) {
        self.end_link("cut on purpose", ctx);
    }
}

impl Handler<InjectPanic> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: InjectPanic, _: &mut Context<Self>) {
        panic!("injected into host {}", self.id);
    }
}
