//! A guest for a test, and what is said to it.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};
use wrenn_base::Clock;
use wrenn_guest::{
    boot::Booted,
    exec::{Cgroups, Engine},
    machine::Freezer,
    reaper::{ReapScope, Reaper},
    service::GuestService,
};
use wrenn_proto::guest::{
    ExecEvent, ExecExited, ExecFailure, ExecInput, ExecStart, Lifetime, ProcessAttach, ProcessInfo,
    ProcessList, ProcessSelector, ProcessSignal, Signal, TerminalSize, exec_event::Event, exec_input::Input,
    guest_client::GuestClient, process_selector::By,
};
use wrenn_testkit::wait::{PATIENCE, found, in_time};

pub(crate) struct TestGuest {
    pub(crate) client: GuestClient<Channel>,
    url: String,
    server: JoinHandle<()>,
    pub(crate) cgroup: Option<PathBuf>,
}

impl TestGuest {
    pub(crate) async fn start() -> Self {
        Self::start_by(Clock::process()).await
    }

    /// Lets the time of the guest go by `clock`.
    pub(crate) async fn start_by(clock: Clock) -> Self {
        Self::start_for(IpAddr::V4(Ipv4Addr::LOCALHOST), clock).await
    }

    /// Serves `peer` on the loopback interface.
    pub(crate) async fn start_for(peer: IpAddr, clock: Clock) -> Self {
        let cgroup =
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new).into_iter().find_map(|root| {
                let unique = format!("wrenn-guest-test-{}-{:p}", std::process::id(), &raw const peer);
                let folder = root.join(unique);
                Cgroups::in_folder(&folder).ok().map(|cgroups| (folder, cgroups))
            });
        let (cgroup, cgroups) =
            cgroup.map_or((None, Cgroups::none()), |(folder, cgroups)| (Some(folder), cgroups));
        let engine = Engine::new(Reaper::start(ReapScope::Registered).unwrap(), cgroups, clock.clone());
        let service =
            GuestService::new(engine, Freezer::open(Path::new("/"), clock).unwrap(), Booted::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { service.serve(listener, peer).await.unwrap() });
        let channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
        Self { client: GuestClient::new(channel), url, server, cgroup }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    /// A client with a connection of its own.
    pub(crate) fn connect(&self) -> GuestClient<Channel> {
        GuestClient::new(Channel::from_shared(self.url.clone()).unwrap().connect_lazy())
    }

    pub(crate) async fn run(&self, start: ExecStart) -> Finished {
        let mut session = self.open(start).await;
        drop(session.inputs);
        in_time("the command ends", finish(&mut session.events)).await
    }

    pub(crate) async fn open(&self, start: ExecStart) -> Session {
        self.begin(Input::Start(start)).await
    }

    pub(crate) async fn attach(&self, tag: &str) -> Session {
        self.begin(Input::Attach(ProcessAttach { process: by_tag(tag), terminal: false })).await
    }

    pub(crate) async fn list(&self) -> Vec<ProcessInfo> {
        match self.begin(Input::List(ProcessList {})).await.next().await {
            Event::Processes(listed) => listed.processes,
            other => panic!("no list: {other:?}"),
        }
    }

    /// Sends a signal to a process and returns the answer.
    pub(crate) async fn signal(&self, tag: &str, number: i32) -> Event {
        let signal = ProcessSignal { process: by_tag(tag), signal: Some(Signal { number }) };
        self.begin(Input::SignalProcess(signal)).await.next().await
    }

    pub(crate) async fn kill(&self, tag: &str) {
        let answer = self.signal(tag, 9).await;
        assert!(matches!(answer, Event::Signalled(_)), "{answer:?}");
    }

