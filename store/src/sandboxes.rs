//! Sandboxes: one row each, from its creation until long after its end.
//!
//! Reads are for everybody. [`Store::sandbox_transition`] is for the sandbox's actor alone: it repeats the
//! generation and the operation that the actor knew, so a writer that was overtaken changes nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditChange, AuditIntent, AuditStatus},
    ids::{AuditId, HostId, SandboxId, TeamId, TemplateId},
    lifecycle::{End, Generation, Lifecycle},
    preview::PreviewAccess,
    sandbox::{NewSandbox, Sandbox, SandboxReservation},
    template::{TemplateChange, TemplateNameError},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    templates,
};

/// Why a sandbox's row was not written.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// The template cannot have its name.
    #[error(transparent)]
    Name(#[from] TemplateNameError),
    /// The statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TransitionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

struct Row {
    id: Uuid,
    team_id: Uuid,
    template_id: Option<Uuid>,
    template_name: String,
    template_image: Option<String>,
    host_id: Uuid,
    vcpus: i32,
    memory_mb: i32,
    disk_size_mb: i32,
    timeout_sec: i32,
    auto_resume: bool,
    default_user: String,
    envs: Json<BTreeMap<String, String>>,
    metadata: Json<BTreeMap<String, String>>,
    preview_access: String,
    preview_token: String,
    status: String,
    operation: Option<String>,
    operation_template_id: Option<Uuid>,
    making: Option<String>,
    generation: i64,
    last_error: Option<String>,
    stop_reason: Option<String>,
    guest_ip: Option<String>,
    host_ip: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    last_active_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    destroy_requested_at: Option<DateTime<Utc>>,
    destroyed_at: Option<DateTime<Utc>>,
    audit_id: Option<Uuid>,
}

impl TryFrom<Row> for Sandbox {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let end = match (row.destroy_requested_at, row.destroyed_at) {
            (None, None) => End::NotRequested,
            (Some(_), None) => End::Requested,
            (_, Some(_)) => End::Reached,
        };
        Ok(Self {
            id: SandboxId(row.id),
            team_id: TeamId(row.team_id),
            template_id: row.template_id.map(TemplateId),
            template_name: row.template_name,
            template_image: row.template_image,
            host_id: HostId(row.host_id),
            // CHECK constraints keep the numbers from being negative.
            vcpus: row.vcpus.unsigned_abs(),
            memory_mb: row.memory_mb.unsigned_abs(),
            disk_size_mb: row.disk_size_mb.unsigned_abs(),
            timeout_sec: row.timeout_sec.unsigned_abs(),
            auto_resume: row.auto_resume,
            default_user: row.default_user,
            envs: row.envs.0,
            metadata: row.metadata.0,
            preview_access: row.preview_access.parse()?,
            preview_token: row.preview_token,
            lifecycle: Lifecycle {
                status: row.status.parse()?,
                operation: row.operation.as_deref().map(str::parse).transpose()?,
                generation: Generation(row.generation.unsigned_abs()),
                end,
                template: row.operation_template_id.map(TemplateId),
                last_error: row.last_error,
                stop_reason: row.stop_reason,
                guest_ip: row.guest_ip,
                host_ip: row.host_ip,
            },
            making: row.making.as_deref().map(str::parse).transpose()?,
            created_at: row.created_at,
            started_at: row.started_at,
            last_active_at: row.last_active_at,
            updated_at: row.updated_at,
            destroyed_at: row.destroyed_at,
            audit_id: row.audit_id.map(AuditId),
        })
    }
}

/// `query_as!` for whole rows: `$head`, the columns, `$tail`.
macro_rules! rows {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + r#" id, team_id, template_id, template_name, template_image, host_id, vcpus, memory_mb,
                disk_size_mb, timeout_sec, auto_resume, default_user, envs AS "envs: Json<BTreeMap<String, String>>",
                metadata AS "metadata: Json<BTreeMap<String, String>>", preview_access, preview_token, status, operation,
                operation_template_id, generation, last_error, stop_reason, guest_ip, host_ip, created_at, started_at, last_active_at,
                updated_at, destroy_requested_at, destroyed_at, audit_id, (
                    SELECT CASE WHEN as_it_is THEN 'as_it_is' ELSE type END FROM templates
                    WHERE templates.id = operation_template_id
                ) AS making "# + $tail
            $(, $argument)*
        )
    };
}

