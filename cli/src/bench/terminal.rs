//! How long a key takes to appear in a terminal: from its frame to the frame that brings it back, when nothing else goes
//! on, and beside a command in the same capsule that prints as fast as it can.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    capsule::{Capsule, with_capsule},
    measurement::{Measurement, Unit},
    socket::Socket,
    subject::Subject,
};
use crate::client::Client;

/// Echoes of single keys, without and with a flood beside.
pub(super) async fn terminal(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let client = &subject.client;
    with_capsule(subject, &json!({ "template": "minimal" }), async |capsule| {
        // The terminal itself echoes what is typed; the program only waits.
        let mut terminal = Socket::open(client, &format!("{}/pty", capsule.path())).await?;
        terminal.say(json!({ "type": "start", "cmd": "cat", "args": [] })).await?;
        terminal.until("started").await?;
        let alone = echoes(subject, &mut terminal, samples).await?;
        let flood = flood(client, capsule).await?;
        let beside = echoes(subject, &mut terminal, samples).await;
        flood.abort();
        Ok(vec![
            Measurement::new("key to echo in a terminal", Unit::Ms, &alone)?,
            Measurement::new("key to echo beside a flood", Unit::Ms, &beside?)?,
        ])
    })
    .await
}

async fn echoes(subject: &Subject, terminal: &mut Socket, samples: u32) -> anyhow::Result<Vec<f64>> {
    let mut values = Vec::new();
    // Keys that differ, so that no late echo is taken for the next one.
    for key in (b'a'..=b'z').cycle().take(samples as usize) {
        let begun = subject.stopwatch();
        terminal.say(json!({ "type": "input", "data": BASE64_STANDARD.encode([key]) })).await?;
        loop {
            let frame = terminal.until("output").await?;
            let printed = BASE64_STANDARD.decode(frame["data"].as_str().unwrap_or_default())?;
            if printed.contains(&key) {
                break;
            }
        }
        values.push(begun.ms());
    }
    Ok(values)
}

/// A command that prints without end, and a reader that takes all of it.
async fn flood(client: &Client, capsule: &Capsule<'_>) -> anyhow::Result<JoinHandle<()>> {
    let mut socket = Socket::open(client, &format!("{}/exec/stream", capsule.path())).await?;
    socket.say(json!({ "type": "start", "cmd": "exec yes flood" })).await?;
    socket.until("stdout").await?;
    Ok(tokio::spawn(async move { socket.drain().await }))
}
