//! Teams and who belongs to them.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    ids::{TeamId, UserId},
    team::{Role, Team},
};

use crate::{Store, StoreError};

struct TeamRow {
    id: Uuid,
    name: String,
    slug: String,
    is_byoc: bool,
    created_at: DateTime<Utc>,
    role: String,
}

impl TryFrom<TeamRow> for (Team, Role) {
    type Error = StoreError;

    fn try_from(row: TeamRow) -> Result<Self, StoreError> {
        let role = row.role.parse()?;
        let team = Team {
            id: TeamId(row.id),
            name: row.name,
            slug: row.slug,
            is_byoc: row.is_byoc,
            created_at: row.created_at,
        };
        Ok((team, role))
    }
}

impl Store {
    /// The teams of a user with the user's role in each; the default team first, then by name.
    pub async fn teams_of_user(&self, user_id: UserId) -> Result<Vec<(Team, Role)>, StoreError> {
        sqlx::query_as!(
            TeamRow,
            "SELECT t.id, t.name, t.slug, t.is_byoc, t.created_at, m.role
             FROM team_members m JOIN teams t ON t.id = m.team_id
             WHERE m.user_id = $1 AND t.deleted_at IS NULL
             ORDER BY m.is_default DESC, t.name, t.id",
            user_id.0,
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
    }

    /// The team that signing in leads to: the default one, else any; null when the user has none.
    pub async fn team_default_of_user(&self, user_id: UserId) -> Result<Option<TeamId>, StoreError> {
        let id = sqlx::query_scalar!(
            "SELECT t.id FROM team_members m JOIN teams t ON t.id = m.team_id
             WHERE m.user_id = $1 AND t.deleted_at IS NULL
             ORDER BY m.is_default DESC, m.joined_at, t.id LIMIT 1",
            user_id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(TeamId))
    }
}
