//! Locks of teams, and the rows that make users their members.
//!
//! ```text
//!   lock the team's row ─▶ role of whoever makes the change, read anew ─▶ change, audit entry
//! ```
//!
//! Every change of a team and its members holds the lock of the team's row, so a team has exactly one owner at any time,
//! and a change by a member who loses the role at the same moment is refused. A statement after the lock sees what others
//! committed before it. A transaction that also locks a user's row locks that row first.

use sqlx::PgConnection;
use wrenn_domain::{
    ids::{TeamId, UserId},
    team::{MAX_MEMBERS, MAX_MEMBERSHIPS, Role, TeamRefusal},
};

use crate::StoreError;

/// Reason for which a team or its members stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum TeamChangeError {
    /// The rules do not allow the change.
    #[error(transparent)]
    Refused(#[from] TeamRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TeamChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Locks a team against other changes of it and its members; returns the role that `by` has in it now.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    team: TeamId,
    by: UserId,
) -> Result<Role, TeamChangeError> {
    lock_team(connection, team).await?;
    let role = role_of(connection, team, by).await?;
    role.ok_or(TeamRefusal::Gone.into())
}

/// As [`lock`], for a member who is at least an admin.
pub(crate) async fn lock_as_admin(
    connection: &mut PgConnection,
    team: TeamId,
    by: UserId,
) -> Result<Role, TeamChangeError> {
    match lock(connection, team, by).await? {
        role if role.includes(Role::Admin) => Ok(role),
        _ => Err(TeamRefusal::RoleTooLow(Role::Admin).into()),
    }
}

/// Locks a team that is not deleted.
pub(crate) async fn lock_team(connection: &mut PgConnection, team: TeamId) -> Result<(), TeamChangeError> {
    let found = sqlx::query_scalar!(
        "SELECT id FROM teams WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE",
        team.0
    );
    match found.fetch_optional(connection).await? {
        Some(_) => Ok(()),
        None => Err(TeamRefusal::Gone.into()),
    }
}

/// Locks a user against changes of the user's teams that take place at the same time.
pub(crate) async fn lock_user(connection: &mut PgConnection, user: UserId) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user.0)
        .fetch_optional(connection)
        .await?;
    Ok(())
}

/// Returns the role of a user in a team; `None` if the user is no member.
pub(crate) async fn role_of(
    connection: &mut PgConnection,
    team: TeamId,
    user: UserId,
) -> Result<Option<Role>, StoreError> {
    let role = sqlx::query_scalar!(
        "SELECT role FROM team_members WHERE team_id = $1 AND user_id = $2",
        team.0,
        user.0
    );
    Ok(role.fetch_optional(connection).await?.as_deref().map(str::parse).transpose()?)
}

/// Refuses the member who was just written if the team has more than a team can, or the user belongs to more teams than a user
/// can; the caller rolls back.
///
/// The caller holds the locks of user and team.
pub(crate) async fn check_room(
    connection: &mut PgConnection,
    team: TeamId,
    user: UserId,
) -> Result<(), TeamChangeError> {
    let counts = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM team_members WHERE team_id = $1) AS "members!",
            (SELECT count(*) FROM team_members m JOIN teams t ON t.id = m.team_id
             WHERE m.user_id = $2 AND t.deleted_at IS NULL) AS "memberships!""#,
        team.0,
        user.0,
    );
    let counts = counts.fetch_one(connection).await?;
    if counts.members > i64::from(MAX_MEMBERS) {
        return Err(TeamRefusal::TooManyMembers.into());
    }
    if counts.memberships > i64::from(MAX_MEMBERSHIPS) {
        return Err(TeamRefusal::TooManyMemberships.into());
    }
    Ok(())
}

/// Writes a member. The first team of a user becomes the default one; `false` if the user is a member already.
///
/// The caller holds the locks of user and team.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    team: TeamId,
    user: UserId,
    role: Role,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "INSERT INTO team_members (team_id, user_id, role, is_default)
         SELECT $1, $2, $3, NOT EXISTS (SELECT FROM team_members m JOIN teams t ON t.id = m.team_id
            WHERE m.user_id = $2 AND t.deleted_at IS NULL)
         ON CONFLICT (team_id, user_id) DO NOTHING",
        team.0,
        user.0,
        role.as_str(),
    );
    Ok(inserted.execute(connection).await?.rows_affected() == 1)
}
