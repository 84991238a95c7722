//! Opens the preview of a sandbox to a visitor.
//!
//! ```text
//!   find ─▶ Preview ─▶ token accepted? ─▶ run: wake ─▶ ActivityGuard, held while the request is served
//! ```
//!
//! A visitor is not a principal of the table of actions: knowledge of the preview's token admits it, which the interface
//! reads from the request and compares. The sandbox is woken on behalf of the control plane. Each visit costs one
//! statement, and waits for no other team's requests.

use wrenn_actors::{ActivityGuard, SessionOpenError};
use wrenn_domain::{
    ids::SandboxId,
    preview::Preview,
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

/// Returns the access rule of a sandbox's previews, and their token.
///
/// # Errors
/// [`PreviewOpenError::NotFound`] or [`PreviewOpenError::Store`].
pub async fn find(control: &Control, id: SandboxId) -> Result<Preview, PreviewOpenError> {
    control.store().sandbox_preview(id).await?.ok_or(PreviewOpenError::NotFound(id))
}

/// Wakes a sandbox for an admitted visitor. The sandbox counts as in use until the guard is dropped.
///
/// # Errors
/// [`PreviewOpenError::Open`].
pub async fn run(control: &Control, id: SandboxId) -> Result<ActivityGuard, PreviewOpenError> {
    control.actors().sandbox_awake(id, VISITOR).await?;
    Ok(control.actors().sandbox_in_use(id))
}
