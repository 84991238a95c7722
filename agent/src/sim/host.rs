//! A simulated host, and the thread on which all of them run.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

use actix_rt::ArbiterHandle;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use wrenn_base::{Clock, Rng};
use wrenn_pki::JoinToken;
use wrenn_proto::ids::SandboxId;
use wrenn_supervision::Root;

use super::{backend::SimBackend, options::SimOptions, world::SimWorld};
use crate::{
    config::ServerAddr,
    link::{Credentials, CredentialsFile, Kept, LinkState},
    machines::{
        Board,
        fault_points::FaultPoints,
        record::{Durability, StateError},
    },
    monitoring::Instruments,
    node::{Node, NodeLink, NodeOptions, NodeState, credentials_path},
    vmm::ExitReason,
};

/// Identity with which a simulated host comes to the control plane.
#[derive(Debug, Clone)]
pub enum SimIdentity {
    /// As a new host.
    RegistrationToken(JoinToken),
    /// As a host that is registered already.
    Credentials(Credentials),
}

/// Reason why a simulated host could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The host has no folder, or there is no thread.
    #[error("prepare a simulated host")]
    Prepare(#[source] io::Error),
    /// Its state could not be opened.
    #[error("open the state of a simulated host")]
    State(#[from] StateError),
}

/// Simulated host. Dropping it ends its agent.
pub struct SimHost {
    server: ServerAddr,
    registration_token: Option<JoinToken>,
    world: Arc<SimWorld>,
    data_dir: TempDir,
    clock: Clock,
    rng: Rng,
    node: Option<Node>,
}

impl SimHost {
    /// Starts a host; returns before it is attached. Its agent and its machines go by `clock`.
    ///
    /// # Errors
    /// See [`SimError`].
    pub async fn start(
        server: ServerAddr,
        identity: SimIdentity,
        options: SimOptions,
        clock: Clock,
        rng: Rng,
    ) -> Result<Self, SimError> {
        let data_dir = tempfile::Builder::new().prefix("wrenn-sim-").tempdir().map_err(SimError::Prepare)?;
        let registration_token = match identity {
            SimIdentity::RegistrationToken(token) => Some(token),
            SimIdentity::Credentials(credentials) => {
                credentials_file(data_dir.path()).save(&credentials)?;
                None
            }
        };
        let world = Arc::new(SimWorld::new(options, clock.clone()));
        let mut host = Self { server, registration_token, world, data_dir, clock, rng, node: None };
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
        let state = NodeState::open(self.data_dir.path(), Durability::Process, self.clock.wall())?;
        let backend = Arc::new(SimBackend::new(self.world.clone()));
        let link =
            NodeLink { server: self.server.clone(), registration_token: self.registration_token.clone() };
        let options = NodeOptions {
            boot_timeout: self.world.options().boot_timeout,
            boot_id: self.world.boot_id(),
            fault_points: FaultPoints::default(),
            instruments: Instruments::default(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
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
        self.world.crash(id, ExitReason::Signal(9))
    }

    /// Returns the credentials of this host, once it is registered.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn credentials(&self) -> Result<Option<Credentials>, StateError> {
        Ok(match credentials_file(self.data_dir.path()).load()? {
            Some(Kept::Current(credentials)) => Some(credentials),
            Some(Kept::Former { .. }) | None => None,
        })
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
