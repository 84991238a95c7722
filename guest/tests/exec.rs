//! The exec engine behind the real service, in an ordinary process: everything but being PID 1.
//!
//! Run as root the commands are also put into cgroups (where the machine has version 2) and switch users.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming, transport::Channel};
use wrenn_guest::{
    exec::{Cgroups, Engine},
    machine::Freezer,
    reaper::{ReapScope, Reaper},
    service::GuestService,
};
use wrenn_proto::guest::{
    CloseStdin, ExecEvent, ExecExited, ExecFailure, ExecInput, ExecStart, HelloRequest, InitRequest, Signal,
    exec_event::Event, exec_input::Input, guest_client::GuestClient,
};

/// Longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct TestGuest {
    client: GuestClient<Channel>,
    url: String,
    server: JoinHandle<()>,
    cgroup: Option<PathBuf>,
}

impl TestGuest {
    async fn start() -> Self {
        Self::start_for(IpAddr::V4(Ipv4Addr::LOCALHOST)).await
    }

    /// Serves `peer` on the loopback interface.
    async fn start_for(peer: IpAddr) -> Self {
        let cgroup =
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new).into_iter().find_map(|root| {
                let unique = format!("wrenn-guest-test-{}-{:p}", std::process::id(), &raw const peer);
                let folder = root.join(unique);
                Cgroups::in_folder(&folder).ok().map(|cgroups| (folder, cgroups))
            });
        let (cgroup, cgroups) =
            cgroup.map_or((None, Cgroups::none()), |(folder, cgroups)| (Some(folder), cgroups));
        let engine = Engine::new(Reaper::start(ReapScope::Registered).unwrap(), cgroups);
        let service = GuestService::new(engine, Freezer::open(Path::new("/")).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { service.serve(listener, peer).await.unwrap() });
        let channel = Channel::from_shared(url.clone()).unwrap().connect_lazy();
        Self { client: GuestClient::new(channel), url, server, cgroup }
    }

    /// A client with a connection of its own.
    fn connect(&self) -> GuestClient<Channel> {
        GuestClient::new(Channel::from_shared(self.url.clone()).unwrap().connect_lazy())
    }

    async fn run(&self, start: ExecStart) -> Finished {
        let mut session = self.open(start).await;
        drop(session.inputs);
        timeout(PATIENCE, finish(&mut session.events)).await.expect("the command ends")
    }

    async fn open(&self, start: ExecStart) -> Session {
        let (inputs, receiver) = mpsc::channel(4);
        inputs.send(ExecInput { input: Some(Input::Start(start)) }).await.unwrap();
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

struct Session {
    inputs: mpsc::Sender<ExecInput>,
    events: Streaming<ExecEvent>,
}

impl Session {
    async fn send(&self, input: Input) {
        self.inputs.send(ExecInput { input: Some(input) }).await.unwrap();
    }

    async fn next(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.message()).await.expect("an event comes");
        event.unwrap().unwrap().event.unwrap()
    }
}

#[derive(Debug, Default)]
struct Finished {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exited: Option<ExecExited>,
    failed: Option<ExecFailure>,
}

