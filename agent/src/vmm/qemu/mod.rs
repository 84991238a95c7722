//! The QEMU driver: machine type microvm, KVM where it truly works, else emulation.
//!
//! ```text
//!   boot:     memory file ─ listening control socket ─ spawn ─ greeting on the socket ─ Watcher
//!   restore:  listening control socket ─ spawn, stopped ─ greeting ─ load the state ─ Watcher
//!   adopt:    pidfd ─ connect to the control socket ─ query-status ─ Watcher
//! ```
//!
//! The agent makes the control socket and hands it over listening, so there is nothing to poll for: a
//! connection is answered as soon as QEMU runs its main loop, or ends when QEMU does.

mod args;
mod console;
mod processor;
mod program;
mod state;
mod watch;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt, net::UnixListener},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::spawn_blocking;
use wrenn_base::Clock;

use self::{
    args::{Installed, Start},
    program::Program,
    watch::{Watcher, end_of_process},
};
pub use self::{
    processor::ProcessorError,
    program::{FAST_EMULATION, ProgramError, emulates_fast},
};
use super::{
    Accelerator, AdoptError, BootError, BootSpec, ExitReason, Fingerprint, KillError, MEMORY_FILE, VmExit,
    VmProcess, VmRecord, Vmm, VmmKind,
    accel::{self, Acceleration},
    process::wait_for_exit,
    qmp::{Qmp, QmpError},
    spawn::{Detached, SpawnError, Started, VmmLog, fd_number, spawn},
    tsc,
};

/// How long QEMU may take until its control socket answers; generous, as a host may be very busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the control socket of a running QEMU may take to answer.
const ADOPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Host memory of a QEMU process beside its guest's memory and translated code, in MiB.
const PROCESS_OVERHEAD_MB: u64 = 128;
/// Longest path of a socket that the kernel takes.
const SOCKET_PATH_MAX: usize = 107;

/// Runs machines with QEMU. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Qemu(Arc<Installed>);

/// Why QEMU cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// There is no program that can be run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// No description of the processor that its guests see.
    #[error("ask {program} for the processor of its guests")]
    Processor {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: ProcessorError,
    },
    /// The search was broken off.
    #[error("the search for QEMU was interrupted")]
    Interrupted,
}

impl Qemu {
    /// Finds QEMU (`named`, or else in `PATH`), how it accelerates here ([`accel::probe`], cached in `cache_dir`), and which
    /// processor its guests see.
    ///
    /// # Errors
    /// [`DetectError`] if it is not installed or does not run.
    pub async fn detect(named: Option<&Path>, cache_dir: &Path, clock: &Clock) -> Result<Self, DetectError> {
        let (clock, named) = (clock.clone(), named.map(Path::to_owned));
        let detect =
            move || Ok::<_, ProgramError>((Program::find(named.as_deref())?, tsc::measure_khz(&clock)));
        let (program, tsc_khz) = spawn_blocking(detect).await.map_err(|_| DetectError::Interrupted)??;
        let acceleration = accel::probe(&program.path, cache_dir).await;
        Self::describe(program, acceleration, tsc_khz).await
    }

    /// Returns the same QEMU, but always with software emulation, for the reason given.
    ///
    /// # Errors
    /// [`DetectError::Processor`] if it does not describe the emulated processor.
    pub async fn emulating(&self, why: String) -> Result<Self, DetectError> {
        Self::describe(self.0.program.clone(), Acceleration::Tcg { why }, self.0.tsc_khz).await
    }

    async fn describe(
        program: Program,
        acceleration: Acceleration,
        tsc_khz: u64,
    ) -> Result<Self, DetectError> {
        let described = processor::describe(&program, &acceleration).await;
        let cpu =
            described.map_err(|source| DetectError::Processor { program: program.path.clone(), source })?;
        Ok(Self(Arc::new(Installed { program, acceleration, cpu, tsc_khz })))
    }

    /// How machines run here.
    pub fn acceleration(&self) -> &Acceleration {
        &self.0.acceleration
    }

    /// Version of the program as it prints it, `10.0.2`.
    pub fn version(&self) -> &str {
        &self.0.program.version
    }

    fn record(&self, spec: &BootSpec, started: &Started) -> VmRecord {
        VmRecord {
            id: spec.id,
            vmm: VmmKind::Qemu,
            vmm_version: self.0.program.version.clone(),
            fingerprint: Some(self.fingerprint()),
            process: started.identity.clone(),
            control_socket: control_socket(spec),
            cgroup: spec.cgroup.clone(),
        }
    }
}

