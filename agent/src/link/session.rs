//! One session of the link: from the hello to the end of the `Attach` stream.
//!
//! ```text
//!   agent                                   control plane
//!     hello with inventory ───────────────▶
//!                          ◀─────────────── welcome
//!     heartbeats, results, events ────────▶
//!                          ◀─────────────── commands, tunnel openings, inventory requests, terminate
//! ```
//!
//! The reader never waits: a command goes into the mailbox of its machine, a tunnel becomes a task of its own.
//! Results that are lost with a session are not sent again; the hello of the next one says what is true.

use std::{io, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, transport::Channel};
use wrenn_base::blocking;
use wrenn_proto::agent::{
    AgentFrame, AgentHello, Inventory, MetricsRequest, MetricsStored, OpenTunnel, SendTemplate, ServerFrame,
    Terminate, TunnelError, TunnelErrorKind, TunnelRefused, Welcome, agent_frame::Frame,
    control_plane_client::ControlPlaneClient, server_frame,
};

use super::{
    LinkShared, LinkState,
    credentials::Credentials,
    metrics,
    transfer::{self, ControlPlaneSource},
    tunnel,
};
use crate::machines::Dispatch;

/// Frames that may wait for the control plane to read them.
const QUEUE_FRAMES: usize = 1024;
/// How long the control plane may take to welcome the host.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(20);
/// Bounds of the interval that the control plane may ask for.
const HEARTBEAT_MIN: Duration = Duration::from_millis(50);
const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// Least time before a renewal that failed is tried again.
const RENEWAL_RETRY_MIN: Duration = Duration::from_secs(1);
/// Largest frame that is taken from the control plane, in bytes.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;

/// How a session ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The connection failed, was closed, or did not follow the rules. Come back.
    Lost(String),
    /// The control plane does not accept the host's certificate. Renew it, then come back.
    Unauthenticated(String),
    /// The control plane ended it, and says whether the host may come back.
    Terminated(Terminate),
    /// The certificate should be renewed before it expires. The session was in order.
    CertificateDue,
}

impl From<Status> for SessionEnd {
    fn from(status: Status) -> Self {
        let message = format!("{}: {}", status.code().description(), status.message());
        match status.code() {
            tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => Self::Unauthenticated(message),
            _ => Self::Lost(message),
        }
    }
}

/// Runs one session to its end.
pub(super) async fn run(
    shared: &LinkShared,
    channel: &Channel,
    tunnels: &Channel,
    credentials: &Credentials,
) -> SessionEnd {
    let session = Session { shared, tunnels, credentials };
    let end = session.attach_and_serve(channel).await.unwrap_or_else(|end| end);
    shared.host.outbox.close_session();
    shared.host.upstream.close();
    end
}

struct Session<'a> {
    shared: &'a LinkShared,
    tunnels: &'a Channel,
    credentials: &'a Credentials,
}

