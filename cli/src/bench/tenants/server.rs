//! `wrenn server` as a child process, so that its memory is that of the server alone.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};
use wrenn_base::Clock;

use crate::bench::processes::memory_mb;
use crate::{
    client::{Client, Credentials},
    process::Launch,
    services::ServiceUrls,
    stopwatch::Stopwatch,
};

const READY_LIMIT: Duration = Duration::from_secs(60);

/// Server process on a loopback address. Dropping it kills the process.
pub(super) struct Server {
    process: Child,
    pid: u32,
    /// Client without credentials.
    pub(super) client: Client,
}

impl Server {
    /// Starts the process with its files in `folder`, for agents that dial `agents_addr`, and waits until it answers.
    pub(super) async fn start(
        urls: &ServiceUrls,
        folder: &Path,
        agents_addr: &str,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?.port();
        let http_addr = format!("127.0.0.1:{port}");
        let program = std::env::current_exe().context("cannot find the program of this process")?;
        // The environment and `.env` of whoever measures must not configure the server.
        let mut command = Launch::new(program, ["server"]).command();
        command
            .env_clear()
            .current_dir(folder)
            .env("DATABASE_URL", &urls.database)
            .env("REDIS_URL", &urls.redis)
            .env("WRENN_HTTP_ADDR", &http_addr)
            .env("WRENN_GRPC_ADDR", agents_addr)
            .env("WRENN_OBJECTS", folder.join("objects"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = Command::from(command).kill_on_drop(true).spawn();
        let process = process.context("cannot start `wrenn server`")?;
        let pid = process.id().context("`wrenn server` has ended")?;
        let client = Client::new(&format!("http://{http_addr}"), Credentials::None)?;
        let mut server = Self { process, pid, client };
        server.answers(clock).await?;
        Ok(server)
    }

    async fn answers(&mut self, clock: &Clock) -> anyhow::Result<()> {
        let begun = Stopwatch::start(clock);
        // Any status will do: without hosts the server is not well.
        while self.client.get("/health").await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("`wrenn server` has ended: {status}");
            }
            if begun.elapsed() > READY_LIMIT {
                bail!("the server does not answer in time");
            }
            clock.sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Returns the memory of the process in MB.
    pub(super) fn memory_mb(&self) -> anyhow::Result<f64> {
        memory_mb(self.pid)
    }

    /// Ends the process in order.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM).context("cannot stop the server")?;
        let status = self.process.wait().await?;
        if !status.success() {
            bail!("`wrenn server` has ended: {status}");
        }
        Ok(())
    }
}
