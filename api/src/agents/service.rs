//! What agents can call.

use std::{pin::Pin, time::Duration};

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use wrenn_actors::{AttachError, ControlPlane, host::HOST_DELETED, transfer::FetchError};
use wrenn_base::{Chain, Clock};
use wrenn_control::{
    Control,
    agent_authority::HostCertificate,
    authenticate,
    host_certificate_renew::{self, RenewCertificateError},
    host_register::{self, RegisterHostError, Registration},
};
use wrenn_domain::host::HostCapacity;
use wrenn_pki::{CertificateError, Fingerprint, Peer};
use wrenn_proto::{
    agent::{
        self, AgentFrame, Capacity, FetchTemplateRequest, RegisterRequest, RenewCertificateRequest,
        SendTemplateResponse, ServerFrame, TemplatePart, Terminate, TunnelDown, TunnelUp, agent_frame,
        control_plane_server, server_frame,
    },
    ids::{HostId, TemplateId, TransferId, TunnelId},
};
use wrenn_store::host_certificates::CertificateState;

use super::incoming::Dialled;

/// Frames that may wait for an agent; past that it counts as one that does not read.
const LINK_QUEUE: usize = 4096;
/// Frames that may wait in a tunnel.
const TUNNEL_QUEUE: usize = 8;
/// How long an agent may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The implementation of the agents' service; one for all connections.
pub(super) struct AgentService {
    control: Control,
    control_plane: ControlPlane,
    clock: Clock,
    stop: CancellationToken,
}

impl AgentService {
    pub(super) fn new(control: Control, clock: Clock, stop: CancellationToken) -> Self {
        let control_plane = control.actors().clone();
        Self { control, control_plane, clock, stop }
    }

    /// Returns the host whose certificate the connection shows, and the state of that.
    async fn authenticate<T>(&self, request: &Request<T>) -> Result<(HostId, CertificateState), Status> {
        let (host, certificate) = host_of(request)?;
        let found = authenticate::host_certificate(&self.control, host, certificate).await;
        Ok((host, found.map_err(|error| unavailable(&error))?))
    }
}

/// Returns the host whose certificate the connection shows. It may have been revoked: enough for what only a host that is
/// attached can have been asked for, as that was looked up.
fn host_of<T>(request: &Request<T>) -> Result<(HostId, Fingerprint), Status> {
    match request.extensions().get::<Dialled>().map(|dialled| dialled.peer) {
        Some(Peer::Host { host, certificate }) => Ok((host, certificate)),
        Some(Peer::Unknown) | None => {
            Err(Status::unauthenticated("the connection shows no certificate of a host; register first"))
        }
    }
}

fn revoked() -> Status {
    Status::unauthenticated("the host's certificate was revoked")
}

/// The control plane cannot answer now; nothing about the reason leaves the server.
fn unavailable(error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::warn!(error = %Chain(error), "an agent's call failed");
    Status::unavailable("the control plane cannot answer now")
}

fn answer(certificate: HostCertificate) -> Response<agent::HostCertificate> {
    let HostCertificate { host, der, ttl } = certificate;
    Response::new(agent::HostCertificate {
        host_id: host.to_string(),
        certificate: der,
        ttl_sec: ttl.as_secs(),
    })
}

fn register_status(error: &RegisterHostError) -> Status {
    match error {
        RegisterHostError::Token => Status::unauthenticated(error.to_string()),
        RegisterHostError::Fact(_) => Status::invalid_argument(error.to_string()),
        RegisterHostError::Key(reason) => key_status(error, reason),
        RegisterHostError::TooMany(_) => Status::resource_exhausted(error.to_string()),
        RegisterHostError::Enter(_) | RegisterHostError::Store(_) => unavailable(error),
    }
}

fn renew_status(error: &RenewCertificateError) -> Status {
    match error {
        RenewCertificateError::Revoked => revoked(),
        RenewCertificateError::Key(reason) => key_status(error, reason),
        RenewCertificateError::Enter(_) | RenewCertificateError::Store(_) => unavailable(error),
    }
}

