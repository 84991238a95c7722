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
//! plane says that this host was deleted, after which its machines are destroyed (`retire.rs`), or it accepts neither its
//! certificate nor a registration token. A renewal may be lost (its answer did not arrive, the disk was full): the certificate
//! before serves until it expires, and a registration token, which an installation may be given at every start, brings the host
//! back as the one it was.

mod credentials;
mod dial;
mod metrics;
mod retire;
mod session;
mod transfer;
mod tunnel;

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use wrenn_base::{Backoff, Chain};
use wrenn_pki::{ClientTls, JoinToken};
use wrenn_proto::ids::HostId;

use self::session::SessionEnd;
pub use self::{
    credentials::{Credentials, CredentialsError, CredentialsFile, Der, Kept},
    dial::dial,
};
use crate::{
    config::ServerAddr,
    machines::{Dispatch, Host},
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
    pub registration_token: Option<JoinToken>,
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
        registration_token: Option<JoinToken>,
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
    let mut rng = shared.host.rng.clone();
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
        shared.host.clock.sleep(delay).await;
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
    let usable = async {
        let credentials = valid_credentials(shared).await?;
        let tls = credentials.tls()?;
        Ok::<_, CredentialsError>((credentials, tls))
    };
    let (credentials, tls) = match usable.await {
        Ok(usable) => usable,
        Err(error) if error.is_final() => return Attempt::Refused(error.to_string()),
        Err(error) => {
            tracing::warn!(server = %shared.server, error = %Chain(&error), "no valid credentials yet");
            return Attempt::Failed;
        }
    };
    let (link, tunnels) = (dial(&shared.server, &tls), dial(&shared.server, &tls));
    let begun = shared.host.clock.now();
    let end = session::run(shared, &link, &tunnels, &credentials).await;
    let was_attached = *shared.state.borrow() == LinkState::Attached;
    match end {
        SessionEnd::Terminated(terminate) if terminate.r#final => {
            retire::retire(&shared.host, &shared.commands, &shared.credentials).await;
            return Attempt::Refused(format!("ended by the control plane: {}", terminate.reason));
        }
        SessionEnd::Terminated(terminate) => {
            tracing::warn!(reason = terminate.reason, "session was terminated")
        }
        SessionEnd::Lost(reason) => tracing::warn!(server = %shared.server, reason, "not attached"),
        SessionEnd::CertificateDue => tracing::info!("certificate is due to be renewed"),
        SessionEnd::Unauthenticated(reason) => {
            tracing::warn!(reason, "the control plane does not accept the certificate");
            match renewed(shared, &credentials).await {
                Ok(_) => {}
                Err(error) if error.is_final() => return Attempt::Refused(error.to_string()),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the certificate was not renewed")
                }
            }
        }
    }
    // Two agents with the same credentials would otherwise throw each other out at full speed.
    if was_attached && shared.host.clock.since(begun) > STEADY_AFTER {
        Attempt::Attached
    } else {
        Attempt::Failed
    }
}

/// Returns credentials that can be used: the kept ones, renewed if that is due and possible, or those of a
/// registration.
async fn valid_credentials(shared: &LinkShared) -> Result<Credentials, CredentialsError> {
    let kept = match shared.credentials.load()? {
        Some(Kept::Current(kept)) => kept,
        Some(Kept::Former { host_id }) => return registered(shared, Some(host_id)).await,
        None => return registered(shared, None).await,
    };
    let now = shared.host.clock.wall();
    if !kept.refresh_in(now).is_zero() {
        return Ok(kept);
    }
    match renewed(shared, &kept).await {
        Err(error) if !kept.remaining(now).is_zero() => {
            tracing::warn!(host_id = %kept.host_id, error = %Chain(&error), "going on with the old certificate");
            Ok(kept)
        }
        settled => settled,
    }
}

/// Exchanges credentials for new ones of the same host: by their certificate, else by a registration token.
async fn renewed(shared: &LinkShared, old: &Credentials) -> Result<Credentials, CredentialsError> {
    let clock = &shared.host.clock;
    // A server does not let an expired certificate in, and says so in no way that could be told from a broken connection.
    let fresh = if old.remaining(clock.wall()).is_zero() {
        Err(CredentialsError::Refused {
            what: "the host's certificate",
            message: "it has expired; make a new registration token for this host".to_owned(),
        })
    } else {
        shared.credentials.renew(dial(&shared.server, &old.tls()?), clock, old).await
    };
    match fresh {
        Ok(fresh) => {
            tracing::info!(host_id = %fresh.host_id, "certificate is renewed");
            Ok(fresh)
        }
        Err(error) if error.is_final() && shared.registration_token.is_some() => {
            tracing::warn!(host_id = %old.host_id, %error, "registering anew");
            registered(shared, Some(old.host_id)).await
        }
        Err(error) => Err(error),
    }
}

/// Registers by the token that the agent was started with. `former` is the host that it was.
async fn registered(shared: &LinkShared, former: Option<HostId>) -> Result<Credentials, CredentialsError> {
    let token = shared.registration_token.as_ref().ok_or(CredentialsError::NotRegistered)?;
    // Without machines it does not matter which host this is; a wiped database may have given it a new id.
    let expected = former.filter(|_| !shared.host.board.reports().is_empty());
    let channel = dial(&shared.server, &ClientTls::new(token.authority, None)?);
    let (clock, capacity) = (&shared.host.clock, shared.host.backend.capacity());
    let fresh =
        shared.credentials.register(channel, clock, &shared.server, token, capacity, expected).await?;
    tracing::info!(host_id = %fresh.host_id, "host is registered");
    Ok(fresh)
}
