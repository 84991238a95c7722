//! The actors of one agent, put together: the same for a real host and a simulated one.
//!
//! ```text
//!   Root ◀─ escalations ─┬─ Machines ── one MachineActor per machine
//!                        ├─ Sampler     measures them
//!                        └─ Link
//! ```

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use actix_rt::ArbiterHandle;
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wrenn_base::{Backoff, Clock, Rng};
use wrenn_pki::JoinToken;
use wrenn_proto::ids::SandboxId;
use wrenn_supervision::{Child, ChildSpec, Periodic, Root, spawn};

use crate::{
    config::ServerAddr,
    link::{AgentIdentity, CredentialsFile, Kept, Link, LinkShared, LinkState},
    machines::{
        Board, Host, Machines,
        backend::Backend,
        fault_points::FaultPoints,
        record::{Durability, Record, RecordStore, StateError},
        source::Upstream,
        tombstones::Tombstones,
    },
    metrics::{MetricsStore, Sampler},
    monitoring::Instruments,
    outbox::Outbox,
};

/// How long machines of an earlier agent may take to be adopted before the link is started without waiting longer.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// Length of the id of an agent's run; no two runs have the same.
const INCARNATION_CHARS: usize = 22;

/// What an agent keeps in its data folder.
#[derive(Debug)]
pub struct NodeState {
    store: RecordStore,
    tombstones: Tombstones,
    credentials: CredentialsFile,
    metrics: MetricsStore,
    records: Vec<Record>,
}

impl NodeState {
    /// Opens the state in a data folder, and makes it if there is none. Blocks for some milliseconds.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn open(data_dir: &Path, durability: Durability, now: SystemTime) -> Result<Self, StateError> {
        fs::create_dir_all(data_dir).map_err(StateError::io("make folder", data_dir))?;
        // Disks, memory and tokens are below it.
        let private = Permissions::from_mode(0o700);
        fs::set_permissions(data_dir, private).map_err(StateError::io("make private", data_dir))?;
        let store = RecordStore::open(data_dir.join("machines"), durability)?;
        let records = store.load_all()?;
        let tombstones = Tombstones::open(data_dir.join("tombstones.jsonl"), durability, now)?;
        let credentials = CredentialsFile { path: credentials_path(data_dir), durability };
        let folder = data_dir.join("metrics");
        let metrics = MetricsStore::open(folder.clone())
            .map_err(StateError::io("open the measurements in", &folder))?;
        let known: BTreeSet<SandboxId> =
            records.iter().map(|record| record.id).chain(store.set_aside()).collect();
        metrics.end_unknown(&known);
        Ok(Self { store, tombstones, credentials, metrics, records })
    }

    /// Returns the machines of which nobody knows what they are, as their records cannot be understood.
    pub fn set_aside(&self) -> Vec<SandboxId> {
        self.store.set_aside()
    }

    /// Returns the address of the control plane with which this host is registered; `None` if it is not.
    ///
    /// # Errors
    /// If the credentials cannot be read.
    pub fn registered_at(&self) -> Result<Option<String>, StateError> {
        Ok(match self.credentials.load()? {
            Some(Kept::Current(credentials)) => Some(credentials.server),
            Some(Kept::Former { .. }) | None => None,
        })
    }

    /// Returns the machines that the last agent knew.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

/// Returns where the credentials of an agent are kept.
pub fn credentials_path(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials.json")
}

/// How to reach the control plane.
#[derive(Debug, Clone)]
pub struct NodeLink {
    /// Where it is.
    pub server: ServerAddr,
    /// Token for the first registration.
    pub registration_token: Option<JoinToken>,
}

/// How the agent works on its machines.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// How long a guest may take from the start of its virtual CPUs to its first answer.
    pub boot_timeout: Duration,
    /// This boot of the host's kernel.
    pub boot_id: String,
    /// Where tests may hold the work up.
    pub fault_points: FaultPoints,
    /// Durations of the work on machines.
    pub instruments: Instruments,
    /// Time of the agent.
    pub clock: Clock,
    /// Chance of the agent.
    pub rng: Rng,
}