fn key_status(error: &(dyn std::error::Error + 'static), reason: &CertificateError) -> Status {
    match reason {
        CertificateError::PublicKey => Status::invalid_argument(error.to_string()),
        _ => {
            tracing::error!(error = %Chain(error), "host was not certified");
            Status::internal("the host cannot be certified")
        }
    }
}

/// Returns the frame for an agent whose host was deleted: it destroys its machines and forgets its credentials.
fn terminate() -> ServerFrame {
    let terminate = Terminate { reason: HOST_DELETED.to_owned(), r#final: true };
    ServerFrame { frame: Some(server_frame::Frame::Terminate(terminate)) }
}

#[tonic::async_trait]
impl control_plane_server::ControlPlane for AgentService {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<agent::HostCertificate>, Status> {
        let network = request.extensions().get::<Dialled>().and_then(|dialled| dialled.network);
        let RegisterRequest { registration_token: token, capacity, arch, address, public_key } =
            request.into_inner();
        let Capacity { cpu_cores, memory_mb, disk_mb } = capacity.unwrap_or_default();
        let capacity = HostCapacity { cpu_cores, memory_mb, disk_mb };
        let registration = Registration { token, capacity, arch, address };
        let registered =
            host_register::run_certified(&self.control, network, registration, &public_key).await;
        Ok(answer(registered.map_err(|error| register_status(&error))?))
    }

    async fn renew_certificate(
        &self,
        request: Request<RenewCertificateRequest>,
    ) -> Result<Response<agent::HostCertificate>, Status> {
        let (host, shown) = host_of(&request)?;
        let renewed =
            host_certificate_renew::run(&self.control, host, shown, &request.get_ref().public_key).await;
        Ok(answer(renewed.map_err(|error| renew_status(&error))?))
    }

    type AttachStream = Frames<ServerFrame>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (host, valid_for) = match self.authenticate(&request).await? {
            (host, CertificateState::Valid { left }) => (host, left),
            (_, CertificateState::HostDeleted) => {
                return Ok(Response::new(Box::pin(stream::iter([Ok(terminate())]))));
            }
            (_, CertificateState::Void) => return Err(revoked()),
        };
        let (outgoing, queue) = mpsc::channel(LINK_QUEUE);
        let (failed, failure) = oneshot::channel();
        let (control_plane, clock, stop) =
            (self.control_plane.clone(), self.clock.clone(), self.stop.clone());
        let frames = request.into_inner();
        tokio::spawn(async move {
            let carried = clock.timeout(valid_for, carry_link(&control_plane, host, frames, outgoing));
            // An agent renews its certificate and dials again long before that.
            let ended = || Err(Status::unauthenticated("the host's certificate has expired"));
            let carried = carried.map(|carried| carried.unwrap_or_else(|_| ended()));
            if let Some(Err(status)) = stop.run_until_cancelled(carried).await {
                // An agent that is gone needs no reason.
                let _ = failed.send(status);
            }
        });
        // The queue ends when nobody can send any more; then the agent is told why, if there is a reason.
        let end = stream::once(failure).filter_map(async |status| status.ok().map(Err));
        Ok(Response::new(Box::pin(ReceiverStream::new(queue).map(Ok).chain(end))))
    }

    type TunnelStream = Frames<TunnelDown>;

    async fn tunnel(
        &self,
        request: Request<Streaming<TunnelUp>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        let (host, _) = host_of(&request)?;
        let tunnel = request
            .metadata()
            .get("x-wrenn-tunnel")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<TunnelId>().ok())
            .ok_or_else(|| Status::invalid_argument("`x-wrenn-tunnel: <tunnel id>` is missing"))?;
        let acceptor = self
            .control_plane
            .tunnel_accept(host, tunnel)
            .ok_or_else(|| Status::not_found("nobody waits for this tunnel"))?;
        let (down, queue) = mpsc::channel(TUNNEL_QUEUE);
        let stop = self.stop.clone();
        let up = request.into_inner();
        tokio::spawn(async move {
            stop.run_until_cancelled(acceptor.run(up, down)).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(queue).map(Ok))))
    }

    type FetchTemplateStream = Frames<TemplatePart>;

    async fn fetch_template(
        &self,
        request: Request<FetchTemplateRequest>,
    ) -> Result<Response<Self::FetchTemplateStream>, Status> {
        let (host, CertificateState::Valid { .. }) = self.authenticate(&request).await? else {
            return Err(revoked());
        };
        let template = request.into_inner().template_id.parse::<TemplateId>();
        let template =
            template.map_err(|_| Status::invalid_argument("`template_id` is not the id of a template"))?;
        let fetch = self.control_plane.template_fetch(host, template);
        let parts = self.stop.run_until_cancelled(fetch).await.ok_or_else(stopping)?.map_err(fetch_status)?;
        let parts =
            parts.map(|part| part.map_err(fetch_status)).take_until(self.stop.clone().cancelled_owned());
        Ok(Response::new(Box::pin(parts)))
    }

    async fn send_template(
        &self,
        request: Request<Streaming<TemplatePart>>,
    ) -> Result<Response<SendTemplateResponse>, Status> {
        let (host, _) = host_of(&request)?;
        let transfer = request
            .metadata()
            .get("x-wrenn-transfer")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<TransferId>().ok())
            .ok_or_else(|| Status::invalid_argument("`x-wrenn-transfer: <transfer id>` is missing"))?;
        let acceptor = self
            .control_plane
            .template_accept(host, transfer)
            .ok_or_else(|| Status::not_found("nobody waits for this template"))?;
        let stored = self.stop.run_until_cancelled(acceptor.run(request.into_inner())).await;
        stored.ok_or_else(stopping)?.map_err(Status::aborted)?;
        Ok(Response::new(SendTemplateResponse {}))
    }
}

