//! Writes of sandboxes, each with its audit entry and its event.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::{AuditChange, AuditIntent, AuditStatus, harmless, outcome_of_step},
    channel::ChannelEvent,
    history::Incident,
    host::Attachment,
    ids::{HostId, IncidentId, SandboxId, ServerId, TeamId},
    lifecycle::{End, Lifecycle},
    preview::PreviewAccess,
    principal::SystemReason,
    quota::NotAdmitted,
    sandbox::{
        NewSandbox, Sandbox,
        state::{Input, State, TemplateEffect},
        step,
    },
    template::{TemplateChange, TemplateNameError},
};

use super::rows::{Row, domain, rows};
use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    quotas,
    templates::{self, BeginTemplateError},
};

/// Why a sandbox's row was not written.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// The template cannot have its name.
    #[error(transparent)]
    Name(#[from] TemplateNameError),
    /// The team may not use as much.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TransitionError {
    fn from(error: sqlx::Error) -> Self {
        match quotas::refusal(&error) {
            Some(refusal) => Self::NotAdmitted(refusal),
            None => Self::Store(error.into()),
        }
    }
}

/// Why a new sandbox's row was not written.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// The team may not use as much.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for InsertError {
    fn from(error: sqlx::Error) -> Self {
        match quotas::refusal(&error) {
            Some(refusal) => Self::NotAdmitted(refusal),
            None => Self::Store(error.into()),
        }
    }
}

impl From<BeginTemplateError> for TransitionError {
    fn from(error: BeginTemplateError) -> Self {
        match error {
            BeginTemplateError::Name(error) => Self::Name(error),
            // Perhaps that the team may not have so many.
            BeginTemplateError::Database(error) => error.into(),
        }
    }
}

/// Carries out a transition: row, audit entries, incident and event in one statement. A pause or a resume that begins must fit into
/// the team's quota.
async fn transition(
    connection: &mut PgConnection,
    id: SandboxId,
    attachment: Attachment,
    from: &Lifecycle,
    to: &Lifecycle,
    audit: &AuditChange,
) -> Result<Option<Row>, sqlx::Error> {
    let begins = audit.begins.as_ref();
    let (ends, outcome) = audit.ends.as_ref().map(|(id, outcome)| (id.0, outcome)).unzip();
    let (incident, reason) = Incident::of_step(from, to).unzip();
    let reason = reason.flatten();
    rows!(
        "WITH changed AS (
            UPDATE sandboxes SET
                status = $4, operation = $5, operation_template_id = $6, generation = $7, last_error = $8,
                stop_reason = $9, guest_ip = $10, host_ip = $11, warnings = $34,
                started_at = CASE WHEN $4 = 'running' THEN COALESCE(started_at, now()) ELSE started_at END,
                last_active_at = CASE WHEN $4 = 'running' AND status <> 'running' THEN now()
                    ELSE last_active_at END,
                destroy_requested_at = CASE WHEN $12 THEN COALESCE(destroy_requested_at, now()) END,
                destroyed_at = CASE WHEN $13 THEN now() END,
                audit_id = CASE WHEN $14::uuid IS NOT NULL THEN $14 WHEN $23::uuid IS NULL THEN audit_id END,
                updated_at = now()
            WHERE id = $1 AND generation = $2 AND operation IS NOT DISTINCT FROM $3 AND destroyed_at IS NULL
                AND host_id = $27
                AND EXISTS (SELECT FROM hosts WHERE id = $27 AND attached_to = $28 AND attachment_epoch = $29)
                AND CASE
                    WHEN $14::uuid IS NULL OR $5 IS NOT DISTINCT FROM $3 THEN true
                    WHEN $5 = 'resuming' THEN team_admits(team_id, 1, vcpus, memory_mb, 0, 0, 0, NULL)
                    WHEN $5 = 'pausing' THEN team_admits(team_id, 0, 0, 0, 0, 1, 0, NULL)
                    ELSE true END
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
            WHERE id = $23 AND status = 'accepted' AND EXISTS (SELECT FROM changed)),
         joined AS (
            UPDATE audit_logs SET status = $24, error = $25, settled_at = clock_timestamp()
            WHERE joined_to = $23 AND status = 'accepted' AND EXISTS (SELECT FROM changed)),
         event AS (
            INSERT INTO outbox (event, notification, team_id, resource_type, resource_id, payload)
            SELECT 'capsule.changed', $30, team_id, 'capsule', $26, jsonb_build_object('status', status,
                'operation', operation, 'generation', generation, 'audit_id', COALESCE($14, $23, audit_id))
                || CASE WHEN $30::text IS NULL THEN '{}'
                    ELSE jsonb_build_object('template', template_name, 'metadata', metadata) END
                || CASE WHEN build_attempt IS NULL THEN '{}' ELSE jsonb_build_object('build', true) END
            FROM changed),
         incident AS (
            INSERT INTO sandbox_incidents (id, sandbox_id, team_id, incident, reason)
            SELECT $31, $1, team_id, $32, $33
            FROM changed WHERE $32::text IS NOT NULL)
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
        attachment.host.0,
        attachment.server.0,
        attachment.epoch.0.cast_signed(),
        ChannelEvent::of_step(from, to).map(|event| event.as_str()),
        incident.map(|_| IncidentId::new().0),
        incident.map(|incident| incident.as_str()),
        reason.as_deref().map(harmless),
        &to.warnings,
    )
    .fetch_optional(connection)
    .await
}

