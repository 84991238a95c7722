//! Operations on sandboxes and templates: what a client asks for, and how long it waits.
//!
//! ```text
//!   request ─▶ Operate ─▶ SandboxActor: begun, committed ─▶ host
//!      └─ Wait ─▶ SandboxActor ─▶ the row, settled        the wait belongs to the request, the operation does not
//! ```
//!
//! Once begun an operation goes on without whoever asked for it. A host that lost its link a moment ago is waited for
//! a little; one that is away is reported at once, and nothing is begun then, except that something shall be destroyed.

use std::time::Duration;

use actix::{Actor, Handler, Message, dev::ToEnvelope};
use futures_util::future::join_all;
use tokio::time::timeout;
use wrenn_base::Backoff;
use wrenn_domain::{
    audit::AuditIntent,
    lifecycle::{End, SandboxStatus},
    sandbox::{Memory, Sandbox},
    template::Template,
};
use wrenn_proto::ids::{SandboxId, TemplateId};
use wrenn_store::StoreError;
use wrenn_supervision::CallError;

use crate::{
    ControlPlane, DeleteTemplateError, DestroyError, OperationError, WaitError,
    control_plane::PlaneParts,
    retry::until_answered,
    sandbox::{Operate, OperationRequest, SandboxActor, SetTimeout, TemplateOrder, UnlessBegun, Until},
    transfer,
};

/// How long a host may take to remove a template's files before the template is forgotten all the same.
const DROPPED_WITHIN: Duration = Duration::from_secs(10);

/// Times that a sandbox's actor is asked whose write was overtaken.
const ASKS: u32 = 4;
/// Rests between these times.
const ASK_AGAIN: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));

