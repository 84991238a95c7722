//! Starts processes, finds them again, and looks after them until they have ended.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use nix::{
    errno::Errno,
    sys::signal::Signal,
    unistd::{Pid, Uid},
};
use tokio::{
    net::unix::pipe,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::Stream;
use wrenn_base::Clock;
use wrenn_proto::guest::{
    Detached, ExecEvent, ExecExited, ExecInput, ProcessAttach, ProcessSignal, ProcessesListed, Signalled,
    exec_event::Event,
};

use super::{
    Cgroups, ExecError, Lifetime, Plan, Stdin, WindowSize, WorkingDirectory,
    caller::{Parting, converse, started},
    input::{Feed, Sink},
    log::OutputStream,
    output::{ExitBell, Source, pump},
    process::{Delivery, Description, Process, ProcessGroup, Running},
    registry::Registry,
    terminal::Terminal,
};
use crate::{
    reaper::{ExitCode, Reaper, SpawnedChild},
    sys::{self, ChildSetup, Identity, InputKind},
};

/// What the exit code is when the timeout killed the command, as `timeout(1)` has it.
const TIMED_OUT: ExitCode = ExitCode(124);
/// Numbers of signals.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// Runs commands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    reaper: Reaper,
    cgroups: Cgroups,
    clock: Clock,
    registry: Arc<Registry>,
}

/// A process that has just been started.
struct Spawned {
    pid: Pid,
    exit: oneshot::Receiver<ExitCode>,
    running: Running,
    sources: Vec<(OutputStream, Source)>,
    feeder: Option<JoinHandle<()>>,
    at: Instant,
}

/// What a command's standard streams are connected to.
struct Streams {
    sink: Option<Sink>,
    sources: Vec<(OutputStream, Source)>,
    terminal: Option<Arc<Terminal>>,
}

impl Engine {
    /// Makes an engine whose children `reaper` reaps, and whose time limits go by `clock`.
    pub fn new(reaper: Reaper, cgroups: Cgroups, clock: Clock) -> Self {
        Self { reaper, cgroups, clock, registry: Arc::default() }
    }

    /// Starts a command and returns its events: `started`, output, and at the end `exited`. Blocks while the command's
    /// directory and program are looked up; needs the context of a runtime.
    ///
    /// The events of a background command end after `started` with `detached`. Dropping those of an attached one
    /// kills it.
    ///
    /// # Errors
    /// When it cannot be started; then nothing runs.
    pub fn start(
        &self,
        plan: Plan,
        inputs: impl Stream<Item = ExecInput> + Send + Unpin + 'static,
    ) -> Result<mpsc::Receiver<ExecEvent>, ExecError> {
        let reservation = self.registry.reserve(&plan.tag)?;
        let Spawned { pid, exit, running, sources, feeder, at } = self.spawn(&plan)?;
        let Plan { request: command, account, lifetime, timeout, .. } = plan;
        let process = self.registry.insert(reservation, pid, |tag| {
            let started_at_unix = self.unix_now();
            let user = account.name;
            Process::new(Description { pid, tag, command, user, lifetime, started_at_unix }, running)
        });
        // Reading begins before anything is written, so the caller misses nothing.
        let events = match lifetime {
            Lifetime::Attached => {
                converse(Arc::clone(&process), process.output.reader(), inputs, Parting::Kill)
            }
            Lifetime::Kept => converse(Arc::clone(&process), process.output.reader(), inputs, Parting::GoOn),
            Lifetime::Background => all_at_once([started(&process), Event::Detached(Detached {}).into()]),
        };
        let (bell, notice) = ExitBell::new(self.clock.clone());
        let pumps = sources
            .into_iter()
            .map(|(stream, source)| {
                tokio::spawn(pump(source, stream, Arc::clone(&process.output), notice.clone()))
            })
            .collect();
        let (clock, registry) = (self.clock.clone(), Arc::clone(&self.registry));
        let watch = Watch { process, registry, clock, timeout, at, pumps, feeder, bell };
        tokio::spawn(watch.until_ended(exit));
        Ok(events)
    }

