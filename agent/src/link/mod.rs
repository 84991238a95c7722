//! The link to the control plane: the agent dials, registers, attaches, and comes back whenever it is cut off.
//!
//! ```text
//!   Link (actor)
//!     └─ loop: credentials ─▶ session (Attach) ─▶ lost? back off ─▶ again
//!                               ├─ commands ──▶ Machines
//!                               ├─ OpenTunnel ▶ tunnel tasks, on a connection of their own; templates, too
//!                               └◀ Outbox      results, events, heartbeats
//! ```
//!
//! The control plane being away changes nothing for the machines. Two things end the link for good: the control
//! plane says that this host must not come back, or it accepts none of its tokens. A refresh token may be lost (its
//! answer did not arrive, the disk was full): then the host token serves until it ends, and a registration token,
//! which an installation may be given at every start, brings the host back as the one it was.

mod credentials;
mod dial;
mod outbox;
mod session;
mod transfer;
mod tunnel;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tonic::{Request, Status, transport::Channel};
use wrenn_proto::ids::HostId;
use wrenn_supervision::Backoff;

pub use self::{
    credentials::{Credentials, CredentialsError, CredentialsFile},
    outbox::{Outbox, SessionQueue},
};
use self::{dial::dial, session::SessionEnd};
use crate::{
    config::ServerAddr,
    machines::{Dispatch, Host, causes},
};

/// Tunnels that a host carries at once.
const TUNNELS_MAX: usize = 1024;
/// Rest between two tries to reach the control plane.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15)).jitter(0.5);

/// A session that lasted for this long was a good one: the next try comes soon.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// Where the link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not attached, but trying.
    Connecting,
    /// Attached: the control plane has welcomed this host.
    Attached,
    /// Ended for good.
    Ended {
        /// Why.
        reason: String,
    },
}

/// Which host and which run of its agent this is.
#[derive(Debug, Clone)]
pub struct AgentIdentity {
    /// Changes with every boot of the host's kernel.
    pub boot_id: String,
    /// Changes with every start of the agent.
    pub incarnation: String,
    /// Release of the host's kernel.
    pub kernel: String,
}

/// What a link works with; it outlives the incarnations of the actor.
pub struct LinkShared {
    /// Where the control plane is.
    pub server: ServerAddr,
    /// Token for the first registration.
    pub registration_token: Option<String>,
    /// Where the credentials are kept.
    pub credentials: CredentialsFile,
    /// Who we are.
    pub identity: AgentIdentity,
    /// The machines' world.
    pub host: Arc<Host>,
    /// Where commands go.
    pub commands: Recipient<Dispatch>,
    /// Where the link stands.
    pub state: watch::Sender<LinkState>,
    /// Tunnels in progress.
    pub tunnels: TaskTracker,
    /// One for each tunnel that may be opened yet.
    pub tunnel_permits: Arc<Semaphore>,
}

impl LinkShared {
    /// Makes the shared part of a link that is not yet attached.
    pub fn new(
        server: ServerAddr,
        registration_token: Option<String>,
        credentials: CredentialsFile,
        identity: AgentIdentity,
        host: Arc<Host>,
        commands: Recipient<Dispatch>,
    ) -> Self {
        Self {
            server,
            registration_token,
            credentials,
            identity,
            host,
            commands,
            state: watch::Sender::new(LinkState::Connecting),
            tunnels: TaskTracker::new(),
            tunnel_permits: Arc::new(Semaphore::new(TUNNELS_MAX)),
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The actor that keeps the link.
pub struct Link {
    shared: Arc<LinkShared>,
}

impl Link {
    /// Makes the actor; it dials when it is started.
    pub fn new(shared: Arc<LinkShared>) -> Self {
        Self { shared }
    }
}

impl Actor for Link {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let shared = self.shared.clone();
        shared.state.send_replace(LinkState::Connecting);
        let link = async move { keep_attached(&shared).await };
        ctx.spawn(link.into_actor(self).map(|reason, this, ctx| {
            tracing::error!(reason, "the link has ended for good");
            this.shared.state.send_replace(LinkState::Ended { reason });
            ctx.stop();
        }));
    }
}

impl Supervised for Link {}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.host.outbox.close_session();
    }
}

/// Attaches again and again; returns why the host must not come back.
async fn keep_attached(shared: &LinkShared) -> String {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let mut failures = 0;
    loop {
        match attach_once(shared).await {
            Attempt::Refused(reason) => return reason,
            Attempt::Attached => failures = 0,
            Attempt::Failed => failures += 1,
        }
        shared.state.send_if_modified(|state| {
            let was_attached = *state == LinkState::Attached;
            *state = LinkState::Connecting;
            was_attached
        });
        let delay = RECONNECT.delay(failures.max(1), &mut rng);
        tokio::time::sleep(delay).await;
    }
}

