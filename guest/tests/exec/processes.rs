//! Processes that outlive their caller: found again, read again, signalled.

use std::fs;

use wrenn_guest::exec::KEPT_BYTES;
use wrenn_proto::guest::{
    CloseStdin, ExecFailure, ExecStart, Lifetime, ProcessAttach, ProcessSelector, Signal, exec_event::Event,
    exec_input::Input, process_selector::By,
};
use wrenn_testkit::wait::eventually;

use crate::support::{Session, TestGuest, by_tag, is_alive, kept, pid_in, shell};

fn background(script: &str, tag: &str) -> ExecStart {
    ExecStart { lifetime: Lifetime::Background.into(), tag: tag.into(), ..shell(script) }
}

fn tagged(script: &str, tag: &str) -> ExecStart {
    ExecStart { tag: tag.into(), ..kept(script) }
}

async fn failure(mut session: Session) -> ExecFailure {
    match session.next().await {
        Event::Failed(failed) => failed.kind(),
        other => panic!("no failure: {other:?}"),
    }
}

/// Waits until nothing with this tag runs.
async fn ended(guest: &TestGuest, pid: i32, tag: &str) {
    eventually("it has ended", async || !is_alive(pid)).await;
    eventually("it is forgotten", async || guest.list().await.iter().all(|process| process.tag != tag)).await;
}

#[tokio::test]
async fn a_background_command_outlives_its_stream_and_has_no_input() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(background("wc -c; sleep 60", "server")).await;
    let pid = session.started().await;
    assert!(session.finish().await.is_detached);
    assert!(is_alive(pid));
    let again = guest.run(background("true", "server")).await;
    assert_eq!(again.failed, Some(ExecFailure::TagTaken));
    let mut reader = guest.attach("server").await;
    assert_eq!(reader.started().await, pid);
    reader.until("0\n").await;
    guest.kill("server").await;
    assert_eq!(reader.finish().await.code(), 137);
}

#[tokio::test]
async fn a_kept_command_goes_on_where_its_caller_left_it() {
    let guest = TestGuest::start().await;
    let mut session =
        guest.open(tagged("echo ready; while read line; do echo got $line; done", "loop")).await;
    let pid = session.started().await;
    session.until("ready\n").await;
    session.send(Input::Stdin("one\n".into())).await;
    session.until("got one\n").await;
    session.leave();

    let mut session = guest.attach("loop").await;
    assert_eq!(session.started().await, pid);
    assert_eq!(session.until("got one\n").await, "ready\ngot one\n");
    session.send(Input::Stdin("two\n".into())).await;
    session.until("got two\n").await;
    // Closing is for good.
    session.send(Input::CloseStdin(CloseStdin {})).await;
    assert_eq!(session.finish().await.code(), 0);

    // It can be read even now, but nothing can be done to it any more.
    let finished = guest.attach("loop").await.finish().await;
    assert_eq!((finished.text(), finished.code()), ("ready\ngot one\ngot two\n", 0));
    assert!(
        matches!(guest.signal("loop", 15).await, Event::Failed(failed) if failed.kind() == ExecFailure::NoProcess)
    );
}

#[tokio::test]
async fn a_caller_that_says_no_more_leaves_the_input_of_a_kept_command_open() {
    let guest = TestGuest::start().await;
    let Session { inputs, mut events } = guest.open(tagged("cat", "cat")).await;
    drop(inputs);
    let mut other = guest.attach("cat").await;
    other.started().await;
    other.send(Input::Stdin("still open\n".into())).await;
    other.until("still open\n").await;
    other.send(Input::CloseStdin(CloseStdin {})).await;
    assert_eq!(other.finish().await.code(), 0);
    assert_eq!(crate::support::finish(&mut events).await.text(), "still open\n");
}

#[tokio::test]
async fn all_readers_read_all_of_it_in_order() {
    let guest = TestGuest::start().await;
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done; seq 1 200000", go.display());
    let first = guest.open(tagged(&script, "numbers")).await;
    let second = guest.attach("numbers").await;
    let third = guest.attach("numbers").await;
    fs::write(&go, "").unwrap();
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    let (first, second, third) = tokio::join!(first.finish(), second.finish(), third.finish());
    for finished in [first, second, third] {
        assert!(finished.text() == expected && finished.code() == 0, "{} bytes", finished.stdout.len());
    }
}

#[tokio::test]
async fn what_nobody_read_is_dropped_from_its_beginning_and_told() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(background("seq 1 200000", "numbers")).await;
    let pid = session.started().await;
    ended(&guest, pid, "numbers").await;
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    let mut reader = guest.attach("numbers").await;
    reader.started().await;
    let Event::DroppedBytes(dropped) = reader.next().await else { panic!("nothing was dropped") };
    let finished = reader.finish().await;
    assert_eq!((finished.dropped, finished.stdout.len()), (0, KEPT_BYTES));
    assert_eq!(usize::try_from(dropped).unwrap() + KEPT_BYTES, expected.len());
    assert!(expected.ends_with(finished.text()));
}

