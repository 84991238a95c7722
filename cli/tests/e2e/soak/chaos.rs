//! Whoever kills things at random while others work.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{
    RngExt as _, SeedableRng,
    prelude::{IndexedRandom as _, SliceRandom as _},
    rngs::StdRng,
};
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_local},
    time::sleep,
};
use wrenn_cli::client::Credentials;

use super::second::SecondServer;
use crate::{
    installation::Installation,
    traces::machines,
    wait::{RECOVERY, until},
};

/// Rest between two faults, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 1500..6000;

/// Capsules whose virtual machine was killed, and how often nobody has made allowance for that yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Victims(Arc<Mutex<BTreeMap<String, usize>>>);

impl Victims {
    fn add(&self, capsule: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(capsule).or_default() += 1;
    }

    /// Whether its virtual machine was killed; that is allowed for once.
    pub(super) fn take(&self, capsule: &str) -> bool {
        let mut victims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kills = victims.get_mut(capsule).filter(|kills| **kills > 0);
        kills.map(|kills| *kills -= 1).is_some()
    }

    /// Whether its virtual machine was killed.
    pub(super) fn contains(&self, capsule: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(capsule).is_some_and(|kills| *kills > 0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Agent,
    Server,
    /// Started if it does not run, else killed.
    SecondServer,
    Machine,
    Postgres,
    Redis,
    Link,
}

/// What is caused before anything is caused again.
pub(super) const BAG: [Fault; 10] = [
    Fault::Agent,
    Fault::Agent,
    Fault::Server,
    Fault::SecondServer,
    Fault::SecondServer,
    Fault::Machine,
    Fault::Machine,
    Fault::Postgres,
    Fault::Redis,
    Fault::Link,
];

/// How often each fault was caused.
pub(super) type Kills = BTreeMap<Fault, usize>;

pub(super) struct Chaos {
    victims: Victims,
    caused: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<(Kills, SecondServer)>,
}

impl Chaos {
    pub(super) fn begin(installation: Arc<Installation>, mut second: SecondServer, seed: u64) -> Self {
        let victims = Victims::default();
        let (stop, mut stopped) = oneshot::channel();
        let caused = Arc::new(AtomicUsize::new(0));
        let (for_task, count) = (victims.clone(), caused.clone());
        let task = spawn_local(async move {
            let mut random = StdRng::seed_from_u64(seed ^ 0xC4A0);
            let (mut kills, mut bag) = (Kills::new(), Vec::new());
            loop {
                let pause = Duration::from_millis(random.random_range(PAUSE_MS));
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = &mut stopped => return (kills, second),
                }
                // Each comes as often as it stands there, in another order each time.
                if bag.is_empty() {
                    bag.extend(BAG);
                    bag.shuffle(&mut random);
                }
                let Some(fault) = bag.pop() else { continue };
                // A fault that cannot be caused now, because of the one before, is left out.
                if cause(&installation, &mut second, fault, &for_task, &mut random).await.is_ok() {
                    *kills.entry(fault).or_default() += 1;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { victims, caused, stop, task }
    }

    /// How many faults were caused so far.
    pub(super) fn caused(&self) -> Arc<AtomicUsize> {
        self.caused.clone()
    }

    pub(super) fn victims(&self) -> Victims {
        self.victims.clone()
    }

    /// Ends it, and returns what it has caused, and the second server.
    pub(super) async fn end(self) -> anyhow::Result<(Kills, SecondServer)> {
        let _ = self.stop.send(());
        self.task.await.context("the task that causes faults")
    }
}

async fn cause(
    installation: &Installation,
    second: &mut SecondServer,
    fault: Fault,
    victims: &Victims,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    let name = match fault {
        Fault::Machine => return kill_machine(installation, victims, random),
        Fault::Link => return cut_link(installation).await,
        Fault::SecondServer => return second.toggle().await,
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