/// What came of one try.
enum Attempt {
    /// The host was attached for a while.
    Attached,
    /// It was not, or only for a moment.
    Failed,
    /// It must not be tried again.
    Refused(String),
}

async fn attach_once(shared: &LinkShared) -> Attempt {
    let channels = dial(&shared.server).and_then(|link| Ok((link, dial(&shared.server)?)));
    let (link, tunnels) = match channels {
        Ok(channels) => channels,
        Err(error) => return Attempt::Refused(format!("{}: {error}: {}", shared.server, causes(&error))),
    };
    let credentials = match valid_credentials(shared, &link).await {
        Ok(credentials) => credentials,
        Err(error) if error.is_final() => return Attempt::Refused(error.to_string()),
        Err(error) => {
            tracing::warn!(server = %shared.server, %error, causes = causes(&error), "no valid credentials yet");
            return Attempt::Failed;
        }
    };
    let begun = Instant::now();
    let end = session::run(shared, &link, &tunnels, &credentials).await;
    let was_attached = *shared.state.borrow() == LinkState::Attached;
    match end {
        SessionEnd::Terminated(terminate) if terminate.r#final => {
            return Attempt::Refused(format!("ended by the control plane: {}", terminate.reason));
        }
        SessionEnd::Terminated(terminate) => {
            tracing::warn!(reason = terminate.reason, "session was terminated")
        }
        SessionEnd::Lost(reason) => tracing::warn!(server = %shared.server, reason, "not attached"),
        SessionEnd::TokenDue => tracing::info!("the host token is due to be refreshed"),
        SessionEnd::Unauthenticated(reason) => {
            tracing::warn!(reason, "the control plane does not accept the host token");
            match renewed(shared, &link, &credentials).await {
                Ok(_) => {}
                Err(error) if error.is_final() => return Attempt::Refused(error.to_string()),
                Err(error) => {
                    tracing::warn!(%error, causes = causes(&error), "the host token was not refreshed")
                }
            }
        }
    }
    // Two agents with the same credentials would otherwise throw each other out at full speed.
    if was_attached && begun.elapsed() > STEADY_AFTER { Attempt::Attached } else { Attempt::Failed }
}

/// Returns credentials that can be used: the kept ones, renewed if that is due and possible, or those of a
/// registration.
async fn valid_credentials(shared: &LinkShared, channel: &Channel) -> Result<Credentials, CredentialsError> {
    let Some(kept) = shared.credentials.load()? else {
        let Some(token) = &shared.registration_token else { return Err(CredentialsError::NotRegistered) };
        return registered(shared, channel, token, None).await;
    };
    let now = shared.now();
    if !kept.refresh_in(now).is_zero() {
        return Ok(kept);
    }
    match renewed(shared, channel, &kept).await {
        Err(error) if !kept.remaining(now).is_zero() => {
            let causes = causes(&error);
            tracing::warn!(host_id = %kept.host_id, %error, causes, "going on with the old host token");
            Ok(kept)
        }
        settled => settled,
    }
}

/// Exchanges credentials for new ones of the same host: by their refresh token, else by a registration token.
async fn renewed(
    shared: &LinkShared,
    channel: &Channel,
    old: &Credentials,
) -> Result<Credentials, CredentialsError> {
    match (shared.credentials.refresh(channel.clone(), old).await, &shared.registration_token) {
        (Ok(fresh), _) => {
            tracing::info!(host_id = %fresh.host_id, "host token is refreshed");
            Ok(fresh)
        }
        (Err(error), Some(token)) if error.is_final() => {
            tracing::warn!(host_id = %old.host_id, %error, "registering anew");
            // Without machines it does not matter which host this is; a wiped database may have given it a new id.
            let has_machines = !shared.host.board.reports().is_empty();
            registered(shared, channel, token, has_machines.then_some(old.host_id)).await
        }
        (Err(error), _) => Err(error),
    }
}

async fn registered(
    shared: &LinkShared,
    channel: &Channel,
    token: &str,
    expected: Option<HostId>,
) -> Result<Credentials, CredentialsError> {
    let capacity = shared.host.backend.capacity();
    let fresh = shared.credentials.register(channel.clone(), token, capacity, expected).await?;
    tracing::info!(host_id = %fresh.host_id, "host is registered");
    Ok(fresh)
}

/// Adds the host's proof to a request.
fn authorize<T>(mut request: Request<T>, host_token: &str) -> Result<Request<T>, Status> {
    let bearer = format!("Bearer {host_token}").parse();
    let mut bearer: tonic::metadata::AsciiMetadataValue =
        bearer.map_err(|_| Status::unauthenticated("the kept host token is not text"))?;
    bearer.set_sensitive(true);
    request.metadata_mut().insert("authorization", bearer);
    Ok(request)
}