impl Vmm for Qemu {
    async fn boot(&self, spec: &BootSpec) -> Result<VmProcess, BootError> {
        let started = self.start(spec, Start::Boot).await?;
        self.bring_up(spec, started, None).await
    }

    async fn restore(&self, spec: &BootSpec, state: &Path) -> Result<VmProcess, BootError> {
        let opened = File::open(state);
        let state =
            opened.map_err(|source| BootError::Prepare { id: spec.id, path: state.to_owned(), source })?;
        let started = self.start(spec, Start::Restore).await?;
        self.bring_up(spec, started, Some(&state)).await
    }

    fn fingerprint(&self) -> Fingerprint {
        let Installed { program, acceleration, cpu, tsc_khz } = &*self.0;
        Fingerprint {
            vmm: VmmKind::Qemu,
            vmm_version: program.version.clone(),
            accelerator: match acceleration {
                Acceleration::Kvm => Accelerator::Kvm,
                Acceleration::Tcg { .. } => Accelerator::Tcg,
            },
            cpu: cpu.clone(),
            tsc_khz: *tsc_khz,
            layout: args::LAYOUT,
        }
    }

    async fn adopt(&self, record: &VmRecord) -> Result<VmProcess, AdoptError> {
        let id = record.id;
        if record.vmm != VmmKind::Qemu {
            return Err(AdoptError::WrongDriver { id, vmm: record.vmm });
        }
        let pidfd = record
            .process
            .open()
            .map_err(|source| AdoptError::Process { id, source })?
            .ok_or(AdoptError::Gone { id })?;
        let connect = async {
            let (qmp, events) = Qmp::connect(&record.control_socket, watch::EVENTS, ADOPT_TIMEOUT).await?;
            let status = watch::status(&qmp, ADOPT_TIMEOUT).await?;
            Ok((qmp, events, status))
        };
        let connected = tokio::select! {
            biased;
            connected = connect => connected,
            () = wait_for_exit(&pidfd) => return Err(AdoptError::Gone { id }),
        };
        let (qmp, events, status) = connected.map_err(|source| AdoptError::Control { id, source })?;
        let guest_end = watch::end_told_by(&status);
        // Without its log a machine is as good; only a reason may be missing one day.
        let log = VmmLog::of_process(record.process.pid).ok();
        tracing::info!(sandbox = %id, pid = record.process.pid, "machine adopted");
        Ok(watch(record.clone(), pidfd, qmp, events, log, guest_end))
    }

    async fn kill(&self, record: &VmRecord) -> Result<(), KillError> {
        record.process.kill().await
    }

    fn overhead_mb(&self) -> u64 {
        let translated_code = match self.0.acceleration {
            Acceleration::Kvm => 0,
            Acceleration::Tcg { .. } => args::TCG_CACHE_MB,
        };
        PROCESS_OVERHEAD_MB + translated_code
    }

    fn description(&self) -> String {
        let accelerator = match self.0.acceleration {
            Acceleration::Kvm => "kvm",
            Acceleration::Tcg { .. } => "tcg",
        };
        format!("qemu {} ({accelerator})", self.0.program.version)
    }
}

impl Qemu {
    /// Starts the process.
    async fn start(&self, spec: &BootSpec, start: Start) -> Result<Started, BootError> {
        let id = spec.id;
        let (qemu, spec) = (self.clone(), spec.clone());
        spawn_blocking(move || qemu.start_blocking(&spec, start)).await.map_err(|source| {
            BootError::Spawn { id, program: self.0.program.path.clone(), source: io::Error::other(source) }
        })?
    }

