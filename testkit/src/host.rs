//! Simulated hosts: the real agent over pretended machines.

use tempfile::TempDir;
use wrenn_agent::sim::{SimHost, SimIdentity, SimOptions};
use wrenn_base::{Clock, Rng};
use wrenn_control::agent_authority;
use wrenn_domain::ids::HostId;
use wrenn_store::Store;

use crate::{rows, wait::in_time};

/// Free address of a unix socket on which agents can be served, in a folder of its own.
#[derive(Debug)]
pub struct AgentsSocket(TempDir);

impl AgentsSocket {
    /// Makes the folder.
    ///
    /// # Panics
    /// If the folder cannot be made.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    /// Returns the address, as servers and agents take it.
    pub fn addr(&self) -> String {
        format!("unix:{}", self.0.path().join("agents.sock").display())
    }
}

/// Starts a host of the platform for the server at `addr`, and waits until it is attached.
///
/// # Panics
/// If the host does not attach in time.
pub async fn start(store: &Store, addr: &str, options: SimOptions) -> (HostId, SimHost) {
    let id = rows::host(store).await;
    (id, start_as(store, id, addr, options).await)
}

/// Starts the host of a record, and waits until it is attached.
///
/// # Panics
/// If the host does not attach in time.
pub async fn start_as(store: &Store, id: HostId, addr: &str, options: SimOptions) -> SimHost {
    let token = registration_token(store, id).await;
    let addr = addr.parse().expect("an address");
    let host = SimHost::start(
        addr,
        SimIdentity::RegistrationToken(token.parse().expect("a token")),
        options,
        Clock::process(),
        Rng::process(),
    )
    .await;
    let host = host.expect("the host starts");
    attached(&host).await;
    host
}

/// Makes a token with which a host can register once.
///
/// # Panics
/// If the database fails.
pub async fn registration_token(store: &Store, id: HostId) -> String {
    let authority = agent_authority::ensure(store, &Clock::process()).await.expect("an authority");
    let rng = Rng::process();
    let issued = agent_authority::issue_registration_token(store, &rng, authority.fingerprint(), id, "");
    issued.await.expect("a token")
}

/// Waits until a host is attached.
///
/// # Panics
/// If it is refused, or does not attach in time.
pub async fn attached(host: &SimHost) {
    assert!(in_time("the host attaches", host.attached()).await, "the host may attach");
}
