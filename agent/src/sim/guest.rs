//! The guest of a simulated machine.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use wrenn_proto::{
    guest::{
        ConnectEvent, ConnectInput, Detached, ExecEvent, ExecExited, ExecFailed, ExecFailure, ExecInput,
        ExecStart, ExecStarted, FiguresResponse, FileEvent, FileInput, HelloResponse, InitRequest, Lifetime,
        ProcessSelector, ProcessSignal, ProcessesListed, Signalled, exec_event::Event, exec_input::Input,
    },
    ids::SandboxId,
};

use super::{
    files, ports,
    processes::{ProcessEnds, SimProcess, until_killed},
    world::{SimStep, SimWorld},
};
use crate::{
    guest::{Correction, Events, Guest, GuestError, Inputs, UnixTime},
    vmm::ExitReason,
};

/// Output is handed over in pieces of this size, in bytes.
const CHUNK_BYTES: usize = 32 * 1024;
/// Processes that are remembered, unless more run.
const KEPT_PROCESSES: usize = 64;
/// How often a command that writes looks whether it may.
const FROZEN_POLL: Duration = Duration::from_millis(1);

/// A guest that understands these commands, separated by `;`:
///
/// | command | what it does |
/// |---|---|
/// | `echo WORDS`, `warn WORDS` | prints a line on stdout, or on stderr |
/// | `true`, `false`, `exit N` | ends with that code |
/// | `sleep SECONDS` | waits, within the command's time limit |
/// | `cat` | prints what comes on stdin until that is closed, and the size that its terminal gets |
/// | `set K V`, `get K` | keeps a value in memory, prints it |
/// | `write F TEXT`, `read F` | keeps a text on the disk, prints it; waits while the file system is frozen |
/// | `df` | prints the size of the disk in MiB |
/// | `env NAME`, `whoami`, `hostname` | prints what it was told |
/// | `flood BYTES` | prints that many bytes |
/// | `crash` | ends the machine |
/// | `babble` | ends the conversation without an exit |
/// | `hang` | says nothing more, whatever the time limit |
///
/// Signals 2, 9 and 15 end a command, others are printed on stderr. Anything else prints `not found` on stderr and ends with 127. The user `nobody-here` does not exist.
#[derive(Debug)]
pub struct SimGuest {
    id: SandboxId,
    world: Arc<SimWorld>,
}

impl SimGuest {
    pub(super) fn new(id: SandboxId, world: Arc<SimWorld>) -> Self {
        Self { id, world }
    }

    async fn set_frozen(&self, step: SimStep, frozen: bool) -> Result<(), GuestError> {
        self.reach()?;
        let effect = || self.world.memory_of(self.id, |memory| memory.frozen = frozen);
        let done = self.world.step(step, effect).await;
        done.map(drop).map_err(|error| GuestError::Protocol(error.to_string()))
    }

    fn reach(&self) -> Result<(), GuestError> {
        if self.world.is_up(self.id) {
            Ok(())
        } else {
            Err(GuestError::Unreachable("connection refused".into()))
        }
    }
}