    /// Takes a process up again: its events from the oldest that are kept. Needs the context of a runtime.
    ///
    /// # Errors
    /// When there is no such process, or it has no terminal and needs one.
    pub fn attach(
        &self,
        attach: ProcessAttach,
        inputs: impl Stream<Item = ExecInput> + Send + Unpin + 'static,
    ) -> Result<mpsc::Receiver<ExecEvent>, ExecError> {
        let process = self.registry.find(attach.process)?;
        if attach.terminal && !process.has_terminal {
            return Err(ExecError::NoTerminal(process.pid()));
        }
        let reader = process.output.reader();
        Ok(converse(process, reader, inputs, Parting::GoOn))
    }

    /// Lists what runs.
    pub fn list(&self) -> mpsc::Receiver<ExecEvent> {
        let processes = self.registry.running().iter().map(|process| process.info()).collect();
        all_at_once([Event::Processes(ProcessesListed { processes }).into()])
    }

    /// Sends a signal to a process that runs.
    ///
    /// # Errors
    /// When there is no such process, or no such signal.
    pub fn signal(&self, signal: ProcessSignal) -> Result<mpsc::Receiver<ExecEvent>, ExecError> {
        let number = signal.signal.unwrap_or_default().number;
        if !SIGNALS.contains(&number) {
            return Err(ExecError::BadSignal(number));
        }
        let process = self.registry.find(signal.process)?;
        match process.signal(number) {
            Delivery::Sent => Ok(all_at_once([Event::Signalled(Signalled {}).into()])),
            Delivery::TooLate => {
                Err(ExecError::NoProcess(format!("{} any more: it has ended", process.pid())))
            }
        }
    }

    fn spawn(&self, plan: &Plan) -> Result<Spawned, ExecError> {
        let cwd = existing_directory(&plan.cwd)?;
        let cgroup = self.cgroups.create();
        // A cgroup that cannot be entered is as good as none.
        let cgroup_procs = cgroup.as_ref().and_then(|cgroup| cgroup.open_procs().ok());
        let identity = identity_to_take(plan, &cwd)?;
        let owner = identity.as_ref().map(|identity| Uid::from_raw(identity.uid));

        let mut command = Command::new(&plan.program);
        command.args(&plan.args).env_clear().envs(&plan.environment);
        let streams = match plan.terminal {
            Some(size) => connect_terminal(&mut command, size, owner),
            None => connect_pipes(&mut command, plan.stdin),
        };
        let Streams { sink, sources, terminal } = streams.map_err(ExecError::Start)?;
        let setup = ChildSetup {
            identity,
            cwd: CString::new(cwd.as_os_str().as_bytes())
                .map_err(|_| ExecError::ZeroByte { what: "the home directory" })?,
            cgroup_procs,
            input: if terminal.is_some() { InputKind::Terminal } else { InputKind::Plain },
        };
        sys::set_up_child(&mut command, setup);

        let at = self.clock.now();
        let SpawnedChild { pid, exit } =
            self.reaper.spawn(|| command.spawn()).map_err(|error| start_error(error, plan, &cwd))?;
        let (feed, feeder) = match sink {
            Some(sink) => {
                let (feed, pending) = Feed::new();
                (Some(feed), Some(tokio::spawn(pending.write(sink))))
            }
            None => (None, None),
        };
        let running = Running { group: ProcessGroup::new(pid, cgroup), feed, terminal };
        Ok(Spawned { pid, exit, running, sources, feeder, at })
    }