    pub(crate) async fn begin(&self, opening: Input) -> Session {
        let (inputs, receiver) = mpsc::channel(4);
        inputs.send(opening.into()).await.unwrap();
        let events = self.client.clone().exec(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Session { inputs, events }
    }
}

impl Drop for TestGuest {
    fn drop(&mut self) {
        self.server.abort();
        let Some(folder) = &self.cgroup else { return };
        let _ = fs::write(folder.join("cgroup.kill"), "1");
        // Killed processes take a moment to leave.
        let began = Instant::now();
        while folder.exists() && began.elapsed() < PATIENCE {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(entry.path());
            }
            if fs::remove_dir(folder).is_err() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

pub(crate) struct Session {
    pub(crate) inputs: mpsc::Sender<ExecInput>,
    pub(crate) events: Streaming<ExecEvent>,
}

impl Session {
    pub(crate) async fn send(&self, input: Input) {
        self.inputs.send(ExecInput { input: Some(input) }).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Event {
        let event = in_time("an event comes", self.events.message()).await;
        event.unwrap().unwrap().event.unwrap()
    }

    /// The pid, which comes first.
    pub(crate) async fn started(&mut self) -> i32 {
        match self.next().await {
            Event::Started(started) => i32::try_from(started.pid).unwrap(),
            other => panic!("not started: {other:?}"),
        }
    }

    /// Reads until the output ends with this, and returns what was read.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        loop {
            match timeout(PATIENCE, self.events.message()).await {
                Ok(Ok(Some(event))) => match event.event.unwrap() {
                    Event::Stdout(bytes) | Event::Stderr(bytes) => text.extend(bytes),
                    Event::Started(_) | Event::DroppedBytes(_) => {}
                    other => panic!("never {end:?}: {other:?} after {:?}", String::from_utf8_lossy(&text)),
                },
                other => panic!("never {end:?}: {other:?} after {:?}", String::from_utf8_lossy(&text)),
            }
            if text.ends_with(end.as_bytes()) {
                return String::from_utf8(text).unwrap();
            }
        }
    }

    pub(crate) async fn finish(mut self) -> Finished {
        in_time("the end of the session", finish(&mut self.events)).await
    }

    /// Goes away, as a caller whose connection broke.
    pub(crate) fn leave(self) {}
}

#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) exited: Option<ExecExited>,
    pub(crate) failed: Option<ExecFailure>,
    pub(crate) dropped: u64,
    pub(crate) is_detached: bool,
}

impl Finished {
    pub(crate) fn code(&self) -> i32 {
        self.exited.as_ref().unwrap_or_else(|| panic!("it did not exit: {self:?}")).exit_code
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

pub(crate) async fn finish(events: &mut Streaming<ExecEvent>) -> Finished {
    let mut finished = Finished::default();
    while let Some(event) = events.message().await.unwrap() {
        match event.event.unwrap() {
            Event::Started(_) => {}
            Event::Stdout(bytes) => finished.stdout.extend(bytes),
            Event::Stderr(bytes) => finished.stderr.extend(bytes),
            Event::Exited(exited) => finished.exited = Some(exited),
            Event::Failed(failed) => finished.failed = Some(failed.kind()),
            Event::DroppedBytes(bytes) => finished.dropped += bytes,
            Event::Detached(_) => finished.is_detached = true,
            other => panic!("not of a command: {other:?}"),
        }
    }
    finished
}

pub(crate) fn shell(script: impl Into<String>) -> ExecStart {
    ExecStart { cmd: script.into(), ..ExecStart::default() }
}

/// A command that outlives its caller.
pub(crate) fn kept(script: impl Into<String>) -> ExecStart {
    ExecStart { lifetime: Lifetime::Kept.into(), ..shell(script) }
}

/// A command in a terminal of 80 columns and 24 rows that outlives its caller.
pub(crate) fn terminal(script: impl Into<String>) -> ExecStart {
    ExecStart { terminal: Some(TerminalSize { cols: 80, rows: 24 }), ..kept(script) }
}

pub(crate) fn by_tag(tag: &str) -> Option<ProcessSelector> {
    Some(ProcessSelector { by: Some(By::Tag(tag.to_owned())) })
}

pub(crate) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Reads a pid that a script writes.
pub(crate) async fn pid_in(path: &Path) -> i32 {
    let read = || fs::read_to_string(path).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
    found("a pid file", async || read()).await
}

pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}
