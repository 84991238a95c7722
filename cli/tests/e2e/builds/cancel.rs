//! Builds that nobody wants any more.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;

use super::Builder;
use crate::{
    installation::Installation,
    traces::{Traces, machines},
    wait::{RECOVERY, until},
    windows::settled,
};

/// How long cancelling may take.
const CANCELLED_WITHIN: Duration = Duration::from_secs(2);

pub(crate) async fn at_any_moment() -> anyhow::Result<()> {
    let installation = Installation::start_with_settings(|folder| {
        let points = folder.join("points");
        let _ = std::fs::create_dir(&points);
        vec![("WRENN_FAULT_POINTS", points.display().to_string()), ("BUILD_WORKERS", "1".to_owned())]
    })
    .await?;
    let result = cancel_all(&installation).await;
    installation.end().await?;
    result
}

async fn cancel_all(installation: &Installation) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    // Whatever a first build leaves for later ones is there before anything is counted.
    let warm = builder.build(json!({ "name": "warm", "recipe": "RUN true" }), None).await?;
    ensure!(warm["status"] == "success");
    let before = settled(installation).await?;

    // In a command that goes on for ten minutes, with another one waiting.
    let running =
        builder.begin(json!({ "name": "running", "recipe": "RUN echo begun; sleep 600" }), None).await?;
    builder.printed(&running, "begun").await?;
    let waiting = builder.begin(json!({ "name": "waiting", "recipe": "RUN true" }), None).await?;
    cancelled(&builder, &waiting).await?;
    cancelled(&builder, &running).await?;
    ensure!(machines(&installation.data())?.is_empty(), "its capsule is there");
    let again = builder.cancel(&running).await?;
    ensure!(again.status == 409 && again.text("/error/code") == "invalid_state", "{again:?}");
    nothing_is_left(installation, &before).await?;

    // In the middle of its snapshot.
    let points = installation.data().parent().context("the folder")?.join("points");
    for point in ["snapshot.frozen", "snapshot.cloned", "flatten.cloned"] {
        let hold = points.join(format!("{point}.hold"));
        std::fs::write(&hold, "")?;
        let healthcheck = point.starts_with("snapshot").then_some("true");
        let config = json!({ "name": "held", "recipe": "ENV A=1", "healthcheck": healthcheck });
        let id = builder.begin(config, None).await?;
        until(&format!("the work reaches {point}"), RECOVERY, async || {
            let reached = |name: &str| name.starts_with(point) && name.ends_with(".reached");
            let mut names =
                std::fs::read_dir(&points)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            Ok(names.any(|name| reached(&name)).then_some(()))
        })
        .await?;
        // The host cannot let go while it is held; what it is asked then is done as soon as it can.
        let cancelling = tokio::spawn({
            let (client, path) = (builder.client.clone(), format!("/v1/admin/builds/{id}/cancel"));
            async move { client.post(&path, &json!({})).await }
        });
        until("it is cancelled", CANCELLED_WITHIN, async || {
            Ok((builder.show(&id).await?["status"] == "cancelled").then_some(()))
        })
        .await?;
        std::fs::remove_file(&hold)?;
        let answer = cancelling.await??;
        ensure!(answer.status == 200, "{answer:?}");
        for entry in std::fs::read_dir(&points)?.flatten() {
            std::fs::remove_file(entry.path())?;
        }
        nothing_is_left(installation, &before).await.with_context(|| point.to_owned())?;
        ensure!(!builder.templates().await?.contains(&"held".to_owned()));
    }
    Ok(())
}

async fn cancelled(builder: &Builder, id: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let answer = builder.cancel(id).await?;
    let took = begun.elapsed();
    eprintln!("  cancelled in {:.2} s", took.as_secs_f64());
    ensure!(answer.status == 200 && answer.text("/status") == "cancelled", "{answer:?}");
    ensure!(took < CANCELLED_WITHIN, "it took {took:?}");
    let build = builder.show(id).await?;
    ensure!(build["status"] == "cancelled" && build["completed_at"].is_string(), "{build:#}");
    Ok(())
}

async fn nothing_is_left(installation: &Installation, before: &Traces) -> anyhow::Result<()> {
    until("nothing is left", RECOVERY, async || {
        let now = Traces::of(installation)?;
        ensure!(now == *before, "{}", now.difference(before));
        Ok(Some(()))
    })
    .await
}
