//! Accounts: who can sign in.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::{AuditIntent, AuditStatus},
    ids::{TeamId, UserId},
    principal::{Membership, Principal},
    team::{Invitation, Role},
    user::{AdminRule, NewAccount, User},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    invitations,
    membership::TeamChangeError,
};

struct UserRow {
    id: Uuid,
    email: String,
    name: String,
    is_admin: bool,
    is_active: bool,
    is_verified: bool,
    has_password: bool,
    has_totp: bool,
    token_epoch: i64,
    created_at: DateTime<Utc>,
    // Not part of the account: what some statements read beside it.
    password_hash: Option<String>,
    role: Option<String>,
}

/// `query_as!` of accounts: `$head`, the columns, `$role`, `$tail`. The table `users` must be in reach.
macro_rules! accounts {
    ($head:literal, $role:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            UserRow,
            $head
                + " users.id, users.email, users.name, users.is_admin, users.is_active, users.created_at, \
                   users.email_verified_at IS NOT NULL AS \"is_verified!\", \
                   users.password_hash IS NOT NULL AS \"has_password!\", \
                   users.totp_enabled_at IS NOT NULL AS \"has_totp!\", users.token_epoch, users.password_hash, "
                + $role
                + " AS \"role?\" "
                + $tail,
            $($argument),*
        )
    };
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            email: row.email,
            name: row.name,
            is_admin: row.is_admin,
            is_active: row.is_active,
            is_verified: row.is_verified,
            has_password: row.has_password,
            has_totp: row.has_totp,
            token_epoch: row.token_epoch,
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
    /// The identity is linked to another account.
    #[error("the identity is linked to another account")]
    IdentityTaken,
    /// There is no such set-up token.
    #[error("the set-up token is not valid")]
    SetUpToken,
    /// There is no such invitation for this address.
    #[error("the invitation is not valid")]
    Invitation,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reason for which an account was not deleted; nothing of it was changed then.
#[derive(Debug, thiserror::Error)]
pub enum DeleteAccountError {
    /// There is no such account.
    #[error("there is no such account")]
    Gone,
    /// The account owns teams, with these names, that have other members.
    #[error("the account owns teams that have other members")]
    OwnsTeams(Vec<String>),
    /// The account is the only administrator, and there are other accounts.
    #[error("the account is the only administrator")]
    OnlyAdmin,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for DeleteAccountError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<sqlx::Error> for CreateAccountError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|database| database.constraint()) {
            Some("users_email_key") => Self::EmailTaken,
            Some("user_identities_pkey") => Self::IdentityTaken,
            _ => Self::Store(error.into()),
        }
    }
}