/// Carries out a transition: row, audit entries and event in one statement.
async fn transition(
    connection: &mut PgConnection,
    id: SandboxId,
    from: &Lifecycle,
    to: &Lifecycle,
    audit: &AuditChange,
) -> Result<Option<Row>, sqlx::Error> {
    let begins = audit.begins.as_ref();
    let (ends, outcome) = audit.ends.as_ref().map(|(id, outcome)| (id.0, outcome)).unzip();
    rows!(
        "WITH changed AS (
            UPDATE sandboxes SET
                status = $4, operation = $5, operation_template_id = $6, generation = $7, last_error = $8,
                stop_reason = $9, guest_ip = $10, host_ip = $11,
                started_at = CASE WHEN $4 = 'running' THEN COALESCE(started_at, now()) ELSE started_at END,
                last_active_at = CASE WHEN $4 = 'running' AND status <> 'running' THEN now()
                    ELSE last_active_at END,
                destroy_requested_at = CASE WHEN $12 THEN COALESCE(destroy_requested_at, now()) END,
                destroyed_at = CASE WHEN $13 THEN now() END,
                audit_id = CASE WHEN $14::uuid IS NOT NULL THEN $14 WHEN $23::uuid IS NULL THEN audit_id END,
                updated_at = now()
            WHERE id = $1 AND generation = $2 AND operation IS NOT DISTINCT FROM $3 AND destroyed_at IS NULL
            RETURNING *),
         begun AS (
            INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type,
                resource_id, status, metadata)
            SELECT $14, team_id, $15, $16, $17, CASE $16::text
                    WHEN 'user' THEN (SELECT name FROM users WHERE users.id = $17)
                    WHEN 'api_key' THEN (SELECT name FROM api_keys WHERE api_keys.id = $17)
                    ELSE $18 END, $19, $20, $21, 'accepted', $22
            FROM changed WHERE $14::uuid IS NOT NULL
            ON CONFLICT (id) DO UPDATE SET status = 'accepted', error = NULL, settled_at = NULL
                WHERE audit_logs.status = 'refused'),
         ended AS (
            UPDATE audit_logs SET status = $24, error = $25, settled_at = clock_timestamp()
            WHERE (id = $23 OR joined_to = $23) AND status = 'accepted' AND EXISTS (SELECT FROM changed)),
         event AS (
            INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
            SELECT 'capsule.changed', team_id, 'capsule', $26, jsonb_build_object('status', status,
                'operation', operation, 'generation', generation, 'audit_id', COALESCE($14, $23, audit_id))
            FROM changed)
         SELECT",
        "FROM changed AS sandboxes",
        id.0,
        from.generation.0.cast_signed(),
        from.operation.map(|operation| operation.as_str()),
        to.status.as_str(),
        to.operation.map(|operation| operation.as_str()),
        to.template.map(|template| template.0),
        to.generation.0.cast_signed(),
        to.last_error,
        to.stop_reason,
        to.guest_ip,
        to.host_ip,
        to.end != End::NotRequested,
        to.end == End::Reached,
        begins.map(|intent| intent.id.0),
        begins.map(AuditIntent::scope),
        begins.map(|intent| intent.principal.kind()),
        begins.and_then(|intent| intent.principal.uuid()),
        begins.and_then(|intent| intent.principal.reason()).map(|reason| reason.as_str()),
        begins.map(|intent| intent.action.name()),
        begins.map(|intent| intent.action.spec().resource.as_str()),
        begins.and_then(|intent| intent.resource.as_deref()),
        begins.map(|intent| Json(&intent.metadata)) as _,
        ends,
        outcome.map(|outcome| outcome.status.as_str()),
        outcome.and_then(|outcome| outcome.error.as_deref()),
        id.to_string(),
    )
    .fetch_optional(connection)
    .await
}

fn domain(rows: Vec<Row>) -> Result<Vec<Sandbox>, StoreError> {
    rows.into_iter().map(Sandbox::try_from).collect()
}

impl Store {
    /// Returns a team's sandbox, also one that is gone; none if the team has no such sandbox.
    pub async fn sandbox_fetch(&self, team: TeamId, id: SandboxId) -> Result<Option<Sandbox>, StoreError> {
        rows!("SELECT", "FROM sandboxes WHERE id = $1 AND team_id = $2", id.0, team.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Sandbox::try_from)
            .transpose()
    }