impl ControlPlane {
    /// Pauses a sandbox and waits until that is done, for at most `within`; one that is paused stays as it is.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn sandbox_pause(
        &self,
        id: SandboxId,
        intent: AuditIntent,
        within: Duration,
    ) -> Result<Sandbox, OperationError> {
        let begun = self.operate(id, OperationRequest::Pause, intent, UnlessBegun::Write).await?;
        let row = self.wait_settled(&begun, within).await?;
        match row.lifecycle.status {
            SandboxStatus::Paused | SandboxStatus::Hibernated => Ok(row),
            _ => Err(failed(&row)),
        }
    }

    /// Lets a paused or stopped sandbox run again and waits until it does, for at most `within`; a running one stays as
    /// it is.
    ///
    /// # Errors
    /// See [`OperationError`]. One whose memory cannot be restored stays paused, and can be resumed with
    /// [`Memory::Drop`].
    pub async fn sandbox_resume(
        &self,
        id: SandboxId,
        memory: Memory,
        intent: AuditIntent,
        within: Duration,
    ) -> Result<Sandbox, OperationError> {
        self.resume(id, memory, intent, UnlessBegun::Write, within).await
    }

    /// As [`sandbox_resume`](Self::sandbox_resume), for a client or for a use of the sandbox.
    pub(crate) async fn resume(
        &self,
        id: SandboxId,
        memory: Memory,
        intent: AuditIntent,
        unless_begun: UnlessBegun,
        within: Duration,
    ) -> Result<Sandbox, OperationError> {
        let begun = self.operate(id, OperationRequest::Resume(memory), intent, unless_begun).await?;
        let row = self.wait_settled(&begun, within).await?;
        if row.lifecycle.status == SandboxStatus::Running { Ok(row) } else { Err(failed(&row)) }
    }

    /// Makes a template of a sandbox, which stays as it is, and waits until it is ready, for at most `within`.
    ///
    /// # Errors
    /// See [`OperationError`]. After [`OperationError::TimedOut`] the template is still being made.
    pub async fn template_make(
        &self,
        sandbox: SandboxId,
        order: TemplateOrder,
        intent: AuditIntent,
        within: Duration,
    ) -> Result<Template, OperationError> {
        let id = order.id;
        let begun =
            self.operate(sandbox, OperationRequest::Template(order), intent, UnlessBegun::Write).await?;
        let row = self.wait_settled(&begun, within).await?;
        let made = self.parts.store.template_fetch(id).await.map_err(OperationError::Store)?;
        made.ok_or_else(|| failed(&row))
    }

    /// Deletes a template: first nobody finds it any more, then its files go from every attached host and from object
    /// storage, then it is forgotten. Hosts that are away, or fail, remove them when their inventory is compared next. Returns
    /// false if it was not there (any more).
    ///
    /// # Errors
    /// See [`DeleteTemplateError`].
    pub async fn template_delete(
        &self,
        template: TemplateId,
        intent: AuditIntent,
    ) -> Result<bool, DeleteTemplateError> {
        let plane = self.clone();
        // What was begun is ended, whether or not anybody waits.
        let deletion = tokio::spawn(async move { plane.delete_template(template, &intent).await });
        deletion.await.map_err(DeleteTemplateError::Interrupted)?.map_err(DeleteTemplateError::Store)
    }

    /// Asks for a sandbox's end and waits for it, for at most `within`; asking twice is the same as once.
    ///
    /// If its host is not attached the answer comes earlier, after `away_wait` of the configuration.
    ///
    /// # Errors
    /// See [`DestroyError`].
    pub async fn sandbox_destroy(
        &self,
        id: SandboxId,
        intent: AuditIntent,
        within: Duration,
    ) -> Result<Sandbox, DestroyError> {
        let deadline = self.parts.clock.now() + within;
        let begun = self.operate(id, OperationRequest::Destroy, intent, UnlessBegun::Write).await?;
        if begun.lifecycle.end == End::Reached {
            return Ok(begun);
        }
        let host = begun.host_id;
        // A host that just lost its link is back in a moment; one that is not is not waited for.
        let patience = self.parts.config.away_wait.min(within);
        let mut waited = self.sandbox_wait(id, Until::Gone, patience).await;
        if matches!(waited, Err(WaitError::TimedOut(_))) {
            if !self.parts.hosts.is_online(host) {
                // The removal has begun; if the database does not say, the host may be back.
                let can_return = self.parts.store.host_can_return(host).await.unwrap_or(true);
                if can_return {
                    return Err(DestroyError::HostAway { sandbox: id, host });
                }
                self.parts.hosts.connections().retire(host);
            }
            let rest = deadline.saturating_duration_since(self.parts.clock.now());
            waited = self.sandbox_wait(id, Until::Gone, rest).await;
        }
        match waited {
            Ok(row) if row.lifecycle.end == End::Reached => Ok(row),
            Ok(row) => Err(DestroyError::Failed(row.lifecycle.last_error.unwrap_or_default())),
            Err(WaitError::NotFound(id)) => Err(DestroyError::NotFound(id)),
            Err(WaitError::TimedOut(id)) if self.parts.hosts.is_online(host) => {
                Err(DestroyError::TimedOut(id))
            }
            Err(WaitError::TimedOut(sandbox)) => Err(DestroyError::HostAway { sandbox, host }),
            Err(WaitError::Unanswered(id, _)) => {
                Err(DestroyError::Unanswered(id, CallError::MayHaveExecuted))
            }
        }
    }

    /// Sets the idle time after which a sandbox is paused; it counts as used now.
    ///
    /// # Errors
    /// See [`OperationError`].
    pub async fn sandbox_set_timeout(
        &self,
        id: SandboxId,
        timeout_sec: u32,
        intent: AuditIntent,
    ) -> Result<Sandbox, OperationError> {
        self.ask_operation(id, || SetTimeout { timeout_sec, intent: intent.clone() }).await
    }

    /// Begins an operation; does not wait for its end.
    async fn operate(
        &self,
        id: SandboxId,
        wanted: OperationRequest,
        intent: AuditIntent,
        unless_begun: UnlessBegun,
    ) -> Result<Sandbox, OperationError> {
        self.parts.traces.note(id);
        self.ask_operation(id, || Operate { wanted: wanted.clone(), intent: intent.clone(), unless_begun })
            .await
    }

    /// Asks a sandbox's actor; again if its write was overtaken, after which it reads its row again.
    async fn ask_operation<M>(
        &self,
        id: SandboxId,
        message: impl Fn() -> M,
    ) -> Result<Sandbox, OperationError>
    where
        M: Message<Result = Result<Sandbox, OperationError>> + Send + 'static,
        SandboxActor: Handler<M>,
        <SandboxActor as Actor>::Context: ToEnvelope<SandboxActor, M>,
    {
        let ask = async || {
            let answer = self.parts.sandboxes.ask(id, &message).await;
            answer.map_err(|error| OperationError::Unanswered(id, error))?
        };
        let mut asked = 1;
        loop {
            match ask().await {
                Err(OperationError::Unanswered(_, CallError::NotDelivered)) if asked < ASKS => {
                    // The host's connection may not have read yet that another server speaks for the host.
                    self.parts.clock.sleep(ASK_AGAIN.plain_delay(asked)).await;
                    asked += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Waits until the operation that was begun has settled.
    async fn wait_settled(&self, begun: &Sandbox, within: Duration) -> Result<Sandbox, OperationError> {
        let (id, host) = (begun.id, begun.host_id);
        if begun.lifecycle.operation.is_none() {
            return Ok(begun.clone());
        }
        let deadline = self.parts.clock.now() + within;
        loop {
            let rest = deadline.saturating_duration_since(self.parts.clock.now());
            let patience = self.parts.config.away_wait.min(rest);
            match self.sandbox_wait(id, Until::Settled, patience).await {
                Ok(row) => return Ok(row),
                Err(WaitError::NotFound(id)) => return Err(OperationError::NotFound(id)),
                // The operation has begun, whatever became of the question.
                Err(WaitError::Unanswered(id, _)) => {
                    return Err(OperationError::Unanswered(id, CallError::MayHaveExecuted));
                }
                Err(WaitError::TimedOut(_)) if !self.parts.hosts.is_online(host) => {
                    return Err(OperationError::HostLost { sandbox: id, host });
                }
                Err(WaitError::TimedOut(_)) if rest.is_zero() => return Err(OperationError::TimedOut(id)),
                Err(WaitError::TimedOut(_)) => {}
            }
        }
    }

    /// As [`template_delete`](Self::template_delete), as part of the caller.
    async fn delete_template(&self, template: TemplateId, intent: &AuditIntent) -> Result<bool, StoreError> {
        let PlaneParts { store, server, hosts, objects, .. } = &*self.parts;
        if !store.template_delete_begin(template, *server, intent).await? {
            return Ok(false);
        }
        // Every attached host, known to have it or not: a host may have fetched it a moment ago. A host that fails lists it
        // in its next inventory, and is told again.
        let drops = hosts.online().into_iter().map(|host| async move {
            match timeout(DROPPED_WITHIN, hosts.connections().drop_template(host, template)).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => {
                    tracing::warn!(%host, %template, %error, "a template's files stay for now");
                }
                Ok(Err(error)) => {
                    tracing::warn!(%host, %template, %error, "a template's files may stay for now")
                }
                Err(_) => tracing::warn!(%host, %template, "a template's files may stay for now: no answer"),
            }
        });
        join_all(drops).await;
        if let Err(error) = objects.delete(&transfer::object_name(template)).await {
            // The sweep tries again.
            tracing::warn!(%template, error = &error as &dyn std::error::Error, "a template's object stays for now");
        }
        until_answered("template_delete_finish", || store.template_delete_finish(template)).await;
        Ok(true)
    }
}

/// Why an operation that has settled did not lead to what was wanted.
fn failed(row: &Sandbox) -> OperationError {
    let lifecycle = &row.lifecycle;
    if lifecycle.end != End::NotRequested {
        return OperationError::Overtaken(row.id);
    }
    let reason = lifecycle.last_error.clone().or_else(|| lifecycle.stop_reason.clone());
    OperationError::Failed(reason.unwrap_or_else(|| format!("the sandbox is {}", lifecycle.status)))
}

impl From<OperationError> for DestroyError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::NotFound(id) => Self::NotFound(id),
            OperationError::Store(error) => Self::Store(error),
            OperationError::Unanswered(id, error) => Self::Unanswered(id, error),
            OperationError::HostAway { sandbox, host } | OperationError::HostLost { sandbox, host } => {
                Self::HostAway { sandbox, host }
            }
            OperationError::Elsewhere { sandbox, host } => Self::Elsewhere { sandbox, host },
            OperationError::TimedOut(id) => Self::TimedOut(id),
            // None of these is ever the answer to this request.
            error @ (OperationError::Enter(_)
            | OperationError::Destroyed(_)
            | OperationError::Refused(_)
            | OperationError::NoRoom(_)
            | OperationError::Name(_)
            | OperationError::NotAdmitted(_)
            | OperationError::Overtaken(_)
            | OperationError::Failed(_)) => Self::Failed(error.to_string()),
        }
    }
}