impl Finished {
    fn code(&self) -> i32 {
        self.exited.as_ref().unwrap_or_else(|| panic!("it did not exit: {self:?}")).exit_code
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

async fn finish(events: &mut Streaming<ExecEvent>) -> Finished {
    let mut finished = Finished::default();
    while let Some(event) = events.message().await.unwrap() {
        match event.event.unwrap() {
            Event::Started(_) => {}
            Event::Stdout(bytes) => finished.stdout.extend(bytes),
            Event::Stderr(bytes) => finished.stderr.extend(bytes),
            Event::Exited(exited) => finished.exited = Some(exited),
            Event::Failed(failed) => finished.failed = Some(failed.kind()),
        }
    }
    finished
}

fn shell(script: impl Into<String>) -> ExecStart {
    ExecStart { cmd: script.into(), ..ExecStart::default() }
}

fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Reads a pid that a script writes.
async fn pid_in(path: &Path) -> i32 {
    let read = || fs::read_to_string(path).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
    eventually("a pid file", || read().is_some()).await;
    read().unwrap()
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

#[tokio::test]
async fn output_and_exit_code_come_back() {
    let guest = TestGuest::start().await;
    let finished = guest.run(shell("echo out; echo err >&2; exit 3")).await;
    assert_eq!((finished.text(), finished.stderr.as_slice(), finished.code()), ("out\n", &b"err\n"[..], 3));
}

#[tokio::test]
async fn large_and_binary_output_is_complete() {
    let guest = TestGuest::start().await;
    let finished = guest.run(shell("head -c 5000000 /dev/zero; printf '\\377\\000\\376'")).await;
    assert_eq!(finished.stdout.len(), 5_000_003);
    assert!(finished.stdout.ends_with(&[0, 0xff, 0, 0xfe]));
}

#[tokio::test]
async fn arguments_are_passed_untouched() {
    let guest = TestGuest::start().await;
    let args = ["%s|".to_owned(), "a b".into(), "$HOME".into(), "'\"".into()];
    let finished = guest.run(ExecStart { args: args.to_vec(), has_args: true, ..shell("printf") }).await;
    assert_eq!(finished.text(), "a b|$HOME|'\"|");
}

#[tokio::test]
async fn environment_is_login_then_defaults_then_request() {
    let guest = TestGuest::start().await;
    let default_env = HashMap::from([("A".to_owned(), "default".to_owned()), ("B".into(), "default".into())]);
    guest.client.clone().init(InitRequest { default_env, ..InitRequest::default() }).await.unwrap();
    let envs = HashMap::from([("B".to_owned(), "request".to_owned())]);
    let finished = guest.run(ExecStart { envs, ..shell("echo $USER $HOME $A $B ${CARGO-unset}") }).await;
    assert_eq!(finished.text(), "root /root default request unset\n");
}

#[tokio::test]
async fn the_directory_is_the_requested_one() {
    let guest = TestGuest::start().await;
    assert_eq!(guest.run(ExecStart { cwd: "/usr".into(), ..shell("pwd") }).await.text(), "/usr\n");
}

#[tokio::test]
async fn commands_switch_to_the_user_with_all_its_groups() {
    if !is_root() {
        return;
    }
    let guest = TestGuest::start().await;
    let script =
        "id -un; id -G; echo $HOME; cut -d' ' -f5,6 /proc/self/stat | tr ' ' '\\n' | sort -u | wc -l";
    let finished = guest.run(ExecStart { user: "nobody".into(), ..shell(script) }).await;
    assert_eq!(finished.text(), "nobody\n65534\n/nonexistent\n1\n");
    let finished = guest.run(ExecStart { user: "nobody".into(), ..shell("cat /etc/shadow") }).await;
    assert_eq!(finished.code(), 1);
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let guest = TestGuest::start().await;
    let direct = |cmd: &str| ExecStart { has_args: true, ..shell(cmd) };
    let cases = [
        (shell(""), ExecFailure::Invalid),
        (ExecStart { user: "ghost".into(), ..shell("true") }, ExecFailure::UserUnknown),
        (ExecStart { cwd: "/nowhere".into(), ..shell("true") }, ExecFailure::CwdMissing),
        (ExecStart { cwd: "/etc/passwd".into(), ..shell("true") }, ExecFailure::CwdMissing),
        (direct("no-such-program"), ExecFailure::NotFound),
        (direct("/etc/passwd/x"), ExecFailure::NotFound),
        (direct("/etc/passwd"), ExecFailure::NotPermitted),
        (direct("/etc"), ExecFailure::NotPermitted),
        (ExecStart { args: vec!["x".repeat(200_000)], ..direct("true") }, ExecFailure::Invalid),
    ];
    for (start, failure) in cases {
        let finished = guest.run(start.clone()).await;
        assert_eq!(finished.failed, Some(failure), "{:?}", start.cmd);
        assert!(finished.exited.is_none());
    }
}

#[tokio::test]
async fn the_first_input_must_be_a_start() {
    let guest = TestGuest::start().await;
    let input = ExecInput { input: Some(Input::Stdin(b"x".to_vec())) };
    let mut events = guest.client.clone().exec(tokio_stream::once(input)).await.unwrap().into_inner();
    assert_eq!(finish(&mut events).await.failed, Some(ExecFailure::Invalid));
}

#[tokio::test]
async fn standard_input_is_fed_and_closed() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("wc -c")).await;
    for _ in 0..100 {
        session.send(Input::Stdin(vec![b'x'; 10_000])).await;
    }
    session.send(Input::CloseStdin(CloseStdin {})).await;
    let finished = timeout(PATIENCE, finish(&mut session.events)).await.unwrap();
    assert_eq!(finished.text().trim(), "1000000");
}

#[tokio::test]
async fn a_signal_reaches_a_process_that_reads_no_input() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("sleep 60")).await;
    assert!(matches!(session.next().await, Event::Started(_)));
    session.send(Input::Stdin(vec![0; 500_000])).await;
    session.send(Input::Signal(Signal { number: 15 })).await;
    let finished = timeout(PATIENCE, finish(&mut session.events)).await.unwrap();
    assert_eq!(finished.code(), 143);
}