    /// Returns a sandbox whosoever it is, also one that is gone.
    pub async fn sandbox_load(&self, id: SandboxId) -> Result<Option<Sandbox>, StoreError> {
        rows!("SELECT", "FROM sandboxes WHERE id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Sandbox::try_from)
            .transpose()
    }

    /// Returns a team's sandboxes that are not gone, newest first.
    pub async fn sandbox_list(&self, team: TeamId) -> Result<Vec<Sandbox>, StoreError> {
        let rows = rows!(
            "SELECT",
            "FROM sandboxes WHERE team_id = $1 AND destroyed_at IS NULL ORDER BY created_at DESC, id DESC",
            team.0
        );
        domain(rows.fetch_all(&self.pool).await?)
    }

    /// Returns all sandboxes of a host that are not gone.
    pub async fn sandboxes_of_host(&self, host: HostId) -> Result<Vec<Sandbox>, StoreError> {
        let rows =
            rows!("SELECT", "FROM sandboxes WHERE host_id = $1 AND destroyed_at IS NULL ORDER BY id", host.0);
        domain(rows.fetch_all(&self.pool).await?)
    }

    /// Returns the sandboxes that have an operation in flight.
    pub async fn sandboxes_in_flight(&self) -> Result<Vec<SandboxId>, StoreError> {
        let ids = sqlx::query_scalar!("SELECT id FROM sandboxes WHERE operation IS NOT NULL ORDER BY id")
            .fetch_all(&self.pool)
            .await?;
        Ok(ids.into_iter().map(SandboxId).collect())
    }

    /// Returns the sandboxes that run and were not used, as far as is written, for as long as their timeout.
    pub async fn sandboxes_idle(&self) -> Result<Vec<SandboxId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sandboxes
             WHERE status = 'running' AND operation IS NULL AND timeout_sec > 0 AND destroyed_at IS NULL
                AND last_active_at <= now() - make_interval(secs => timeout_sec)
             ORDER BY last_active_at"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(SandboxId).collect())
    }

    /// Returns what every sandbox that is not gone may take from its host, and how much of that it has.
    pub async fn sandbox_reservations(&self) -> Result<Vec<SandboxReservation>, StoreError> {
        let rows = rows!("SELECT", "FROM sandboxes WHERE destroyed_at IS NULL").fetch_all(&self.pool).await?;
        let reservation = |row: Row| {
            let row = Sandbox::try_from(row)?;
            let hold = row.lifecycle.hold();
            let Sandbox { id, host_id, vcpus, memory_mb, disk_size_mb, .. } = row;
            Ok(SandboxReservation { id, host_id, vcpus, memory_mb, disk_size_mb, hold })
        };
        rows.into_iter().map(reservation).collect()
    }

