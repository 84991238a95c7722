//! Commands over sockets and terminals, in real capsules.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::{join_all, try_join_all};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    installation::{Capsule, Installation},
    socket::Socket,
    wait::{RECOVERY, until},
};

/// The longest that anybody waits for the end of a socket whose capsule is gone.
const END: Duration = Duration::from_secs(5);
const LINES: usize = 500;

/// A program that fills the screen, shows its size and what is typed, and ends with 3 at `q`.
///
/// It looks up from its keys now and then, as `top` does: curses notes a resize that comes while it draws only when it is
/// asked for a key again.
const EDITOR: &str = r#"
import curses, locale, sys
locale.setlocale(locale.LC_ALL, "")
def main(screen):
    text = ""
    screen.timeout(100)
    while True:
        rows, cols = screen.getmaxyx()
        screen.erase()
        # Whole, not only what has changed.
        screen.redrawwin()
        screen.addstr(0, 0, f"size={cols}x{rows}=")
        screen.addstr(1, 0, f"text={text}=")
        screen.refresh()
        try:
            key = screen.get_wch()
        except curses.error:
            continue
        if key == "q":
            return
        if isinstance(key, str):
            text += key
curses.wrapper(main)
sys.exit(3)
"#;

async fn capsules(installation: &Installation, count: usize) -> anyhow::Result<Vec<Capsule<'_>>> {
    try_join_all((0..count).map(|_| installation.capsule())).await
}

pub(crate) async fn fifty_streams_and_twenty_terminals_stay_apart(
    installation: &Installation,
) -> anyhow::Result<()> {
    let capsules = capsules(installation, 5).await?;
    let all = capsules.iter().enumerate().flat_map(|(number, capsule)| {
        (0..14).map(move |stream| async move {
            let name = format!("capsule-{number}-stream-{stream}");
            let script = format!(
                "i=0; while [ $i -lt {LINES} ]; do echo {name} $i; i=$((i+1)); done; read x; echo {name} heard $x"
            );
            let (mut socket, end) = if stream < 10 {
                (Socket::run(capsule, &script, &name).await?, "\n")
            } else {
                (Socket::terminal(capsule, &format!("stty -echo; echo ready; {script}"), &name).await?, "\r\n")
            };
            if stream < 10 {
                let data = base64(&format!("{name}\n"));
                socket.send(json!({ "type": "stdin", "data": data })).await?;
            } else {
                socket.until("ready\r\n").await?;
                socket.type_in(format!("{name}\n")).await?;
            }
            let ended = socket.ended().await.with_context(|| name.clone())?;
            let lines: String = (0..LINES).map(|line| format!("{name} {line}{end}")).collect();
            let expected = format!("{lines}{name} heard {name}{end}");
            ensure!(ended.printed == expected.as_bytes(), "{name} is not what was printed");
            ensure!(ended.exit_code == Some(0), "{name}: {:?}", ended.exit_code);
            anyhow::Ok(())
        })
    });
    for result in join_all(all).await {
        result?;
    }
    for capsule in &capsules {
        capsule.delete().await?;
    }
    Ok(())
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}