    fn start_blocking(&self, spec: &BootSpec, start: Start) -> Result<Started, BootError> {
        let id = spec.id;
        let prepare = |path: &Path| {
            let path = path.to_owned();
            move |source| BootError::Prepare { id, path, source }
        };
        check(spec).map_err(|problem| BootError::Spec { id, problem })?;
        let memory = spec.dir.join(MEMORY_FILE);
        match start {
            Start::Boot => make_memory(&memory),
            Start::Restore => check_memory(&memory, spec.memory_mb),
        }
        .map_err(prepare(&memory))?;
        let socket = control_socket(spec);
        remove_if_there(&socket).map_err(prepare(&socket))?;
        let listener = UnixListener::bind(&socket).map_err(prepare(&socket))?;

        let inherit = OwnedFd::from(listener);
        let detached = Detached {
            program: self.0.program.path.clone(),
            args: self.0.command_line(spec, &fd_number(&inherit), start),
            netns: spec.netns.clone(),
            cgroup_procs: spec.cgroup.iter().flat_map(|cgroup| cgroup.procs_files()).collect(),
            inherit,
        };
        spawn(detached).map_err(|error| match error {
            SpawnError::Open(path, source) => BootError::Prepare { id, path, source },
            SpawnError::Exec(source) => BootError::Spawn { id, program: self.0.program.path.clone(), source },
        })
    }

    /// Waits until a process that was started answers, loads its state if it is to have one, and lets it live.
    async fn bring_up(
        &self,
        spec: &BootSpec,
        started: Started,
        state: Option<&File>,
    ) -> Result<VmProcess, BootError> {
        // An early return drops `started`, which kills the process.
        let record = self.record(spec, &started);
        let connect = async {
            let (qmp, events) = Qmp::connect(&record.control_socket, watch::EVENTS, START_TIMEOUT).await?;
            if let Some(state) = state {
                state::load(&qmp, state).await?;
            }
            Ok((qmp, events))
        };
        let connected = tokio::select! {
            biased;
            connected = connect => connected,
            () = wait_for_exit(&started.pidfd) => Err(QmpError::Closed),
        };
        let (qmp, events) = match connected {
            Ok(connected) => connected,
            Err(source) => return Err(boot_failure(&record, started, source).await),
        };
        let (pidfd, log) = started.release();
        tracing::info!(sandbox = %spec.id, pid = record.process.pid, "machine started");
        Ok(watch(record, pidfd, qmp, events, Some(log), None))
    }
}

/// Makes the memory afresh, and for nobody else: a guest must not find another one's.
fn make_memory(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// Checks that the memory of a saved machine is there as a whole. QEMU would make a file that is missing, and the guest
/// would wake up without a past.
fn check_memory(path: &Path, memory_mb: u32) -> io::Result<()> {
    let (length, wanted) = (fs::metadata(path)?.len(), u64::from(memory_mb) << 20);
    if length == wanted {
        return Ok(());
    }
    let problem = format!("it has {length} bytes, and the machine's memory {wanted}");
    Err(io::Error::new(ErrorKind::InvalidData, problem))
}

/// Starts the watcher of a machine, and gives out its handle.
fn watch(
    record: VmRecord,
    pidfd: OwnedFd,
    qmp: Qmp,
    events: tokio::sync::mpsc::Receiver<super::qmp::QmpEvent>,
    log: Option<VmmLog>,
    guest_end: Option<ExitReason>,
) -> VmProcess {
    let (process, owner, requests) = VmProcess::new(record, Some(pidfd));
    tokio::spawn(Watcher { owner, requests, qmp, events, log, guest_end }.run());
    process
}

/// Ends a process that did not start well, and tells which of the two it was: it died, or it does not answer.
async fn boot_failure(record: &VmRecord, started: Started, source: QmpError) -> BootError {
    let id = record.id;
    // A connection that ends is a process that ends; its status follows at once.
    let ended = tokio::time::timeout(Duration::from_secs(1), wait_for_exit(&started.pidfd)).await.is_ok();
    let failure = if ended {
        let reason = end_of_process(record, &started.pidfd);
        BootError::Exited { id, exit: VmExit { reason, console: String::new(), log: started.log.text() } }
    } else {
        BootError::Control { id, source }
    };
    // Killing it waits for it, which must not hold up this thread.
    if spawn_blocking(move || drop(started)).await.is_err() {
        tracing::error!(sandbox = %id, "the task that ends a failed machine panicked");
    }
    failure
}

fn control_socket(spec: &BootSpec) -> PathBuf {
    spec.runtime_dir.join("qmp.sock")
}

fn check(spec: &BootSpec) -> Result<(), String> {
    let socket_length = control_socket(spec).as_os_str().len();
    if spec.vcpus == 0 || spec.memory_mb == 0 {
        return Err("needs a virtual cpu and memory".into());
    }
    if socket_length > SOCKET_PATH_MAX {
        return Err(format!("the path of its control socket is too long ({socket_length} bytes)"));
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