    /// Writes a new sandbox on `host`, with [`Lifecycle::first`], its audit entry and its event, in one statement. Returns
    /// `None` if it is for an attempt at a build that is over.
    pub async fn sandbox_insert(
        &self,
        new: &NewSandbox,
        host: HostId,
        intent: &AuditIntent,
    ) -> Result<Option<Sandbox>, StoreError> {
        let first = Lifecycle::first();
        let spec = intent.action.spec();
        let row = rows!(
            "WITH changed AS (
                INSERT INTO sandboxes (id, team_id, template_id, template_name, host_id, vcpus, memory_mb,
                    disk_size_mb, timeout_sec, auto_resume, default_user, envs, metadata, status, operation,
                    generation, template_image, preview_access, build_id, build_attempt, audit_id)
                SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
                WHERE $19::uuid IS NULL
                    OR EXISTS (SELECT FROM builds WHERE id = $19 AND attempt = $20 AND status = 'running' FOR SHARE)
                RETURNING *),
             begun AS (
                INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type,
                    resource_id, status, metadata)
                SELECT $21, $2, $22, $23, $24, CASE $23::text
                    WHEN 'user' THEN (SELECT name FROM users WHERE users.id = $24)
                    WHEN 'api_key' THEN (SELECT name FROM api_keys WHERE api_keys.id = $24)
                    ELSE $25 END, $26, $27, $28, 'accepted', $29
                FROM changed
                ON CONFLICT (id) DO UPDATE SET status = 'accepted', error = NULL, settled_at = NULL
                    WHERE audit_logs.status = 'refused'),
             event AS (
                INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
                SELECT 'capsule.changed', $2, $27, $28, jsonb_build_object('status', status, 'operation', operation,
                    'generation', generation, 'audit_id', audit_id)
                FROM changed)
             SELECT",
            "FROM changed AS sandboxes",
            new.id.0,
            new.team_id.0,
            new.template_id.0,
            new.template_name,
            host.0,
            // What does not fit turns negative, and a CHECK constraint refuses it.
            new.vcpus.cast_signed(),
            new.memory_mb.cast_signed(),
            new.disk_size_mb.cast_signed(),
            new.timeout_sec.cast_signed(),
            new.auto_resume,
            new.default_user,
            Json(&new.envs) as _,
            Json(&new.metadata) as _,
            first.status.as_str(),
            first.operation.map(|operation| operation.as_str()),
            first.generation.0.cast_signed(),
            new.template_image,
            new.preview_access.as_str(),
            new.build.map(|claim| claim.build.0),
            new.build.map(|claim| claim.attempt.cast_signed()),
            intent.id.0,
            intent.scope(),
            intent.principal.kind(),
            intent.principal.uuid(),
            intent.principal.reason().map(|reason| reason.as_str()),
            spec.name,
            spec.resource.as_str(),
            new.id.to_string(),
            Json(&intent.metadata) as _,
        );
        row.fetch_optional(&self.pool).await?.map(TryInto::try_into).transpose()
    }

    /// Makes the row say `to`, if it still says what `from` says of generation and operation, and does to the template
    /// that the operation makes what `template` says; both or nothing. The audit entries of `audit` and the event are
    /// written in the same statement.
    ///
    /// For the sandbox's actor alone. Returns `None`, and changes nothing, if the row says something else.
    ///
    /// # Errors
    /// [`TransitionError::Name`] only for [`TemplateChange::Begin`]; nothing is changed then.
    pub async fn sandbox_transition(
        &self,
        id: SandboxId,
        from: &Lifecycle,
        to: &Lifecycle,
        template: Option<&TemplateChange>,
        audit: &AuditChange,
    ) -> Result<Option<Sandbox>, TransitionError> {
        let Some(template) = template else {
            // One statement is a transaction of its own.
            let mut connection = self.pool.acquire().await?;
            let row = transition(&mut connection, id, from, to, audit).await?;
            return Ok(row.map(Sandbox::try_from).transpose()?);
        };
        let mut transaction = self.pool.begin().await?;
        if let TemplateChange::Begin(new) = template {
            templates::begin(&mut transaction, new).await?;
        }
        let Some(row) = transition(&mut transaction, id, from, to, audit).await? else {
            // Dropping the transaction takes the template back.
            return Ok(None);
        };
        match template {
            TemplateChange::Publish { id, size_bytes, disk_size_mb } => {
                templates::publish(&mut transaction, *id, HostId(row.host_id), *size_bytes, *disk_size_mb)
                    .await?;
            }
            TemplateChange::Discard(id) => templates::discard(&mut transaction, *id).await?,
            TemplateChange::Begin(_) => {}
        }
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// Sets the idle time of a sandbox that is not gone, with the audit entry; it counts as used now. Returns `None` if it
    /// is gone.
    ///
    /// For the sandbox's actor alone.
    pub async fn sandbox_set_timeout(
        &self,
        id: SandboxId,
        timeout_sec: u32,
        intent: &AuditIntent,
    ) -> Result<Option<Sandbox>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = rows!(
            "UPDATE sandboxes SET timeout_sec = $2, last_active_at = now(), updated_at = now()
             WHERE id = $1 AND destroyed_at IS NULL
             RETURNING",
            "",
            id.0,
            timeout_sec.cast_signed(),
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// Sets who may reach the ports of a team's sandbox, with the audit entry; with a new token the old one is void.
    /// Returns `None` if the team has no such sandbox, or it is gone.
    pub async fn sandbox_preview_set(
        &self,
        team: TeamId,
        id: SandboxId,
        access: Option<PreviewAccess>,
        new_token: Option<&str>,
        intent: &AuditIntent,
    ) -> Result<Option<Sandbox>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = rows!(
            "UPDATE sandboxes SET preview_access = COALESCE($3, preview_access),
                preview_token = COALESCE($4, preview_token), updated_at = now()
             WHERE id = $1 AND team_id = $2 AND destroyed_at IS NULL
             RETURNING",
            "",
            id.0,
            team.0,
            access.map(|access| access.as_str()),
            new_token,
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// Notes that a sandbox was used just now; nothing happens if it is gone.
    pub async fn sandbox_touch(&self, id: SandboxId) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE sandboxes SET last_active_at = now() WHERE id = $1 AND destroyed_at IS NULL",
            id.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