#[tokio::test]
async fn a_reader_that_goes_away_holds_nothing_up() {
    let guest = TestGuest::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done");
    let script = format!("head -c 5000000 /dev/zero; touch {}", file.display());
    let mut session = guest.open(tagged(&script, "writer")).await;
    session.started().await;
    for _ in 0..5 {
        guest.run(shell("sleep 0.05")).await;
    }
    assert!(!file.exists(), "it did not wait for its reader");
    session.leave();
    eventually("it goes on", async || file.exists()).await;
    let finished = guest.attach("writer").await.finish().await;
    assert_eq!((finished.dropped, finished.stdout.len()), (5_000_000 - KEPT_BYTES as u64, KEPT_BYTES));
}

#[tokio::test]
async fn an_attached_command_can_be_watched_but_ends_with_its_caller() {
    let guest = TestGuest::start().await;
    let mut owner = guest.open(ExecStart { tag: "mine".into(), ..shell("echo hello; sleep 60") }).await;
    let pid = owner.started().await;
    let mut watcher = guest.attach("mine").await;
    watcher.until("hello\n").await;
    watcher.leave();
    assert!(is_alive(pid));
    let watcher = guest.attach("mine").await;
    owner.leave();
    assert_eq!(watcher.finish().await.code(), 137);
    // Nothing is kept of it.
    assert_eq!(failure(guest.attach("mine").await).await, ExecFailure::NoProcess);
}

#[tokio::test]
async fn all_that_run_are_listed() {
    let guest = TestGuest::start().await;
    assert!(guest.list().await.is_empty());
    let mut attached = guest.open(shell("sleep 60")).await;
    let attached_pid = attached.started().await;
    let args = vec!["-c".to_owned(), "sleep 60".to_owned(), "x".repeat(10_000)];
    let mut session = guest.open(ExecStart { args, has_args: true, ..tagged("/bin/sh", "kept") }).await;
    let kept_pid = session.started().await;

    let listed = guest.list().await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    let find = |pid: i32| listed.iter().find(|process| process.pid == pid.cast_unsigned()).unwrap();
    let (first, second) = (find(attached_pid), find(kept_pid));
    assert_eq!(
        (first.cmd.as_str(), first.lifetime(), first.terminal),
        ("sleep 60", Lifetime::Attached, false)
    );
    assert_eq!(first.tag, format!("process-{attached_pid}"));
    assert_eq!(
        (second.tag.as_str(), second.lifetime(), second.user.as_str()),
        ("kept", Lifetime::Kept, "root")
    );
    assert_eq!(second.args[..2], ["-c", "sleep 60"]);
    assert!(second.args.iter().map(String::len).sum::<usize>() < 1000, "long commands are cut");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now.cast_signed() - second.started_at).abs() < 60);

    guest.kill("kept").await;
    ended(&guest, kept_pid, "kept").await;
    assert_eq!(guest.list().await.len(), 1);
}

#[tokio::test]
async fn signals_reach_the_group_and_the_last_one_everything() {
    let guest = TestGuest::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!(
        "trap 'echo caught' USR1; setsid sh -c 'echo $$ > {}; exec sleep 60' & echo ready; while :; do wait; done",
        file.display()
    );
    let mut session = guest.open(tagged(&script, "tree")).await;
    session.until("ready\n").await;
    let child = pid_in(&file).await;
    assert!(matches!(guest.signal("tree", 10).await, Event::Signalled(_)));
    session.until("caught\n").await;
    session.send(Input::Signal(Signal { number: 10 })).await;
    session.until("caught\n").await;
    session.send(Input::Signal(Signal { number: 9 })).await;
    assert_eq!(session.finish().await.code(), 137);
    if guest.cgroup.is_some() {
        eventually("the child that left is gone, too", async || !is_alive(child)).await;
    } else {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
async fn a_kept_command_has_its_time_limit_without_its_caller() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(ExecStart { timeout_sec: 1, ..tagged("echo x; sleep 60", "late") }).await;
    session.until("x\n").await;
    session.leave();
    let finished = guest.attach("late").await.finish().await;
    assert_eq!((finished.code(), finished.text()), (124, "x\n"));
    assert!(finished.exited.unwrap().timed_out);
}

#[tokio::test]
async fn wishes_that_cannot_be_fulfilled_say_why() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(tagged("sleep 60", "plain")).await;
    session.started().await;
    let attach = async |process: Option<ProcessSelector>, terminal| {
        failure(guest.begin(Input::Attach(ProcessAttach { process, terminal })).await).await
    };
    assert_eq!(attach(None, false).await, ExecFailure::Invalid);
    assert_eq!(attach(by_tag("nobody"), false).await, ExecFailure::NoProcess);
    let pid = Some(ProcessSelector { by: Some(By::Pid(1)) });
    assert_eq!(attach(pid, false).await, ExecFailure::NoProcess);
    assert_eq!(attach(by_tag("plain"), true).await, ExecFailure::NoTerminal);
    for number in [-1, 0, 65] {
        assert!(
            matches!(guest.signal("plain", number).await, Event::Failed(failed) if failed.kind() == ExecFailure::Invalid)
        );
    }
    // An opening in the middle means nothing.
    session.send(Input::Attach(ProcessAttach { process: by_tag("nobody"), terminal: false })).await;
    guest.kill("plain").await;
    assert_eq!(session.finish().await.code(), 137);
}
