//! A real agent from its start to its end.
//!
//! ```text
//!   claim the data folder ─▶ records ─▶ end what nobody knows ─▶ volume ─▶ driver ─▶ slots ─▶ Node
//! ```
//!
//! The order matters: orphaned processes must be dead before their slots are removed, and the slots of known machines
//! must be kept by the pool before anything takes one. When the agent ends, its machines run on.

use std::{collections::BTreeSet, future::Future, io, path::Path, sync::Arc, time::Duration};

use actix_rt::{ArbiterHandle, System};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use wrenn_base::{Chain, Clock, Rng, blocking};
use wrenn_proto::ids::SandboxId;
use wrenn_supervision::{Root, Watchdog, WatchdogConfig};

use crate::{
    config::{Config, ServerAddr, ServerAddrError, VmmChoice},
    disk::{OpenVolumeError, Volume, VolumeSize},
    leftovers::{self, CleanError, Leftovers},
    link::LinkState,
    machines::{
        Parts, RealBackend,
        fault_points::FaultPoints,
        library::Library as _,
        record::{Durability, Record, StateError},
    },
    monitoring::{self, Instruments, ServeMetricsError},
    net::{ClaimError, Instance, PoolConfig, SlotPool, StartPoolError},
    node::{Node, NodeLink, NodeOptions, NodeState},
    open_files::raise_open_files_limit,
    vmm::{
        self,
        accel::Acceleration,
        cgroup::Cgroups,
        qemu::{DetectError, Qemu},
    },
};

/// How long work in progress may take when the agent is asked to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often templates and boot snapshots are looked through.
const COLLECT_INTERVAL: Duration = Duration::from_secs(5 * 60);
const MIB: u64 = 1024 * 1024;