impl Guest for SimGuest {
    fn hello(&self) -> BoxFuture<'_, Result<HelloResponse, GuestError>> {
        async {
            self.world.step(SimStep::Hello, || ()).await.map_err(GuestError::Unreachable)?;
            self.reach()?;
            Ok(HelloResponse { version: "sim".into(), kernel: "sim".into(), uptime_ms: 1 })
        }
        .boxed()
    }

    fn init(&self, request: InitRequest) -> BoxFuture<'_, Result<Vec<String>, GuestError>> {
        async move {
            self.reach()?;
            let effect = || self.world.set_init(self.id, request);
            self.world
                .step(SimStep::Init, effect)
                .await
                .map(|()| Vec::new())
                .map_err(|error| GuestError::Protocol(error.to_string()))
        }
        .boxed()
    }

    fn freeze(&self, _: Duration) -> BoxFuture<'_, Result<(), GuestError>> {
        self.set_frozen(SimStep::Freeze, true).boxed()
    }

    fn thaw(&self) -> BoxFuture<'_, Result<(), GuestError>> {
        self.set_frozen(SimStep::Thaw, false).boxed()
    }

    fn clock(&self, _: Option<Correction>) -> BoxFuture<'_, Result<UnixTime, GuestError>> {
        async {
            self.reach()?;
            // The host's own, which is always right.
            let now = self.world.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Ok(UnixTime { nanoseconds: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX) })
        }
        .boxed()
    }

    fn figures(&self) -> BoxFuture<'_, Result<FiguresResponse, GuestError>> {
        async {
            self.world.step(SimStep::Figures, || ()).await.map_err(GuestError::Unreachable)?;
            self.reach()?;
            Ok(FiguresResponse {
                memory_total_bytes: 512 << 20,
                memory_used_bytes: 100 << 20,
                memory_cached_bytes: 50 << 20,
                load_1m: 0.5,
                load_5m: 0.25,
                load_15m: 0.125,
                disk_total_bytes: 5 << 30,
                disk_used_bytes: 1 << 30,
            })
        }
        .boxed()
    }

    fn files(&self, inputs: Inputs<FileInput>) -> BoxFuture<'_, Result<Events<FileEvent>, GuestError>> {
        async move {
            self.reach()?;
            Ok(files::files(self.world.clone(), self.id, inputs).boxed())
        }
        .boxed()
    }

    fn connect(
        &self,
        inputs: Inputs<ConnectInput>,
    ) -> BoxFuture<'_, Result<Events<ConnectEvent>, GuestError>> {
        async move {
            self.reach()?;
            Ok(ports::connect(self.world.clone(), self.id, inputs).boxed())
        }
        .boxed()
    }

    fn exec(&self, mut inputs: Inputs<ExecInput>) -> BoxFuture<'_, Result<Events<ExecEvent>, GuestError>> {
        async move {
            self.reach()?;
            let (events, output) = mpsc::channel(4);
            let guest = Self { id: self.id, world: self.world.clone() };
            tokio::spawn(async move {
                match inputs.next().await.and_then(|input| input.input) {
                    Some(Input::Start(start)) => guest.start(start, inputs, events).await,
                    Some(Input::Attach(attach)) => match guest.find(attach.process.as_ref()) {
                        Some(process) => process.converse(process.listen(), inputs, events).await,
                        None => say_failed(&events, ExecFailure::NoProcess, "there is no such process").await,
                    },
                    Some(Input::List(_)) => guest.list(&events).await,
                    Some(Input::SignalProcess(signal)) => guest.signal(signal, &events).await,
                    _ => {}
                }
            });
            Ok(ReceiverStream::new(output).map(|event| Ok(ExecEvent { event: Some(event) })).boxed())
        }
        .boxed()
    }
}

/// Says that a wish was not fulfilled, to whoever still listens.
async fn say_failed(events: &mpsc::Sender<Event>, kind: ExecFailure, message: &str) {
    let _ = events.send(Event::Failed(ExecFailed { kind: kind.into(), message: message.into() })).await;
}

