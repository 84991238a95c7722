//! The QEMU driver: machine type microvm, KVM where it truly works, else emulation.
//!
//! ```text
//!   boot:   memory file ─ listening control socket ─ spawn ─ greeting on the socket ─ Watcher
//!   adopt:  pidfd ─ connect to the control socket ─ query-status ─ Watcher
//! ```
//!
//! The agent makes the control socket and hands it over listening, so there is nothing to poll for: a
//! connection is answered as soon as QEMU runs its main loop, or ends when QEMU does.

mod args;
mod console;
mod watch;

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt, net::UnixListener},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tokio::task::spawn_blocking;

use self::watch::{Watcher, end_of_process};
use super::{
    AdoptError, BootError, BootSpec, ExitReason, KillError, VmExit, VmProcess, VmRecord, Vmm, VmmKind,
    accel::{self, Acceleration},
    process::wait_for_exit,
    qmp::{Qmp, QmpError},
    spawn::{Detached, SpawnError, Started, VmmLog, fd_number, spawn},
};

/// Name of the program.
const PROGRAM: &str = "qemu-system-x86_64";
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

#[derive(Debug)]
struct Installed {
    program: PathBuf,
    version: String,
    acceleration: Acceleration,
}

/// Why QEMU cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// It is in none of the folders of `PATH`.
    #[error("{0} is not installed (Debian: apt-get install qemu-system-x86)")]
    Missing(&'static str),
    /// It does not tell its version.
    #[error("ask {program} for its version")]
    Version {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Qemu {
    /// Finds QEMU in `PATH`, and how it accelerates here ([`accel::probe`], cached in `cache_dir`).
    ///
    /// # Errors
    /// [`DetectError`] if it is not installed or does not run.
    pub async fn detect(cache_dir: &Path) -> Result<Self, DetectError> {
        let (program, version) =
            spawn_blocking(find_program).await.unwrap_or(Err(DetectError::Missing(PROGRAM)))?;
        let acceleration = accel::probe(&program, cache_dir).await;
        Ok(Self(Arc::new(Installed { program, version, acceleration })))
    }

    /// The same QEMU, but always with software emulation, for the reason given.
    pub fn emulating(&self, why: String) -> Self {
        let Installed { program, version, .. } = &*self.0;
        let acceleration = Acceleration::Tcg { why };
        Self(Arc::new(Installed { program: program.clone(), version: version.clone(), acceleration }))
    }

    /// How machines run here.
    pub fn acceleration(&self) -> &Acceleration {
        &self.0.acceleration
    }

    fn record(&self, spec: &BootSpec, started: &Started) -> VmRecord {
        VmRecord {
            id: spec.id,
            vmm: VmmKind::Qemu,
            vmm_version: self.0.version.clone(),
            process: started.identity.clone(),
            control_socket: control_socket(spec),
            cgroup: spec.cgroup.clone(),
        }
    }
}

impl Vmm for Qemu {
    async fn boot(&self, spec: &BootSpec) -> Result<VmProcess, BootError> {
        let id = spec.id;
        let (qemu, blocking_spec) = (self.clone(), spec.clone());
        let started = spawn_blocking(move || qemu.start(&blocking_spec)).await.map_err(|source| {
            BootError::Spawn { id, program: self.0.program.clone(), source: io::Error::other(source) }
        })??;

        // From here on an early return drops `started`, which kills the process.
        let record = self.record(spec, &started);
        let connected = tokio::select! {
            biased;
            connected = Qmp::connect(&record.control_socket, watch::EVENTS, START_TIMEOUT) => connected,
            () = wait_for_exit(&started.pidfd) => Err(QmpError::Closed),
        };
        let (qmp, events) = match connected {
            Ok(connected) => connected,
            Err(source) => return Err(boot_failure(&record, started, source).await),
        };
        let (pidfd, log) = started.release();
        tracing::info!(sandbox = %id, pid = record.process.pid, "machine started");
        Ok(watch(record, pidfd, qmp, events, Some(log), None))
    }

    async fn restore(&self, spec: &BootSpec, _: &Path) -> Result<VmProcess, BootError> {
        self.boot(spec).await
    }

    fn fingerprint(&self) -> super::Fingerprint {
        super::Fingerprint { vmm: VmmKind::Qemu, version: self.0.version.clone() }
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
        format!("qemu {} ({accelerator})", self.0.version)
    }
}

impl Qemu {
    fn start(&self, spec: &BootSpec) -> Result<Started, BootError> {
        let id = spec.id;
        let prepare = |path: &Path| {
            let path = path.to_owned();
            move |source| BootError::Prepare { id, path, source }
        };
        check(spec).map_err(|problem| BootError::Spec { id, problem })?;
        // Made afresh, and for nobody else: a guest must not find another one's memory.
        let memory = spec.dir.join(args::MEMORY_FILE);
        remove_if_there(&memory).map_err(prepare(&memory))?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&memory)
            .map_err(prepare(&memory))?;
        let socket = control_socket(spec);
        remove_if_there(&socket).map_err(prepare(&socket))?;
        let listener = UnixListener::bind(&socket).map_err(prepare(&socket))?;

        let inherit = OwnedFd::from(listener);
        let detached = Detached {
            program: self.0.program.clone(),
            args: args::command_line(spec, &self.0.acceleration, &fd_number(&inherit)),
            netns: spec.netns.clone(),
            cgroup_procs: spec.cgroup.iter().flat_map(|cgroup| cgroup.procs_files()).collect(),
            inherit,
        };
        spawn(detached).map_err(|error| match error {
            SpawnError::Open(path, source) => BootError::Prepare { id, path, source },
            SpawnError::Exec(source) => BootError::Spawn { id, program: self.0.program.clone(), source },
        })
    }
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
    let (process, owner, questions) = VmProcess::new(record, Some(pidfd));
    tokio::spawn(Watcher { owner, questions, qmp, events, log, guest_end }.run());
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

fn find_program() -> Result<(PathBuf, String), DetectError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join(PROGRAM))
        .find(|program| program.is_file())
        .ok_or(DetectError::Missing(PROGRAM))?;
    let version = |source| DetectError::Version { program: program.clone(), source };
    let output = Command::new(&program).arg("--version").output().map_err(version)?;
    // `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`
    let text = String::from_utf8_lossy(&output.stdout);
    let number =
        text.split_ascii_whitespace().skip_while(|&word| word != "version").nth(1).map(str::to_owned);
    let number = number.ok_or(io::Error::from(ErrorKind::InvalidData)).map_err(version)?;
    Ok((program, number))
}
