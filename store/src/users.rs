//! Accounts: who can sign in.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::{TeamId, UserId},
    principal::Principal,
    team::Role,
    user::{NewAccount, User},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

struct UserRow {
    id: Uuid,
    email: String,
    name: String,
    is_admin: bool,
    is_active: bool,
    created_at: DateTime<Utc>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            email: row.email,
            name: row.name,
            is_admin: row.is_admin,
            is_active: row.is_active,
            created_at: row.created_at,
        }
    }
}

/// Why an account was not made; nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum CreateAccountError {
    /// There is an account with this address already.
    #[error("the address is taken")]
    EmailTaken,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CreateAccountError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|database| database.constraint()) {
            Some("users_email_key") => Self::EmailTaken,
            _ => Self::Store(error.into()),
        }
    }
}

impl Store {
    /// Makes an account, its first team, and its ownership of that team.
    ///
    /// The first account that was ever made is the platform's administrator. Who that is, is decided
    /// by a row in `settings` that can be inserted once: of two first signups at the same time the
    /// second waits for the first and then finds the row, or inserts it if the first failed.
    ///
    /// The audit entry of somebody who signs up is the new user's own.
    pub async fn account_create(
        &self,
        account: NewAccount,
        intent: &AuditIntent,
    ) -> Result<(User, TeamId), CreateAccountError> {
        let user_id = UserId::new();
        let team_id = TeamId::new();
        let mut transaction = self.pool.begin().await?;
        let first = sqlx::query!(
            "INSERT INTO settings (name, value) VALUES ('first_account', $1) ON CONFLICT DO NOTHING",
            user_id.0.as_bytes().as_slice(),
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        let user = sqlx::query_as!(
            UserRow,
            "INSERT INTO users (id, email, name, password_hash, is_admin) VALUES ($1, $2, $3, $4, $5)
             RETURNING id, email, name, is_admin, is_active, created_at",
            user_id.0,
            account.email,
            account.name,
            account.password_hash,
            first == 1,
        )
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query!(
            "INSERT INTO teams (id, name, slug) VALUES ($1, $2, $3)",
            team_id.0,
            account.team_name,
            account.team_slug,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "INSERT INTO team_members (team_id, user_id, role, is_default) VALUES ($1, $2, $3, true)",
            team_id.0,
            user_id.0,
            Role::Owner.as_str(),
        )
        .execute(&mut *transaction)
        .await?;
        let principal = match intent.principal {
            Principal::Anonymous => {
                Principal::User { id: user_id, team: team_id, role: Role::Owner, is_admin: first == 1 }
            }
            principal => principal,
        };
        let intent = AuditIntent { principal, ..intent.clone() }.in_team(team_id).of(user_id);
        audit::insert(&mut transaction, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok((user.into(), team_id))
    }

    /// The account with this address, in whatever case, and its password hash if it has a password.
    pub async fn user_find_by_email(
        &self,
        email: &str,
    ) -> Result<Option<(User, Option<String>)>, StoreError> {
        let row = sqlx::query!(
            "SELECT id, email, name, is_admin, is_active, created_at, password_hash
             FROM users WHERE lower(email) = lower($1)",
            email,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| {
            let user = User {
                id: UserId(row.id),
                email: row.email,
                name: row.name,
                is_admin: row.is_admin,
                is_active: row.is_active,
                created_at: row.created_at,
            };
            (user, row.password_hash)
        }))
    }

    /// Replaces the password hash of an account; false when there is no such account.
    pub async fn user_set_password(&self, id: UserId, password_hash: &str) -> Result<bool, StoreError> {
        let changed = sqlx::query!(
            "UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1",
            id.0,
            password_hash,
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(changed == 1)
    }

    /// Makes an account an administrator of the platform; false when there is no such account.
    pub async fn user_grant_admin(&self, id: UserId) -> Result<bool, StoreError> {
        let changed =
            sqlx::query!("UPDATE users SET is_admin = true, updated_at = now() WHERE id = $1", id.0)
                .execute(&self.pool)
                .await?
                .rows_affected();
        Ok(changed == 1)
    }

    /// The account, with its role in the team if it is a member of it and the team still exists.
    pub async fn user_find_with_role(
        &self,
        id: UserId,
        team_id: TeamId,
    ) -> Result<Option<(User, Option<Role>)>, StoreError> {
        let row = sqlx::query!(
            "SELECT u.id, u.email, u.name, u.is_admin, u.is_active, u.created_at, m.role AS \"role?\"
             FROM users u
             LEFT JOIN (team_members m JOIN teams t ON t.id = m.team_id AND t.deleted_at IS NULL)
                    ON m.user_id = u.id AND m.team_id = $2
             WHERE u.id = $1",
            id.0,
            team_id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role = row.role.as_deref().map(str::parse).transpose()?;
        let user = User {
            id: UserId(row.id),
            email: row.email,
            name: row.name,
            is_admin: row.is_admin,
            is_active: row.is_active,
            created_at: row.created_at,
        };
        Ok(Some((user, role)))
    }
}