    /// Returns seconds since the Unix epoch; a clock that stands before it counts as the epoch.
    fn unix_now(&self) -> i64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// A few events, and their end.
fn all_at_once<const N: usize>(all: [ExecEvent; N]) -> mpsc::Receiver<ExecEvent> {
    let (events, receiver) = mpsc::channel(N);
    for event in all {
        // There is room for each.
        let _ = events.try_send(event);
    }
    receiver
}

fn connect_pipes(command: &mut Command, stdin: Stdin) -> io::Result<Streams> {
    let sink = match stdin {
        Stdin::Open => {
            let (read, write) = io::pipe()?;
            command.stdin(read);
            Some(Sink::Pipe(pipe::Sender::from_owned_fd(write.into())?))
        }
        Stdin::Null => {
            command.stdin(nothing()?);
            None
        }
    };
    let (stdout, write) = output_pipe()?;
    command.stdout(write);
    let (stderr, write) = output_pipe()?;
    command.stderr(write);
    let sources = vec![(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)];
    Ok(Streams { sink, sources, terminal: None })
}

/// Opens `/dev/null`, or a pipe that has ended: the user may have removed the device.
fn nothing() -> io::Result<Stdio> {
    // Without waiting, should a pipe stand in its place.
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    match options.open("/dev/null") {
        Ok(null) => Ok(null.into()),
        Err(_) => io::pipe().map(|(read, _)| read.into()),
    }
}

fn output_pipe() -> io::Result<(Source, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((Source::Pipe(pipe::Receiver::from_owned_fd(read.into())?), write.into()))
}

fn connect_terminal(command: &mut Command, size: WindowSize, owner: Option<Uid>) -> io::Result<Streams> {
    let (terminal, slave) = Terminal::open(size, owner)?;
    let terminal = Arc::new(terminal);
    command.stdin(slave.input).stdout(slave.output).stderr(slave.error);
    let sink = Some(Sink::Terminal(Arc::clone(&terminal)));
    let sources = vec![(OutputStream::Stdout, Source::Terminal(Arc::clone(&terminal)))];
    Ok(Streams { sink, sources, terminal: Some(terminal) })
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

/// Looks after one process.
struct Watch {
    process: Arc<Process>,
    registry: Arc<Registry>,
    clock: Clock,
    timeout: Option<Duration>,
    at: Instant,
    pumps: Vec<JoinHandle<()>>,
    feeder: Option<JoinHandle<()>>,
    bell: ExitBell,
}

impl Watch {
    async fn until_ended(self, exit: oneshot::Receiver<ExitCode>) {
        let (code, cause) = self.wait(exit).await;
        let Self { process, registry, clock, at, pumps, feeder, bell, .. } = self;
        // From now on nobody can signal what may have its pid.
        let running = process.exited();
        if let Some(Running { terminal: Some(terminal), .. }) = &running {
            terminal.let_go();
        }
        registry.ended(&process);
        bell.ring();
        if let Some(feeder) = feeder {
            feeder.abort();
        }
        for pump in pumps {
            // A pump that panicked has nothing more to deliver.
            let _ = pump.await;
        }
        drop(running);
        process.output.end(ExecExited {
            exit_code: code.0,
            timed_out: cause == EndCause::TimedOut,
            duration_ms: u64::try_from(clock.since(at).as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// Waits for the exit; kills the process when its time is over.
    async fn wait(&self, mut exit: oneshot::Receiver<ExitCode>) -> (ExitCode, EndCause) {
        let time_over = async {
            match self.timeout {
                Some(timeout) => self.clock.sleep_until(self.at + timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A process that ended in time has ended by itself.
            biased;
            code = &mut exit => return (delivered(code), EndCause::Itself),
            () = time_over => {}
        }
        self.process.kill();
        delivered(exit.await);
        (TIMED_OUT, EndCause::TimedOut)
    }
}

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndCause {
    /// By itself, or because it was told to.
    Itself,
    TimedOut,
}

/// The reaper drops nobody who waits; should it be gone, the process counts as killed.
fn delivered(code: Result<ExitCode, oneshot::error::RecvError>) -> ExitCode {
    code.unwrap_or(ExitCode(128 + Signal::SIGKILL as i32))
}
