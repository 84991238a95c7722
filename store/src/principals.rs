//! Principals as the database sees them now, and the notices of Postgres when one may have changed.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::{PgListener, PgPoolOptions};
use wrenn_domain::{
    ids::{ApiKeyId, TeamId, UserId},
    principal::{Membership, Principal},
};

use crate::{Store, StoreError, api_keys::scopes};

/// Channel of the notices; `migrations/` has the triggers that write to it.
const CHANNEL: &str = "wrenn_principals";

impl Store {
    /// Returns each of the principals whose credentials are still accepted, with the rights that it has now.
    ///
    /// A user whose tokens have ended, a key that is gone, and both when the account is switched off, are left out. A user
    /// who left the team is returned without membership.
    pub async fn principals_now(
        &self,
        principals: HashSet<Principal>,
    ) -> Result<HashMap<Principal, Principal>, StoreError> {
        let (mut users, mut keys) = (Vec::new(), Vec::new());
        for principal in principals {
            match principal {
                Principal::User { id, membership, epoch, .. } => {
                    users.push((principal, id.0, membership.map(|membership| membership.team.0), epoch));
                }
                Principal::ApiKey { id, .. } => keys.push((principal, id.0)),
                Principal::Anonymous | Principal::Host { .. } | Principal::System { .. } => {}
            }
        }
        let mut now = HashMap::new();
        if !users.is_empty() {
            let numbers: Vec<i64> = (0..).take(users.len()).collect();
            let ids: Vec<_> = users.iter().map(|(_, id, ..)| *id).collect();
            let teams: Vec<_> = users.iter().map(|(_, _, team, _)| *team).collect();
            let epochs: Vec<_> = users.iter().map(|(.., epoch)| *epoch).collect();
            let rows = sqlx::query!(
                "SELECT asked.number AS \"number!\", u.id, u.is_admin, m.team_id AS \"team_id?\", m.role AS \"role?\"
                 FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[]) AS asked (number, id, team, epoch)
                 JOIN users u ON u.id = asked.id AND u.is_active AND u.token_epoch = asked.epoch
                 LEFT JOIN (team_members m JOIN teams t ON t.id = m.team_id AND t.deleted_at IS NULL)
                        ON m.user_id = u.id AND m.team_id = asked.team",
                &numbers,
                &ids,
                &teams as &[Option<uuid::Uuid>],
                &epochs,
            );
            for row in rows.fetch_all(&self.pool).await? {
                let asked = usize::try_from(row.number).ok().and_then(|number| users.get(number));
                let Some(&(principal, _, _, epoch)) = asked else { continue };
                let membership = match (row.team_id, row.role) {
                    (Some(team), Some(role)) => Some(Membership { team: TeamId(team), role: role.parse()? }),
                    _ => None,
                };
                let (id, is_admin) = (UserId(row.id), row.is_admin);
                now.insert(principal, Principal::User { id, membership, is_admin, epoch });
            }
        }
        if !keys.is_empty() {
            let ids: Vec<_> = keys.iter().map(|(_, id)| *id).collect();
            let rows = sqlx::query!(
                "SELECT k.id, k.team_id, k.created_by, k.scopes, m.role
                 FROM api_keys k
                 JOIN teams t ON t.id = k.team_id AND t.deleted_at IS NULL
                 JOIN users u ON u.id = k.created_by AND u.is_active
                 JOIN team_members m ON m.team_id = k.team_id AND m.user_id = k.created_by
                 WHERE k.id = ANY($1) AND (k.expires_at IS NULL OR k.expires_at > now())",
                &ids,
            );
            for row in rows.fetch_all(&self.pool).await? {
                let current = Principal::ApiKey {
                    id: ApiKeyId(row.id),
                    team: TeamId(row.team_id),
                    created_by: UserId(row.created_by),
                    scopes: scopes(&row.scopes)?.limited_to(row.role.parse()?),
                };
                let asked = keys.iter().filter(|(_, id)| *id == row.id);
                now.extend(asked.map(|(principal, _)| (*principal, current)));
            }
        }
        Ok(now)
    }

    /// Listens for notices that a principal may have lost rights. It has a connection of its own.
    pub async fn principal_notices(&self) -> Result<PrincipalNotices, StoreError> {
        let options = self.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(PrincipalNotices { listener })
    }
}

/// Notices that a principal may have lost rights.
#[derive(Debug)]
pub struct PrincipalNotices {
    listener: PgListener,
}

impl PrincipalNotices {
    /// Waits for a notice; several that are there already count as one.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        self.listener.recv().await?;
        while self.listener.next_buffered().is_some() {}
        Ok(())
    }
}