/// Returns the sandboxes of a host that are not gone, and locks their rows.
pub(crate) async fn lock_of_host(
    connection: &mut PgConnection,
    host: HostId,
) -> Result<Vec<Sandbox>, StoreError> {
    let rows = rows!(
        "SELECT",
        "FROM sandboxes WHERE host_id = $1 AND destroyed_at IS NULL ORDER BY id FOR UPDATE",
        host.0
    );
    domain(rows.fetch_all(connection).await?)
}

/// Ends a sandbox together with its host: row, audit entry and event.
pub(crate) async fn end_with_host(
    connection: &mut PgConnection,
    sandbox: &Sandbox,
    attachment: Attachment,
) -> Result<Option<Sandbox>, StoreError> {
    let before = State::loaded(sandbox.lifecycle.clone());
    let Ok(step) = step(&before, &Input::HostDeleted) else { return Ok(None) };
    let (from, to) = (&before.lifecycle, &step.next.lifecycle);
    let ends = sandbox.audit_id.zip(outcome_of_step(from, to, false));
    let audit = AuditChange { begins: None, ends };
    let row = transition(&mut *connection, sandbox.id, attachment, from, to, &audit).await?;
    if let Some(TemplateEffect::Discard(template)) = step.template {
        templates::discard(&mut *connection, template).await?;
    }
    if from.end == End::NotRequested {
        let intent = AuditIntent::system(SystemReason::HostDeleted, Action::SandboxDestroy);
        let intent = intent.in_team(sandbox.team_id).of(sandbox.id);
        audit::insert(connection, &intent, AuditStatus::Succeeded, None, EntryKind::Note).await?;
    }
    row.map(Sandbox::try_from).transpose()
}

