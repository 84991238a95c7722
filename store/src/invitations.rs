//! Invitations to teams. Only the hashes of their tokens are kept.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::{InvitationId, TeamId, UserId},
    team::{
        INVITATION_TTL, Invitation, InvitationHash, MAX_INVITATIONS, NewInvitation, Role, Team, TeamRefusal,
    },
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    membership::{self, TeamChangeError},
};

struct Row {
    id: Uuid,
    team_id: Uuid,
    email: String,
    role: String,
    invited_by: Uuid,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl TryFrom<Row> for Invitation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: InvitationId(row.id),
            team_id: TeamId(row.team_id),
            email: row.email,
            role: row.role.parse()?,
            invited_by: UserId(row.invited_by),
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// Writes an invitation, in place of an earlier one for the same address. The caller holds the team's lock.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    by: UserId,
    new: &NewInvitation,
) -> Result<Invitation, TeamChangeError> {
    if new.role == Role::Owner {
        return Err(TeamRefusal::OwnerNotGiven.into());
    }
    let is_member = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM team_members m JOIN users u ON u.id = m.user_id
            WHERE m.team_id = $1 AND lower(u.email) = lower($2)) AS "is_member!""#,
        new.team_id.0,
        new.email,
    );
    if is_member.fetch_one(&mut *connection).await? {
        return Err(TeamRefusal::AlreadyMember(new.email.clone()).into());
    }
    delete_for(connection, new.team_id, &new.email).await?;
    let open = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM team_invitations WHERE team_id = $1 AND expires_at > now()"#,
        new.team_id.0,
    );
    if open.fetch_one(&mut *connection).await? >= i64::from(MAX_INVITATIONS) {
        return Err(TeamRefusal::TooManyInvitations.into());
    }
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO team_invitations (id, team_id, email, role, token_hash, invited_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
         RETURNING id, team_id, email, role, invited_by, created_at, expires_at",
        new.id.0,
        new.team_id.0,
        new.email,
        new.role.as_str(),
        new.token_hash.as_slice(),
        by.0,
        INVITATION_TTL.as_secs_f64(),
    );
    Ok(row.fetch_one(connection).await?.try_into()?)
}

/// Deletes the invitation of a team for an address, if there is one.
pub(crate) async fn delete_for(
    connection: &mut PgConnection,
    team: TeamId,
    email: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM team_invitations WHERE team_id = $1 AND lower(email) = lower($2)",
        team.0,
        email
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes the invitations of a team that a user made, who is no longer one of its admins.
pub(crate) async fn delete_made_by(
    connection: &mut PgConnection,
    team: TeamId,
    user: UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM team_invitations WHERE team_id = $1 AND invited_by = $2", team.0, user.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the open invitation that a token with this hash opens.
pub(crate) async fn find(
    connection: &mut PgConnection,
    hash: &InvitationHash,
) -> Result<Option<Invitation>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT i.id, i.team_id, i.email, i.role, i.invited_by, i.created_at, i.expires_at
         FROM team_invitations i JOIN teams t ON t.id = i.team_id AND t.deleted_at IS NULL
         WHERE i.token_hash = $1 AND i.expires_at > now()",
        hash.as_slice(),
    );
    row.fetch_optional(connection).await?.map(TryInto::try_into).transpose()
}

/// Makes a user a member of the team of an invitation, which ends, as part of the caller's transaction. A user who is a member
/// already keeps the role.
pub(crate) async fn accept(
    connection: &mut PgConnection,
    invitation: &Invitation,
    user: UserId,
) -> Result<(), TeamChangeError> {
    membership::lock_user(connection, user).await?;
    match membership::lock_team(connection, invitation.team_id).await {
        Err(TeamChangeError::Refused(_)) => return Err(TeamRefusal::InvalidInvitation.into()),
        locked => locked?,
    }
    let taken = sqlx::query_scalar!(
        "DELETE FROM team_invitations WHERE id = $1 AND expires_at > now()
            AND lower(email) = (SELECT lower(email) FROM users WHERE id = $2 AND is_active)
         RETURNING role",
        invitation.id.0,
        user.0,
    );
    let Some(role) = taken.fetch_optional(&mut *connection).await? else {
        let is_open = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM team_invitations WHERE id = $1 AND expires_at > now()) AS "is_open!""#,
            invitation.id.0,
        );
        return Err(match is_open.fetch_one(&mut *connection).await? {
            true => TeamRefusal::OtherAddress.into(),
            false => TeamRefusal::InvalidInvitation.into(),
        });
    };
    let role: Role = role.parse().map_err(StoreError::from)?;
    if membership::insert(connection, invitation.team_id, user, role).await? {
        membership::check_room(connection, invitation.team_id, user).await?;
    }
    Ok(())
}

impl Store {
    /// Makes an invitation, with its audit entry.
    pub async fn invitation_create(
        &self,
        new: &NewInvitation,
        by: UserId,
        intent: &AuditIntent,
    ) -> Result<Invitation, TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        membership::lock_as_admin(&mut transaction, new.team_id, by).await?;
        let invitation = insert(&mut transaction, by, new).await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(invitation)
    }

    /// Returns the open invitations of a team, newest first.
    pub async fn invitations_of_team(&self, team: TeamId) -> Result<Vec<Invitation>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, team_id, email, role, invited_by, created_at, expires_at FROM team_invitations
             WHERE team_id = $1 AND expires_at > now() ORDER BY created_at DESC, id DESC",
            team.0,
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(TryInto::try_into).collect()
    }

    /// Returns the open invitation that a token with this hash opens.
    pub async fn invitation_find(&self, hash: &InvitationHash) -> Result<Option<Invitation>, StoreError> {
        find(&mut *self.pool.acquire().await?, hash).await
    }

    /// Deletes a team's invitation, with the audit entry; false if the team has no such invitation.
    pub async fn invitation_delete(
        &self,
        team: TeamId,
        id: InvitationId,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let deleted = audit::change!(
            "DELETE FROM team_invitations WHERE id = $15 AND team_id = $16 AND expires_at > now() RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
            team.0,
        );
        Ok(deleted.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Makes a user a member of the team of an invitation, as [`accept`] does, with the audit entry. Returns the team and the
    /// user's role in it.
    pub async fn invitation_accept(
        &self,
        invitation: &Invitation,
        user: UserId,
        intent: &AuditIntent,
    ) -> Result<(Team, Role), TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        accept(&mut transaction, invitation, user).await?;
        let row = sqlx::query!(
            "SELECT t.name, t.slug, t.is_byoc, t.created_at, m.role
             FROM teams t JOIN team_members m ON m.team_id = t.id AND m.user_id = $2 WHERE t.id = $1",
            invitation.team_id.0,
            user.0,
        );
        let row = row.fetch_one(&mut *transaction).await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        let team = Team {
            id: invitation.team_id,
            name: row.name,
            slug: row.slug,
            is_byoc: row.is_byoc,
            created_at: row.created_at,
        };
        Ok((team, row.role.parse().map_err(StoreError::from)?))
    }

    /// Removes invitations that have ended; returns how many.
    pub async fn invitations_retire(&self) -> Result<u64, StoreError> {
        let removed = sqlx::query!("DELETE FROM team_invitations WHERE expires_at <= now()");
        Ok(removed.execute(&self.pool).await?.rows_affected())
    }
}