/// Processes.
impl SimGuest {
    async fn start(&self, start: ExecStart, inputs: Inputs<ExecInput>, events: mpsc::Sender<Event>) {
        if start.user == "nobody-here" {
            return say_failed(&events, ExecFailure::UserUnknown, "no such user").await;
        }
        let init = self.world.init_of(self.id);
        let users = [start.user.as_str(), init.default_user.as_str(), "root"];
        let user = users.into_iter().find(|user| !user.is_empty()).unwrap_or_default().to_owned();
        let pid = self.world.next_pid.fetch_add(1, Ordering::Relaxed);
        let (process, ProcessEnds { inputs: fed, signals }) =
            SimProcess::new(pid, &start, user, self.world.clock.wall());
        let is_taken = {
            let mut processes = self.world.processes.lock();
            let processes = processes.entry(self.id).or_default();
            let is_taken = processes.iter().any(|other| other.runs() && other.info.tag == process.info.tag);
            if !is_taken {
                let surplus = processes.len().saturating_sub(KEPT_PROCESSES);
                let mut at = 0;
                processes.retain(|other| {
                    at += 1;
                    at > surplus || other.runs()
                });
                processes.push(process.clone());
            }
            is_taken
        };
        if is_taken {
            return say_failed(&events, ExecFailure::TagTaken, "a running process has the tag").await;
        }
        let lifetime = start.lifetime();
        let (said, output) = mpsc::channel(4);
        let command = Command { id: self.id, world: self.world.clone(), events: said.clone(), start };
        let world = self.world.clone();
        let run = {
            let process = process.clone();
            async move {
                world.note_exec(1);
                let run = async {
                    // It ends early when nobody listens any more.
                    let _ = command.run(fed).await;
                };
                let run = until_killed(run, signals, said);
                // What is said ends with the one who says it, and an attached one with its caller.
                let run = async {
                    run.await;
                    std::future::pending::<()>().await
                };
                tokio::select! {
                    () = run => {}
                    () = process.distribute(output) => {}
                }
                world.note_exec(-1);
            }
        };
        match lifetime {
            Lifetime::Background => {
                tokio::spawn(run);
                let started = ExecStarted { pid, tag: process.info.tag.clone() };
                for event in [Event::Started(started), Event::Detached(Detached {})] {
                    let _ = events.send(event).await;
                }
            }
            Lifetime::Kept | Lifetime::Attached => {
                let place = process.listen();
                tokio::spawn(run);
                process.converse(place, inputs, events).await;
            }
        }
    }

    fn find(&self, selector: Option<&ProcessSelector>) -> Option<Arc<SimProcess>> {
        let processes = self.world.processes.lock();
        processes.get(&self.id)?.iter().rev().find(|process| process.is_meant(selector)).cloned()
    }

    async fn list(&self, events: &mpsc::Sender<Event>) {
        let processes = {
            let processes = self.world.processes.lock();
            let all = processes.get(&self.id).into_iter().flatten();
            all.filter(|process| process.runs()).map(|process| process.info.clone()).collect()
        };
        let _ = events.send(Event::Processes(ProcessesListed { processes })).await;
    }

    async fn signal(&self, signal: ProcessSignal, events: &mpsc::Sender<Event>) {
        match self.find(signal.process.as_ref()).filter(|process| process.runs()) {
            Some(process) => {
                process.signal(signal.signal.unwrap_or_default().number);
                let _ = events.send(Event::Signalled(Signalled {})).await;
            }
            None => say_failed(events, ExecFailure::NoProcess, "there is no such process").await,
        }
    }
}

/// Splits what is behind the first word off.
fn pair(text: &str) -> (String, String) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    (first.to_owned(), rest.to_owned())
}

/// Nobody listens to the command any more, or it has nothing more to say.
struct Silent;

/// What a line of the script led to.
enum Line {
    Next,
    Exit(i32),
    TimedOut,
}

struct Command {
    id: SandboxId,
    world: Arc<SimWorld>,
    events: mpsc::Sender<Event>,
    start: ExecStart,
}

