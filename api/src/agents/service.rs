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
use wrenn_actors::{AttachError, ControlPlane, transfer::FetchError};
use wrenn_domain::host::HostCapacity;
use wrenn_proto::{
    agent::{
        AgentFrame, Capacity, FetchTemplateRequest, RefreshTokenRequest, RegisterRequest, RegisterResponse,
        SendTemplateResponse, ServerFrame, TemplatePart, TunnelDown, TunnelUp, agent_frame,
        control_plane_server,
    },
    ids::{HostId, TemplateId, TransferId, TunnelId},
};
use wrenn_store::{
    StoreError,
    host_tokens::{HOST_TTL, HostFacts},
};

use super::credentials::{Credentials, bearer, hash};

/// Frames that may wait for an agent; past that it counts as one that does not read.
const LINK_QUEUE: usize = 4096;
/// Frames that may wait in a tunnel.
const TUNNEL_QUEUE: usize = 8;
/// How long an agent may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Longest text that a host may say of itself.
const FACT_MAX_BYTES: usize = 200;

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The implementation of the agents' service; one for all connections.
pub(super) struct AgentService {
    control_plane: ControlPlane,
    stop: CancellationToken,
}

impl AgentService {
    pub(super) fn new(control_plane: ControlPlane, stop: CancellationToken) -> Self {
        Self { control_plane, stop }
    }

    /// Returns the host that shows its token, and how long the token is still valid.
    async fn authenticate<T>(&self, request: &Request<T>) -> Result<(HostId, Duration), Status> {
        let token = bearer(request.metadata())?;
        self.control_plane
            .store()
            .host_token_verify(&hash(token))
            .await
            .map_err(unavailable)?
            .ok_or_else(|| Status::unauthenticated("the host token is not valid, or no longer"))
    }
}

/// The database does not answer; nothing about it leaves the server.
fn unavailable(error: StoreError) -> Status {
    tracing::warn!(error = &error as &dyn std::error::Error, "an agent's call failed");
    Status::unavailable("the control plane cannot answer now")
}

fn granted(host: HostId, credentials: Credentials) -> Response<RegisterResponse> {
    Response::new(RegisterResponse {
        host_id: host.to_string(),
        host_token: credentials.host_token,
        refresh_token: credentials.refresh_token,
        host_token_ttl_sec: HOST_TTL.as_secs(),
    })
}

/// Reads what a host says of itself; refuses what the database could not hold.
fn facts(request: &RegisterRequest) -> Result<HostFacts, Status> {
    let Capacity { cpu_cores, memory_mb, disk_mb } = request.capacity.unwrap_or_default();
    let is_text = |text: &str| text.len() <= FACT_MAX_BYTES && !text.chars().any(char::is_control);
    let is_sane = i32::try_from(cpu_cores).is_ok()
        && i64::try_from(memory_mb).is_ok()
        && i64::try_from(disk_mb).is_ok()
        && is_text(&request.arch)
        && is_text(&request.address);
    if !is_sane {
        return Err(Status::invalid_argument("capacity, arch or address is out of range"));
    }
    Ok(HostFacts {
        capacity: HostCapacity { cpu_cores, memory_mb, disk_mb },
        arch: request.arch.clone(),
        address: request.address.clone(),
    })
}

#[tonic::async_trait]
impl control_plane_server::ControlPlane for AgentService {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let facts = facts(&request)?;
        let credentials = Credentials::generate();
        let host = self
            .control_plane
            .store()
            .host_register(&hash(&request.registration_token), &credentials.hashes(), &facts)
            .await
            .map_err(unavailable)?
            .ok_or_else(|| {
                Status::unauthenticated(
                    "the registration token is not valid, was used, or is over an hour old",
                )
            })?;
        tracing::info!(%host, arch = facts.arch, "host registered");
        Ok(granted(host, credentials))
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let refresh = hash(&request.into_inner().refresh_token);
        let credentials = Credentials::generate();
        let host = self
            .control_plane
            .store()
            .host_refresh(&refresh, &credentials.hashes())
            .await
            .map_err(unavailable)?
            .ok_or_else(|| Status::unauthenticated("the refresh token is not valid, or no longer"))?;
        tracing::info!(%host, "host renewed its credentials");
        Ok(granted(host, credentials))
    }

    type AttachStream = Frames<ServerFrame>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (host, valid_for) = self.authenticate(&request).await?;
        let (outgoing, queue) = mpsc::channel(LINK_QUEUE);
        let (failed, failure) = oneshot::channel();
        let (control_plane, stop) = (self.control_plane.clone(), self.stop.clone());
        let frames = request.into_inner();
        tokio::spawn(async move {
            let carried = timeout(valid_for, carry_link(&control_plane, host, frames, outgoing));
            // An agent renews its token and dials again long before that.
            let ended = || Err(Status::unauthenticated("the host token has ended"));
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
        let (host, _) = self.authenticate(&request).await?;
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
        let (host, _) = self.authenticate(&request).await?;
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
        let (host, _) = self.authenticate(&request).await?;
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
    tracing::warn!(error = &error as &dyn std::error::Error, "a template cannot be fetched");
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
    let link = control_plane.agent_attach(host, hello, outgoing).await.map_err(attach_status)?;
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
    tracing::warn!(error = &error as &dyn std::error::Error, "an agent could not attach");
    match error {
        AttachError::WrongHost => Status::invalid_argument("the hello names another host than the token"),
        AttachError::NotFound(_) => Status::unauthenticated("there is no such host any more"),
        AttachError::Store(..) | AttachError::Unanswered(..) => {
            Status::unavailable("the control plane cannot answer now")
        }
    }
}
