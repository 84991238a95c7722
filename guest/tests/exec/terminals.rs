//! Commands in a terminal.

use std::{collections::HashMap, time::Duration};

use wrenn_proto::guest::{
    ExecStart, InitRequest, ProcessAttach, TerminalSize, exec_event::Event, exec_input::Input,
};
use wrenn_testkit::wait::eventually;

use crate::support::{TestGuest, by_tag, is_alive, is_root, terminal};

/// A full-screen program: it draws the size of its window, again whenever that changes, and ends at `q`.
const SCREEN: &str = r#"
stty raw -echo
draw() { printf '\033[2J\033[H[%s]' "$(stty size)"; }
trap draw WINCH
draw
while :; do
    key=$(dd bs=1 count=1 2>/dev/null)
    [ "$key" = q ] && break
done
stty sane
printf '\033[?1049l\n'
exit 5
"#;

#[tokio::test]
async fn it_is_the_controlling_terminal_of_a_session_of_its_own() {
    let guest = TestGuest::start().await;
    let script = "test -t 0 && test -t 1 && test -t 2 && echo yes > /dev/tty; echo $TERM; stty size; \
                  cut -d' ' -f5,6 /proc/self/stat | tr ' ' '\\n' | sort -u | wc -l";
    let finished = guest.run(terminal(script)).await;
    assert_eq!(finished.text(), "yes\r\nxterm-256color\r\n24 80\r\n1\r\n");
    assert!(finished.stderr.is_empty());
}

#[tokio::test]
async fn a_program_may_close_its_terminal_and_open_it_again() {
    let guest = TestGuest::start().await;
    let script =
        "echo one; exec <&- >&- 2>&-; sleep 0.2; exec </dev/tty >/dev/tty 2>&1; echo two; read x; echo $x";
    let mut session = guest.open(terminal(script)).await;
    session.until("two\r\n").await;
    session.send(Input::Stdin("three\n".into())).await;
    session.until("three\r\nthree\r\n").await;
    assert_eq!(session.finish().await.code(), 0);
}

#[tokio::test]
async fn it_belongs_to_its_user() {
    if !is_root() {
        return;
    }
    let guest = TestGuest::start().await;
    let script = "stat -c '%U %g %a' $(tty); echo open > $(tty)";
    let finished = guest.run(ExecStart { user: "nobody".into(), ..terminal(script) }).await;
    assert_eq!(finished.text(), "nobody 5 620\r\nopen\r\n");
}

#[tokio::test]
async fn its_kind_is_the_environments_if_that_says_so() {
    let guest = TestGuest::start().await;
    let default_env = HashMap::from([("TERM".to_owned(), "vt100".to_owned())]);
    guest.client.clone().init(InitRequest { default_env, ..InitRequest::default() }).await.unwrap();
    assert_eq!(guest.run(terminal("echo $TERM")).await.text(), "vt100\r\n");
}

#[tokio::test]
async fn a_full_screen_program_sees_every_size_and_ends_with_its_code() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(terminal(SCREEN)).await;
    session.until("[24 80]").await;
    session.send(Input::Resize(TerminalSize { cols: 132, rows: 50 })).await;
    // `dd` waits for a key; the shell draws when it is back.
    session.send(Input::Stdin("x".into())).await;
    session.until("[50 132]").await;
    session.send(Input::Resize(TerminalSize { cols: 0, rows: 1 })).await;
    session.send(Input::Resize(TerminalSize { cols: 70_000, rows: 1 })).await;
    session.send(Input::Stdin("q".into())).await;
    assert_eq!(session.finish().await.code(), 5);
}