impl Command {
    async fn run(self, mut inputs: mpsc::Receiver<ExecInput>) -> Result<(), Silent> {
        let begun = self.world.clock.now();
        let script = if self.start.has_args {
            format!("{} {}", self.start.cmd, self.start.args.join(" "))
        } else {
            self.start.cmd.clone()
        };
        let mut exited = ExecExited::default();
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            match self.line(line, &mut inputs, begun).await? {
                Line::Next => exited.exit_code = 0,
                Line::Exit(code) => {
                    exited.exit_code = code;
                    break;
                }
                Line::TimedOut => {
                    (exited.exit_code, exited.timed_out) = (124, true);
                    break;
                }
            }
        }
        exited.duration_ms = u64::try_from(self.world.clock.since(begun).as_millis()).unwrap_or(u64::MAX);
        self.say(Event::Exited(exited)).await
    }

    async fn line(
        &self,
        line: &str,
        inputs: &mut mpsc::Receiver<ExecInput>,
        begun: Instant,
    ) -> Result<Line, Silent> {
        let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
        let init = self.world.init_of(self.id);
        match program {
            "echo" => self.print(rest).await?,
            "warn" => self.say(Event::Stderr(format!("{rest}\n").into())).await?,
            "true" => {}
            "false" => return Ok(Line::Exit(1)),
            "exit" => return Ok(Line::Exit(rest.trim().parse().unwrap_or(2))),
            "sleep" => return self.sleep(rest.trim().parse().unwrap_or(0.0), begun).await,
            "cat" => self.cat(inputs).await?,
            "set" => {
                let (key, value) = pair(rest);
                self.world.memory_of(self.id, |memory| memory.values.insert(key, value));
            }
            "get" => {
                let value = self.world.memory_of(self.id, |memory| memory.values.get(rest).cloned());
                self.print(&value.flatten().unwrap_or_default()).await?;
            }
            "write" => {
                let (name, text) = pair(rest);
                while self.world.memory_of(self.id, |memory| memory.frozen).unwrap_or(false) {
                    sleep(FROZEN_POLL).await;
                }
                self.world.disk_of(self.id, |disk| disk.files.insert(name, text));
            }
            "read" => {
                let text = self.world.disk_of(self.id, |disk| disk.files.get(rest).cloned());
                self.print(&text.flatten().unwrap_or_default()).await?;
            }
            "df" => {
                let size_mb = self.world.disk_of(self.id, |disk| disk.size_mb).unwrap_or(0);
                self.print(&size_mb.to_string()).await?;
            }
            "env" => {
                let value = self.start.envs.get(rest).or_else(|| init.default_env.get(rest));
                self.print(value.map_or("", String::as_str)).await?;
            }
            "whoami" => {
                let users = [self.start.user.as_str(), init.default_user.as_str(), "root"];
                self.print(users.into_iter().find(|user| !user.is_empty()).unwrap_or_default()).await?;
            }
            "hostname" => self.print(&init.hostname).await?,
            "flood" => self.flood(rest.trim().parse().unwrap_or(0)).await?,
            "crash" => {
                self.world.crash(self.id, ExitReason::GuestPanic);
                return Err(Silent);
            }
            "babble" => return Err(Silent),
            "hang" => std::future::pending().await,
            _ => {
                self.say(Event::Stderr(format!("{program}: not found\n").into())).await?;
                return Ok(Line::Exit(127));
            }
        }
        Ok(Line::Next)
    }

    async fn sleep(&self, seconds: f64, begun: Instant) -> Result<Line, Silent> {
        let wanted = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let limit =
            Duration::from_secs(self.start.timeout_sec.into()).saturating_sub(self.world.clock.since(begun));
        let is_limited = self.start.timeout_sec > 0 && limit < wanted;
        tokio::select! {
            () = self.world.clock.sleep(if is_limited { limit } else { wanted }) => {}
            () = self.events.closed() => return Err(Silent),
        }
        Ok(if is_limited { Line::TimedOut } else { Line::Next })
    }

    async fn cat(&self, inputs: &mut mpsc::Receiver<ExecInput>) -> Result<(), Silent> {
        while let Some(input) = inputs.recv().await {
            match input.input {
                Some(Input::Resize(size)) => self.print(&format!("[{}x{}]", size.cols, size.rows)).await?,
                Some(Input::Stdin(bytes)) => self.say(Event::Stdout(bytes)).await?,
                Some(Input::CloseStdin(_)) => break,
                _ => {}
            }
        }
        Ok(())
    }

    async fn flood(&self, mut bytes: usize) -> Result<(), Silent> {
        while bytes > 0 {
            let chunk = bytes.min(CHUNK_BYTES);
            self.say(Event::Stdout(vec![b'x'; chunk].into())).await?;
            bytes -= chunk;
        }
        Ok(())
    }

    async fn print(&self, line: &str) -> Result<(), Silent> {
        self.say(Event::Stdout(format!("{line}\n").into())).await
    }

    async fn say(&self, event: Event) -> Result<(), Silent> {
        self.events.send(event).await.map_err(|_| Silent)
    }
}
