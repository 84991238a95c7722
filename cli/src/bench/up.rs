//! How long `wrenn up` takes, from an empty data folder and again on the same one.

use std::{net::TcpListener, path::Path, process::Stdio};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use wrenn_base::Clock;

use super::measurement::{Measurement, Unit};
use crate::{data, stopwatch::Stopwatch};

pub(super) async fn measure(clock: &Clock, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for sample in 0..samples {
        // On a disk: `/tmp` may be memory.
        let folder = format!("/var/tmp/wrenn-bench-{}-{sample}", std::process::id());
        let folder = Path::new(&folder);
        data::make_folder(folder, 0o700)?;
        let result = both(clock, folder).await;
        // Whatever happened, nothing stays.
        let purged = wrenn(folder).args(["down", "--purge"]).stdout(Stdio::null()).status().await?;
        let (cold_ms, warm_ms) = result?;
        if !purged.success() {
            bail!("cannot remove {}", folder.display());
        }
        first.push(cold_ms);
        second.push(warm_ms);
    }
    Ok(vec![
        Measurement::new("up on an empty data folder", Unit::Ms, &first)?,
        Measurement::new("up again", Unit::Ms, &second)?,
    ])
}

async fn both(clock: &Clock, folder: &Path) -> anyhow::Result<(f64, f64)> {
    Ok((until_ready(clock, folder).await?, until_ready(clock, folder).await?))
}

fn wrenn(folder: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("wrenn").env("WRENN_DATA", folder).env_remove("WRENN_GRPC_ADDR").kill_on_drop(true);
    command
}

async fn until_ready(clock: &Clock, folder: &Path) -> anyhow::Result<f64> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?.port();
    let begun = Stopwatch::start(clock);
    let mut child = wrenn(folder)
        .arg("up")
        .env("WRENN_HTTP_ADDR", format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `wrenn up`")?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    let mut took_ms = None;
    while let Some(line) = lines.next_line().await? {
        if line.starts_with("Wrenn is ready") {
            took_ms = Some(begun.ms());
            let pid = i32::try_from(child.id().context("`wrenn up` has ended")?)?;
            kill(Pid::from_raw(pid), Signal::SIGTERM).context("cannot stop `wrenn up`")?;
        }
    }
    child.wait().await?;
    took_ms.context("`wrenn up` has ended before it was ready")
}