fn fetch_status(error: FetchError) -> Status {
    tracing::warn!(error = %Chain(&error), "a template cannot be fetched");
    let message = error.to_string();
    match error {
        FetchError::NotFound => Status::not_found(message),
        FetchError::NoSource | FetchError::Source(_) => Status::failed_precondition(message),
        FetchError::Store(_) | FetchError::Objects(_) | FetchError::Interrupted => {
            Status::unavailable(message)
        }
        FetchError::Stored(_) => Status::data_loss(message),
    }
}

fn stopping() -> Status {
    Status::unavailable("the control plane is being stopped")
}

/// Carries one host's stream until either side ends it.
async fn carry_link(
    control_plane: &ControlPlane,
    host: HostId,
    mut frames: Streaming<AgentFrame>,
    outgoing: mpsc::Sender<ServerFrame>,
) -> Result<(), Status> {
    let first = timeout(HELLO_WITHIN, frames.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello came in time"))??;
    let Some(agent_frame::Frame::Hello(hello)) = first.and_then(|frame| frame.frame) else {
        return Err(Status::invalid_argument("the first frame must be a hello"));
    };
    let link = match control_plane.agent_attach(host, hello, outgoing.clone()).await {
        Err(AttachError::NotFound(_)) => {
            // The host was deleted after its certificate was checked. An agent that is gone needs no answer.
            let _ = outgoing.send(terminate()).await;
            return Ok(());
        }
        attached => attached.map_err(attach_status)?,
    };
    // The queue must end with the link.
    drop(outgoing);
    loop {
        let frame = tokio::select! {
            frame = frames.message() => frame?,
            () = link.cut() => return Ok(()),
        };
        // None: the agent closed its half. False: the link was cut.
        let Some(frame) = frame else { return Ok(()) };
        if !link.receive(frame).await {
            return Ok(());
        }
    }
}

fn attach_status(error: AttachError) -> Status {
    tracing::warn!(error = %Chain(&error), "an agent could not attach");
    match error {
        AttachError::WrongHost => {
            Status::invalid_argument("the hello names another host than the certificate")
        }
        AttachError::Inventory(error) => Status::invalid_argument(error.to_string()),
        AttachError::NotFound(_) => Status::unauthenticated("there is no such host any more"),
        AttachError::Store(..) | AttachError::Unanswered(..) => {
            Status::unavailable("the control plane cannot answer now")
        }
    }
}