/// Why an agent ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was not called on the thread of an actix system.
    #[error("the agent needs a thread of an actix system")]
    NoSystem,
    /// The data folder could not be claimed.
    #[error("claim the data folder")]
    Claim(#[from] ClaimError),
    /// The address of the control plane is not known.
    #[error(
        "this host is not registered; run `wrenn agent join TOKEN` with the registration token of the host"
    )]
    NoServer,
    /// The address in the registration token, or the one that was kept, is not valid.
    #[error("cannot tell where the control plane is")]
    Server(#[from] ServerAddrError),
    /// Its own state could not be read or written.
    #[error("open the agent's state")]
    State(#[from] StateError),
    /// What an earlier agent left could not be removed.
    #[error("remove what an earlier agent left: {}", list(.0))]
    Orphans(Vec<CleanError>),
    /// Folders of machines and templates could not be examined, or not be removed.
    #[error("look through the folders that an earlier agent left")]
    Folders(#[source] io::Error),
    /// There is no volume for disks.
    #[error("open the volume")]
    Volume(#[from] OpenVolumeError),
    /// There is nothing to run machines with.
    #[error("find a driver for virtual machines")]
    Detect(#[from] DetectError),
    /// KVM is wanted and does not work here.
    #[error("WRENN_VMM=qemu-kvm, but KVM cannot be used: {why}")]
    NoKvm {
        /// What is in the way.
        why: String,
    },
    /// Networks cannot be made.
    #[error("start the pool of network slots")]
    Pool(#[from] StartPoolError),
    /// The control plane does not want this host.
    #[error("the link to the control plane ended for good: {reason}")]
    LinkEnded {
        /// What it said.
        reason: String,
    },
    /// Metrics cannot be served.
    #[error(transparent)]
    Metrics(#[from] ServeMetricsError),
    /// An actor failed again and again.
    #[error("the agent gave up: {reason}")]
    Escalated {
        /// Which actor, and why.
        reason: String,
    },
}

fn list(errors: &[CleanError]) -> String {
    errors.iter().map(|error| Chain(error).to_string()).collect::<Vec<_>>().join("; ")
}

/// Runs an agent until `shutdown` is ready; its machines run on. Must be called on the thread of an actix system.
///
/// # Errors
/// Why it could not start or had to end. The process should then exit with a failure, and be started again
/// unless it is [`RunError::LinkEnded`].
pub async fn run(
    config: Config,
    clock: Clock,
    rng: Rng,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    raise_open_files_limit();
    let arbiter = System::try_current().ok_or(RunError::NoSystem)?.arbiter().clone();
    let (escalation, mut escalated) = watch::channel(None);
    let root = Root::new(move |exited| {
        escalation.send_replace(Some(format!("{} {}", exited.name, exited.reason)));
    });
    // A thread that hangs is reported, not killed: what it does is most likely a system call.
    let watchdog = Watchdog::start(WatchdogConfig::default(), clock.clone(), |_| {});
    if let Err(error) = &watchdog {
        tracing::warn!(%error, "running without a watchdog");
    }
    tokio::pin!(shutdown);
    let (node, _metrics) = tokio::select! {
        node = start(&config, clock, rng, &arbiter, &root) => node?,
        () = &mut shutdown => return Ok(()),
    };
    let mut link = node.link_state();
    let ended = tokio::select! {
        () = &mut shutdown => Ok(()),
        reason = escalated.wait_for(Option::is_some) => {
            Err(RunError::Escalated { reason: reason.ok().and_then(|reason| reason.clone()).unwrap_or_default() })
        }
        state = link.wait_for(|state| matches!(state, LinkState::Ended { .. })) => match state.as_deref() {
            Ok(LinkState::Ended { reason }) => Err(RunError::LinkEnded { reason: reason.clone() }),
            _ => Err(RunError::LinkEnded { reason: "its actor is gone".into() }),
        },
    };
    tracing::info!("agent is ending, its machines run on");
    node.stop(STOP_TIMEOUT).await;
    ended
}

/// Brings everything up, in the order that the module's documentation gives the reasons for.
async fn start(
    config: &Config,
    clock: Clock,
    rng: Rng,
    arbiter: &ArbiterHandle,
    root: &Root,
) -> Result<(Node, Option<AbortOnDropHandle<()>>), RunError> {
    leftovers::clean_abandoned().await;
    let instance = Arc::new(Instance::claim(&config.data_dir)?);
    let data_dir = instance.data_dir().to_owned();
    let state = NodeState::open(&data_dir, Durability::Disk, clock.wall())?;
    tracing::info!(
        data_dir = %data_dir.display(), instance = instance.number(), machines = state.records().len(),
        "agent is starting"
    );
    let server = find_server(config, &state)?;
    end_orphans(&data_dir, state.records()).await?;

    let size = VolumeSize {
        max_bytes: config.volume_mb.saturating_mul(MIB),
        reserve_bytes: config.disk_reserve_mb.saturating_mul(MIB),
    };
    let volume = Volume::open_or_create(&data_dir, size).await?;
    let qemu = driver(config, &data_dir, &clock).await?;
    let keep = state.records().iter().filter_map(|record| record.resources.slot).collect();
    let pool = SlotPool::start(
        instance.clone(),
        PoolConfig { ahead: config.slots_ahead, egress: config.egress.clone(), keep },
        clock.clone(),
    )
    .await?;
    let cgroups = Cgroups::open(&instance.cgroup_name());
    let parts = Parts { qemu, volume: volume.clone(), pool, cgroups, clock: clock.clone() };
    let for_backend = config.clone();
    let backend = blocking(move || RealBackend::new(parts, &for_backend)).await.map_err(RunError::Folders)?;
    let backend = Arc::new(backend);

    let known: BTreeSet<SandboxId> =
        state.records().iter().map(|record| record.id).chain(state.set_aside()).collect();
    let for_folders = backend.clone();
    let removed = blocking(move || for_folders.remove_unknown_folders(&known)).await;
    removed.map_err(RunError::Folders)?;
    import_images(backend.clone());

    let instruments = Instruments::default();
    let link = NodeLink { server, registration_token: config.registration_token.clone() };
    let options = NodeOptions {
        boot_timeout: config.boot_timeout,
        boot_id: vmm::boot_id().to_owned(),
        instruments: instruments.clone(),
        fault_points: config.fault_points.clone().map(FaultPoints::in_folder).unwrap_or_default(),
        clock: clock.clone(),
        rng,
    };
    let node = Node::start(arbiter, root, state, backend.clone(), link, options).await;
    // Not before the machines have been dealt with: one may have a template in the making.
    collect_from_time_to_time(backend, clock.clone());
    let metrics = match config.metrics_addr {
        Some(addr) => {
            let sources = monitoring::Sources::new(&instruments, node.board().clone(), volume);
            Some(monitoring::serve(addr, sources, clock).await?)
        }
        None => None,
    };
    Ok((node, metrics))
}

/// Returns where the control plane is: as configured, else as the registration token says, else as it was when this host
/// registered.
fn find_server(config: &Config, state: &NodeState) -> Result<ServerAddr, RunError> {
    if let Some(server) = &config.server {
        return Ok(server.clone());
    }
    let of_token = config.registration_token.as_ref().map(|token| &token.address);
    match of_token.filter(|address| !address.is_empty()) {
        Some(address) => Ok(address.parse()?),
        None => Ok(state.registered_at()?.ok_or(RunError::NoServer)?.parse()?),
    }
}

/// Ends processes of machines that were started and not yet written down when the agent before was killed.
async fn end_orphans(data_dir: &Path, records: &[Record]) -> Result<(), RunError> {
    let for_scan = data_dir.to_owned();
    let scan = move || io::Result::Ok(Leftovers::scan(&for_scan));
    let Ok(mut found) = blocking(scan).await else { return Ok(()) };
    let known: Vec<_> =
        records.iter().filter_map(|record| record.resources.vm.as_ref()).map(|vm| &vm.process).collect();
    found.processes.retain(|process| !known.contains(&process));
    if found.processes.is_empty() {
        return Ok(());
    }
    for process in &found.processes {
        tracing::warn!(pid = process.pid, "ending a virtual machine that nobody knows");
    }
    let orphans = Leftovers { processes: found.processes, ..Leftovers::default() };
    orphans.clean().await.map_err(RunError::Orphans)
}

async fn driver(config: &Config, data_dir: &Path, clock: &Clock) -> Result<Qemu, RunError> {
    let qemu = Qemu::detect(config.qemu.as_deref(), data_dir, clock).await?;
    match (config.vmm, qemu.acceleration()) {
        (VmmChoice::QemuKvm, Acceleration::Tcg { why }) => Err(RunError::NoKvm { why: why.clone() }),
        (VmmChoice::QemuTcg, Acceleration::Kvm) => {
            Ok(qemu.emulating("WRENN_VMM=qemu-tcg".to_owned()).await?)
        }
        _ => Ok(qemu),
    }
}

/// Removes what is of no use any more, now and from time to time.
fn collect_from_time_to_time(backend: Arc<RealBackend>, clock: Clock) {
    actix_rt::spawn(async move {
        loop {
            backend.collect().await;
            clock.sleep(COLLECT_INTERVAL).await;
        }
    });
}

/// Imports the images in the background, so that the first machine does not have to wait for that.
fn import_images(backend: Arc<RealBackend>) {
    actix_rt::spawn(async move {
        if let Err(error) = backend.import_modules().await {
            tracing::warn!(error = %Chain(&error), "the disk of kernel modules could not be imported ahead");
        }
        for name in backend.images().names() {
            if let Err(error) = backend.images().get(&name).await {
                tracing::warn!(image = name, error = %Chain(&error), "image could not be imported ahead");
            }
        }
    });
}