impl Store {
    /// Writes a new sandbox on `host`, with [`Lifecycle::first`], its audit entry and its event, in one statement, if the
    /// team's quota has room for it. Returns `None` if its host is not attached so, is drained, or is not for this team and
    /// template, or if it is for an attempt at a build that is over.
    ///
    /// The host's row is locked against its deletion and its drain: either of them finds the sandbox, or the sandbox is not
    /// written.
    ///
    /// # Errors
    /// See [`InsertError`].
    pub async fn sandbox_insert(
        &self,
        new: &NewSandbox,
        attachment: Attachment,
        intent: &AuditIntent,
    ) -> Result<Option<Sandbox>, InsertError> {
        let first = Lifecycle::first();
        let spec = intent.action.spec();
        let row = rows!(
            "WITH changed AS (
                INSERT INTO sandboxes (id, team_id, template_id, template_name, host_id, vcpus, memory_mb,
                    disk_size_mb, timeout_sec, auto_resume, default_user, envs, metadata, status, operation,
                    generation, template_image, preview_access, build_id, build_attempt, audit_id,
                    created_by_type, created_by_id, created_by_name)
                SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                    $23, $24, CASE $23::text
                    WHEN 'user' THEN (SELECT name FROM users WHERE users.id = $24)
                    WHEN 'api_key' THEN (SELECT name FROM api_keys WHERE api_keys.id = $24)
                    ELSE $25 END
                WHERE EXISTS (SELECT FROM hosts WHERE id = $5 AND attached_to = $30 AND attachment_epoch = $31
                        AND NOT is_draining
                        AND hosts.team_id IS NOT DISTINCT FROM
                            (SELECT CASE WHEN is_byoc THEN teams.id END FROM teams WHERE teams.id = $2)
                        AND COALESCE((SELECT origin_host_team FROM templates WHERE templates.id = $3), hosts.team_id)
                            IS NOT DISTINCT FROM hosts.team_id
                        FOR SHARE)
                    AND ($19::uuid IS NULL
                    OR EXISTS (SELECT FROM template_builds WHERE id = $19 AND attempt = $20 AND status = 'running' FOR SHARE))
                    AND team_admits($2, 1, $6::integer, $7::integer, $8::integer, 0, 0, NULL)
                RETURNING *),
             begun AS (
                INSERT INTO audit_logs (id, team_id, scope, actor_type, actor_id, actor_name, action, resource_type,
                    resource_id, status, metadata)
                SELECT $21, $2, $22, $23, $24, created_by_name, $26, $27, $28, 'accepted', $29
                FROM changed
                ON CONFLICT (id) DO UPDATE SET status = 'accepted', error = NULL, settled_at = NULL
                    WHERE audit_logs.status = 'refused'),
             event AS (
                INSERT INTO outbox (event, notification, team_id, resource_type, resource_id, payload)
                SELECT 'capsule.changed', $32, $2, $27, $28, jsonb_build_object('status', status, 'operation', operation,
                    'generation', generation, 'audit_id', audit_id, 'template', template_name, 'metadata', metadata)
                    || CASE WHEN build_attempt IS NULL THEN '{}' ELSE jsonb_build_object('build', true) END
                FROM changed)
             SELECT",
            "FROM changed AS sandboxes",
            new.id.0,
            new.team_id.0,
            new.template_id.0,
            new.template_name,
            attachment.host.0,
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
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
            ChannelEvent::CapsuleCreated.as_str(),
        );
        Ok(row.fetch_optional(&self.pool).await?.map(Sandbox::try_from).transpose()?)
    }

    /// Makes the row say `to`, if it still says what `from` says of generation and operation, and does to the template
    /// that the operation makes what `template` says; both or nothing. The audit entries of `audit` and the event are
    /// written in the same statement.
    ///
    /// For the sandbox's actor alone. Returns `None`, and changes nothing, if the row says something else.
    ///
    /// # Errors
    /// [`TransitionError::Name`] only for [`TemplateChange::Begin`], [`TransitionError::NotAdmitted`] only for what begins;
    /// nothing is changed then.
    pub async fn sandbox_transition(
        &self,
        id: SandboxId,
        attachment: Attachment,
        from: &Lifecycle,
        to: &Lifecycle,
        template: Option<&TemplateChange>,
        audit: &AuditChange,
    ) -> Result<Option<Sandbox>, TransitionError> {
        let Some(template) = template else {
            // One statement is a transaction of its own.
            let mut connection = self.pool.acquire().await?;
            let row = transition(&mut connection, id, attachment, from, to, audit).await?;
            return Ok(row.map(Sandbox::try_from).transpose()?);
        };
        let mut transaction = self.pool.begin().await?;
        if let TemplateChange::Begin(new) = template {
            templates::begin(&mut transaction, new).await?;
        }
        let Some(row) = transition(&mut transaction, id, attachment, from, to, audit).await? else {
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
    /// is gone, or its host is not attached so.
    ///
    /// For the sandbox's actor alone.
    pub async fn sandbox_set_timeout(
        &self,
        id: SandboxId,
        attachment: Attachment,
        timeout_sec: u32,
        intent: &AuditIntent,
    ) -> Result<Option<Sandbox>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = rows!(
            "UPDATE sandboxes SET timeout_sec = $2, last_active_at = now(), updated_at = now()
             WHERE id = $1 AND destroyed_at IS NULL AND host_id = $3
                AND EXISTS (SELECT FROM hosts WHERE id = $3 AND attached_to = $4 AND attachment_epoch = $5)
             RETURNING",
            "",
            id.0,
            timeout_sec.cast_signed(),
            attachment.host.0,
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
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

    /// Notes how long ago sandboxes on a server's hosts were used last; nothing happens to the others, and those that are gone.
    pub async fn sandboxes_used(
        &self,
        server: ServerId,
        ages: &[(SandboxId, Duration)],
    ) -> Result<(), StoreError> {
        let (ids, ages): (Vec<Uuid>, Vec<f64>) =
            ages.iter().map(|(id, age)| (id.0, age.as_secs_f64())).unzip();
        sqlx::query!(
            "UPDATE sandboxes SET last_active_at = now() - make_interval(secs => age)
             FROM unnest($1::uuid[], $2::float8[]) AS used (sandbox, age)
             WHERE id = sandbox AND destroyed_at IS NULL
                AND host_id IN (SELECT id FROM hosts WHERE attached_to = $3)
                AND (last_active_at IS NULL OR last_active_at < now() - make_interval(secs => age))",
            &ids,
            &ages,
            server.0,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
