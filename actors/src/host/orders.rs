//! What a host's connection is asked to do by others.

use actix::{Context, Handler, ResponseFuture, fut::ready};
use tokio::{sync::oneshot, time::Instant};
use wrenn_domain::sandbox::state::Input;
use wrenn_proto::agent::{self, server_frame};

use super::{
    connection::HostConnection,
    messages::{
        CutLink, DropFailure, DropTemplate, HostAway, InjectPanic, LookAgain, OpenTunnel, OrderTemplate,
        Retire, SendCommand,
    },
};

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
        let frame =
            agent::OpenTunnel { tunnel_id: open.tunnel.to_string(), sandbox_id: open.sandbox.to_string() };
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

impl Handler<LookAgain> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: LookAgain, _: &mut Context<Self>) {
        // The next tick does, so that many failures at once lead to one look.
        self.inventory_due = Instant::now();
    }
}

impl Handler<Retire> for HostConnection {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Context<Self>) {
        if self.link.is_none() {
            self.tell_all(Input::HostRetired, ctx, |_| true);
        }
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
