//! A second server on the installation's database, Redis and objects, and a client that asks it for what it must refuse.
//!
//! No host dials it, so no host is its own: any change that it makes to a capsule is harm.

use std::{
    cell::Cell,
    fs::OpenOptions,
    process::{ExitStatus, Stdio, id},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::{
    process::Child,
    time::{sleep, timeout},
};
use wrenn_cli::client::{Answer, Client, Credentials};

use super::{chaos::Victims, worker::REQUEST_LIMIT};
use crate::{
    installation::{Capsule, Installation, WRENN, free_port},
    wait::{RECOVERY, until},
};

/// Rest between two requests of the witness.
const REST: Duration = Duration::from_millis(500);

/// The second server; it ends when it is dropped.
pub(super) struct SecondServer {
    installation: Arc<Installation>,
    settings: Vec<(&'static str, String)>,
    client: Client,
    process: Option<Child>,
    /// The process has answered.
    is_ready: bool,
    /// Ends of processes that had answered and were not killed.
    failures: Vec<ExitStatus>,
}

impl SecondServer {
    /// Prepares a server that does not run yet. The first server must run, because the settings are read from it.
    pub(super) fn new(installation: &Arc<Installation>) -> anyhow::Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let socket = installation.data().join("run/second-agents.sock");
        let mut settings = vec![
            ("WRENN_HTTP_ADDR", address.clone()),
            ("WRENN_GRPC_ADDR", format!("unix:{}", socket.display())),
        ];
        for name in ["DATABASE_URL", "REDIS_URL", "WRENN_OBJECTS"] {
            settings.push((name, installation.server_setting(name)?));
        }
        let key = Credentials::ApiKey(installation.env()?.api_key);
        let client = Client::new(&format!("http://{address}"), key)?;
        let (installation, failures) = (installation.clone(), Vec::new());
        Ok(Self { installation, settings, client, process: None, is_ready: false, failures })
    }

    /// Returns a client with the first team's API key.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Kills the server if it runs, and starts it otherwise.
    pub(super) async fn toggle(&mut self) -> anyhow::Result<()> {
        self.note_end()?;
        if self.process.is_some() { self.kill().await } else { self.start().await }
    }

    /// Starts the server if it does not run, and waits until it answers.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        until("the second server answers", RECOVERY, async || {
            self.note_end()?;
            if self.process.is_none() {
                (self.process, self.is_ready) = (Some(self.spawn()?), false);
            }
            let health = self.client.get("/health").await?;
            self.is_ready = health.status.is_success();
            Ok(self.is_ready.then_some(()))
        })
        .await
    }

    /// Kills the server.
    ///
    /// # Errors
    /// The server had ended by itself at some time after it was ready.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        self.note_end()?;
        self.kill().await?;
        ensure!(self.failures.is_empty(), "the second server has ended by itself: {:?}", self.failures);
        Ok(())
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill().await.context("kill the second server")
    }

    /// Forgets a process that has ended by itself: one that is started without its database does, and is started again.
    fn note_end(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.process.as_mut().map(Child::try_wait).transpose()?.flatten() {
            self.process = None;
            self.failures.extend(self.is_ready.then_some(status));
        }
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = self.installation.data().join("logs/second-server.log");
        let log = OpenOptions::new().append(true).create(true).open(log)?;
        let mut command = self.installation.wrenn();
        // Ends with the tests, however they end.
        command.args(["launch", "--parent", &id().to_string(), "--death-signal", "SIGKILL", "--"]);
        command.args([WRENN, "server"]).envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        command.spawn().context("start the second server")
    }
}

/// A client of the second server, and a capsule that is the first server's.
pub(super) struct Witness<'a> {
    capsule: Capsule<'a>,
    client: Client,
    refusals: Cell<usize>,
}

impl<'a> Witness<'a> {
    pub(super) async fn new(installation: &'a Installation, second: &SecondServer) -> anyhow::Result<Self> {
        let capsule = installation.capsule().await?;
        Ok(Self { capsule, client: second.client(), refusals: Cell::new(0) })
    }

    /// Asks the second server for one operation after the other; returns when it does anything but refuse.
    pub(super) async fn ask(&self) -> anyhow::Error {
        loop {
            for operation in ["pause", "exec", "delete"] {
                let asked = timeout(REQUEST_LIMIT, self.ask_for(operation)).await;
                if let Err(error) = asked.context("no answer").flatten() {
                    return error.context(format!("the second server was asked: {operation}"));
                }
                sleep(REST).await;
            }
        }
    }

    async fn ask_for(&self, operation: &str) -> anyhow::Result<()> {
        let path = self.capsule.path();
        let asked = match operation {
            "delete" => self.client.delete(&path).await,
            operation => self.client.post(&format!("{path}/{operation}"), &json!({ "cmd": "true" })).await,
        };
        let Some(refused) = about_capsules(asked) else { return Ok(()) };
        let is_refusal = refused.status == 503 && refused.text("/error/code") == "host_unavailable";
        ensure!(is_refusal && refused.retry_after_sec.is_some(), "{refused:?}");
        let Some(shown) = about_capsules(self.client.get(&path).await) else { return Ok(()) };
        ensure!(shown.status == 200 && shown.text("/id") == self.capsule.id, "{shown:?}");
        self.refusals.set(self.refusals.get() + 1);
        Ok(())
    }

    /// Checks that the capsule is as it was, removes it, and returns how often an operation was refused.
    pub(super) async fn finish(self, victims: &Victims) -> anyhow::Result<usize> {
        let status = if victims.contains(&self.capsule.id) { "stopped" } else { "running" };
        self.capsule.wait_for(status, RECOVERY).await?;
        self.capsule.delete().await?;
        ensure!(self.refusals.get() > 0, "the second server was never there to refuse anything");
        Ok(self.refusals.get())
    }
}

/// Returns the answer, unless the server was killed or lacks its database.
fn about_capsules(answer: anyhow::Result<Answer>) -> Option<Answer> {
    let is_about_server = |code: &str| matches!(code, "internal_error" | "overloaded");
    answer.ok().filter(|answer| !is_about_server(answer.text("/error/code")))
}
