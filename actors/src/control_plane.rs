//! The handle through which REST and the agents' endpoint reach the actors.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use prometheus_client::registry::Registry;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout_at,
};
use wrenn_base::Clock;
use wrenn_domain::{
    audit::AuditIntent,
    channel::{Target, message::Notification},
    host::HostPool,
    ids::{DeliveryId, ServerId},
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_proto::{
    agent::{AgentHello, ServerFrame},
    ids::{HostId, SandboxId, TunnelId},
};
use wrenn_store::Store;
use wrenn_supervision::{CallError, MetricsSnapshot, call, call_within, metrics_snapshot};

use crate::{
    AttachError, CreateError, InjectError, WaitError,
    activity::Activity,
    build::BuildDesk,
    config::{Config, FaultInjection},
    directory::Late,
    events::EventFeed,
    grants::Grants,
    host::{self, AgentLink, Attach, HostConnections, HostDirectory, board::HostView},
    instruments::Instruments,
    notify::{Notifier, SendError},
    objects::Objects,
    placement::{Admit, Others, Placement},
    reconcile::Reconciler,
    sandbox::{self, ANSWER_WITHIN, SandboxDirectory, Until, Wait},
    traces::Traces,
    transfer::{TransferDesk, Uploads},
    tunnel::{TunnelAcceptor, TunnelDesk},
};

/// The running actors; clones share them. Can be used from any thread and any runtime.
#[derive(Clone)]
pub struct ControlPlane {
    pub(crate) parts: Arc<PlaneParts>,
}

/// Everything that users of sandboxes need; the actors themselves get less.
pub(crate) struct PlaneParts {
    pub(crate) store: Store,
    pub(crate) server: ServerId,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) sandboxes: SandboxDirectory,
    pub(crate) hosts: HostDirectory,
    pub(crate) connections: HostConnections,
    pub(crate) reconciler: Reconciler,
    pub(crate) placement: Placement,
    pub(crate) tunnels: TunnelDesk,
    pub(crate) transfers: TransferDesk,
    pub(crate) uploads: Uploads,
    pub(crate) activity: Activity,
    pub(crate) grants: Grants,
    pub(crate) builds: BuildDesk,
    pub(crate) objects: Objects,
    pub(crate) notifier: Notifier,
    pub(crate) instruments: Instruments,
    pub(crate) traces: Traces,
    pub(crate) events: EventFeed,
    pub(crate) children: Late<dyn Children>,
}

/// Everything that was started.
pub(crate) trait Children: Send + Sync {
    /// Returns the names of the threads and how many actors live on each.
    fn loads(&self) -> Vec<(String, usize)>;

    /// Ends all actors and waits until they have ended.
    fn end(&self) -> BoxFuture<'_, ()>;
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
    /// Sessions, sockets, streams and previews that are open.
    pub grants: usize,
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
    /// Ends all actors. Machines live on; what is in flight is taken up by the next start.
    pub async fn shutdown(&self) {
        if let Some(children) = self.parts.children.get() {
            children.end().await;
            self.parts.children.release();
        }
    }

    /// Returns the way to the database.
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// Chooses a host, writes the row and begins the start; does not wait for the machine.
    ///
    /// The caller has checked that the template exists and that the sizes are in range.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn sandbox_create(&self, new: NewSandbox, intent: AuditIntent) -> Result<Sandbox, CreateError> {
        let pool = self.parts.store.host_pool(new.team_id, new.template_id).await;
        let pool = match pool.map_err(CreateError::Store)? {
            (HostPool::Platform, Some(_)) => return Err(CreateError::OwnHostsOnly),
            (pool, _) => pool,
        };
        let others = match &new.template_hosts {
            Some(_) if !self.template_can_be_fetched(new.template_id).await => Others::CannotFetch,
            _ => Others::CanFetch,
        };
        let (begun, id) = (self.parts.clock.now(), new.id);
        self.parts.traces.note(id);
        let admitted = self.parts.placement.admit(Admit { new, others, pool, intent }).await;
        self.parts.instruments.placed(&admitted, self.parts.clock.now() - begun);
        if admitted.is_err() {
            self.parts.traces.forget(id);
        }
        admitted
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
        let deadline = self.parts.clock.now() + within;
        let wait = async {
            loop {
                let (reply, answer) = oneshot::channel();
                let asked = call(&self.parts.sandboxes.address(id), Wait { until, reply }).await;
                match (asked, answer.await) {
                    (_, Ok(Some(row))) => return Ok(row),
                    (_, Ok(None)) => return Err(WaitError::NotFound(id)),
                    (Err(CallError::Full), Err(_)) => return Err(WaitError::Unanswered(id, CallError::Full)),
                    // The actor ended, or lost this one request; asking again has no effect of its own.
                    (_, Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        timeout_at(deadline.into(), wait).await.unwrap_or(Err(WaitError::TimedOut(id)))
    }

    /// Sends a notification to a destination once, and waits for the outcome.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn notify(&self, target: &Target, notification: &Notification) -> Result<(), SendError> {
        self.parts.notifier.send(target, notification, DeliveryId::new()).await
    }

    /// Returns how every host is doing, sorted by id.
    pub fn hosts_snapshot(&self) -> Vec<HostView> {
        self.parts.hosts.snapshot()
    }

    /// Registers the histograms and counters that the actors write.
    pub fn register_instruments(&self, registry: &mut Registry) {
        self.parts.instruments.register(registry);
    }

    /// Returns numbers about the actors.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            supervision: metrics_snapshot(),
            sandbox_actors: self.parts.sandboxes.len(),
            hosts: self.parts.hosts.snapshot(),
            tunnels_opening: self.parts.tunnels.len(),
            grants: self.parts.grants.len(),
            arbiters: self.parts.children.get().map(|children| children.loads()).unwrap_or_default(),
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
        call_within(&self.parts.connections.address(host), Attach { hello, outgoing }, ANSWER_WITHIN)
            .await
            .map_err(|error| AttachError::Unanswered(host, error))?
    }

    /// Takes a tunnel that a host opened; none if nobody asked that host for one with this id.
    pub fn tunnel_accept(&self, host: HostId, tunnel: TunnelId) -> Option<TunnelAcceptor> {
        self.parts.tunnels.accept(host, tunnel)
    }

    /// Makes an actor's handler panic, to see what that costs; waits until it has.
    ///
    /// # Errors
    /// See [`InjectError`].
    pub async fn inject_panic(&self, victim: Victim) -> Result<(), InjectError> {
        if self.parts.config.fault_injection == FaultInjection::Off {
            return Err(InjectError::Off);
        }
        // The answer is that there is none.
        match victim {
            Victim::Sandbox(id) => {
                let addr = self.parts.sandboxes.living(id).ok_or(InjectError::NotFound)?;
                let _ = call(&addr, sandbox::InjectPanic).await;
            }
            Victim::Host(id) => {
                let addr = self.parts.connections.living(id).ok_or(InjectError::NotFound)?;
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
        if self.parts.config.fault_injection == FaultInjection::Off {
            return Err(InjectError::Off);
        }
        let addr = self.parts.connections.living(host).ok_or(InjectError::NotFound)?;
        // The actor may fail for another reason meanwhile, which does no harm.
        let _ = call(&addr, host::CutLink).await;
        Ok(())
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane").field("config", &self.parts.config).finish_non_exhaustive()
    }
}