/// A running agent.
pub struct Node {
    host: Arc<Host>,
    machines: Child<Machines>,
    sampler: Child<Periodic>,
    link: Child<Link>,
    shared: Arc<LinkShared>,
}

impl Node {
    /// Starts the actors of an agent on `arbiter`: first the machines it knows already, and when these have been dealt
    /// with, the link.
    pub async fn start(
        arbiter: &ArbiterHandle,
        root: &Root,
        state: NodeState,
        backend: Arc<dyn Backend>,
        link: NodeLink,
        options: NodeOptions,
    ) -> Self {
        let NodeOptions { boot_timeout, boot_id, fault_points, instruments, clock, rng } = options;
        let identity = identity(boot_id.clone(), &rng);
        let board = Board::default();
        let host = Arc::new(Host {
            clock,
            rng,
            backend,
            store: state.store,
            tombstones: Arc::new(state.tombstones),
            board: board.clone(),
            outbox: Outbox::default(),
            metrics: Arc::new(state.metrics),
            upstream: Upstream::default(),
            boot_timeout,
            boot_id,
            fault_points,
            instruments,
            works: TaskTracker::new(),
            killed: CancellationToken::new(),
        });
        host.announce(&state.records);
        let ids = state.records.iter().map(|record| record.id).collect();
        let for_machines = host.clone();
        let spec = root.adopt(ChildSpec::new("machines", "machines", host.clock.clone(), host.rng.clone()));
        let machines = spawn(arbiter, spec, move |_| Machines::new(for_machines, ids));

        let recovered = board.wait_until(|board| board.reports().iter().all(|report| !report.busy));
        if host.clock.timeout(RECOVERY_TIMEOUT, recovered).await.is_err() {
            tracing::warn!(
                "some machines of the agent before are not dealt with yet, attaching without them"
            );
        }

        let sampler = Sampler {
            store: host.metrics.clone(),
            source: host.backend.clone(),
            outbox: host.outbox.clone(),
            clock: host.clock.clone(),
            works: host.works.clone(),
        };
        let spec = root.adopt(ChildSpec::new("metrics", "metrics", host.clock.clone(), host.rng.clone()));
        let sampler = spawn(arbiter, spec, move |_| sampler.into_actor());

        let shared = Arc::new(LinkShared::new(
            link.server,
            link.registration_token,
            state.credentials,
            identity,
            host.clone(),
            machines.addr().recipient(),
        ));
        let for_link = shared.clone();
        let spec = root.adopt(
            ChildSpec::new("link", "link", host.clock.clone(), host.rng.clone())
                .backoff(Backoff::new(Duration::from_millis(100), Duration::from_secs(10))),
        );
        let link = spawn(arbiter, spec, move |_| Link::new(for_link));
        Self { host, machines, sampler, link, shared }
    }

    /// Returns what is publicly known of the machines.
    pub fn board(&self) -> &Board {
        &self.host.board
    }

    /// Returns where the link stands, now and whenever that changes.
    pub fn link_state(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    /// Ends the link and the actors, and waits for work in progress, at most `within`. The machines run on.
    ///
    /// Work that is not done by then is taken up by the next agent.
    pub async fn stop(&self, within: Duration) {
        self.link.kill();
        self.machines.kill();
        self.sampler.kill();
        self.link.wait_exit().await;
        self.machines.wait_exit().await;
        self.sampler.wait_exit().await;
        self.host.works.close();
        self.shared.tunnels.close();
        if timeout(within, self.host.works.wait()).await.is_err() {
            tracing::warn!(works = self.host.works.len(), "leaving work in progress to the next agent");
        }
    }

    /// Ends everything where it is, as if the process were killed, and waits until nothing of it runs any more.
    pub(crate) async fn kill(&self) {
        self.host.killed.cancel();
        self.stop(Duration::MAX).await;
        self.shared.tunnels.wait().await;
    }
}

fn identity(boot_id: String, rng: &Rng) -> AgentIdentity {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    AgentIdentity { boot_id, incarnation: rng.alphanumeric(INCARNATION_CHARS), kernel }
}
