//! Access to the ports of a sandbox.

use wrenn_domain::{
    ids::{ApiKeyId, SandboxId, TeamId, UserId},
    preview::{Preview, PreviewHolder},
    principal::{Membership, Principal},
};

use crate::{Store, StoreError, api_keys::scopes};

impl Store {
    /// Returns the access to the ports of a sandbox, with the holder of a visitor's token as it is now; `None` if there is
    /// no such sandbox, it is gone, or a build works in it.
    pub async fn sandbox_preview(
        &self,
        id: SandboxId,
        holder: Option<PreviewHolder>,
    ) -> Result<Option<Preview>, StoreError> {
        let (user, epoch, key) = match holder {
            Some(PreviewHolder::User { id, epoch }) => (Some(id.0), Some(epoch), None),
            Some(PreviewHolder::ApiKey { id }) => (None, None, Some(id.0)),
            None => (None, None, None),
        };
        let row = sqlx::query!(
            "SELECT s.preview_access, s.preview_token, s.team_id, k.id AS \"key_id?\", k.scopes AS \"scopes?\",
                    u.id AS \"user_id?\", u.is_admin AS \"is_admin?\", u.token_epoch AS \"epoch?\", m.role AS \"role?\"
             FROM sandboxes s
             JOIN teams t ON t.id = s.team_id AND t.deleted_at IS NULL
             LEFT JOIN api_keys k ON k.id = $4 AND k.team_id = s.team_id
                    AND (k.expires_at IS NULL OR k.expires_at > now())
             LEFT JOIN users u ON u.id = COALESCE($2, k.created_by) AND u.is_active
                    AND ($3::bigint IS NULL OR u.token_epoch = $3)
             LEFT JOIN team_members m ON m.team_id = s.team_id AND m.user_id = u.id
             WHERE s.id = $1 AND s.destroyed_at IS NULL AND s.build_attempt IS NULL",
            id.0,
            user,
            epoch,
            key,
        );
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(None) };
        let team = TeamId(row.team_id);
        let holder = match (row.user_id, row.is_admin, row.epoch, row.role) {
            (Some(user), Some(is_admin), Some(epoch), Some(role)) => {
                let (id, role) = (UserId(user), role.parse()?);
                Some(match (row.key_id, row.scopes) {
                    (Some(key), Some(words)) => Principal::ApiKey {
                        id: ApiKeyId(key),
                        team,
                        created_by: id,
                        scopes: scopes(&words)?.limited_to(role),
                    },
                    _ => Principal::User { id, membership: Some(Membership { team, role }), is_admin, epoch },
                })
            }
            _ => None,
        };
        Ok(Some(Preview { access: row.preview_access.parse()?, secret: row.preview_token, holder }))
    }
}