#[tokio::test]
async fn a_timeout_kills_the_group_and_keeps_the_output() {
    let guest = TestGuest::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo before; sleep 60 & echo $! > {}; wait", file.display());
    let began = Instant::now();
    let finished = guest.run(ExecStart { timeout_sec: 1, ..shell(script) }).await;
    let exited = finished.exited.as_ref().unwrap();
    assert_eq!((exited.exit_code, exited.timed_out, finished.text()), (124, true, "before\n"));
    assert!(began.elapsed() >= Duration::from_secs(1));
    let child = pid_in(&file).await;
    eventually("the child is gone", || !is_alive(child)).await;
}

#[tokio::test]
async fn a_timeout_reaches_processes_that_left_the_session() {
    let guest = TestGuest::start().await;
    if guest.cgroup.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 60' & wait; sleep 60", file.display());
    let finished = guest.run(ExecStart { timeout_sec: 1, ..shell(script) }).await;
    assert_eq!(finished.code(), 124);
    let child = pid_in(&file).await;
    eventually("the child is gone", || !is_alive(child)).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_processes_along() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("sleep 60 & echo $!; wait")).await;
    assert!(matches!(session.next().await, Event::Started(_)));
    let Event::Stdout(line) = session.next().await else { panic!("no output") };
    let child: i32 = String::from_utf8(line).unwrap().trim().parse().unwrap();
    assert!(is_alive(child));
    drop(session);
    eventually("the child is gone", || !is_alive(child)).await;
}

