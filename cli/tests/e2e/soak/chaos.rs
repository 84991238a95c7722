//! Whoever kills things at random while others work.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt as _, SeedableRng, prelude::IndexedRandom as _, rngs::StdRng};
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_local},
    time::sleep,
};
use wrenn_cli::client::Credentials;

use crate::{
    installation::Installation,
    traces::machines,
    wait::{RECOVERY, until},
};

/// Rest between two faults, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 1500..6000;

/// Capsules whose virtual machine was killed, as far as nobody has made allowance for that yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Victims(Arc<Mutex<BTreeSet<String>>>);

impl Victims {
    fn add(&self, capsule: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(capsule);
    }

    /// Takes back what [`take`](Self::take) said.
    pub(super) fn put_back(&self, capsule: &str) {
        self.add(capsule.to_owned());
    }

    /// Whether its virtual machine was killed since this was asked last.
    pub(super) fn take(&self, capsule: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(capsule)
    }

    /// Whether its virtual machine was killed.
    pub(super) fn contains(&self, capsule: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(capsule)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Agent,
    Server,
    Machine,
    Postgres,
    Redis,
    Link,
}

/// How often each fault was caused.
pub(super) type Kills = BTreeMap<Fault, usize>;

pub(super) struct Chaos {
    victims: Victims,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Kills>,
}

impl Chaos {
    pub(super) fn begin(installation: Arc<Installation>, seed: u64) -> Self {
        let victims = Victims::default();
        let (stop, mut stopped) = oneshot::channel();
        let for_task = victims.clone();
        let task = spawn_local(async move {
            let mut random = StdRng::seed_from_u64(seed ^ 0xC4A0);
            let mut kills = Kills::new();
            loop {
                let pause = Duration::from_millis(random.random_range(PAUSE_MS));
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = &mut stopped => return kills,
                }
                let faults = [
                    Fault::Agent,
                    Fault::Server,
                    Fault::Machine,
                    Fault::Machine,
                    Fault::Postgres,
                    Fault::Redis,
                    Fault::Link,
                ];
                let Some(&fault) = faults.choose(&mut random) else { continue };
                // A fault that cannot be caused now, because of the one before, is left out.
                if cause(&installation, fault, &for_task, &mut random).await.is_ok() {
                    *kills.entry(fault).or_default() += 1;
                }
            }
        });
        Self { victims, stop, task }
    }

    pub(super) fn victims(&self) -> Victims {
        self.victims.clone()
    }

    pub(super) async fn end(self) -> Kills {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

async fn cause(
    installation: &Installation,
    fault: Fault,
    victims: &Victims,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    let name = match fault {
        Fault::Machine => return kill_machine(installation, victims, random),
        Fault::Link => return cut_link(installation).await,
        Fault::Agent => "agent",
        Fault::Server => "server",
        Fault::Postgres => "postgres",
        Fault::Redis => "redis",
    };
    let old = installation.pid(name)?;
    kill(Pid::from_raw(old), Signal::SIGKILL)?;
    // Not before something else is killed that it needs to come back; but others may work meanwhile.
    until(&format!("{name} is running again"), RECOVERY, async || {
        Ok(installation.pid(name).ok().filter(|pid| *pid != old).map(drop))
    })
    .await
}

fn kill_machine(installation: &Installation, victims: &Victims, random: &mut StdRng) -> anyhow::Result<()> {
    let machines = machines(&installation.data())?;
    let Some((pid, line)) = machines.choose(random) else { anyhow::bail!("none runs") };
    let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let Some(capsule) = words.into_iter().find(|word| word.starts_with("cl-")) else {
        anyhow::bail!("it belongs to nobody")
    };
    // First noted, then done: who sees its end may look at once.
    victims.add(capsule.to_owned());
    kill(Pid::from_raw(*pid), Signal::SIGKILL)?;
    Ok(())
}

async fn cut_link(installation: &Installation) -> anyhow::Result<()> {
    let env = installation.env()?;
    let client = installation.client()?;
    let login = json!({ "email": env.admin_email, "password": env.admin_password });
    let login = client.post("/v1/auth/login", &login).await?;
    let admin = client.with(Credentials::Bearer(login.text("/token").to_owned()));
    let hosts = admin.get("/v1/hosts").await?.success()?;
    let cut = admin.post("/v1/admin/faults/cut", &json!({ "host_id": hosts[0]["id"] })).await?;
    cut.success().map(drop)
}
