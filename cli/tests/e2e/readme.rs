//! The commands in README.md, as they stand there.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{process::Command, time::timeout};

use crate::installation::Installation;

/// The walk-through: the shell block of README.md that signs up.
fn block() -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(path)?;
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let found = blocks.into_iter().find(|block| block.contains("/v1/auth/signup"));
    Ok(found.context("README.md has a walk-through")?.to_owned())
}

pub(crate) async fn walk_through(installation: &Installation) -> anyhow::Result<()> {
    let env = installation.env()?;
    // As it stands, but at this installation's address.
    let script = block()?.replace("http://127.0.0.1:8000", &env.base_url);
    ensure!(script.contains(&env.base_url), "the walk-through names the address");
    let run = Command::new("bash")
        .args(["-e", "-u", "-o", "pipefail", "-c", &script])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        timeout(Duration::from_secs(180), run).await.context("the walk-through takes too long")??;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{text}");
    for part in ["running", "paused", "prepared", "uid=0(root)", "bookworm", "124", "204"] {
        ensure!(text.contains(part), "no {part} in\n{text}");
    }
    Ok(())
}
