//! Teams.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::{TeamId, UserId},
    team::{MAX_OWNED_TEAMS, NewTeam, Role, Team, TeamRefusal},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    membership::{self, TeamChangeError},
};

/// The principal that deletes a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TeamDeletion {
    /// A user, who must own the team.
    ByOwner(UserId),
    /// An administrator of the platform, or the control plane itself.
    ByPlatform,
}

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

/// Deletes a team, whose lock the caller holds: its members, keys and invitations end. The row stays, and keeps its slug,
/// because other rows name it; what runs is removed through the actors.
pub(crate) async fn delete(connection: &mut PgConnection, team: TeamId) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE teams SET deleted_at = now() WHERE id = $1", team.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM team_invitations WHERE team_id = $1", team.0).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM api_keys WHERE team_id = $1", team.0).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM channels WHERE team_id = $1", team.0).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM team_members WHERE team_id = $1", team.0).execute(connection).await?;
    Ok(())
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

    /// Returns a team; `None` if there is none, or it is deleted.
    pub async fn team_find(&self, team: TeamId) -> Result<Option<Team>, StoreError> {
        let row = sqlx::query!(
            "SELECT id, name, slug, is_byoc, created_at FROM teams WHERE id = $1 AND deleted_at IS NULL",
            team.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Team {
            id: TeamId(row.id),
            name: row.name,
            slug: row.slug,
            is_byoc: row.is_byoc,
            created_at: row.created_at,
        }))
    }

    /// Returns the names of teams, also of those that are deleted.
    pub async fn team_names(
        &self,
        teams: impl IntoIterator<Item = TeamId>,
    ) -> Result<BTreeMap<TeamId, String>, StoreError> {
        let ids: Vec<Uuid> = teams.into_iter().map(|team| team.0).collect();
        let rows = sqlx::query!("SELECT id, name FROM teams WHERE id = ANY($1)", &ids);
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(|row| (TeamId(row.id), row.name)).collect())
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

    /// Makes a team that a user owns, with the audit entry. The user's first team becomes the default one.
    pub async fn team_create(
        &self,
        new: &NewTeam,
        owner: UserId,
        intent: &AuditIntent,
    ) -> Result<Team, TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        membership::lock_user(&mut transaction, owner).await?;
        let owned = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM team_members m JOIN teams t ON t.id = m.team_id
               WHERE m.user_id = $1 AND m.role = 'owner' AND t.deleted_at IS NULL"#,
            owner.0,
        );
        if owned.fetch_one(&mut *transaction).await? >= i64::from(MAX_OWNED_TEAMS) {
            return Err(TeamRefusal::TooManyTeams.into());
        }
        let row = sqlx::query!(
            "INSERT INTO teams (id, name, slug) VALUES ($1, $2, $3) RETURNING is_byoc, created_at",
            new.id.0,
            new.name,
            new.slug,
        );
        let row = row.fetch_one(&mut *transaction).await?;
        membership::insert(&mut transaction, new.id, owner, Role::Owner).await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Team {
            id: new.id,
            name: new.name.clone(),
            slug: new.slug.clone(),
            is_byoc: row.is_byoc,
            created_at: row.created_at,
        })
    }

    /// Gives a team another name, with the audit entry.
    pub async fn team_rename(
        &self,
        team: TeamId,
        by: UserId,
        name: &str,
        intent: &AuditIntent,
    ) -> Result<(), TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        membership::lock_as_admin(&mut transaction, team, by).await?;
        sqlx::query!("UPDATE teams SET name = $2 WHERE id = $1", team.0, name)
            .execute(&mut *transaction)
            .await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes a team, with the audit entry: its members, keys, invitations and channels end at once. What runs is removed through the
    /// actors.
    pub async fn team_delete(
        &self,
        team: TeamId,
        deletion: TeamDeletion,
        intent: &AuditIntent,
    ) -> Result<(), TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        match deletion {
            TeamDeletion::ByPlatform => membership::lock_team(&mut transaction, team).await?,
            TeamDeletion::ByOwner(user) => match membership::lock(&mut transaction, team, user).await? {
                Role::Owner => {}
                Role::Admin | Role::Member => return Err(TeamRefusal::RoleTooLow(Role::Owner).into()),
            },
        }
        // Before the rows of keys are gone, from one of which the entry takes its actor's name.
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        delete(&mut transaction, team).await?;
        transaction.commit().await?;
        Ok(())
    }
}
