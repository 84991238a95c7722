//! Opens the preview of a sandbox to a visitor.
//!
//! ```text
//!   find ─▶ Preview ─▶ token accepted? ─▶ run: wake ─▶ Visit, held while the request is served
//! ```
//!
//! A visitor is not a principal of the table of actions: knowledge of a token admits it, which the interface reads from the
//! request and compares. The token names the principal to which it was shown, and a visit lasts no longer than that
//! principal's rights. The sandbox is woken on behalf of the control plane. Each visit costs one statement, and waits for
//! no other team's requests.

use wrenn_actors::{ActivityGuard, Grant, SessionOpenError};
use wrenn_domain::{
    ids::SandboxId,
    preview::{self, Preview, PreviewHolder},
    principal::{Principal, SystemReason},
};
use wrenn_store::StoreError;

use crate::Control;

/// Principal for which a visit wakes a sandbox and connects to it.
pub const VISITOR: Principal = Principal::system(SystemReason::Traffic);

/// The reason for which a preview is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PreviewOpenError {
    /// There is no such sandbox, or it was destroyed.
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    /// The database failed.
    #[error("the capsule could not be looked up")]
    Store(#[from] StoreError),
    /// The sandbox does not run, and could not be woken.
    #[error(transparent)]
    Open(#[from] SessionOpenError),
}

/// A visitor that was let in.
#[derive(Debug)]
pub struct Visit {
    /// Counts as use of the sandbox until it is dropped.
    pub in_use: ActivityGuard,
    /// Permission of the holder of the visitor's token; `None` where everybody may enter.
    pub grant: Option<Grant>,
}

/// Returns the access to a sandbox's previews, with the holder of a visitor's token as it is now.
///
/// # Errors
/// [`PreviewOpenError::NotFound`] or [`PreviewOpenError::Store`].
pub async fn find(
    control: &Control,
    id: SandboxId,
    holder: Option<PreviewHolder>,
) -> Result<Preview, PreviewOpenError> {
    control.store().sandbox_preview(id, holder).await?.ok_or(PreviewOpenError::NotFound(id))
}

/// Wakes a sandbox for an admitted visitor, with the permission of `holder` if a token was needed.
///
/// # Errors
/// [`PreviewOpenError::Open`].
pub async fn run(
    control: &Control,
    id: SandboxId,
    holder: Option<Principal>,
) -> Result<Visit, PreviewOpenError> {
    let actors = control.actors();
    let grant = holder.map(|holder| actors.grant(holder, preview::ACTION));
    actors.sandbox_awake(id, VISITOR).await?;
    Ok(Visit { in_use: actors.sandbox_in_use(id), grant })
}
