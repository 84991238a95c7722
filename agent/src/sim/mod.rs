//! Simulated hosts: the real agent (link, machine actors, records) over machines that are only pretended.
//!
//! ```text
//!   test ─▶ SimHost ─┬─ Node: Link, Machines, ...    as on a real host
//!                    └─ SimWorld: machines, slots, disks, faults    lives on when the agent is killed
//! ```
//!
//! Any number of hosts run in one process, on a thread of their own that they share, so they need nothing of the
//! runtime of the test.
//!
//! A guest understands the few commands that are listed at [`SimGuest`]; its ports are those of the machine on which
//! the test runs.

mod backend;
mod files;
mod guest;
mod ports;
mod processes;
mod transfer;
mod vm;
mod world;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use actix_rt::ArbiterHandle;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use wrenn_proto::{agent::Capacity, ids::SandboxId};
use wrenn_supervision::Root;

#[cfg(test)]
pub(crate) use self::vm::sim_fingerprint;
pub use self::{
    backend::SimBackend,
    guest::SimGuest,
    world::{SimFault, SimStep, SimWorld},
};
use crate::{
    config::ServerAddr,
    link::{Credentials, CredentialsFile, LinkState},
    machines::{
        Board,
        fault_points::FaultPoints,
        record::{Durability, StateError},
    },
    node::{Node, NodeLink, NodeOptions, NodeState, credentials_path},
};

/// Whether a simulated host keeps the memory of machines that it has booted, for the next ones of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootSnapshots {
    /// Every machine of a template without memory is booted.
    Off,
    /// Only the first one of a kind is, if its disk has the usual size at least.
    On,
}

/// How a simulated host behaves.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// What the host says it has.
    pub capacity: Capacity,
    /// File names of the images it has; empty means any.
    pub images: Vec<String>,
    /// How long a guest takes from its boot to its hello.
    pub boot_delay: Duration,
    /// How long a machine takes to be dead once it is killed.
    pub kill_delay: Duration,
    /// How long a guest may take to its hello.
    pub boot_timeout: Duration,
    /// Whether a start may be a restore.
    pub boot_snapshots: BootSnapshots,
}

impl Default for SimOptions {
    /// 8 cores, 16 GiB, 100 GiB, any image, no delays, no boot snapshots.
    fn default() -> Self {
        Self {
            capacity: Capacity { cpu_cores: 8, memory_mb: 16 * 1024, disk_mb: 100 * 1024 },
            images: Vec::new(),
            boot_delay: Duration::ZERO,
            kill_delay: Duration::ZERO,
            boot_timeout: Duration::from_secs(10),
            boot_snapshots: BootSnapshots::Off,
        }
    }
}

/// As what a simulated host comes to the control plane.
#[derive(Debug, Clone)]
pub enum SimIdentity {
    /// As a new host.
    RegistrationToken(String),
    /// As a host that is registered already.
    Credentials(Credentials),
}

