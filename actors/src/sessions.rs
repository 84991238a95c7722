//! The use of a sandbox: sessions with its machine, what counts as activity, and what wakes one that sleeps.
//!
//! ```text
//!   session_open ─▶ running? ── yes ─▶ tunnel ─▶ opening ─▶ Session
//!                      │ no
//!                      └─ paused, and `auto_resume` ─▶ resume, wait ─▶ again
//! ```
//!
//! Any number of clients may want the same sleeping sandbox at once: one of them begins the resume, the others wait for
//! it.

use std::time::Duration;

use tokio::time::timeout;
use wrenn_base::trace;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    lifecycle::{Lifecycle, Operation, SandboxStatus},
    principal::Principal,
    sandbox::Memory,
};
use wrenn_proto::{
    ids::{HostId, SandboxId},
    session::Input,
};

use crate::{
    ControlPlane, OperationError, SessionOpenError, WaitError,
    activity::ActivityGuard,
    grants::Grant,
    host::{self, OpenTunnel},
    sandbox::{PrepareUse, UnlessBegun, Until, UseTarget},
    tunnel::{Opened, RawSession, Session},
};

/// How long a sandbox that sleeps may take to run again.
const AWAKE_WITHIN: Duration = Duration::from_secs(60);

impl ControlPlane {
    /// Notes a permission that was just given, for as long as the grant is held; it is revoked if the principal loses
    /// its rights.
    pub fn grant(&self, principal: Principal, action: Action) -> Grant {
        self.grant_all(principal, &[action])
    }

    /// As [`grant`](Self::grant), for what needs permission for several actions.
    pub fn grant_all(&self, principal: Principal, actions: &[Action]) -> Grant {
        self.parts.grants.hold(principal, actions)
    }

    /// Opens a session with a running machine and tells it `opening`; returns when the host is connected to the
    /// machine. A paused sandbox whose `auto_resume` is set is resumed first.
    ///
    /// # Errors
    /// See [`SessionOpenError`]; the machine was told nothing then.
    pub async fn session_open<I: Input>(
        &self,
        id: SandboxId,
        opening: impl Into<I>,
        by: Grant,
    ) -> Result<Session<I>, SessionOpenError> {
        let host = self.sandbox_awake(id, by.principal()).await?;
        let opened = self.tunnel_open(id, host).await;
        self.parts.instruments.tunnel_opened(&opened);
        let raw = opened?;
        let session = Session::new(raw, by, self.parts.activity.open(id));
        // A session that ended already says so in its events.
        let _ = session.input.send(opening).await;
        Ok(session)
    }

    /// Has the agent of the sandbox's host open a stream to the machine.
    async fn tunnel_open(&self, id: SandboxId, host: HostId) -> Result<RawSession, SessionOpenError> {
        let within = self.parts.config.tunnel_open_within;
        let mut ticket = self.parts.tunnels.expect(host);
        let asked = OpenTunnel { tunnel: ticket.id, sandbox: id, traceparent: trace::current() };
        self.parts
            .hosts
            .connections()
            .open_tunnel(host, asked)
            .await
            .map_err(SessionOpenError::Unanswered)?
            .map_err(|host::HostAway| SessionOpenError::HostUnavailable(host))?;
        match timeout(within, ticket.opened()).await {
            Ok(Some(Opened::Session(raw))) => Ok(raw),
            Ok(Some(Opened::Refused(error))) => {
                Err(SessionOpenError::Refused { kind: error.kind(), message: error.message })
            }
            Ok(None) => Err(SessionOpenError::HostUnavailable(host)),
            Err(_) => Err(SessionOpenError::TimedOut(host)),
        }
    }

    /// Notes that somebody uses a running sandbox, or still wants it, and returns where it runs.
    ///
    /// # Errors
    /// [`SessionOpenError::NotFound`], [`SessionOpenError::InvalidState`] or [`SessionOpenError::Unanswered`].
    pub async fn sandbox_use(&self, id: SandboxId) -> Result<HostId, SessionOpenError> {
        match self.prepare_use(id).await? {
            UseTarget::On(host) => Ok(host),
            UseTarget::NotFound => Err(SessionOpenError::NotFound(id)),
            UseTarget::Elsewhere(host) => Err(SessionOpenError::Elsewhere(host)),
            UseTarget::NotRunning { lifecycle, .. } => Err(not_running(&lifecycle)),
        }
    }

    /// Counts as use of a sandbox until it is dropped.
    pub fn sandbox_in_use(&self, id: SandboxId) -> ActivityGuard {
        self.parts.activity.open(id)
    }

    /// As [`sandbox_use`](Self::sandbox_use), for somebody who may wake it.
    ///
    /// # Errors
    /// See [`SessionOpenError`].
    pub async fn sandbox_awake(&self, id: SandboxId, by: Principal) -> Result<HostId, SessionOpenError> {
        let deadline = self.parts.clock.now() + AWAKE_WITHIN;
        loop {
            let lifecycle = match self.prepare_use(id).await? {
                UseTarget::On(host) => return Ok(host),
                UseTarget::NotFound => return Err(SessionOpenError::NotFound(id)),
                UseTarget::Elsewhere(host) => return Err(SessionOpenError::Elsewhere(host)),
                UseTarget::NotRunning { lifecycle, auto_resume: true } if can_wake(&lifecycle) => lifecycle,
                UseTarget::NotRunning { lifecycle, .. } => return Err(not_running(&lifecycle)),
            };
            let rest = deadline.saturating_duration_since(self.parts.clock.now());
            if rest.is_zero() {
                return Err(not_running(&lifecycle));
            }
            if lifecycle.operation.is_some() {
                match self.sandbox_wait(id, Until::Settled, rest).await {
                    Ok(_) => continue,
                    Err(WaitError::TimedOut(_)) => return Err(not_running(&lifecycle)),
                    Err(WaitError::NotFound(id)) => return Err(SessionOpenError::NotFound(id)),
                    Err(WaitError::Unanswered(_, error)) => return Err(SessionOpenError::Unanswered(error)),
                }
            }
            let intent = AuditIntent::new(by, Action::SandboxResume).of(id).with("cause", "use");
            match self.resume(id, Memory::Keep, intent, UnlessBegun::Skip, rest).await {
                // Somebody else was quicker: look again.
                Ok(_) | Err(OperationError::Refused(_)) => {}
                Err(error) => return Err(SessionOpenError::Wake(Box::new(error))),
            }
        }
    }

    async fn prepare_use(&self, id: SandboxId) -> Result<UseTarget, SessionOpenError> {
        self.parts.sandboxes.ask(id, || PrepareUse).await.map_err(SessionOpenError::Unanswered)
    }
}

/// Whether a sandbox sleeps, is about to, or is being woken.
fn can_wake(lifecycle: &Lifecycle) -> bool {
    match lifecycle.operation {
        None => matches!(lifecycle.status, SandboxStatus::Paused | SandboxStatus::Hibernated),
        Some(operation) => matches!(operation, Operation::Pausing | Operation::Resuming),
    }
}

fn not_running(lifecycle: &Lifecycle) -> SessionOpenError {
    SessionOpenError::InvalidState { status: lifecycle.status, operation: lifecycle.operation }
}
