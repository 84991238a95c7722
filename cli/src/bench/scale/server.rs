//! The control plane under load: its actors and the agents' endpoint, without REST, in a thread of their own.

use std::{
    io,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;
use wrenn_actors::{Config, ControlPlane};
use wrenn_api::{AccountsConfig, Control, agent_authority::AgentsAccess, agents::AgentListener};
use wrenn_base::{Clock, Rng, blocking};
use wrenn_store::Store;
use wrenn_supervision::Root;

/// As `wrenn server` has them by default.
const DATABASE_CONNECTIONS: u32 = 10;
/// Silence after which a host's sandboxes are missing: shorter than usual, because somebody waits for it.
pub(super) const UNREACHABLE_AFTER: Duration = Duration::from_secs(10);
/// How often hosts are asked what they have: oftener than usual, for the same reason.
pub(super) const INVENTORY_INTERVAL: Duration = Duration::from_secs(30);

/// A control plane that runs.
pub(super) struct Server {
    pub(super) control_plane: ControlPlane,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Starts one for agents that dial `addr`.
    pub(super) async fn start(
        database_url: &str,
        addr: &str,
        clock: Clock,
        rng: Rng,
    ) -> anyhow::Result<Self> {
        let listener = AgentListener::bind(addr)?;
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let url = database_url.to_owned();
        let thread = thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || actix_rt::System::new().block_on(serve(listener, url, clock, rng, ready, stopped)))
            .context("cannot start a thread")?;
        match started.await {
            Ok(control_plane) => Ok(Self { control_plane, stop, thread }),
            Err(_) => {
                join(thread).await?;
                Err(anyhow!("the server has ended at once"))
            }
        }
    }

    /// Ends it in order; the hosts live on.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        drop((self.stop, self.control_plane));
        join(self.thread).await
    }
}

async fn join(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let joined = blocking(move || io::Result::Ok(thread.join())).await?;
    joined.map_err(|_| anyhow!("the server's thread has panicked"))?
}

async fn serve(
    listener: AgentListener,
    database_url: String,
    clock: Clock,
    rng: Rng,
    ready: oneshot::Sender<ControlPlane>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let store = Store::open(&database_url, DATABASE_CONNECTIONS).await?;
    let config = Config {
        unreachable_after: UNREACHABLE_AFTER,
        inventory_interval: INVENTORY_INTERVAL,
        ..Config::default()
    };
    let control_plane =
        ControlPlane::start(store, config, clock.clone(), rng.clone(), &Root::exit_process()).await?;
    if ready.send(control_plane.clone()).is_ok() {
        let stopped = async { drop(stopped.await) };
        let agents = AgentsAccess::at(String::new(), control_plane.store(), &clock).await?;
        let control = Control::new(
            control_plane.clone(),
            DATABASE_CONNECTIONS,
            AccountsConfig::none(),
            agents,
            clock.clone(),
            rng,
        )?;
        listener.serve(control, clock, stopped).await?;
    }
    control_plane.shutdown().await;
    Ok(())
}
