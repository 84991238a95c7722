//! Makes a link that replaces a user's password, for an administrator who passes it on.

use chrono::{DateTime, Utc};
use wrenn_domain::{
    action::Action, admission::EnterError, ids::UserId, principal::Principal, user::LinkKind,
};
use wrenn_store::StoreError;

use crate::{Control, auth::secret, public_url::Page};

/// The reason for which there is no link.
#[derive(Debug, thiserror::Error)]
pub enum CreateResetLinkError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// There is no such user.
    #[error("there is no user {0}")]
    NotFound(UserId),
    /// The database failed.
    #[error("the link could not be stored")]
    Store(#[from] StoreError),
}

/// Makes the link; returns it and the end of its time. The former link of the user ends.
///
/// # Errors
/// See [`CreateResetLinkError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    user: UserId,
) -> Result<(String, DateTime<Utc>), CreateResetLinkError> {
    let pass = control.enter(principal, Action::ResetLinkCreate).await?;
    let intent = pass.intent().of_platform().of(user);
    let token = secret::token(control.rng());
    let hash = secret::hash(&token);
    let issued = async {
        let issued =
            control.store().user_link_issue(user, LinkKind::PasswordReset, &hash, Some(&intent)).await?;
        issued.ok_or(CreateResetLinkError::NotFound(user))
    };
    let expires_at = control.audited(intent.clone(), issued.await).await?;
    tracing::info!(user_id = %user, "password reset link made by an administrator");
    Ok((control.shared.accounts.public_url.link(Page::ResetPassword, &token), expires_at))
}
