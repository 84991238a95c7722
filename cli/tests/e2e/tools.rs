//! The commands around the system, and the pages that the server shows.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::installation::{Installation, temporary_folder, wrenn};

pub(crate) async fn doctor_explains() -> anyhow::Result<()> {
    let folder = temporary_folder()?;
    let output = wrenn(&folder.path().join("data")).args(["doctor", "--json"]).output().await?;
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let bad: Vec<&Value> = checks.iter().filter(|check| check["status"] == "fail").collect();
    ensure!(output.status.success() && bad.is_empty(), "{bad:?}");
    for check in &checks {
        ensure!(check["status"] == "ok" || check["fix"].is_string(), "no fix: {check}");
    }
    let acceleration = checks.iter().find(|check| check["name"] == "acceleration").context("acceleration")?;
    let found = acceleration["found"].as_str().context("found")?;
    ensure!(found.starts_with("kvm: ") || found.starts_with("tcg: ") && found.contains("because"), "{found}");

    let table = wrenn(&folder.path().join("data")).arg("doctor").output().await?;
    let table = String::from_utf8(table.stdout)?;
    for name in
        ["acceleration", "qemu-system-x86_64", "postgres", "redis-server", "nft", "free disk", "images"]
    {
        ensure!(table.contains(name), "no {name} in\n{table}");
    }
    Ok(())
}

pub(crate) async fn doctor_names_fixes() -> anyhow::Result<()> {
    let folder = temporary_folder()?;
    // Without PATH only what is in the system's own folders is found, and there is no image folder.
    let output = wrenn(&folder.path().join("data"))
        .arg("doctor")
        .env("PATH", "/nonexistent")
        .env("WRENN_IMAGES", folder.path())
        .output()
        .await?;
    let table = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1), "exit code {:?}", output.status.code());
    for fix in ["apt-get install qemu-system-x86", "apt-get install redis-server", "./scripts/image"] {
        ensure!(table.contains(fix), "no `{fix}` in\n{table}");
    }
    Ok(())
}

pub(crate) async fn pages_are_served(installation: &Installation) -> anyhow::Result<()> {
    let client = installation.client()?;
    let document = client.get("/openapi.json").await?.success()?;
    for path in ["/v1/auth/signup", "/v1/capsules", "/v1/capsules/{id}", "/v1/capsules/{id}/exec"] {
        ensure!(document["paths"][path].is_object(), "{path} is not documented");
    }
    for path in ["/", "/capsules", "/docs/"] {
        let answer = client.get(path).await?;
        let text = answer.body.as_str().unwrap_or_default().to_lowercase();
        ensure!(answer.status == 200 && text.contains("<!doctype html>"), "{path}: {}", answer.status);
    }
    Ok(())
}