#[tokio::test]
async fn ctrl_c_interrupts_what_is_in_the_foreground_and_not_the_shell() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(terminal("PS1='$ ' exec sh -i")).await;
    session.until("$ ").await;
    // A program without a handler, which shows by its answer that it is in the foreground: the terminal says the line, then `cat`. A shell
    // catches interrupts, also on its way to an `exec`.
    session.send(Input::Stdin("cat\n".into())).await;
    session.send(Input::Stdin("read\n".into())).await;
    session.until("read\r\nread\r\n").await;
    session.send(Input::Stdin("\u{3}".into())).await;
    session.until("$ ").await;
    session.send(Input::Stdin("echo code $?\n".into())).await;
    session.until("code 130\r\n$ ").await;
    // Ctrl-D ends the shell, with the code of its last command.
    session.send(Input::Stdin("(exit 4)\n".into())).await;
    session.until("$ ").await;
    session.send(Input::Stdin("\u{4}".into())).await;
    assert_eq!(session.finish().await.code(), 4);
}

#[tokio::test]
async fn characters_that_arrive_in_halves_are_whole() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(terminal("stty -echo; echo ready; read line; echo \"<$line>\"")).await;
    session.until("ready\r\n").await;
    for byte in "grüße €🦀\n".bytes() {
        session.send(Input::Stdin(vec![byte].into())).await;
    }
    session.until("<grüße €🦀>\r\n").await;
}

#[tokio::test]
async fn a_program_that_does_not_read_holds_up_nobody() {
    let guest = TestGuest::start().await;
    let mut session =
        guest.open(ExecStart { tag: "deaf".into(), ..terminal("stty raw; echo ready; sleep 60") }).await;
    session.until("ready\n").await;
    for _ in 0..20 {
        session.send(Input::Stdin(vec![b'x'; 16 * 1024].into())).await;
    }
    assert_eq!(guest.run(crate::support::shell("echo on")).await.text(), "on\n");
    guest.kill("deaf").await;
    assert_eq!(session.finish().await.code(), 137);
}

#[tokio::test]
async fn it_is_taken_up_again_with_what_it_showed() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(ExecStart { tag: "shell".into(), ..terminal("PS1='$ ' exec sh -i") }).await;
    let pid = session.started().await;
    session.until("$ ").await;
    session.send(Input::Stdin("echo first\n".into())).await;
    session.until("first\r\n$ ").await;
    session.leave();
    let attach = ProcessAttach { process: by_tag("shell"), terminal: true };
    let mut session = guest.begin(Input::Attach(attach)).await;
    assert_eq!(session.started().await, pid);
    assert_eq!(session.until("first\r\n$ ").await, "$ echo first\r\nfirst\r\n$ ");
    session.send(Input::Resize(TerminalSize { cols: 100, rows: 30 })).await;
    session.send(Input::Stdin("stty size; exit 7\n".into())).await;
    let finished = session.finish().await;
    assert!(finished.text().contains("30 100\r\n"), "{}", finished.text());
    assert_eq!(finished.code(), 7);
}

#[tokio::test]
async fn a_descendant_that_keeps_the_terminal_does_not_hold_up_the_end() {
    let guest = TestGuest::start().await;
    let began = std::time::Instant::now();
    let finished = guest.run(terminal("trap '' HUP; (sleep 60; echo late) & echo $!; exit 3")).await;
    assert_eq!(finished.code(), 3);
    assert!(began.elapsed() < Duration::from_secs(5));
    let child: i32 = finished.text().trim().parse().unwrap();
    assert!(is_alive(child));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_kill_reaches_the_jobs_of_a_shell() {
    let guest = TestGuest::start().await;
    let mut session = guest.open(ExecStart { tag: "jobs".into(), ..terminal("PS1='$ ' exec sh -i") }).await;
    session.until("$ ").await;
    session.send(Input::Stdin("sleep 61 & echo pid=$!=\n".into())).await;
    let text = session.until("=\r\n$ ").await;
    let child: i32 = text.rsplit('=').nth(1).unwrap().parse().unwrap();
    assert!(is_alive(child));
    guest.kill("jobs").await;
    assert_eq!(session.finish().await.code(), 137);
    eventually("its job is gone", async || !is_alive(child)).await;
}

#[tokio::test]
async fn a_terminal_without_input_is_refused() {
    let guest = TestGuest::start().await;
    let start = ExecStart { lifetime: wrenn_proto::guest::Lifetime::Background.into(), ..terminal("true") };
    let mut session = guest.open(start).await;
    assert!(matches!(session.next().await, Event::Failed(_)));
}
