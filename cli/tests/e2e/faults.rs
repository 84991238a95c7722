//! Panics, injected into the actors through a route that exists for tests only.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use wrenn_cli::client::{Client, Credentials};

use crate::{
    installation::Installation,
    traces::machines,
    wait::{RECOVERY, until},
};

async fn admin(installation: &Installation) -> anyhow::Result<Client> {
    let env = installation.env()?;
    let client = installation.client()?;
    let login = json!({ "email": env.admin_email, "password": env.admin_password });
    let answer = client.post("/v1/auth/login", &login).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(client.with(Credentials::Bearer(answer.text("/token").to_owned())))
}

pub(crate) async fn panic_costs_one_request(installation: &Installation) -> anyhow::Result<()> {
    let victim = installation.capsule().await?;
    let bystander = installation.capsule().await?;
    let admin = admin(installation).await?;
    let host_id = victim.show().await?["host_id"].as_str().context("host_id")?.to_owned();
    let server = installation.pid("server")?;
    let before = machines(&installation.data())?.len();

    for (actor, id) in [("sandbox", &victim.id), ("host", &host_id)] {
        let panic = json!({ "actor": actor, "id": id });
        let answer = admin.post("/v1/admin/faults/panic", &panic).await?;
        ensure!(answer.status == 204, "the {actor} actor did not panic: {answer:?}");

        bystander
            .shell("true")
            .await
            .with_context(|| format!("another capsule, after the {actor} panicked"))?;
        // The host's actor comes back with the agent's next connection.
        let limit = if actor == "host" { RECOVERY } else { Duration::from_secs(5) };
        until(&format!("the capsule answers after its {actor} actor panicked"), limit, async || {
            victim.shell("echo well").await.map(Some)
        })
        .await?;
        installation.healthy().await?;
        victim.wait_for("running", RECOVERY).await?;
    }
    ensure!(installation.pid("server")? == server, "a panic ended the server");
    ensure!(machines(&installation.data())?.len() == before, "a panic cost a machine");
    victim.delete().await?;
    bystander.delete().await
}