#[tokio::test]
async fn a_daemon_that_keeps_the_pipe_does_not_hold_up_the_end() {
    let guest = TestGuest::start().await;
    let began = Instant::now();
    // It writes on: its pipe must neither fill up nor break.
    let script = "(while :; do echo x; sleep 0.05; done) & echo $!";
    let finished = guest.run(shell(script)).await;
    assert_eq!(finished.code(), 0);
    assert!(began.elapsed() < Duration::from_secs(5));
    // Its own output may come first.
    let daemon: i32 = finished.text().lines().find_map(|line| line.parse().ok()).unwrap();
    assert!(is_alive(daemon));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_slow_reader_slows_the_process() {
    let guest = TestGuest::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done");
    let script = format!("head -c 20000000 /dev/zero; touch {}", file.display());
    let mut session = guest.open(shell(script)).await;
    assert!(matches!(session.next().await, Event::Started(_)));
    // Other commands run meanwhile; when several have, the writer has had its chance.
    for _ in 0..5 {
        guest.run(shell("sleep 0.05")).await;
    }
    assert!(!file.exists());
    let finished = timeout(PATIENCE, finish(&mut session.events)).await.unwrap();
    assert_eq!(finished.stdout.len(), 20_000_000);
    assert!(file.exists());
}

#[tokio::test]
async fn a_background_command_outlives_its_stream() {
    let guest = TestGuest::start().await;
    let mut session =
        guest.open(ExecStart { background: true, tag: "server".into(), ..shell("sleep 60") }).await;
    let Event::Started(started) = session.next().await else { panic!("not started") };
    assert_eq!(started.tag, "server");
    assert!(session.events.message().await.unwrap().is_none());
    drop(session);
    let pid = i32::try_from(started.pid).unwrap();
    assert!(is_alive(pid));
    let again = guest.run(ExecStart { background: true, tag: "server".into(), ..shell("true") }).await;
    assert_eq!(again.failed, Some(ExecFailure::Invalid));
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_a_hundred_commands() {
    let guest = TestGuest::start().await;
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    guest.run(shell("true")).await;
    for _ in 0..100 {
        assert_eq!(guest.run(shell("true")).await.code(), 0);
    }
    if let Some(folder) = &guest.cgroup {
        let left = || fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
        eventually("no cgroup is left", || left() == 0).await;
    }
    // Other tests of this process have descriptors of their own, but not a hundred.
    assert!(descriptors() < 400);
}

#[tokio::test]
async fn strangers_are_not_served() {
    let guest = TestGuest::start_for(IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1))).await;
    // The connection is closed unread, so there is no status of the service's own.
    assert!(guest.client.clone().hello(HelloRequest {}).await.is_err());
}

#[tokio::test]
async fn a_wrong_init_changes_nothing() {
    let guest = TestGuest::start().await;
    let default_env = HashMap::from([("A=B".to_owned(), "x".to_owned())]);
    let bad = [
        InitRequest { unix_time_ns: -1, ..InitRequest::default() },
        InitRequest { entropy: vec![0; 513], ..InitRequest::default() },
        InitRequest { hostname: "a b".into(), ..InitRequest::default() },
        InitRequest { nameservers: vec!["x".into()], ..InitRequest::default() },
        InitRequest { default_env, hostname: "never-set".into(), ..InitRequest::default() },
    ];
    for request in bad {
        let status = guest.client.clone().init(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    assert_ne!(nix::unistd::gethostname().unwrap(), "never-set");
}

#[tokio::test]
async fn an_init_ends_what_belongs_to_other_connections_and_nothing_else() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("sleep 1000 & echo $!; wait")).await;
    assert!(matches!(session.next().await, Event::Started(_)));
    let Event::Stdout(pid) = session.next().await else { panic!("expected output") };
    let process = Path::new("/proc").join(String::from_utf8(pid).unwrap().trim());
    let background = guest.run(ExecStart { background: true, ..shell("exec sleep 1001") }).await;
    assert_eq!(background.failed, None);

    // On the connection that the command belongs to: it goes on.
    guest.client.clone().init(InitRequest::default()).await.unwrap();
    assert_eq!(guest.run(shell("echo on")).await.text(), "on\n");
    assert!(process.exists());
    // As after a restore: the host has dialled anew.
    let mut other = guest.connect();
    other.init(InitRequest::default()).await.unwrap();
    let ended = timeout(PATIENCE, session.events.message()).await.expect("the old connection ends");
    assert!(ended.is_err(), "{ended:?}");
    let gone = async {
        while process.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the command of the old connection ends");
    // The new one is served, and so is the old client once it has dialled again.
    other.hello(HelloRequest {}).await.unwrap();
    other.init(InitRequest::default()).await.unwrap();
    assert_eq!(guest.run(shell("echo again")).await.text(), "again\n");
}
