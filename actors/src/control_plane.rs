//! The handle through which REST and the agents' endpoint reach the actors.

use std::{fmt, sync::Arc, time::Duration};

use actix::{Handler, Message};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use wrenn_domain::{
    audit::AuditIntent,
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_proto::{
    agent::{AgentHello, ServerFrame},
    ids::{HostId, SandboxId, TunnelId},
};
use wrenn_store::Store;
use wrenn_supervision::{
    ArbiterPool, CallError, MetricsSnapshot, Root, Watchdog, WatchdogConfig, call, call_within,
    metrics_snapshot,
};

use crate::{
    AttachError, CreateError, InjectError, StartError, WaitError,
    build::BuildQueue,
    config::{BuildConfig, Config, FaultInjection},
    host::{self, AgentLink, Attach, board::HostView},
    objects::Objects,
    placement::{Admit, Others},
    sandbox::{self, SandboxActor, Until, Wait},
    shared::Shared,
    tunnel::TunnelAcceptor,
};

/// How long a question that needs no host may take.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The running actors; clones share them. Can be used from any thread and any runtime.
#[derive(Clone)]
pub struct ControlPlane {
    pub(crate) shared: Arc<Shared>,
    /// Stops with the last clone.
    _watchdog: Arc<Watchdog>,
}

/// Numbers about the actors.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Starts, restarts, panics and so on, per kind of actor, for the whole process.
    pub supervision: MetricsSnapshot,
    /// Sandboxes whose actor lives.
    pub sandbox_actors: usize,
    /// How every host is doing.
    pub hosts: Vec<HostView>,
    /// Tunnels that wait for their agent.
    pub tunnels_opening: usize,
    /// Actors per thread.
    pub arbiters: Vec<(String, usize)>,
}

/// Whose next message shall panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The actor of a sandbox.
    Sandbox(SandboxId),
    /// The connection of a host.
    Host(HostId),
}

