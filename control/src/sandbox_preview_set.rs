//! Sets who may reach the ports of a sandbox.

use uuid::Uuid;
use wrenn_domain::{
    action::Action, ids::SandboxId, preview::PreviewAccess, principal::Principal, sandbox::Sandbox,
};

use crate::{Control, sandbox_operate::OperateError};

/// Change of the token of a sandbox's previews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewToken {
    /// The token stays.
    Keep,
    /// A new one takes its place; links with the old one lead nowhere.
    Rotate,
}

/// Changes who may reach the ports of a sandbox of the principal's team.
///
/// # Errors
/// See [`OperateError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: SandboxId,
    access: Option<PreviewAccess>,
    token: PreviewToken,
) -> Result<Sandbox, OperateError> {
    let pass = control.enter(principal, Action::SandboxPreview).await?;
    let mut intent = pass.intent().of(id);
    if let Some(access) = access {
        intent = intent.with("access", access);
    }
    if token == PreviewToken::Rotate {
        intent = intent.with("token", "rotated");
    }
    let changed = async {
        let new_token = (token == PreviewToken::Rotate).then(|| Uuid::new_v4().simple().to_string());
        let changed =
            control.store().sandbox_preview_set(pass.team(), id, access, new_token.as_deref(), &intent).await;
        changed.map_err(OperateError::Store)?.ok_or(OperateError::NotFound(id))
    };
    let changed = changed.await;
    let changed = control.audited(intent, changed).await?;
    tracing::info!(sandbox_id = %id, ?access, ?token, "preview access changed");
    Ok(changed)
}
