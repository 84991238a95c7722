//! Commands whose caller listens: output, input, users, timeouts.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::{Duration, Instant},
};

use tonic::Code;
use wrenn_base::Clock;
use wrenn_proto::guest::{
    CloseStdin, ExecFailure, ExecInput, ExecStart, HelloRequest, InitRequest, Signal, exec_event::Event,
    exec_input::Input,
};
use wrenn_testkit::wait::{eventually, in_time};

use crate::support::{TestGuest, finish, is_alive, is_root, kept, pid_in, shell};

const HOUR: Duration = Duration::from_secs(3600);

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
async fn no_signal_is_ignored_or_blocked_whatever_the_daemon_inherited() {
    let guest = TestGuest::start().await;
    let ran = guest.run(shell("grep -E 'Sig(Ign|Blk)' /proc/self/status")).await;
    assert_eq!(ran.text(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
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
async fn the_first_input_must_say_what_is_wanted() {
    let guest = TestGuest::start().await;
    let input = ExecInput { input: Some(Input::Stdin("x".into())) };
    let mut events = guest.client.clone().exec(tokio_stream::once(input)).await.unwrap().into_inner();
    assert_eq!(finish(&mut events).await.failed, Some(ExecFailure::Invalid));
}

#[tokio::test]
async fn standard_input_is_fed_and_closed() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("wc -c")).await;
    for _ in 0..100 {
        session.send(Input::Stdin(vec![b'x'; 10_000].into())).await;
    }
    session.send(Input::CloseStdin(CloseStdin {})).await;
    let finished = in_time("the command ends", finish(&mut session.events)).await;
    assert_eq!(finished.text().trim(), "1000000");
}

#[tokio::test]
async fn a_signal_reaches_a_process_that_reads_no_input() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("sleep 60")).await;
    assert!(matches!(session.next().await, Event::Started(_)));
    session.send(Input::Stdin(vec![0; 500_000].into())).await;
    session.send(Input::Signal(Signal { number: 15 })).await;
    let finished = in_time("the command ends", finish(&mut session.events)).await;
    assert_eq!(finished.code(), 143);
}

#[tokio::test]
async fn a_timeout_kills_the_group_and_keeps_the_output() {
    let (clock, hand) = Clock::manual();
    let guest = TestGuest::start_by(clock).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo before; sleep 60 & echo $! > {}; wait", file.display());
    let session = guest.open(ExecStart { timeout_sec: 3600, ..shell(script) }).await;
    let child = pid_in(&file).await;
    hand.advance(HOUR - Duration::from_millis(1));
    assert!(is_alive(child));
    hand.advance(Duration::from_millis(1));
    let finished = session.finish().await;
    let exited = finished.exited.as_ref().unwrap();
    assert_eq!((exited.exit_code, exited.timed_out, finished.text()), (124, true, "before\n"));
    assert_eq!(exited.duration_ms, 3_600_000);
    eventually("the child is gone", async || !is_alive(child)).await;
}

#[tokio::test]
async fn a_timeout_reaches_processes_that_left_the_session() {
    let (clock, hand) = Clock::manual();
    let guest = TestGuest::start_by(clock).await;
    if guest.cgroup.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 60' & wait; sleep 60", file.display());
    let session = guest.open(ExecStart { timeout_sec: 3600, ..shell(script) }).await;
    let child = pid_in(&file).await;
    hand.advance(HOUR);
    assert_eq!(session.finish().await.code(), 124);
    eventually("the child is gone", async || !is_alive(child)).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_processes_along() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(shell("sleep 60 & echo $!; wait")).await;
    assert!(matches!(session.next().await, Event::Started(_)));
    let Event::Stdout(line) = session.next().await else { panic!("no output") };
    let child: i32 = String::from_utf8(line.into()).unwrap().trim().parse().unwrap();
    assert!(is_alive(child));
    drop(session);
    eventually("the child is gone", async || !is_alive(child)).await;
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
    let finished = in_time("the command ends", finish(&mut session.events)).await;
    assert_eq!(finished.stdout.len(), 20_000_000);
    assert!(file.exists());
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
        eventually("no cgroup is left", async || left() == 0).await;
    }
    // Other tests of this process have descriptors of their own, but not a hundred.
    assert!(descriptors() < 400);
}

#[tokio::test]
async fn strangers_are_not_served() {
    let guest = TestGuest::start_for(IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1)), Clock::process()).await;
    // The connection is closed unread, so there is no status of the service's own.
    assert!(guest.client.clone().hello(HelloRequest {}).await.is_err());
}

#[tokio::test]
async fn a_wrong_init_changes_nothing() {
    let guest = TestGuest::start().await;
    let default_env = HashMap::from([("A=B".to_owned(), "x".to_owned())]);
    let bad = [
        InitRequest { unix_time_ns: -1, ..InitRequest::default() },
        InitRequest { entropy: vec![0; 513].into(), ..InitRequest::default() },
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
    let process = Path::new("/proc").join(String::from_utf8(pid.into()).unwrap().trim());
    let mut kept = guest.open(ExecStart { tag: "kept".into(), ..kept("exec sleep 1001") }).await;
    let kept_pid = kept.started().await;

    // On the connection that the command belongs to: it goes on.
    guest.client.clone().init(InitRequest::default()).await.unwrap();
    assert_eq!(guest.run(shell("echo on")).await.text(), "on\n");
    assert!(process.exists());
    // As after a restore: the host has dialled anew.
    let mut other = guest.connect();
    other.init(InitRequest::default()).await.unwrap();
    let ended = in_time("the old connection ends", session.events.message()).await;
    assert!(ended.is_err(), "{ended:?}");
    eventually("the command of the old connection ends", async || !process.exists()).await;
    // The new one is served, and so is the old client once it has dialled again.
    other.hello(HelloRequest {}).await.unwrap();
    other.init(InitRequest::default()).await.unwrap();
    assert_eq!(guest.run(shell("echo again")).await.text(), "again\n");
    assert!(is_alive(kept_pid));
    guest.kill("kept").await;
}
