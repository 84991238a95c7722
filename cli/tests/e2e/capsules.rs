//! What a capsule does for its user.

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    installation::{Capsule, Installation},
    traces::Traces,
    wait::until,
    windows::settled,
};

/// One capsule for the tests that only look; it goes with the installation.
static LASTING: OnceCell<String> = OnceCell::const_new();

async fn lasting(installation: &Installation) -> anyhow::Result<Capsule<'_>> {
    let id =
        LASTING.get_or_try_init(async || Ok::<_, anyhow::Error>(installation.capsule().await?.id)).await?;
    Ok(Capsule { installation, id: id.clone() })
}

pub(crate) async fn runs_commands(installation: &Installation) -> anyhow::Result<()> {
    let capsule = lasting(installation).await?;
    let shown = capsule.show().await?;
    ensure!(shown["template"] == "minimal" && shown["disk_size_mb"] == 5120, "{shown}");
    let listed = installation.client()?.get("/v1/capsules").await?.success()?;
    let ids: Vec<&Value> =
        listed.as_array().context("a list")?.iter().map(|capsule| &capsule["id"]).collect();
    ensure!(ids.contains(&&json!(capsule.id)), "{ids:?}");

    let text = capsule.shell("uname -a; id; cat /etc/os-release").await?;
    for part in ["Linux", "uid=0(root)", "VERSION_CODENAME=bookworm"] {
        ensure!(text.contains(part), "no {part} in {text}");
    }
    let failed = capsule.exec(json!({ "cmd": "echo out; echo err >&2; exit 3" })).await?;
    ensure!(
        failed["exit_code"] == 3 && failed["stdout"] == "out\n" && failed["stderr"] == "err\n",
        "{failed}"
    );
    Ok(())
}

pub(crate) async fn timeout_leaves_no_process(installation: &Installation) -> anyhow::Result<()> {
    let capsule = lasting(installation).await?;
    // Marked by their durations, so that the search below finds none but these.
    for cmd in ["sleep 6061", "echo begun; sleep 6062 & sleep 6063"] {
        let result = capsule.exec(json!({ "cmd": cmd, "timeout_sec": 1 })).await?;
        ensure!(result["exit_code"] == 124, "{result}");
        let duration_ms = result["duration_ms"].as_u64().context("duration_ms")?;
        ensure!((1_000..2_000).contains(&duration_ms), "{result}");
        let printed = if cmd.starts_with("echo") { "begun\n" } else { "" };
        ensure!(result["stdout"] == printed, "{result}");
    }
    let left =
        capsule.shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^606[123]$' || true").await?;
    ensure!(left.trim() == "0", "{left} processes are left");
    Ok(())
}

pub(crate) async fn large_output(installation: &Installation) -> anyhow::Result<()> {
    let capsule = lasting(installation).await?;
    let cmd = "head -c 5000000 /dev/zero | tr '\\0' x";
    let result = capsule.exec(json!({ "cmd": cmd, "timeout_sec": 60 })).await?;
    let stdout = result["stdout"].as_str().context("stdout")?;
    ensure!(result["exit_code"] == 0, "exit code {}", result["exit_code"]);
    ensure!(stdout.len() == 5_000_000, "{} bytes", stdout.len());
    ensure!(stdout.bytes().all(|byte| byte == b'x'), "other bytes than those printed");
    Ok(())
}

pub(crate) async fn binary_output(installation: &Installation) -> anyhow::Result<()> {
    let capsule = lasting(installation).await?;
    let result = capsule.exec(json!({ "cmd": "printf '\\377\\376\\000\\001'" })).await?;
    ensure!(result["encoding"] == "base64", "{result}");
    let bytes = BASE64_STANDARD.decode(result["stdout"].as_str().context("stdout")?)?;
    ensure!(bytes == [0xff, 0xfe, 0, 1], "{bytes:?}");
    Ok(())
}

pub(crate) async fn no_input(installation: &Installation) -> anyhow::Result<()> {
    let capsule = lasting(installation).await?;
    let result = capsule.exec(json!({ "cmd": "cat; echo end of input", "timeout_sec": 10 })).await?;
    ensure!(result["exit_code"] == 0 && result["stdout"] == "end of input\n", "{result}");
    Ok(())
}

pub(crate) async fn arguments_and_environment(installation: &Installation) -> anyhow::Result<()> {
    let capsule = lasting(installation).await?;
    let direct = capsule.exec(json!({ "cmd": "/bin/echo", "args": ["$HOME; id", "*"] })).await?;
    ensure!(direct["stdout"] == "$HOME; id *\n", "{direct}");

    let cmd = "echo $GREETING; pwd; id -un";
    let asked = json!({ "cmd": cmd, "envs": { "GREETING": "good day" }, "cwd": "/usr", "user": "nobody" });
    let result = capsule.exec(asked).await?;
    ensure!(result["stdout"] == "good day\n/usr\nnobody\n", "{result}");

    let client = installation.client()?;
    for (field, value) in [("user", "nobody-knows"), ("cwd", "/no/such/folder")] {
        let answer =
            client.post(&format!("{}/exec", capsule.path()), &json!({ "cmd": "true", field: value })).await?;
        ensure!(
            answer.status == 400 && answer.text("/error/code") == "invalid_request",
            "{field}: {answer:?}"
        );
    }
    Ok(())
}

pub(crate) async fn delete_leaves_nothing(installation: &Installation) -> anyhow::Result<()> {
    // The first capsule of a template may leave a copy of its image for the next.
    installation.capsule().await?.delete().await?;
    let before = settled(installation).await?;

    let capsule = installation.capsule().await?;
    capsule.shell("echo some data > /root/file; sync").await?;
    let during = Traces::of(installation)?;
    ensure!(during != before, "a running capsule shows nowhere, so this test would see nothing");
    capsule.delete().await?;

    until("the host looks as it did before", Duration::from_secs(20), async || {
        let now = Traces::of(installation)?;
        ensure!(now == before, "{}", now.difference(&before));
        Ok(Some(()))
    })
    .await?;

    let shown = capsule.show().await?;
    ensure!(shown["status"] == "stopped", "{shown}");
    capsule.delete().await.context("deleting twice is fine")?;
    let exec =
        installation.client()?.post(&format!("{}/exec", capsule.path()), &json!({ "cmd": "true" })).await?;
    ensure!(exec.status == 409 && exec.text("/error/code") == "invalid_state", "{exec:?}");
    Ok(())
}
