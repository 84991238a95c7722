//! Builds that fail, and why; builds that wait for each other.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::Builder;
use crate::installation::Installation;

async fn failed(builder: &Builder, config: Value, words: &[&str]) -> anyhow::Result<Value> {
    let id = builder.begin(config, None).await?;
    let build = builder.ended(&id).await?;
    let error = build["error"].as_str().unwrap_or_default();
    ensure!(build["status"] == "failed" && build["completed_at"].is_string(), "{build:#}");
    ensure!(words.iter().all(|word| error.contains(word)), "{error}");
    ensure!(!builder.templates().await?.contains(&build["name"].as_str().unwrap_or_default().to_owned()));
    Ok(build)
}

pub(crate) async fn say_why(installation: &Installation) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    let recipe =
        "RUN true\nRUN for i in $(seq 50); do echo line $i; done; echo it broke >&2; exit 7\nRUN true";
    let build = failed(
        &builder,
        json!({ "name": "failing", "recipe": recipe }),
        &["step 2", "RUN for i", "exit code 7", "line 50", "it broke"],
    )
    .await?;
    let logs = build["logs"].as_array().context("logs")?;
    ensure!(logs.len() == 2 && logs[1]["exit"] == 7 && logs[1]["ok"] == false, "{build:#}");
    ensure!(logs[1]["stdout"].as_str().is_some_and(|text| text.lines().count() == 50), "{build:#}");

    failed(
        &builder,
        json!({ "name": "slow", "recipe": "RUN --timeout=2s echo begun; sleep 60" }),
        &["step 1", "time of 2 s", "--timeout", "begun"],
    )
    .await?;
    failed(
        &builder,
        json!({
            "name": "unhealthy", "recipe": "ENV A=1",
            "healthcheck": "--interval=100ms --timeout=1s --start-period=0s --retries=2 echo no; exit 3",
        }),
        &["healthcheck", "2 tries", "exit code 3", "no"],
    )
    .await?;
    let begun = std::time::Instant::now();
    failed(
        &builder,
        json!({
            "name": "hanging", "recipe": "ENV A=1",
            "healthcheck": "--interval=100ms --timeout=1s --start-period=0s --retries=2 sleep 600",
        }),
        &["healthcheck", "no answer within 1s"],
    )
    .await?;
    eprintln!("  a hanging healthcheck: {:.1} s", begun.elapsed().as_secs_f64());
    failed(
        &builder,
        json!({ "name": "huge", "recipe": "RUN true", "memory_mb": 65536 }),
        &["no host has room", "65536 MB of memory"],
    )
    .await?;
    let noisy = json!({ "name": "noisy", "recipe": "RUN seq 1 100000; exit 1" });
    let build = failed(&builder, noisy, &["exit code 1", "100000"]).await?;
    let text = build["logs"][0]["stdout"].as_str().context("text")?;
    ensure!(text.starts_with("1\n2\n") && text.ends_with("\n100000\n"), "beginning and end");
    let note = build["logs"][0]["stderr"].as_str().context("text")?;
    ensure!(note.contains("lines are left out"), "{note}");
    Ok(())
}

pub(crate) async fn in_order(installation: &Installation) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    let capsule = installation.capsule().await?;
    capsule.shell("echo kept >/root/file").await?;
    let mut ids = Vec::new();
    for number in 0..5 {
        let config =
            json!({ "name": format!("queued-{number}"), "recipe": format!("RUN echo {number}; sleep 1") });
        ids.push(builder.begin(config, None).await?);
    }
    let mut started = Vec::new();
    for id in &ids {
        let build = builder.succeeded(id).await?;
        started.push(build["started_at"].as_str().context("started_at")?.to_owned());
    }
    ensure!(started.is_sorted(), "{started:?}");
    ensure!(capsule.shell("cat /root/file").await? == "kept\n");
    capsule.delete().await?;
    for number in 0..5 {
        builder.delete_template(&format!("queued-{number}")).await?;
    }
    Ok(())
}
