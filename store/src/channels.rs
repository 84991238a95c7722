//! Notification channels of teams. Their configurations are secrets: no list reads them, and no error has them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::{AuditIntent, AuditStatus},
    channel::{Channel, ChannelEvent, NewChannel, Target, TooManyChannels},
    ids::{ChannelId, TeamId, UserId},
    limits::MAX_CHANNELS,
    principal::SystemReason,
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    membership::{self, TeamChangeError},
};

/// The reason for which a channel was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateChannelError {
    /// The team is deleted, or its maker no admin any more.
    #[error(transparent)]
    Team(#[from] TeamChangeError),
    /// The team has too many.
    #[error(transparent)]
    TooMany(#[from] TooManyChannels),
}

impl From<StoreError> for CreateChannelError {
    fn from(error: StoreError) -> Self {
        Self::Team(error.into())
    }
}

impl From<sqlx::Error> for CreateChannelError {
    fn from(error: sqlx::Error) -> Self {
        Self::Team(error.into())
    }
}

struct Row {
    id: Uuid,
    team_id: Uuid,
    name: String,
    provider: String,
    events: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
}

impl TryFrom<Row> for Channel {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: ChannelId(row.id),
            team_id: TeamId(row.team_id),
            name: row.name,
            provider: row.provider.parse()?,
            events: row.events.iter().map(|event| event.parse()).collect::<Result<_, _>>()?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            disabled_at: row.disabled_at,
            last_error: row.last_error,
        })
    }
}

fn words(events: &[ChannelEvent]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

fn fields(target: &Target) -> Json<BTreeMap<String, String>> {
    Json(target.config.fields())
}

impl Store {
    /// Makes a channel of a team, with the audit entry.
    ///
    /// # Errors
    /// See [`CreateChannelError`].
    pub async fn channel_create(
        &self,
        new: &NewChannel,
        intent: &AuditIntent,
    ) -> Result<Channel, CreateChannelError> {
        let mut transaction = self.pool.begin().await?;
        membership::lock_as_admin(&mut transaction, new.team_id, new.configured_by).await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM channels WHERE team_id = $1"#,
            new.team_id.0
        );
        if count.fetch_one(&mut *transaction).await? >= i64::from(MAX_CHANNELS) {
            return Err(TooManyChannels.into());
        }
        let row = sqlx::query_as!(
            Row,
            "INSERT INTO channels (id, team_id, name, provider, config, secret, events, configured_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             RETURNING id, team_id, name, provider, events, created_at, updated_at, disabled_at, last_error",
            new.id.0,
            new.team_id.0,
            new.name,
            new.target.config.provider().as_str(),
            fields(&new.target) as _,
            new.target.secret.as_ref().map(|secret| secret.0.as_str()),
            &words(&new.events),
            new.configured_by.0,
        );
        let row = row.fetch_one(&mut *transaction).await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(row.try_into()?)
    }

    /// Returns the channels of a team, oldest first.
    pub async fn channel_list(&self, team: TeamId) -> Result<Vec<Channel>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT id, team_id, name, provider, events, created_at, updated_at, disabled_at, last_error
             FROM channels WHERE team_id = $1 ORDER BY created_at, id",
            team.0,
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(Channel::try_from).collect()
    }

    /// Returns a channel of a team.
    pub async fn channel_find(&self, team: TeamId, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "SELECT id, team_id, name, provider, events, created_at, updated_at, disabled_at, last_error
             FROM channels WHERE id = $1 AND team_id = $2",
            id.0,
            team.0,
        );
        row.fetch_optional(&self.pool).await?.map(Channel::try_from).transpose()
    }

    /// Sets name and events of a team's channel, and switches it on, with the audit entry. Returns `None` if the team has no
    /// such channel.
    pub async fn channel_update(
        &self,
        team: TeamId,
        id: ChannelId,
        name: &str,
        events: &[ChannelEvent],
        intent: &AuditIntent,
    ) -> Result<Option<Channel>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as!(
            Row,
            "UPDATE channels SET name = $3, events = $4, revision = revision + 1,
                listens_since = CASE WHEN disabled_at IS NULL THEN listens_since ELSE clock_timestamp() END, disabled_at = NULL,
                last_error = NULL, failing_since = NULL, failures = 0, updated_at = clock_timestamp()
             WHERE id = $1 AND team_id = $2
             RETURNING id, team_id, name, provider, events, created_at, updated_at, disabled_at, last_error",
            id.0,
            team.0,
            name,
            &words(events),
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        retry_soon(&mut transaction, id).await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// Sets the destination of a team's channel, and switches it on, with the audit entry. Returns `None` if the team has no
    /// such channel of that provider.
    pub async fn channel_configure(
        &self,
        team: TeamId,
        id: ChannelId,
        target: &Target,
        by: UserId,
        intent: &AuditIntent,
    ) -> Result<Option<Channel>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as!(
            Row,
            "UPDATE channels SET config = $3, secret = $4, configured_by = $5, revision = revision + 1,
                listens_since = CASE WHEN disabled_at IS NULL THEN listens_since ELSE clock_timestamp() END, disabled_at = NULL, last_error = NULL, failing_since = NULL, failures = 0,
                updated_at = clock_timestamp()
             WHERE id = $1 AND team_id = $2 AND provider = $6
             RETURNING id, team_id, name, provider, events, created_at, updated_at, disabled_at, last_error",
            id.0,
            team.0,
            fields(target) as _,
            target.secret.as_ref().map(|secret| secret.0.as_str()),
            by.0,
            target.config.provider().as_str(),
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        retry_soon(&mut transaction, id).await?;
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// Deletes a team's channel with its deliveries, and writes the audit entry; false if the team has no such channel.
    pub async fn channel_delete(
        &self,
        team: TeamId,
        id: ChannelId,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let deleted = audit::change!(
            "DELETE FROM channels WHERE id = $15 AND team_id = $16 RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            id.0,
            team.0,
        );
        Ok(deleted.execute(&self.pool).await?.rows_affected() > 0)
    }
}

/// Attempts the deliveries that wait for their next attempt without that wait.
async fn retry_soon(connection: &mut PgConnection, id: ChannelId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE channel_deliveries SET due_at = now()
         WHERE channel_id = $1 AND due_at > now() AND leased_by IS NULL",
        id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Switches a channel off, drops what waits for it, and writes the audit entry, which is the notice to its team. The caller
/// holds the lock of its row.
pub(crate) async fn disable(
    connection: &mut PgConnection,
    team: TeamId,
    id: ChannelId,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let disabled = sqlx::query!(
        "UPDATE channels SET disabled_at = clock_timestamp(), last_error = $2, updated_at = clock_timestamp()
         WHERE id = $1 AND disabled_at IS NULL",
        id.0,
        reason,
    );
    if disabled.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE channel_deliveries SET status = 'dropped', due_at = NULL, leased_by = NULL,
            last_error = 'the channel was switched off', settled_at = now()
         WHERE channel_id = $1 AND status = 'pending'",
        id.0,
    )
    .execute(&mut *connection)
    .await?;
    let intent = AuditIntent::system(SystemReason::DeadChannel, Action::ChannelUpdate)
        .in_team(team)
        .of(id)
        .with("disabled", true)
        .with("reason", reason);
    audit::insert(connection, &intent, AuditStatus::Succeeded, None, EntryKind::Change).await
}
