//! Changes of hosts that people make: new records, registration tokens, drains, tags.
//!
//! Each change locks the host's row, or for a new host the row of its team, and writes its audit entry in its transaction.

use sqlx::PgConnection;
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    host::{Host, HostRefusal, HostStatus, Intake, NewHost},
    ids::{HostId, TeamId, UserId},
    limits::{MAX_HOST_TAGS, MAX_HOSTS_OF_TEAM},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    host_tokens::{self, TokenHash},
    hosts::rows,
    membership::{self, TeamChangeError},
};

/// The reason for which a host stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ChangeHostError {
    /// The rules for hosts do not allow the change.
    #[error(transparent)]
    Refused(#[from] HostRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ChangeHostError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<TeamChangeError> for ChangeHostError {
    fn from(error: TeamChangeError) -> Self {
        match error {
            TeamChangeError::Refused(refusal) => Self::Refused(refusal.into()),
            TeamChangeError::Store(error) => Self::Store(error),
        }
    }
}

/// Locks a team against other changes, and checks that `by` may bring another host for it.
async fn may_bring(connection: &mut PgConnection, team: TeamId, by: UserId) -> Result<(), ChangeHostError> {
    membership::lock_as_admin(connection, team, by).await?;
    let row = sqlx::query!(
        r#"SELECT is_byoc, (SELECT count(*) FROM hosts WHERE hosts.team_id = teams.id AND hosts.deleted_at IS NULL) AS "hosts!"
           FROM teams WHERE id = $1"#,
        team.0,
    );
    let row = row.fetch_one(connection).await?;
    if !row.is_byoc {
        return Err(HostRefusal::NoOwnHosts.into());
    }
    if row.hosts >= i64::from(MAX_HOSTS_OF_TEAM) {
        return Err(HostRefusal::TooManyHosts.into());
    }
    Ok(())
}

/// Locks a host that is not deleted against other changes; returns the status of its agent.
async fn lock(connection: &mut PgConnection, host: HostId) -> Result<HostStatus, ChangeHostError> {
    let status = sqlx::query_scalar!(
        "SELECT status FROM hosts WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE",
        host.0
    );
    let status = status.fetch_optional(connection).await?.ok_or(HostRefusal::Gone(host))?;
    Ok(status.parse().map_err(StoreError::from)?)
}

async fn note(
    connection: &mut PgConnection,
    intent: &AuditIntent,
    kind: EntryKind,
) -> Result<(), sqlx::Error> {
    audit::insert(connection, intent, AuditStatus::Succeeded, None, kind).await
}

impl Store {
    /// Makes the record of a host with its registration token, and the audit entry. A host of a team is brought by an admin of
    /// the team.
    ///
    /// # Errors
    /// See [`ChangeHostError`].
    pub async fn host_bring(
        &self,
        id: HostId,
        new: &NewHost,
        by: UserId,
        token: &TokenHash,
        intent: &AuditIntent,
    ) -> Result<Host, ChangeHostError> {
        let mut transaction = self.pool.begin().await?;
        if let Some(team) = new.team_id {
            may_bring(&mut transaction, team, by).await?;
        }
        let row = rows!(
            "INSERT INTO hosts (id, type, team_id, provider, availability_zone, created_by)
             VALUES ($1, CASE WHEN $2::uuid IS NULL THEN 'regular' ELSE 'byoc' END, $2, $3, $4, $5) RETURNING",
            "",
            id.0,
            new.team_id.map(|team| team.0),
            new.provider,
            new.availability_zone,
            by.0,
        );
        let host = Host::try_from(row.fetch_one(&mut *transaction).await?)?;
        host_tokens::insert_registration(&mut transaction, id, token).await?;
        note(&mut transaction, intent, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(host)
    }

    /// Replaces the registration token of a host that is not attached, with the audit entry.
    ///
    /// # Errors
    /// See [`ChangeHostError`].
    pub async fn host_registration_token_replace(
        &self,
        host: HostId,
        token: &TokenHash,
        intent: &AuditIntent,
    ) -> Result<(), ChangeHostError> {
        let mut transaction = self.pool.begin().await?;
        if lock(&mut transaction, host).await? == HostStatus::Online {
            return Err(HostRefusal::Online(host).into());
        }
        host_tokens::insert_registration(&mut transaction, host, token).await?;
        note(&mut transaction, intent, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Sets whether a host takes new sandboxes, with the audit entry.
    ///
    /// # Errors
    /// See [`ChangeHostError`].
    pub async fn host_set_intake(
        &self,
        host: HostId,
        intake: Intake,
        intent: &AuditIntent,
    ) -> Result<Host, ChangeHostError> {
        let mut transaction = self.pool.begin().await?;
        let row = rows!(
            "UPDATE hosts SET is_draining = $2, updated_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING",
            "",
            host.0,
            intake == Intake::Closed,
        );
        let row = row.fetch_optional(&mut *transaction).await?.ok_or(HostRefusal::Gone(host))?;
        note(&mut transaction, intent, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(row.try_into()?)
    }

    /// Returns the tags of a host, sorted.
    pub async fn host_tags(&self, host: HostId) -> Result<Vec<String>, StoreError> {
        let tags = sqlx::query_scalar!(
            r#"SELECT tag FROM host_tags WHERE host_id = $1 ORDER BY tag COLLATE "C""#,
            host.0
        );
        Ok(tags.fetch_all(&self.pool).await?)
    }

    /// Gives a host a tag, with the audit entry; one that it has already stays.
    ///
    /// # Errors
    /// See [`ChangeHostError`].
    pub async fn host_tag_add(
        &self,
        host: HostId,
        tag: &str,
        intent: &AuditIntent,
    ) -> Result<(), ChangeHostError> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, host).await?;
        let tags =
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM host_tags WHERE host_id = $1"#, host.0);
        let tags = tags.fetch_one(&mut *transaction).await?;
        let inserted = sqlx::query!(
            "INSERT INTO host_tags (host_id, tag) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            host.0,
            tag
        );
        let is_new = inserted.execute(&mut *transaction).await?.rows_affected() == 1;
        if is_new && tags >= i64::from(MAX_HOST_TAGS) {
            return Err(HostRefusal::TooManyTags.into());
        }
        note(&mut transaction, intent, if is_new { EntryKind::Change } else { EntryKind::Note }).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes a tag from a host, with the audit entry.
    ///
    /// # Errors
    /// See [`ChangeHostError`].
    pub async fn host_tag_remove(
        &self,
        host: HostId,
        tag: &str,
        intent: &AuditIntent,
    ) -> Result<(), ChangeHostError> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, host).await?;
        let removed = sqlx::query!("DELETE FROM host_tags WHERE host_id = $1 AND tag = $2", host.0, tag);
        if removed.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(HostRefusal::NoTag(tag.to_owned()).into());
        }
        note(&mut transaction, intent, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(())
    }
}