/// Why a simulated host could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// It has no folder, or there is no thread.
    #[error("prepare a simulated host")]
    Prepare(#[source] io::Error),
    /// Its state could not be opened.
    #[error("open the state of a simulated host")]
    State(#[from] StateError),
}

/// One simulated host. Dropping it ends its agent.
pub struct SimHost {
    server: ServerAddr,
    registration_token: Option<String>,
    world: Arc<SimWorld>,
    data_dir: TempDir,
    node: Option<Node>,
}

impl SimHost {
    /// Starts a host; returns before it is attached.
    ///
    /// # Errors
    /// See [`SimError`].
    pub async fn start(
        server: ServerAddr,
        identity: SimIdentity,
        options: SimOptions,
    ) -> Result<Self, SimError> {
        let data_dir = tempfile::Builder::new().prefix("wrenn-sim-").tempdir().map_err(SimError::Prepare)?;
        let registration_token = match identity {
            SimIdentity::RegistrationToken(token) => Some(token),
            SimIdentity::Credentials(credentials) => {
                credentials_file(data_dir.path()).save(&credentials)?;
                None
            }
        };
        let world = Arc::new(SimWorld::new(options));
        let mut host = Self { server, registration_token, world, data_dir, node: None };
        host.start_agent().await?;
        Ok(host)
    }

    /// Starts the agent of this host again after [`kill_agent`](Self::kill_agent) or
    /// [`stop_agent`](Self::stop_agent).
    ///
    /// # Errors
    /// See [`SimError`].
    pub async fn start_agent(&mut self) -> Result<(), SimError> {
        let arbiter = sim_arbiter().map_err(SimError::Prepare)?;
        let state = NodeState::open(self.data_dir.path(), Durability::Process)?;
        let backend = Arc::new(SimBackend::new(self.world.clone()));
        let link =
            NodeLink { server: self.server.clone(), registration_token: self.registration_token.clone() };
        let options = NodeOptions {
            boot_timeout: self.world.options().boot_timeout,
            boot_id: self.world.boot_id(),
            fault_points: FaultPoints::default(),
        };
        let (sender, started) = oneshot::channel();
        let on_arbiter = arbiter.clone();
        arbiter.spawn(async move {
            let root =
                Root::new(|exited| tracing::error!(%exited.reason, "an actor of a simulated host failed"));
            let node = Node::start(&on_arbiter, &root, state, backend, link, options).await;
            // The receiver is gone only if the caller gave up waiting.
            let _ = sender.send(node);
        });
        let node = started.await.map_err(|error| SimError::Prepare(io::Error::other(error)))?;
        self.node = Some(node);
        Ok(())
    }

    /// Ends the agent at once, as `kill -9` would; the machines run on.
    pub async fn kill_agent(&mut self) {
        if let Some(node) = self.node.take() {
            node.kill().await;
        }
    }

    /// Loses the power of the host: the agent and all virtual machines are gone, and what was not on the disk. The agent
    /// can be started again.
    pub async fn lose_power(&mut self) {
        self.kill_agent().await;
        self.world.lose_power();
    }

    /// Ends the agent in order; the machines run on.
    pub async fn stop_agent(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop(Duration::from_secs(10)).await;
        }
    }

    /// Returns what this host has and can be made to do.
    pub fn world(&self) -> &SimWorld {
        &self.world
    }

    /// Returns what is known of the machines; none while there is no agent.
    pub fn board(&self) -> Option<&Board> {
        self.node.as_ref().map(Node::board)
    }

    /// Returns where the link stands; none while there is no agent.
    pub fn link_state(&self) -> Option<watch::Receiver<LinkState>> {
        self.node.as_ref().map(Node::link_state)
    }

    /// Waits until the control plane has welcomed this host, and returns true; or false if that will never be.
    pub async fn attached(&self) -> bool {
        let Some(mut state) = self.link_state() else { return false };
        let settled = state.wait_for(|state| *state != LinkState::Connecting).await;
        settled.is_ok_and(|state| *state == LinkState::Attached)
    }

    /// Ends a machine as if its VMM had been killed; returns false if there is no such machine.
    pub fn crash_machine(&self, id: SandboxId) -> bool {
        self.world.crash(id, crate::vmm::ExitReason::Signal(9))
    }

    /// Returns the credentials of this host, once it is registered.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn credentials(&self) -> Result<Option<Credentials>, StateError> {
        credentials_file(self.data_dir.path()).load()
    }

    /// Returns the folder in which the agent of this host keeps its state.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }
}

impl Drop for SimHost {
    fn drop(&mut self) {
        if let (Some(node), Ok(arbiter)) = (self.node.take(), sim_arbiter()) {
            arbiter.spawn(async move { node.kill().await });
        }
    }
}

fn credentials_file(data_dir: &Path) -> CredentialsFile {
    let path: PathBuf = credentials_path(data_dir);
    CredentialsFile { path, durability: Durability::Process }
}

/// The thread on which all simulated hosts of this process run.
fn sim_arbiter() -> io::Result<ArbiterHandle> {
    static ARBITER: OnceLock<Option<ArbiterHandle>> = OnceLock::new();
    let start = || {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("wrenn-sim".into()).spawn(move || {
            let runner = actix_rt::System::new();
            if sender.send(actix_rt::System::current().arbiter().clone()).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(%error, "the thread of the simulated hosts ended");
            }
        });
        thread.ok().and_then(|_| receiver.recv().ok())
    };
    ARBITER.get_or_init(start).clone().ok_or_else(|| io::Error::other("no thread for simulated hosts"))
}
