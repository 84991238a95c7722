//! Waiting until the installation can run capsules.

use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use crate::{client::Client, process::ProcessStack, progress::Step, stopwatch::Stopwatch};

/// Covers the making of the host's disk volume and of its first network slots, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// A process that was started this often does not come up by waiting.
const MOST_STARTS: u32 = 4;

/// Returns when `/health` says that all is well, which includes one host online.
pub(super) async fn wait(client: &Client, stack: &ProcessStack) -> anyhow::Result<()> {
    let clock = stack.clock();
    let step = Step::begin(clock, "server and agent");
    let begun = Stopwatch::start(clock);
    loop {
        let health = client.get("/health").await;
        if health.as_ref().is_ok_and(|answer| answer.text("/status") == "ok") {
            step.done();
            return Ok(());
        }
        if let Some(process) = stack.iter().find(|process| process.starts() >= MOST_STARTS) {
            bail!("{} ends again and again. The end of {}", process.name(), process.last_output());
        }
        if begun.elapsed() > LIMIT {
            let state = match health {
                Ok(answer) => what_is_wrong(&answer.body),
                Err(error) => format!("the server does not answer ({error:#})"),
            };
            let logs: Vec<String> = stack.iter().skip(2).map(|process| process.last_output()).collect();
            bail!("not ready after {} s: {state}\n{}", LIMIT.as_secs(), logs.join("\n"));
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
}

/// The messages in a `/health` answer, whatever parts it has.
pub fn what_is_wrong(health: &Value) -> String {
    let parts = health.as_object().into_iter().flatten();
    let messages: Vec<String> = parts
        .filter_map(|(name, part)| Some(format!("{name}: {}", part.get("message")?.as_str()?)))
        .collect();
    messages.join("; ")
}