impl Session<'_> {
    async fn attach_and_serve(&self, channel: &Channel) -> Result<SessionEnd, SessionEnd> {
        // Whatever changes after the inventory is taken has to reach the queue, so the queue comes first. What
        // changes in between is told twice, which does no harm.
        let queue = self.shared.host.outbox.open_session(QUEUE_FRAMES);
        let hello = AgentFrame { frame: Some(Frame::Hello(self.hello())) };
        let frames = stream::iter([hello]).chain(ReceiverStream::new(queue.frames));

        let mut client = ControlPlaneClient::new(channel.clone()).max_decoding_message_size(FRAME_MAX_BYTES);
        let request = Request::new(frames);
        let silent = |_| SessionEnd::Lost("the control plane did not answer".into());
        let mut inbound =
            timeout(WELCOME_TIMEOUT, client.attach(request)).await.map_err(silent)??.into_inner();
        let welcome = timeout(WELCOME_TIMEOUT, Self::welcome(&mut inbound)).await.map_err(silent)??;

        tracing::info!(host_id = %self.credentials.host_id, server_version = welcome.server_version, "attached");
        self.shared.host.upstream.open(Arc::new(ControlPlaneSource { channel: self.tunnels.clone() }));
        let clock = &self.shared.host.clock;
        // An instant, decided before anybody learns that the host is attached: a wait for a duration begins when it is
        // first polled.
        let renewal_due = clock.now() + self.next_refresh();
        let metrics = self.shared.host.metrics.clone();
        self.shared.host.works.spawn_blocking(move || metrics.resend_soon());
        self.shared.state.send_replace(LinkState::Attached);
        let heartbeat_every = Duration::from_millis(welcome.heartbeat_interval_ms.into());
        let heartbeat_every = heartbeat_every.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
        let mut next_beat = clock.now();

        loop {
            tokio::select! {
                frame = inbound.message() => match frame? {
                    Some(frame) => {
                        if let Some(terminate) = self.take(frame) {
                            return Ok(SessionEnd::Terminated(terminate));
                        }
                    }
                    None => return Ok(SessionEnd::Lost("the control plane closed the link".into())),
                },
                () = clock.sleep_until(next_beat) => {
                    self.beat().await;
                    next_beat = clock.now() + heartbeat_every;
                }
                () = queue.overflow.cancelled() => {
                    return Ok(SessionEnd::Lost("the control plane does not read".into()));
                }
                () = clock.sleep_until(renewal_due) => return Ok(SessionEnd::CertificateDue),
            }
        }
    }

    async fn welcome(inbound: &mut Streaming<ServerFrame>) -> Result<Welcome, SessionEnd> {
        match inbound.message().await?.and_then(|frame| frame.frame) {
            Some(server_frame::Frame::Welcome(welcome)) => Ok(welcome),
            Some(server_frame::Frame::Terminate(terminate)) => Err(SessionEnd::Terminated(terminate)),
            _ => Err(SessionEnd::Lost("the control plane did not begin with a welcome".into())),
        }
    }

    /// When the certificate is to be renewed; again half-way to its end, if that was due and failed.
    fn next_refresh(&self) -> Duration {
        let now = self.shared.host.clock.wall();
        let due = self.credentials.refresh_in(now);
        let again = self.credentials.remaining(now) / 2;
        if due.is_zero() { again.max(RENEWAL_RETRY_MIN) } else { due }
    }

    fn hello(&self) -> AgentHello {
        let host = &self.shared.host;
        AgentHello {
            host_id: self.credentials.host_id.to_string(),
            boot_id: self.shared.identity.boot_id.clone(),
            incarnation: self.shared.identity.incarnation.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            vmm: host.backend.vmm(),
            kernel: self.shared.identity.kernel.clone(),
            capacity: Some(host.backend.capacity()),
            inventory: Some(self.inventory(0)),
        }
    }

    fn inventory(&self, request_id: u64) -> Inventory {
        let host = &self.shared.host;
        let template_ids = host.backend.template_ids().iter().map(ToString::to_string).collect();
        Inventory { request_id, machines: host.board.reports(), template_ids }
    }

    async fn beat(&self) {
        let backend = self.shared.host.backend.clone();
        // It asks the file system, which may be busy. Should it panic, one heartbeat is left out.
        if let Ok(mut load) = blocking(move || io::Result::Ok(backend.load())).await {
            load.machines = self.shared.host.board.live_count();
            self.shared.host.outbox.publish(Frame::Heartbeat(load));
        }
    }

    /// Takes one frame; returns the order to end the session.
    fn take(&self, frame: ServerFrame) -> Option<Terminate> {
        match frame.frame {
            Some(server_frame::Frame::Command(command)) => self.shared.commands.do_send(Dispatch(command)),
            Some(server_frame::Frame::OpenTunnel(open)) => self.open_tunnel(open),
            Some(server_frame::Frame::InventoryRequest(request)) => {
                let inventory = self.inventory(request.request_id);
                self.shared.host.outbox.publish(Frame::Inventory(inventory));
            }
            Some(server_frame::Frame::Terminate(terminate)) => return Some(terminate),
            Some(server_frame::Frame::DropTemplate(drop)) => self.drop_template(drop.template_id),
            Some(server_frame::Frame::SendTemplate(order)) => self.send_template(order),
            Some(server_frame::Frame::MetricsRequest(request)) => self.answer_metrics(request),
            Some(server_frame::Frame::MetricsStored(stored)) => self.note_stored(&stored),
            Some(server_frame::Frame::Welcome(_)) => tracing::warn!("ignoring a second welcome"),
            None => tracing::warn!("ignoring a frame that this version does not know"),
        }
        None
    }

    /// Removes a template. It may have to wait for a machine that is just being made of it.
    fn drop_template(&self, template_id: String) {
        let host = self.shared.host.clone();
        let works = host.works.clone();
        works.spawn_local(async move {
            host.killed.run_until_cancelled(host.drop_template(template_id)).await;
        });
    }

    /// Answers with measurements. Their file may have to be read, and the guest asked.
    fn answer_metrics(&self, request: MetricsRequest) {
        let host = self.shared.host.clone();
        let works = host.works.clone();
        works.spawn_local(async move {
            let killed = host.killed.clone();
            killed.run_until_cancelled(metrics::answer(host, request)).await;
        });
    }

    fn note_stored(&self, stored: &MetricsStored) {
        let Ok(id) = stored.sandbox_id.parse() else {
            return tracing::warn!(sandbox_id = stored.sandbox_id, "not the id of a sandbox");
        };
        let (metrics, up_to_ms) = (self.shared.host.metrics.clone(), stored.up_to_unix_ms);
        self.shared.host.works.spawn_blocking(move || metrics.note_stored(id, up_to_ms));
    }

    /// Sends a template, which may take long.
    fn send_template(&self, order: SendTemplate) {
        let host = self.shared.host.clone();
        let channel = self.tunnels.clone();
        let killed = host.killed.clone();
        self.shared.tunnels.spawn_local(async move {
            killed.run_until_cancelled(transfer::send(host, channel, order)).await;
        });
    }

    fn open_tunnel(&self, open: OpenTunnel) {
        let tunnel_id = open.tunnel_id.clone();
        if let Err((kind, message)) = self.try_open_tunnel(open) {
            let error = TunnelError { kind: kind.into(), message: message.to_owned() };
            let refused = TunnelRefused { tunnel_id, error: Some(error) };
            self.shared.host.outbox.publish(Frame::TunnelRefused(refused));
        }
    }

    fn try_open_tunnel(&self, open: OpenTunnel) -> Result<(), (TunnelErrorKind, &'static str)> {
        let access = open.sandbox_id.parse().ok().and_then(|id| self.shared.host.board.access(id));
        let access = access.ok_or((TunnelErrorKind::NoMachine, "the host has no such running machine"))?;
        let too_many = |whose| move |_| (TunnelErrorKind::GuestUnreachable, whose);
        let of_machine = access.tunnel_permits.clone().try_acquire_owned();
        let of_machine = of_machine.map_err(too_many("the capsule has too many open streams"))?;
        let of_host = self.shared.tunnel_permits.clone().try_acquire_owned();
        let of_host = of_host.map_err(too_many("the host has too many open tunnels"))?;
        let channel = self.tunnels.clone();
        let killed = self.shared.host.killed.clone();
        self.shared.tunnels.spawn_local(async move {
            killed.run_until_cancelled(tunnel::carry(&channel, open, access)).await;
            drop((of_machine, of_host));
        });
        Ok(())
    }
}