impl ControlPlane {
    /// Starts the actors, and takes up whatever the last run left in flight.
    ///
    /// Must be called on a thread of an actix system, whose arbiters the actors' threads become. If placement
    /// fails for good, `root` decides what happens to the process.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn start(store: Store, config: Config, root: &Root) -> Result<Self, StartError> {
        let hosts = store.host_list().await.map_err(StartError::Store)?;
        let arbiters = ArbiterPool::named("actors", config.arbiters).map_err(StartError::Arbiters)?;
        // It counts and logs; to end the process would harm those who do not hang.
        let watchdog = Watchdog::start(WatchdogConfig::default(), |_| {}).map_err(StartError::Watchdog)?;
        let BuildConfig { workers, redis_url, .. } = &config.builds;
        let queue = redis_url.as_deref().map(|url| BuildQueue::new(url, *workers)).transpose();
        let queue = queue.map_err(StartError::Queue)?;
        let objects = Objects::open(&config.objects).map_err(StartError::Objects)?;
        let shared = Arc::new(Shared::new(store, queue, objects, config, arbiters));
        let deleting = shared.store.templates_deleting().await.map_err(StartError::Store)?;
        for template in deleting {
            shared.store.template_delete_finish(template).await.map_err(StartError::Store)?;
            tracing::info!(%template, "finished the deletion of a template");
        }
        shared.start_placement(root);
        shared.start_idle_watch(root);
        shared.start_object_sweep(root);
        shared.start_retention(root);
        for host in hosts {
            shared.host(host.id);
        }
        let plane = Self { shared, _watchdog: Arc::new(watchdog) };
        plane.start_builds(root);
        Ok(plane)
    }

    /// Ends all actors. Machines live on; what is in flight is taken up by the next start.
    pub async fn shutdown(&self) {
        self.shared.end_actors().await;
    }

    /// Returns the way to the database.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Chooses a host, writes the row and begins the start; does not wait for the machine.
    ///
    /// The caller has checked that the template exists and that the sizes are in range.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn sandbox_create(&self, new: NewSandbox, intent: AuditIntent) -> Result<Sandbox, CreateError> {
        let others = match &new.template_hosts {
            Some(_) if !self.template_can_be_fetched(new.template_id).await => Others::CannotFetch,
            _ => Others::CanFetch,
        };
        call_within(&self.shared.placement(), Admit { new, others, intent }, ANSWER_WITHIN)
            .await
            .map_err(CreateError::Unanswered)?
    }

    /// Waits until a sandbox is in the state that `until` names, for at most `within`.
    ///
    /// A sandbox that failed is settled, too: look at its status.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub async fn sandbox_wait(
        &self,
        id: SandboxId,
        until: Until,
        within: Duration,
    ) -> Result<Sandbox, WaitError> {
        let deadline = Instant::now() + within;
        let wait = async {
            loop {
                let (reply, answer) = oneshot::channel();
                let asked = call(&self.shared.sandbox(id), Wait { until, reply }).await;
                match (asked, answer.await) {
                    (_, Ok(Some(row))) => return Ok(row),
                    (_, Ok(None)) => return Err(WaitError::NotFound(id)),
                    (Err(CallError::Full), Err(_)) => return Err(WaitError::Unanswered(id, CallError::Full)),
                    // The actor ended, or lost this one request; asking again has no effect of its own.
                    (_, Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        timeout_at(deadline, wait).await.unwrap_or(Err(WaitError::TimedOut(id)))
    }

    /// Returns how every host is doing, sorted by id.
    pub fn hosts_snapshot(&self) -> Vec<HostView> {
        self.shared.board.snapshot()
    }

    /// Returns numbers about the actors.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            supervision: metrics_snapshot(),
            sandbox_actors: self.shared.sandboxes.len(),
            hosts: self.shared.board.snapshot(),
            tunnels_opening: self.shared.desk.len(),
            arbiters: self.shared.loads(),
        }
    }

    /// Takes a host's stream whose token was checked and whose hello was read. Frames for the agent go to
    /// `outgoing`; the first is a `Welcome`.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub async fn agent_attach(
        &self,
        host: HostId,
        hello: AgentHello,
        outgoing: mpsc::Sender<ServerFrame>,
    ) -> Result<AgentLink, AttachError> {
        call_within(&self.shared.host(host), Attach { hello, outgoing }, ANSWER_WITHIN)
            .await
            .map_err(|error| AttachError::Unanswered(host, error))?
    }

    /// Takes a tunnel that a host opened; none if nobody asked that host for one with this id.
    pub fn tunnel_accept(&self, host: HostId, tunnel: TunnelId) -> Option<TunnelAcceptor> {
        self.shared.desk.accept(host, tunnel)
    }

    /// Makes an actor's handler panic, to see what that costs; waits until it has.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub async fn inject_panic(&self, victim: Victim) -> Result<(), InjectError> {
        if self.shared.config.fault_injection == FaultInjection::Off {
            return Err(InjectError::Off);
        }
        // The answer is that there is none.
        match victim {
            Victim::Sandbox(id) => {
                let addr = self.shared.sandboxes.get(&id).ok_or(InjectError::NotFound)?;
                let _ = call(&addr, sandbox::InjectPanic).await;
            }
            Victim::Host(id) => {
                let addr = self.shared.hosts.get(&id).ok_or(InjectError::NotFound)?;
                let _ = call(&addr, host::InjectPanic).await;
            }
        }
        Ok(())
    }

    /// Cuts the stream of a host's agent, which dials again.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub async fn inject_cut(&self, host: HostId) -> Result<(), InjectError> {
        if self.shared.config.fault_injection == FaultInjection::Off {
            return Err(InjectError::Off);
        }
        let addr = self.shared.hosts.get(&host).ok_or(InjectError::NotFound)?;
        // The actor may fail for another reason meanwhile, which does no harm.
        let _ = call(&addr, host::CutLink).await;
        Ok(())
    }

    /// Asks a sandbox's actor; once more if it ended meanwhile, which mostly means that it had nothing to do.
    /// What is asked this way may be executed twice.
    pub(crate) async fn ask_sandbox<M>(
        &self,
        id: SandboxId,
        message: impl Fn() -> M,
    ) -> Result<M::Result, CallError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SandboxActor: Handler<M>,
        <SandboxActor as actix::Actor>::Context: actix::dev::ToEnvelope<SandboxActor, M>,
    {
        match call_within(&self.shared.sandbox(id), message(), ANSWER_WITHIN).await {
            Err(CallError::NotDelivered | CallError::MayHaveExecuted) => {
                call_within(&self.shared.sandbox(id), message(), ANSWER_WITHIN).await
            }
            answer => answer,
        }
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
