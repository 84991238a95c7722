//! Statements for the administrators of the platform: all teams, all users, and the switches on them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    administration::{AccountSwitch, AdminRight, OwnHosts, TeamOverview, TeamOwner, UserOverview},
    audit::{AuditIntent, AuditStatus},
    ids::{TeamId, UserId},
    page::{Page, PageRequest, Position},
    quota::Quota,
    team::Team,
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

/// The reason for which an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeUserError {
    /// There is no such account.
    #[error("there is no such user")]
    NotFound,
    /// The platform would be left without an administrator.
    #[error("the user is the platform's last active administrator")]
    LastAdmin,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ChangeUserError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

struct TeamRow {
    id: Uuid,
    name: String,
    slug: String,
    is_byoc: bool,
    created_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
    quota: Json<Quota>,
    members: i64,
    running_capsules: i64,
    owner_id: Option<Uuid>,
    owner_name: Option<String>,
    owner_email: Option<String>,
}

impl From<TeamRow> for TeamOverview {
    fn from(row: TeamRow) -> Self {
        let owner = match (row.owner_id, row.owner_name, row.owner_email) {
            (Some(id), Some(name), Some(email)) => Some(TeamOwner { id: UserId(id), name, email }),
            _ => None,
        };
        Self {
            team: Team {
                id: TeamId(row.id),
                name: row.name,
                slug: row.slug,
                is_byoc: row.is_byoc,
                created_at: row.created_at,
            },
            owner,
            members: row.members.unsigned_abs(),
            running_capsules: row.running_capsules.unsigned_abs(),
            quota: row.quota.0,
            deleted_at: row.deleted_at,
        }
    }
}

/// Keeps other changes of the platform's active administrators waiting, and returns who they are.
async fn active_admins(connection: &mut PgConnection) -> Result<Vec<UserId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM users WHERE is_admin AND is_active ORDER BY id FOR NO KEY UPDATE"
    );
    Ok(ids.fetch_all(connection).await?.into_iter().map(UserId).collect())
}

/// Fails if an account is the only active administrator of the platform.
async fn not_the_last_admin(connection: &mut PgConnection, user: UserId) -> Result<(), ChangeUserError> {
    if active_admins(connection).await? == [user] { Err(ChangeUserError::LastAdmin) } else { Ok(()) }
}

impl Store {
    /// Returns all teams but the platform's own, newest first, also those that are deleted.
    pub async fn team_list_all(&self, page: PageRequest) -> Result<Page<TeamOverview>, StoreError> {
        let (at, id) = page.bounds();
        let rows = sqlx::query_as!(
            TeamRow,
            r#"SELECT teams.id, teams.name, slug, is_byoc, teams.created_at, deleted_at, quota AS "quota: Json<Quota>",
                (SELECT count(*) FROM team_members AS member WHERE member.team_id = teams.id) AS "members!",
                (SELECT count(*) FROM sandboxes WHERE sandboxes.team_id = teams.id AND status = 'running'
                    AND destroyed_at IS NULL) AS "running_capsules!",
                owner.id AS "owner_id?", owner.name AS "owner_name?", owner.email AS "owner_email?"
               FROM teams
               LEFT JOIN team_members ON team_members.team_id = teams.id AND role = 'owner'
               LEFT JOIN users AS owner ON owner.id = team_members.user_id
               WHERE teams.id <> $1 AND (teams.created_at, teams.id) < (COALESCE($2::timestamptz, 'infinity'),
                COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
               ORDER BY teams.created_at DESC, teams.id DESC LIMIT $4"#,
            TeamId::PLATFORM.0,
            at,
            id,
            page.rows_to_read(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter().map(TeamOverview::from).collect();
        let position = |row: &TeamOverview| Position { at: row.team.created_at, id: row.team.id.0 };
        Ok(Page::of(rows, page, position))
    }

    /// Allows or forbids a team to bring hosts of its own, with the audit entry; false if there is no such team, or it is
    /// deleted. Hosts that it has stay.
    pub async fn team_set_byoc(
        &self,
        team: TeamId,
        hosts: OwnHosts,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let changed = audit::change!(
            "UPDATE teams SET is_byoc = $16 WHERE id = $15 AND deleted_at IS NULL RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            team.0,
            hosts == OwnHosts::Allowed,
        );
        Ok(changed.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Returns all users, newest first.
    pub async fn user_list_all(&self, page: PageRequest) -> Result<Page<UserOverview>, StoreError> {
        let (at, id) = page.bounds();
        let rows = sqlx::query!(
            r#"SELECT id, email, name, is_admin, is_active, created_at,
                (SELECT count(*) FROM team_members AS m JOIN teams ON teams.id = m.team_id AND deleted_at IS NULL
                    WHERE m.user_id = users.id) AS "teams_joined!",
                (SELECT count(*) FROM team_members AS m JOIN teams ON teams.id = m.team_id AND deleted_at IS NULL
                    WHERE m.user_id = users.id AND m.role = 'owner') AS "teams_owned!"
               FROM users
               WHERE (created_at, id) < (COALESCE($1::timestamptz, 'infinity'),
                COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
               ORDER BY created_at DESC, id DESC LIMIT $3"#,
            at,
            id,
            page.rows_to_read(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let overview = rows.map(|row| UserOverview {
            id: UserId(row.id),
            email: row.email,
            name: row.name,
            is_admin: row.is_admin,
            is_active: row.is_active,
            teams_joined: row.teams_joined.unsigned_abs(),
            teams_owned: row.teams_owned.unsigned_abs(),
            created_at: row.created_at,
        });
        Ok(Page::of(overview.collect(), page, |row| Position { at: row.created_at, id: row.id.0 }))
    }

    /// Switches an account on or off, with the audit entry. Switching it off ends its tokens.
    ///
    /// # Errors
    /// See [`ChangeUserError`].
    pub async fn user_set_active(
        &self,
        user: UserId,
        switch: AccountSwitch,
        intent: &AuditIntent,
    ) -> Result<(), ChangeUserError> {
        let mut transaction = self.pool.begin().await?;
        if switch == AccountSwitch::Off {
            not_the_last_admin(&mut transaction, user).await?;
        }
        let changed = audit::change!(
            "UPDATE users SET is_active = $16, token_epoch = token_epoch + CASE WHEN $16 THEN 0 ELSE 1 END,
                updated_at = now()
             WHERE id = $15 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            user.0,
            switch == AccountSwitch::On,
        );
        if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(ChangeUserError::NotFound);
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Grants or withdraws the administration of the platform, with the audit entry.
    ///
    /// # Errors
    /// See [`ChangeUserError`].
    pub async fn user_set_admin(
        &self,
        user: UserId,
        right: AdminRight,
        intent: &AuditIntent,
    ) -> Result<(), ChangeUserError> {
        let mut transaction = self.pool.begin().await?;
        if right == AdminRight::Withdrawn {
            not_the_last_admin(&mut transaction, user).await?;
        }
        let changed = audit::change!(
            "UPDATE users SET is_admin = $16, updated_at = now() WHERE id = $15 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            user.0,
            right == AdminRight::Granted,
        );
        if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(ChangeUserError::NotFound);
        }
        transaction.commit().await?;
        Ok(())
    }
}
