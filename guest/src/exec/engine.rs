//! Starts processes and looks after them until they have ended.

use std::{
    ffi::CString,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use nix::{
    errno::Errno,
    sys::signal::Signal,
    unistd::{Pid, Uid},
};
use tokio::{
    net::unix::pipe,
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tokio_stream::Stream;
use wrenn_proto::guest::{ExecEvent, ExecExited, ExecInput, ExecStarted, exec_event::Event};

use super::{
    BackgroundProcess, Cgroups, ExecError, Lifetime, Plan, Registry, WorkingDirectory,
    cgroup::ExecCgroup,
    input::feed,
    output::{ExitBell, Sink, pump},
};
use crate::{
    reaper::{ExitCode, Reaper, SpawnedChild},
    sys::{self, ChildSetup, Identity},
};

/// Events that wait for a slow reader; together with the size of a chunk this bounds the memory.
const EVENT_QUEUE: usize = 4;
/// What the exit code is when the timeout killed the command, as `timeout(1)` has it.
const TIMED_OUT: ExitCode = ExitCode(124);

/// Runs commands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    reaper: Reaper,
    cgroups: Cgroups,
    registry: Arc<Registry>,
}

/// A process, and all that descends from it as far as that can be reached.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Pid,
    cgroup: Option<ExecCgroup>,
}

impl ProcessGroup {
    /// Sends a signal to the process group.
    pub(super) fn signal(&self, number: i32) {
        sys::signal_group(self.leader, number);
    }

    /// Kills everything: the cgroup where there is one, and the process group in any case.
    fn kill(&self) {
        if let Some(Err(error)) = self.cgroup.as_ref().map(ExecCgroup::kill) {
            eprintln!("wrenn-guest: cannot kill a cgroup, killing its process group only: {error}");
        }
        self.signal(Signal::SIGKILL as i32);
    }
}

/// A process that has just been started.
struct Started {
    group: Arc<ProcessGroup>,
    exit: oneshot::Receiver<ExitCode>,
    stdin: Option<pipe::Sender>,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
    at: Instant,
}

impl Engine {
    /// Makes an engine whose children `reaper` reaps.
    pub fn new(reaper: Reaper, cgroups: Cgroups) -> Self {
        Self { reaper, cgroups, registry: Arc::default() }
    }

    /// Background processes that this engine started.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Starts a command and returns its events: `started`, output, and at the end `exited`. Blocks while the command's
    /// directory and program are looked up; needs the context of a runtime.
    ///
    /// The events of a background command end after `started`. Dropping the events of any other one kills it.
    ///
    /// # Errors
    /// When it cannot be started; then nothing runs.
    pub fn run(
        &self,
        plan: Plan,
        inputs: impl Stream<Item = ExecInput> + Send + Unpin + 'static,
    ) -> Result<mpsc::Receiver<ExecEvent>, ExecError> {
        let _claim = match plan.lifetime {
            Lifetime::Background if !plan.tag.is_empty() => {
                Some(self.registry.claim(&plan.tag).ok_or_else(|| ExecError::TagTaken(plan.tag.clone()))?)
            }
            _ => None,
        };
        let started = self.start(&plan)?;
        let pid = started.group.leader;
        let tag = if plan.tag.is_empty() { format!("process-{pid}") } else { plan.tag.clone() };

        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let first = Event::Started(ExecStarted { pid: pid.as_raw().cast_unsigned(), tag: tag.clone() });
        // The queue is empty, so there is room.
        let _ = events.try_send(ExecEvent { event: Some(first) });
        match plan.lifetime {
            Lifetime::Attached => {
                tokio::spawn(attend(started, plan, inputs, events));
            }
            Lifetime::Background => {
                let process = Arc::new(BackgroundProcess::new(pid, tag));
                self.registry.insert(Arc::clone(&process));
                tokio::spawn(keep(started, plan, process));
            }
        }
        Ok(receiver)
    }

    fn start(&self, plan: &Plan) -> Result<Started, ExecError> {
        let cwd = existing_directory(&plan.cwd)?;
        let cgroup = self.cgroups.create();
        // A cgroup that cannot be entered is as good as none.
        let cgroup_procs = cgroup.as_ref().and_then(|cgroup| cgroup.open_procs().ok());
        let setup = ChildSetup {
            identity: identity_to_take(plan, &cwd)?,
            cwd: CString::new(cwd.as_os_str().as_bytes())
                .map_err(|_| ExecError::ZeroByte { what: "the home directory" })?,
            cgroup_procs,
        };

        let mut command = Command::new(&plan.program);
        command.args(&plan.args).env_clear().envs(&plan.environment);
        let stdin = match plan.lifetime {
            Lifetime::Attached => {
                let (read, write) = io::pipe().map_err(ExecError::Start)?;
                command.stdin(read);
                Some(pipe::Sender::from_owned_fd(write.into()).map_err(ExecError::Start)?)
            }
            Lifetime::Background => {
                command.stdin(Stdio::null());
                None
            }
        };
        let (stdout, write) = output_pipe().map_err(ExecError::Start)?;
        command.stdout(write);
        let (stderr, write) = output_pipe().map_err(ExecError::Start)?;
        command.stderr(write);
        sys::set_up_child(&mut command, setup);

        let at = Instant::now();
        let SpawnedChild { pid, exit } =
            self.reaper.spawn(|| command.spawn()).map_err(|error| start_error(error, plan, &cwd))?;
        Ok(Started { group: Arc::new(ProcessGroup { leader: pid, cgroup }), exit, stdin, stdout, stderr, at })
    }
}

