//! Opens a session in a sandbox: a process, files, or a connection to a port.
//!
//! Every action inside a sandbox begins here, with its row of the table of actions.
//!
//! ```text
//!   request ─▶ run:   permit, find ───────▶ session
//!   socket  ─▶ check: permit, find, wake ─▶ SessionPermit ─ first frame ─▶ SessionPermit::open ─▶ session
//! ```

use wrenn_actors::{Grant, OperationError, Session, SessionOpenError};
use wrenn_domain::{action::Action, admission::EnterError, ids::SandboxId, principal::Principal};
use wrenn_proto::session::Input;

use crate::{Control, sandbox_find::find};

/// The reason for which there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The principal's team has no such sandbox.
    #[error(transparent)]
    Find(#[from] OperationError),
    /// There is no way into the sandbox.
    #[error(transparent)]
    Open(#[from] SessionOpenError),
}

/// Permission of a principal to open sessions in one sandbox of its team.
///
/// Made by a check only, so that no session is opened unchecked. Its sessions end when the permission is revoked.
#[derive(Debug, Clone)]
pub struct SessionPermit {
    id: SandboxId,
    grant: Grant,
}

/// Opens a session in a sandbox of the principal's team; a paused one that resumes by itself is resumed first.
///
/// # Errors
/// See [`SessionError`]; the machine was told nothing then.
pub async fn run<I: Input>(
    control: &Control,
    principal: &Principal,
    action: Action,
    id: SandboxId,
    opening: impl Into<I>,
) -> Result<Session<I>, SessionError> {
    permit(control, principal, action, id).await?.open(control, opening).await
}

/// Checks that the principal may use a sandbox, and that it runs or can be resumed.
///
/// For sockets, which open their session when the client has sent its first frame.
///
/// # Errors
/// See [`SessionError`].
pub async fn check(
    control: &Control,
    principal: &Principal,
    action: Action,
    id: SandboxId,
) -> Result<SessionPermit, SessionError> {
    let permit = permit(control, principal, action, id).await?;
    control.actors().sandbox_awake(id, *principal).await?;
    Ok(permit)
}

async fn permit(
    control: &Control,
    principal: &Principal,
    action: Action,
    id: SandboxId,
) -> Result<SessionPermit, SessionError> {
    // A session may last for hours, and so may the wait for its sandbox: neither takes a place from others, so the pass
    // ends here.
    let pass = control.enter(principal, action).await?;
    let grant = control.actors().grant(*principal, action);
    find(control, pass.team(), id).await?;
    Ok(SessionPermit { id, grant })
}

impl SessionPermit {
    /// Waits until the permission is revoked.
    pub async fn revoked(&self) {
        self.grant.revoked().await;
    }

    /// Opens a session, as [`run`] does, without a second check.
    ///
    /// # Errors
    /// [`SessionError::Open`].
    pub async fn open<I: Input>(
        &self,
        control: &Control,
        opening: impl Into<I>,
    ) -> Result<Session<I>, SessionError> {
        Ok(control.actors().session_open(self.id, opening, self.grant.clone()).await?)
    }
}