impl From<TeamChangeError> for CreateAccountError {
    fn from(error: TeamChangeError) -> Self {
        match error {
            TeamChangeError::Refused(_) => Self::Invitation,
            TeamChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// Returns the intent of a change in a team that another change brings along, by the same principal.
fn beside(intent: &AuditIntent, action: Action, team: TeamId) -> AuditIntent {
    AuditIntent::new(intent.principal, action).in_team(team)
}

impl Store {
    /// Makes an account, its first team, and its ownership of that team; also its place in the team that invited it.
    ///
    /// The first account that was ever made claims a row in `settings` that can be inserted once: of two first signups
    /// at the same time the second waits for the first and then finds the row, or inserts it if the first failed. By
    /// [`AdminRule::FirstAccount`] the account that claims it is the platform's administrator.
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
        let is_admin = match account.admin {
            AdminRule::FirstAccount => first == 1,
            AdminRule::Never => false,
            AdminRule::SetUpToken(hash) => {
                let used = sqlx::query!(
                    "DELETE FROM settings WHERE name = 'setup_token' AND value = $1
                        AND NOT EXISTS (SELECT FROM users WHERE is_admin)",
                    hash.as_slice(),
                );
                if used.execute(&mut *transaction).await?.rows_affected() == 0 {
                    return Err(CreateAccountError::SetUpToken);
                }
                true
            }
        };
        // Before the address is looked at: without an invitation it shall not be learnt who has an account.
        let invitation = match account.invitation {
            None => None,
            Some(hash) => {
                let found = invitations::find(&mut transaction, &hash).await?;
                let is_theirs =
                    |invitation: &Invitation| invitation.email.to_lowercase() == account.email.to_lowercase();
                Some(found.filter(is_theirs).ok_or(CreateAccountError::Invitation)?)
            }
        };
        let user = accounts!(
            "INSERT INTO users (id, email, name, password_hash, is_admin, email_verified_at)
             VALUES ($1, $2, $3, $4, $5, CASE WHEN $6::boolean THEN now() END) RETURNING",
            "NULL::text",
            "",
            user_id.0,
            account.email,
            account.name,
            account.password_hash,
            is_admin,
            account.is_verified,
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
        if let Some(identity) = &account.identity {
            sqlx::query!(
                "INSERT INTO user_identities (provider, subject, user_id, email) VALUES ($1, $2, $3, $4)",
                identity.provider,
                identity.subject,
                user_id.0,
                identity.email,
            )
            .execute(&mut *transaction)
            .await?;
        }
        let principal = match intent.principal {
            Principal::Anonymous => {
                let membership = Some(Membership { team: team_id, role: Role::Owner });
                Principal::User { id: user_id, membership, is_admin, epoch: user.token_epoch }
            }
            principal => principal,
        };
        let intent = AuditIntent { principal, ..intent.clone() }.in_team(team_id).of(user_id);
        audit::insert(&mut transaction, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        if let Some(invitation) = &invitation {
            invitations::accept(&mut transaction, invitation, user_id).await?;
            let accepted = beside(&intent, Action::InvitationAccept, invitation.team_id).of(invitation.id);
            audit::insert(&mut transaction, &accepted, AuditStatus::Succeeded, None, EntryKind::Change)
                .await?;
        }
        transaction.commit().await?;
        Ok((user.into(), team_id))
    }

    /// The account with this address, in whatever case, and its password hash if it has a password.
    pub async fn user_find_by_email(
        &self,
        email: &str,
    ) -> Result<Option<(User, Option<String>)>, StoreError> {
        let row = accounts!("SELECT", "NULL::text", "FROM users WHERE lower(email) = lower($1)", email)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|mut row| {
            let password_hash = row.password_hash.take();
            (row.into(), password_hash)
        }))
    }

    /// Returns an account and its password hash if it has a password.
    pub async fn user_find_with_password(
        &self,
        id: UserId,
    ) -> Result<Option<(User, Option<String>)>, StoreError> {
        let row = accounts!("SELECT", "NULL::text", "FROM users WHERE id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|mut row| {
            let password_hash = row.password_hash.take();
            (row.into(), password_hash)
        }))
    }