fn output_pipe() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(read.into())?, write.into()))
}

fn existing_directory(cwd: &WorkingDirectory) -> Result<PathBuf, ExecError> {
    match cwd {
        WorkingDirectory::Requested(path) if path.is_dir() => Ok(path.clone()),
        WorkingDirectory::Requested(path) => Err(ExecError::NoWorkingDirectory(path.clone())),
        WorkingDirectory::Home(path) if path.is_dir() => Ok(path.clone()),
        WorkingDirectory::Home(_) => Ok(PathBuf::from("/")),
    }
}

/// The identity to switch to; none if the daemon is not root and already has the right one.
fn identity_to_take(plan: &Plan, cwd: &Path) -> Result<Option<Identity>, ExecError> {
    let account = &plan.account;
    let own = Uid::effective();
    if own.is_root() {
        Ok(Some(Identity { uid: account.uid, gid: account.gid, groups: account.groups.clone() }))
    } else if own.as_raw() == account.uid {
        Ok(None)
    } else {
        Err(not_permitted(plan, cwd))
    }
}

fn start_error(error: io::Error, plan: &Plan, cwd: &Path) -> ExecError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENOTDIR) => ExecError::NotFound(plan.program.clone()),
        Some(Errno::EACCES | Errno::EPERM | Errno::ENOEXEC | Errno::ELOOP | Errno::EISDIR) => {
            not_permitted(plan, cwd)
        }
        Some(Errno::E2BIG) => ExecError::TooLarge,
        _ => ExecError::Start(error),
    }
}

fn not_permitted(plan: &Plan, cwd: &Path) -> ExecError {
    ExecError::NotPermitted {
        program: plan.program.clone(),
        user: plan.account.name.clone(),
        cwd: cwd.to_owned(),
    }
}

/// Looks after a command whose caller listens.
async fn attend(
    started: Started,
    plan: Plan,
    inputs: impl Stream<Item = ExecInput> + Send + Unpin + 'static,
    events: mpsc::Sender<ExecEvent>,
) {
    let Started { group, exit, stdin, stdout, stderr, at } = started;
    let (bell, notice) = ExitBell::new();
    let sink = |kind| Sink::Caller { events: events.clone(), kind };
    let pumps = [
        tokio::spawn(pump(stdout, sink(Event::Stdout), notice.clone())),
        tokio::spawn(pump(stderr, sink(Event::Stderr), notice)),
    ];
    let feeder = stdin.map(|stdin| tokio::spawn(feed(inputs, stdin, Arc::clone(&group))));

    let ended = wait(&group, exit, plan.timeout, events.closed(), at).await;
    bell.ring();
    if let Some(feeder) = feeder {
        feeder.abort();
    }
    for pump in pumps {
        // A pump that panicked has nothing more to deliver.
        let _ = pump.await;
    }
    let exited = ExecExited {
        exit_code: ended.code.0,
        timed_out: ended.cause == EndCause::TimedOut,
        duration_ms: u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    // The caller may have gone.
    let _ = events.send(ExecEvent { event: Some(Event::Exited(exited)) }).await;
}

/// Looks after a background command.
async fn keep(started: Started, plan: Plan, process: Arc<BackgroundProcess>) {
    let Started { group, exit, stdin: _, stdout, stderr, at } = started;
    let (bell, notice) = ExitBell::new();
    tokio::spawn(pump(stdout, Sink::Kept(Arc::clone(&process.stdout)), notice.clone()));
    tokio::spawn(pump(stderr, Sink::Kept(Arc::clone(&process.stderr)), notice));
    let ended = wait(&group, exit, plan.timeout, std::future::pending(), at).await;
    bell.ring();
    process.set_exit_code(ended.code);
}

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndCause {
    Itself,
    TimedOut,
    CallerGone,
}

struct Ended {
    code: ExitCode,
    cause: EndCause,
}

/// Waits for the exit; kills the process when its time is over or its caller is gone.
async fn wait(
    group: &ProcessGroup,
    mut exit: oneshot::Receiver<ExitCode>,
    timeout: Option<std::time::Duration>,
    caller_gone: impl Future<Output = ()>,
    started_at: Instant,
) -> Ended {
    let time_over = async {
        match timeout {
            Some(timeout) => sleep(timeout.saturating_sub(started_at.elapsed())).await,
            None => std::future::pending().await,
        }
    };
    let cause = tokio::select! {
        // A process that ended in time has ended by itself.
        biased;
        code = &mut exit => return Ended { code: delivered(code), cause: EndCause::Itself },
        () = time_over => EndCause::TimedOut,
        () = caller_gone => EndCause::CallerGone,
    };
    group.kill();
    let code = delivered(exit.await);
    match cause {
        EndCause::TimedOut => Ended { code: TIMED_OUT, cause },
        EndCause::Itself | EndCause::CallerGone => Ended { code, cause },
    }
}

/// The reaper drops nobody who waits; should it be gone, the process counts as killed.
fn delivered(code: Result<ExitCode, oneshot::error::RecvError>) -> ExitCode {
    code.unwrap_or(ExitCode(128 + Signal::SIGKILL as i32))
}
