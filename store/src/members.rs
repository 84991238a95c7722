//! Members of teams: who joins, who leaves, and who has which role.
//!
//! Each change holds the team's lock, see [`membership`](crate::membership).

use sqlx::PgConnection;
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::{TeamId, UserId},
    team::{Invitation, NewInvitation, Role, RoleChange, TeamMember, TeamRefusal, change_role},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    invitations,
    membership::{TeamChangeError, check_room, insert, lock, lock_as_admin, lock_user, role_of},
};

/// Outcome of adding a person to a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addition {
    /// The person is a member now.
    Member(TeamMember),
    /// The person has no account, or one whose address is not proved, and was invited.
    Invited(Invitation),
}

/// Deletes a member, with the API keys and invitations that the member made in the team.
async fn delete(connection: &mut PgConnection, team: TeamId, user: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM team_members WHERE team_id = $1 AND user_id = $2", team.0, user.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM api_keys WHERE team_id = $1 AND created_by = $2", team.0, user.0)
        .execute(&mut *connection)
        .await?;
    invitations::delete_made_by(connection, team, user).await
}

async fn set_role(
    connection: &mut PgConnection,
    team: TeamId,
    user: UserId,
    role: Role,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE team_members SET role = $3 WHERE team_id = $1 AND user_id = $2",
        team.0,
        user.0,
        role.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn succeeded(connection: &mut PgConnection, intent: &AuditIntent) -> Result<(), sqlx::Error> {
    audit::insert(connection, intent, AuditStatus::Succeeded, None, EntryKind::Change).await
}

impl Store {
    /// Returns the members of a team: owner, admins, members; each in the order in which they joined.
    pub async fn team_members(&self, team: TeamId) -> Result<Vec<TeamMember>, StoreError> {
        let rows = sqlx::query!(
            "SELECT u.id, u.name, u.email, m.role, m.joined_at
             FROM team_members m JOIN users u ON u.id = m.user_id
             WHERE m.team_id = $1
             ORDER BY array_position(ARRAY['owner', 'admin', 'member'], m.role), m.joined_at, u.id",
            team.0,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(TeamMember {
                    user_id: UserId(row.id),
                    name: row.name,
                    email: row.email,
                    role: row.role.parse()?,
                    joined_at: row.joined_at,
                })
            })
            .collect()
    }

    /// Adds the user with an address to a team, with the audit entry. A person without an account, or whose address is not
    /// proved, is invited instead if there is an `invitation`.
    pub async fn member_add(
        &self,
        team: TeamId,
        by: UserId,
        email: &str,
        role: Role,
        invitation: Option<&NewInvitation>,
        intent: &AuditIntent,
    ) -> Result<Addition, TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        let user = sqlx::query!(
            r#"SELECT id, name, email, email_verified_at IS NOT NULL AS "is_verified!" FROM users
               WHERE lower(email) = lower($1) AND is_active FOR NO KEY UPDATE"#,
            email,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        lock_as_admin(&mut transaction, team, by).await?;
        let user = match (user, invitation) {
            (Some(user), None) => user,
            (Some(user), Some(_)) if user.is_verified => user,
            (_, Some(invitation)) => {
                let invited = invitations::insert(&mut transaction, by, invitation).await?;
                let intent = intent.clone().of(invited.id).with("invited", email);
                succeeded(&mut transaction, &intent).await?;
                transaction.commit().await?;
                return Ok(Addition::Invited(invited));
            }
            (None, None) => return Err(TeamRefusal::NoAccount(email.to_owned()).into()),
        };
        let id = UserId(user.id);
        if !insert(&mut transaction, team, id, role).await? {
            return Err(TeamRefusal::AlreadyMember(email.to_owned()).into());
        }
        check_room(&mut transaction, team, id).await?;
        invitations::delete_for(&mut transaction, team, email).await?;
        let joined_at = sqlx::query_scalar!(
            "SELECT joined_at FROM team_members WHERE team_id = $1 AND user_id = $2",
            team.0,
            id.0
        );
        let joined_at = joined_at.fetch_one(&mut *transaction).await?;
        succeeded(&mut transaction, &intent.clone().of(id)).await?;
        transaction.commit().await?;
        Ok(Addition::Member(TeamMember { user_id: id, name: user.name, email: user.email, role, joined_at }))
    }

    /// Gives a member a role, with the audit entry. A member who becomes the owner makes the owner an admin.
    pub async fn member_set_role(
        &self,
        team: TeamId,
        by: UserId,
        member: UserId,
        role: Role,
        intent: &AuditIntent,
    ) -> Result<(), TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        if role == Role::Owner {
            lock_user(&mut transaction, member).await?;
        }
        let own = lock(&mut transaction, team, by).await?;
        let from = role_of(&mut transaction, team, member).await?;
        let from = from.ok_or(TeamRefusal::NotMember(member))?;
        match change_role(own, from, role)? {
            RoleChange::None => {}
            RoleChange::Set => {
                set_role(&mut transaction, team, member, role).await?;
                if !role.includes(Role::Admin) {
                    invitations::delete_made_by(&mut transaction, team, member).await?;
                }
            }
            RoleChange::HandOver => {
                let is_active = sqlx::query_scalar!("SELECT is_active FROM users WHERE id = $1", member.0);
                if is_active.fetch_optional(&mut *transaction).await? != Some(true) {
                    return Err(TeamRefusal::Disabled(member).into());
                }
                // In this order: an index lets a team have one owner.
                set_role(&mut transaction, team, by, Role::Admin).await?;
                set_role(&mut transaction, team, member, Role::Owner).await?;
            }
        }
        succeeded(&mut transaction, intent).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes a member other than the owner, with the audit entry; the member's API keys of the team end.
    pub async fn member_remove(
        &self,
        team: TeamId,
        by: UserId,
        member: UserId,
        intent: &AuditIntent,
    ) -> Result<(), TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        lock_as_admin(&mut transaction, team, by).await?;
        match role_of(&mut transaction, team, member).await? {
            None => return Err(TeamRefusal::NotMember(member).into()),
            Some(Role::Owner) => return Err(TeamRefusal::OwnerRemoved.into()),
            Some(_) => {}
        }
        // The entry comes first: the key of whoever makes the change may be one of the member's, and ends.
        succeeded(&mut transaction, intent).await?;
        delete(&mut transaction, team, member).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Lets a member other than the owner leave, with the audit entry; the member's API keys of the team end.
    pub async fn member_leave(
        &self,
        team: TeamId,
        member: UserId,
        intent: &AuditIntent,
    ) -> Result<(), TeamChangeError> {
        let mut transaction = self.pool.begin().await?;
        match lock(&mut transaction, team, member).await? {
            Role::Owner => return Err(TeamRefusal::OwnerLeaves.into()),
            Role::Admin | Role::Member => delete(&mut transaction, team, member).await?,
        }
        succeeded(&mut transaction, intent).await?;
        transaction.commit().await?;
        Ok(())
    }
}
