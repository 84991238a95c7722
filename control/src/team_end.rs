//! The end of a team, whoever ends it.

use wrenn_domain::{audit::AuditIntent, ids::TeamId};
use wrenn_store::teams::TeamDeletion;

use crate::{Control, team_error::TeamChangeError};

/// Deletes a team: nobody finds it any more, and its members, keys and invitations have ended when this returns. Its builds,
/// capsules and templates are removed afterwards, also by the next server.
///
/// # Errors
/// See [`TeamChangeError`]; the caller writes the refusal to the audit log.
pub(crate) async fn end(
    control: &Control,
    team: TeamId,
    deletion: TeamDeletion,
    intent: &AuditIntent,
) -> Result<(), TeamChangeError> {
    control.store().team_delete(team, deletion, intent).await?;
    tracing::info!(team_id = %team, "team deleted");
    control.actors().clean_up_deleted_teams();
    Ok(())
}
