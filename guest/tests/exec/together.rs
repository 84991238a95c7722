//! Many streams at once: nothing is lost, reordered or mixed, and a flood delays nobody for long.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wrenn_proto::guest::{CloseStdin, ExecStart, exec_input::Input};

use crate::support::{Session, TestGuest, kept, shell, terminal};

const LINES: usize = 2000;

/// Prints numbered lines that say whose they are, and at the end what was typed.
fn script(name: &str) -> String {
    format!(
        "i=0; while [ $i -lt {LINES} ]; do echo {name} $i; i=$((i+1)); done; read x; echo {name} heard $x"
    )
}

fn expected(name: &str, end: &str) -> String {
    let lines: String = (0..LINES).map(|line| format!("{name} {line}{end}")).collect();
    format!("{lines}{name} heard {name}{end}")
}

#[tokio::test]
async fn fifty_streams_and_twenty_terminals_say_what_is_theirs() {
    let guest = std::sync::Arc::new(TestGuest::start().await);
    let mut all = JoinSet::new();
    for number in 0..70 {
        let guest = guest.clone();
        all.spawn(async move {
            let name = format!("stream-{number}");
            let (start, end) = if number < 50 {
                (kept(script(&name)), "\n")
            } else {
                (terminal(format!("stty -echo; {}", script(&name))), "\r\n")
            };
            let session = guest.open(ExecStart { tag: name.clone(), ..start }).await;
            session.send(Input::Stdin(format!("{name}\n").into())).await;
            let finished = session.finish().await;
            // A terminal shows what is typed before the echo is off.
            let text = finished.text().trim_start_matches(&format!("{name}\r\n"));
            assert!(text == expected(&name, end), "{name} said something else");
            assert_eq!(finished.code(), 0);
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    assert!(guest.list().await.is_empty());
}

#[tokio::test]
async fn a_flood_delays_nobody_by_more_than_a_second() {
    let guest = TestGuest::start().await;
    let flood = guest.open(ExecStart { tag: "flood".into(), ..shell("cat /dev/zero") }).await;
    // One that nobody reads, too.
    let unread = guest.open(ExecStart { tag: "unread".into(), ..shell("cat /dev/zero") }).await;
    let Session { inputs, mut events } = flood;
    let reading = tokio::spawn(async move {
        let mut bytes = 0_usize;
        while let Ok(Some(event)) = events.message().await {
            if let Some(wrenn_proto::guest::exec_event::Event::Stdout(chunk)) = event.event {
                bytes += chunk.len();
            }
        }
        bytes
    });
    let mut echo = guest.open(shell("while read line; do echo $line; done")).await;
    echo.started().await;
    let mut slowest = Duration::ZERO;
    for number in 0..50 {
        let began = Instant::now();
        echo.send(Input::Stdin(format!("{number}\n").into())).await;
        echo.until(&format!("{number}\n")).await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    echo.send(Input::CloseStdin(CloseStdin {})).await;
    assert_eq!(echo.finish().await.code(), 0);
    guest.kill("flood").await;
    let bytes = reading.await.unwrap();
    assert!(bytes > 1_000_000, "the flood was {bytes} bytes");
    unread.leave();
    drop(inputs);
}
