//! Sets who may reach the ports of a sandbox.

use uuid::Builder;
use wrenn_actors::OperationError;
use wrenn_base::Rng;
use wrenn_domain::{
    action::Action, ids::SandboxId, preview::PreviewAccess, principal::Principal, sandbox::Sandbox,
};

use crate::Control;

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
/// See [`OperationError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    id: SandboxId,
    access: Option<PreviewAccess>,
    token: PreviewToken,
) -> Result<Sandbox, OperationError> {
    let pass = control.enter(principal, Action::SandboxPreview).await?;
    let mut intent = pass.intent().of(id);
    if let Some(access) = access {
        intent = intent.with("access", access);
    }
    if token == PreviewToken::Rotate {
        intent = intent.with("token", "rotated");
    }
    let changed = async {
        let new_token = (token == PreviewToken::Rotate).then(|| new_token(control.rng()));
        let changed =
            control.store().sandbox_preview_set(pass.team(), id, access, new_token.as_deref(), &intent).await;
        changed.map_err(OperationError::Store)?.ok_or(OperationError::NotFound(id))
    };
    let changed = changed.await;
    let changed = control.audited(intent, changed).await?;
    tracing::info!(sandbox_id = %id, ?access, ?token, "preview access changed");
    Ok(changed)
}

/// Makes up a token: a random UUID, as the database makes one up for a new sandbox.
fn new_token(rng: &Rng) -> String {
    Builder::from_random_bytes(rng.bytes()).into_uuid().simple().to_string()
}
