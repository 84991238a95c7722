//! A second host: an agent beside that of the installation, with a folder of its own.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tokio::{process::Child, time::timeout};
use wrenn_api::agent_authority;
use wrenn_base::{Clock, Rng};
use wrenn_domain::host::NewHost;
use wrenn_store::Store;

use crate::{
    installation::{Installation, temporary_folder, wrenn},
    wait::{BOOT, RECOVERY, until},
};

/// Its volume is made, and the image imported.
const FIRST_START: Duration = Duration::from_secs(120);
/// vCPUs that the server promises per processor.
const OVERCOMMIT: usize = 4;

/// A host beside the installation's; call [`end`](Self::end).
struct SecondHost {
    folder: tempfile::TempDir,
    agent: Child,
}

impl SecondHost {
    async fn start(installation: &Installation) -> anyhow::Result<Self> {
        let store = Store::open(&installation.server_setting("DATABASE_URL")?, 2).await?;
        let host = store.host_create(&NewHost::default()).await?;
        let token = {
            let authority = agent_authority::ensure(&store, &Clock::process()).await?.fingerprint();
            agent_authority::issue_registration_token(&store, &Rng::process(), authority, host.id, "").await?
        };
        let folder = temporary_folder()?;
        let agent = wrenn(&folder.path().join("data"))
            .arg("agent")
            .env("WRENN_SERVER", installation.server_setting("WRENN_GRPC_ADDR")?)
            .env("WRENN_REGISTRATION_TOKEN", token)
            .env("WRENN_AGENT_DATA", folder.path().join("data/agent"))
            .env("WRENN_IMAGES", installation.data().join("images"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start `wrenn agent`")?;
        let second = Self { folder, agent };
        let attached = until("the second host is attached", FIRST_START, async || {
            let online = store.host_list().await?.into_iter().find(|other| other.id == host.id);
            Ok(online.filter(|host| host.status.as_str() == "online"))
        });
        if let Err(error) = attached.await {
            return second.end().await.and(Err(error));
        }
        Ok(second)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Pids of its machines.
    fn has_machine(&self, id: &str) -> anyhow::Result<bool> {
        Ok(crate::traces::machines(&self.data())?.iter().any(|(_, arguments)| arguments.contains(id)))
    }

    fn templates(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(self.data().join("agent/volume/templates"))?.count())
    }

    async fn end(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.agent.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        }
        let ended = timeout(RECOVERY, self.agent.wait()).await.context("the second agent does not end");
        let removed = wrenn(&self.data()).args(["down", "--purge"]).output().await?;
        let said = String::from_utf8_lossy(&removed.stderr).into_owned();
        ensure!(removed.status.success(), "`wrenn down --purge` failed: {said}");
        ended?.map(drop).map_err(Into::into)
    }
}

/// A template that was made on one host makes capsules on another one.
pub(crate) async fn a_template_reaches_a_second_host() -> anyhow::Result<()> {
    let installation = Installation::start_new().await?;
    let result = with_first_host(&installation).await;
    installation.end().await.and(result)
}

async fn with_first_host(installation: &Installation) -> anyhow::Result<()> {
    let source = installation.capsule().await?;
    source.shell("echo disk > /root/mark; echo memory > /dev/shm/mark; head -c 30000000 /dev/urandom > /root/large").await?;
    let sum = source.shell("sha256sum < /root/large").await?;
    for (name, kind) in [("moved", "snapshot"), ("flat", "base")] {
        let made = source.snapshot(name, kind).await?;
        ensure!(made.status == 201, "{made:?}");
    }
    source.delete().await?;
    // The first host has no processor left that it could promise.
    let processors = std::thread::available_parallelism()?.get() * OVERCOMMIT;
    let filler = installation.capsule_with(json!({ "vcpus": processors })).await?;
    let second = SecondHost::start(installation).await?;
    let result = with_both_hosts(installation, &second, &sum).await;
    let ended = second.end().await;
    result.and(ended)?;
    filler.delete().await
}

async fn with_both_hosts(installation: &Installation, second: &SecondHost, sum: &str) -> anyhow::Result<()> {
    for (template, mark) in [("moved", "disk\nmemory\n"), ("flat", "disk\n")] {
        let begun = std::time::Instant::now();
        let copy = installation.capsule_of(template).await?;
        eprintln!("a capsule of {template:?} on a host that fetched it: {:?}", begun.elapsed());
        ensure!(second.has_machine(&copy.id)?, "it does not run on the second host");
        let marks = copy.shell("cat /root/mark; cat /dev/shm/mark 2>/dev/null || true").await?;
        ensure!(marks == mark, "{template}: {marks}");
        ensure!(copy.shell("sha256sum < /root/large").await? == sum, "{template}: its disk is another one");
        let again = installation.capsule_of(template).await?;
        ensure!(second.has_machine(&again.id)?, "it does not run on the second host");
        again.delete().await?;
        copy.delete().await?;
    }
    ensure!(second.templates()? == 2, "the second host has {} templates", second.templates()?);
    let client = installation.client()?;
    for template in ["moved", "flat"] {
        let deleted = client.delete(&format!("/v1/snapshots/{template}")).await?;
        ensure!(deleted.status == 204, "{deleted:?}");
    }
    until("no host and no storage has the templates", BOOT, async || {
        let objects = installation.data().join("objects/templates");
        let stored = std::fs::read_dir(objects).map_or(0, |entries| entries.count());
        Ok((second.templates()? == 0 && stored == 0).then_some(()))
    })
    .await
}