    /// Replaces the password hash of an account, and ends its tokens, with the audit entry; false if there is no such
    /// account.
    pub async fn user_set_password(
        &self,
        id: UserId,
        password_hash: &str,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let changed = audit::change!(
            "UPDATE users SET password_hash = $16, token_epoch = token_epoch + 1, updated_at = now()
             WHERE id = $15 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
            password_hash,
        );
        Ok(changed.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Replaces the password hash `former`, ends all tokens and the links that would replace the password once more, with
    /// the audit entry; false if the account has another password by now, or is gone.
    pub async fn user_change_password(
        &self,
        id: UserId,
        former: Option<&str>,
        password_hash: &str,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let changed = audit::change!(
            "UPDATE users SET password_hash = $16, token_epoch = token_epoch + 1, updated_at = now()
             WHERE id = $15 AND password_hash IS NOT DISTINCT FROM $17 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
            password_hash,
            former,
        );
        let mut transaction = self.pool.begin().await?;
        let changed = changed.execute(&mut *transaction).await?.rows_affected() > 0;
        sqlx::query!(
            "DELETE FROM user_links WHERE user_id = $1 AND kind = 'password_reset' AND $2",
            id.0,
            changed
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Renames an account, with the audit entry; false if there is no such account.
    pub async fn user_rename(
        &self,
        id: UserId,
        name: &str,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let renamed = audit::change!(
            "UPDATE users SET name = $16, updated_at = now() WHERE id = $15 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
            name,
        );
        Ok(renamed.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Returns the identity providers by which a user can sign in.
    pub async fn user_providers(&self, id: UserId) -> Result<Vec<String>, StoreError> {
        let providers = sqlx::query_scalar!(
            "SELECT provider FROM user_identities WHERE user_id = $1 ORDER BY provider",
            id.0,
        );
        Ok(providers.fetch_all(&self.pool).await?)
    }

    /// Deletes an account with all that belongs to it alone, and the teams that only it belongs to, with the audit entry.
    /// Returns these teams, of which the actors remove what is left.
    pub async fn user_delete(
        &self,
        id: UserId,
        intent: &AuditIntent,
    ) -> Result<Vec<TeamId>, DeleteAccountError> {
        let mut transaction = self.pool.begin().await?;
        // Before anything is read: of two administrators who leave at the same time, the second sees that it is the last.
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('users.is_admin'))")
            .execute(&mut *transaction)
            .await?;
        let user = sqlx::query!("SELECT is_admin FROM users WHERE id = $1 FOR UPDATE", id.0)
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or(DeleteAccountError::Gone)?;
        let others = sqlx::query!(
            "SELECT count(*) AS \"accounts!\", count(*) FILTER (WHERE is_admin AND is_active) AS \"admins!\"
             FROM users WHERE id <> $1",
            id.0,
        )
        .fetch_one(&mut *transaction)
        .await?;
        if user.is_admin && others.admins == 0 && others.accounts > 0 {
            return Err(DeleteAccountError::OnlyAdmin);
        }
        // The lock keeps others from joining: a row of a member refers to the team.
        let owned = sqlx::query!(
            "SELECT t.id, t.name FROM teams t JOIN team_members m ON m.team_id = t.id
             WHERE m.user_id = $1 AND m.role = 'owner' AND t.deleted_at IS NULL ORDER BY t.id FOR UPDATE OF t",
            id.0,
        )
        .fetch_all(&mut *transaction)
        .await?;
        let teams: Vec<Uuid> = owned.iter().map(|team| team.id).collect();
        let shared = sqlx::query_scalar!(
            "SELECT DISTINCT t.name FROM teams t JOIN team_members m ON m.team_id = t.id
             WHERE t.id = ANY($2) AND m.user_id <> $1 ORDER BY t.name",
            id.0,
            &teams,
        )
        .fetch_all(&mut *transaction)
        .await?;
        if !shared.is_empty() {
            return Err(DeleteAccountError::OwnsTeams(shared));
        }
        let teams: Vec<TeamId> = teams.into_iter().map(TeamId).collect();
        let left = sqlx::query_scalar!(
            "SELECT team_id FROM team_members WHERE user_id = $1 AND team_id <> ALL($2) ORDER BY team_id",
            id.0,
            &teams.iter().map(|team| team.0).collect::<Vec<_>>(),
        );
        let left = left.fetch_all(&mut *transaction).await?;
        // Entries before what they are about is gone: they repeat the names of accounts and keys.
        let deleted = teams.iter().map(|team| beside(intent, Action::TeamDelete, *team).of(team));
        let left = left.into_iter().map(|team| beside(intent, Action::TeamLeave, TeamId(team)).of(id));
        for intent in [intent.clone()].into_iter().chain(deleted).chain(left) {
            audit::insert(&mut transaction, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        }
        for team in &teams {
            crate::teams::delete(&mut transaction, *team).await?;
        }
        sqlx::query!("DELETE FROM users WHERE id = $1", id.0).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(teams)
    }

    /// Returns true if there is an administrator of the platform.
    pub async fn admin_exists(&self) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!("SELECT EXISTS (SELECT FROM users WHERE is_admin) AS \"found!\"");
        Ok(found.fetch_one(&self.pool).await?)
    }

    /// Makes an account an administrator of the platform, with the audit entry; false if it is one, or there is none.
    pub async fn user_grant_admin(&self, id: UserId, intent: &AuditIntent) -> Result<bool, StoreError> {
        let changed = audit::change!(
            "UPDATE users SET is_admin = true, updated_at = now() WHERE id = $15 AND NOT is_admin RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
        );
        Ok(changed.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Returns the account, with its role in the team if it is a member of it and the team still exists.
    pub async fn user_find_with_role(
        &self,
        id: UserId,
        team: Option<TeamId>,
    ) -> Result<Option<(User, Option<Role>)>, StoreError> {
        let row = accounts!(
            "SELECT",
            "m.role",
            "FROM users
             LEFT JOIN (team_members m JOIN teams t ON t.id = m.team_id AND t.deleted_at IS NULL)
                    ON m.user_id = users.id AND m.team_id = $2
             WHERE users.id = $1",
            id.0,
            team.map(|team| team.0),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role = row.role.as_deref().map(str::parse).transpose()?;
        Ok(Some((row.into(), role)))
    }

    /// Ends all tokens of an account, with the audit entry; false if there is no such account.
    pub async fn user_end_tokens(&self, id: UserId, intent: &AuditIntent) -> Result<bool, StoreError> {
        let ended = audit::change!(
            "UPDATE users SET token_epoch = token_epoch + 1, updated_at = now() WHERE id = $15 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
        );
        Ok(ended.execute(&self.pool).await?.rows_affected() > 0)
    }
}