pub(crate) async fn a_flood_does_not_delay_a_key(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let mut terminal = Socket::terminal(&capsule, "stty raw; echo ready; exec cat", "echo").await?;
    terminal.until("ready").await?;
    // One that is read, and one that nobody reads: behind it a key would never be echoed. How long one takes is measured
    // by `wrenn bench terminal`.
    let mut flood = Socket::run(&capsule, "while :; do head -c 1000000 /dev/zero; done", "flood").await?;
    let _unread = Socket::run(&capsule, "cat /dev/zero", "unread").await?;
    // Keys are quick: it must be under way before them.
    flood.until(&"\0".repeat(100_000)).await?;
    let reading = tokio::spawn(flood.ended());
    let mut times = Vec::new();
    for number in 0..50 {
        let key = format!("<{number}>");
        let began = Instant::now();
        terminal.type_in(&key).await?;
        terminal.until(&key).await?;
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "keys beside a flood: median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    let path = format!("{}/processes/flood", capsule.path());
    ensure!(installation.client()?.delete(&path).await?.status == 204, "the flood is ended");
    let flood = timeout(RECOVERY, reading).await.context("the flood ends")???;
    ensure!(flood.exit_code == Some(137), "{:?}", flood.exit_code);
    capsule.delete().await
}

pub(crate) async fn programs_that_fill_the_screen(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;

    let mut top = Socket::terminal(&capsule, "exec top -d 1", "top").await?;
    top.until("load average").await?;
    top.send(json!({ "type": "resize", "cols": 120, "rows": 40 })).await?;
    top.until("load average").await?;
    top.type_in("q").await?;
    ensure!(top.ended().await?.exit_code == Some(0), "top");

    let write = format!("echo {} | base64 -d > /root/editor.py", base64(EDITOR));
    capsule.shell(&write).await?;
    let mut editor = Socket::open(&capsule, "pty").await?;
    let envs = json!({ "LANG": "C.UTF-8" });
    let start = json!({ "type": "start", "cmd": "python3", "args": ["/root/editor.py"], "envs": envs,
                        "cols": 90, "rows": 20 });
    editor.send(start).await?;
    editor.until("size=90x20=").await?;
    editor.send(json!({ "type": "resize", "cols": 100, "rows": 30 })).await?;
    editor.until("100x30").await?;
    // Each byte of a character in a frame of its own.
    for byte in "ü€🦀".bytes() {
        editor.type_in([byte]).await?;
    }
    editor.until("🦀").await?;
    editor.type_in("q").await?;
    ensure!(editor.ended().await?.exit_code == Some(3), "the editor's exit code");

    // The image has no `vi`, but any program can be brought.
    let busybox = std::fs::read("/usr/bin/busybox").context("package busybox-static")?;
    let write = format!("{}/files/write", capsule.path());
    installation.client()?.upload(&write, "/root/busybox", busybox).await?.success()?;
    capsule.shell("chmod +x /root/busybox").await?;
    let mut vi = Socket::terminal(&capsule, "exec /root/busybox vi /root/note", "vi").await?;
    vi.until("~").await?;
    vi.type_in("ihello from vi\u{1b}").await?;
    vi.until("from vi").await?;
    vi.type_in(":wq\r").await?;
    ensure!(vi.ended().await?.exit_code == Some(0), "vi");
    ensure!(capsule.shell("cat /root/note").await? == "hello from vi\n", "what vi wrote");

    let mut shell = Socket::open(&capsule, "pty").await?;
    shell.send(json!({ "type": "start", "envs": { "PS1": "$ " } })).await?;
    // It says itself that it is in the foreground: between two commands of its own a shell may let an interrupt pass.
    shell.type_in("sh -c 'echo started; exec sleep 1000'\n").await?;
    shell.until("started\r\n").await?;
    shell.type_in("\u{3}").await?;
    shell.type_in("echo code=$?=\n").await?;
    shell.until("code=130=").await?;
    shell.type_in("tty; exit 42\n").await?;
    shell.until("/dev/pts/").await?;
    ensure!(shell.ended().await?.exit_code == Some(42), "the shell's exit code");
    capsule.delete().await
}

pub(crate) async fn sessions_survive_socket_agent_and_server(
    installation: &Installation,
) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let mut shell = Socket::terminal(&capsule, "PS1='$ ' exec bash --norc", "shell").await?;
    shell.until("$ ").await?;
    shell.type_in("KEPT=forty-two\n").await?;
    shell.until("$ ").await?;
    let mut counter =
        Socket::run(&capsule, "n=0; while read x; do n=$((n+1)); echo count=$n=; done", "n").await?;
    counter.send(json!({ "type": "stdin", "data": base64("\n") })).await?;
    counter.until("count=1=").await?;

    for (number, killed) in ["", "agent", "server"].into_iter().enumerate() {
        if killed.is_empty() {
            drop((shell, counter));
        } else {
            installation.kill(killed).await?;
            for socket in [shell, counter] {
                let ended = timeout(END, socket.ended()).await.context("a socket ends")??;
                ensure!(ended.exit_code.is_none(), "{killed}: {ended:?}");
                // A server that is dead cannot say so.
                ensure!(killed == "server" || ended.error.is_some(), "{killed}: {ended:?}");
            }
        }
        shell = until("the terminal is taken up again", RECOVERY, async || {
            let mut socket = Socket::connect(&capsule, "shell").await?;
            socket.until("KEPT=forty-two").await?;
            Ok(Some(socket))
        })
        .await?;
        shell.type_in(format!("echo {number}-$KEPT=\n")).await?;
        shell.until(&format!("{number}-forty-two=")).await?;
        counter = until("the command is taken up again", RECOVERY, async || {
            let mut socket = Socket::open(&capsule, "processes/n/stream?encoding=base64").await?;
            socket.until("count=1=").await?;
            Ok(Some(socket))
        })
        .await?;
        counter.send(json!({ "type": "stdin", "data": base64("\n") })).await?;
        counter.until(&format!("count={}=", number + 2)).await?;
    }
    shell.type_in("exit 9\n").await?;
    ensure!(shell.ended().await?.exit_code == Some(9), "the shell ends as it is told");
    counter.send(json!({ "type": "close_stdin" })).await?;
    ensure!(counter.ended().await?.exit_code == Some(0), "the counter ends with its input");
    capsule.delete().await
}
