//! Templates: what capsules start from.
//!
//! ```text
//!   begin ──▶ making ── publish ──▶ ready ── delete begins ──▶ deleting ──▶ no row
//!               │ └──── publish ──▶ testing ── the build succeeds ──▶ ready
//!               └────── discard ──▶ no row
//! ```
//!
//! A template of a build is tested before it is ready: until then only the build knows it.
//!
//! One that is made of a sandbox is begun and ended in the transactions that begin and end the sandbox's operation, so
//! no operation leaves a template behind that nobody makes. Files on hosts that no row speaks of are removed by whoever
//! compares a host's inventory with the rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    host::Attachment,
    ids::{HostId, SandboxId, ServerId, TeamId, TemplateId},
    page::{Page, PageRequest, Position},
    template::{
        FILES_MARGIN_MB, NewTemplate, OnConflict, Template, TemplateKind, TemplateNameError, TemplateOrigin,
        TemplateSource,
    },
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    quotas,
};

/// The reason for which no template was begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginTemplateError {
    /// The template cannot have its name.
    #[error(transparent)]
    Name(#[from] TemplateNameError),
    /// The statement failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

struct TemplateRow {
    id: Uuid,
    team_id: Uuid,
    name: String,
    image: Option<String>,
    kind: String,
    vcpus: Option<i32>,
    memory_mb: Option<i32>,
    disk_size_mb: i32,
    size_bytes: i64,
    default_user: String,
    default_env: Json<BTreeMap<String, String>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<TemplateRow> for Template {
    type Error = StoreError;

    fn try_from(row: TemplateRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: TemplateId(row.id),
            team_id: TeamId(row.team_id),
            name: row.name,
            image: row.image,
            kind: row.kind.parse()?,
            vcpus: row.vcpus,
            memory_mb: row.memory_mb,
            disk_size_mb: row.disk_size_mb,
            size_bytes: row.size_bytes,
            default_user: row.default_user,
            default_env: row.default_env.0,
            created_at: row.created_at,
        })
    }
}

/// `query_as!` for whole templates: `$head`, the columns, `$tail`.
macro_rules! rows {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            TemplateRow,
            r#"SELECT id, team_id, name, image, type AS kind, vcpus, memory_mb, disk_size_mb, size_bytes,
                default_user, default_env AS "default_env: Json<BTreeMap<String, String>>", created_at
               FROM templates "# + $tail
            $(, $argument)*
        )
    };
}

impl Store {
    /// The template that a team means by a name: its own, else the platform's.
    pub async fn template_find(&self, team_id: TeamId, name: &str) -> Result<Option<Template>, StoreError> {
        rows!(
            "WHERE name = $3 AND team_id IN ($1, $2) AND status = 'ready' AND purpose = 'template'
             ORDER BY team_id = $2 LIMIT 1",
            team_id.0,
            TeamId::PLATFORM.0,
            name,
        )
        .fetch_optional(&self.pool)
        .await?
        .map(TryInto::try_into)
        .transpose()
    }

    /// Returns a template that is ready, or is being tested.
    pub async fn template_fetch(&self, id: TemplateId) -> Result<Option<Template>, StoreError> {
        rows!("WHERE id = $1 AND status IN ('ready', 'testing')", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Returns the templates that a team sees, its own and the platform's, newest first; all kinds, or one.
    pub async fn template_list(
        &self,
        team_id: TeamId,
        kind: Option<TemplateKind>,
        page: PageRequest,
    ) -> Result<Page<Template>, StoreError> {
        let (at, id) = page.bounds();
        let rows = rows!(
            "WHERE team_id IN ($1, $2) AND status = 'ready' AND purpose = 'template' AND ($3::text IS NULL OR type = $3)
                AND (created_at, id) < (COALESCE($4::timestamptz, 'infinity'),
                    COALESCE($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY created_at DESC, id DESC LIMIT $6",
            team_id.0,
            TeamId::PLATFORM.0,
            kind.map(TemplateKind::as_str),
            at,
            id,
            page.rows_to_read(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(Page::of(rows.map(Template::try_from).collect::<Result<_, _>>()?, page, position))
    }

    /// Begins to delete a template that is ready, or was to be tested, with the audit entry: from now on nobody finds it, and
    /// `server` removes its files.
    /// Returns false if it is neither.
    pub async fn template_delete_begin(
        &self,
        id: TemplateId,
        server: ServerId,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await?;
        begin_deletion(&mut connection, id, server, intent).await
    }

    /// Forgets a template whose deletion has begun, and settles the audit entry; its hosts remove what they still have of
    /// it when they are compared with the rows.
    pub async fn template_delete_finish(&self, id: TemplateId) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH gone AS (DELETE FROM templates WHERE id = $1 AND status = 'deleting' RETURNING audit_id),
             entry AS (
                UPDATE audit_logs SET status = 'succeeded', settled_at = clock_timestamp()
                FROM gone WHERE id = gone.audit_id AND status = 'accepted'
                RETURNING action, team_id, resource_type, resource_id, status, id)
             INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
             SELECT action, team_id, resource_type, resource_id, jsonb_build_object('status', status, 'audit_id', id)
             FROM entry",
            id.0,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the hosts that have a template's files.
    pub async fn template_hosts(&self, id: TemplateId) -> Result<Vec<HostId>, StoreError> {
        let hosts = sqlx::query_scalar!(
            "SELECT host_id FROM template_hosts WHERE template_id = $1 ORDER BY host_id",
            id.0
        );
        Ok(hosts.fetch_all(&self.pool).await?.into_iter().map(HostId).collect())
    }

    /// Returns the templates whose files a host has for certain.
    pub async fn templates_on_host(&self, host: HostId) -> Result<Vec<TemplateId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT template_id FROM template_hosts WHERE host_id = $1 ORDER BY template_id",
            host.0
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(TemplateId).collect())
    }

    /// Of the templates that a host says it has, returns those that nobody knows: neither ready, nor being made there.
    pub async fn templates_unknown(
        &self,
        host: HostId,
        ids: &[TemplateId],
    ) -> Result<Vec<TemplateId>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let unknown = sqlx::query_scalar!(
            r#"SELECT found AS "found!" FROM unnest($2::uuid[]) AS found
               WHERE NOT EXISTS (SELECT FROM template_hosts AS placed JOIN templates ON id = template_id
                    WHERE template_id = found AND placed.host_id = $1 AND status IN ('ready', 'testing'))
                AND NOT EXISTS (SELECT FROM sandboxes WHERE operation_template_id = found AND host_id = $1)
               ORDER BY found"#,
            host.0,
            &ids,
        );
        Ok(unknown.fetch_all(&self.pool).await?.into_iter().map(TemplateId).collect())
    }

    /// Returns the templates that attempts at builds have left untested, with their teams.
    pub async fn templates_untested_left(&self) -> Result<Vec<(TemplateId, TeamId)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT templates.id, templates.team_id
             FROM templates LEFT JOIN template_builds ON template_builds.id = templates.build_id
             WHERE templates.status = 'testing'
                AND NOT COALESCE(template_builds.status = 'running' AND template_builds.attempt = templates.build_attempt, false)
             ORDER BY templates.id"
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (TemplateId(row.id), TeamId(row.team_id))).collect())
    }

    /// Returns every team's templates that are ready, with the names of their teams, newest first.
    pub async fn template_list_all(&self, page: PageRequest) -> Result<Page<(Template, String)>, StoreError> {
        let (at, id) = page.bounds();
        let rows = rows!(
            "WHERE status = 'ready' AND purpose = 'template'
                AND team_id IN (SELECT id FROM teams WHERE deleted_at IS NULL)
                AND (created_at, id) < (COALESCE($1::timestamptz, 'infinity'),
                    COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY created_at DESC, id DESC LIMIT $3",
            at,
            id,
            page.rows_to_read(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let found = Page::of(rows.map(Template::try_from).collect::<Result<_, _>>()?, page, position);
        let names = self.team_names(found.items.iter().map(|template| template.team_id)).await?;
        Ok(found.map(|template| {
            let name = names.get(&template.team_id).cloned().unwrap_or_default();
            (template, name)
        }))
    }

    /// Returns a team's own template of a name.
    pub async fn template_find_own(
        &self,
        team_id: TeamId,
        name: &str,
    ) -> Result<Option<Template>, StoreError> {
        rows!(
            "WHERE name = $2 AND team_id = $1 AND status = 'ready' AND purpose = 'template'",
            team_id.0,
            name
        )
        .fetch_optional(&self.pool)
        .await?
        .map(TryInto::try_into)
        .transpose()
    }

    /// Returns the sandboxes that are being started from a template.
    pub async fn template_starting(&self, id: TemplateId) -> Result<Vec<SandboxId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sandboxes WHERE template_id = $1 AND operation = 'starting' AND destroyed_at IS NULL
             ORDER BY id",
            id.0
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(SandboxId).collect())
    }

    /// Writes that a host does not have a template's files any more.
    pub async fn template_host_remove(
        &self,
        id: TemplateId,
        attachment: Attachment,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM template_hosts WHERE template_id = $1 AND host_id = $2
                AND EXISTS (SELECT FROM hosts WHERE id = $2 AND attached_to = $3 AND attachment_epoch = $4)",
            id.0,
            attachment.host.0,
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn position(template: &Template) -> Position {
    Position { at: template.created_at, id: template.id.0 }
}

/// Begins to delete a template, see [`Store::template_delete_begin`].
pub(crate) async fn begin_deletion(
    connection: &mut PgConnection,
    id: TemplateId,
    server: ServerId,
    intent: &AuditIntent,
) -> Result<bool, StoreError> {
    let done = audit::change!(
        "UPDATE templates SET status = 'deleting', audit_id = $1, deleted_by = $16
         WHERE id = $15 AND status IN ('ready', 'testing') RETURNING id",
        intent,
        AuditStatus::Accepted,
        None::<&str>,
        EntryKind::Change,
        id.0,
        server.0,
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Writes a template that is being made, if the team may have it. The caller takes everything back if it cannot have its name.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    new: &NewTemplate,
) -> Result<(), BeginTemplateError> {
    if !matches!(new.origin, TemplateOrigin::Step(_)) {
        let demand = quotas::Demand { template: Some(&new.name), ..quotas::Demand::default() };
        quotas::admit(connection, new.team_id, demand).await?;
    }
    // A base image fits any machine.
    let machine = (new.source == TemplateSource::Snapshot).then_some((new.vcpus, new.memory_mb));
    let claim = new.origin.claim();
    let result_key = match &new.origin {
        TemplateOrigin::Build { result_key, .. } => result_key.as_ref().map(|key| key.as_slice()),
        TemplateOrigin::Client | TemplateOrigin::Step(_) => None,
    };
    let inserted = sqlx::query!(
        "INSERT INTO templates (id, team_id, name, type, vcpus, memory_mb, disk_size_mb, default_user,
            default_env, status, replaces, purpose, build_id, build_attempt, result_key, as_it_is)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'making', $10, $11, $12, $13, $14, $15)",
        new.id.0,
        new.team_id.0,
        new.name,
        new.source.kind().as_str(),
        machine.map(|(vcpus, _)| vcpus.cast_signed()),
        machine.map(|(_, memory_mb)| memory_mb.cast_signed()),
        new.disk_size_mb.cast_signed(),
        new.default_user,
        Json(&new.default_env) as _,
        new.on_conflict == OnConflict::Replace,
        if matches!(new.origin, TemplateOrigin::Step(_)) { "step" } else { "template" },
        claim.map(|claim| claim.build.0),
        claim.map(|claim| claim.attempt.cast_signed()),
        result_key,
        new.source == TemplateSource::AsItIs,
    )
    .execute(&mut *connection)
    .await;
    match inserted {
        Ok(_) => {}
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("templates_making_name") => {
            return Err(TemplateNameError::Taken.into());
        }
        Err(error) => return Err(error.into()),
    }
    // Only now that the name is held: nobody else can make one of it ready any more.
    let others = sqlx::query!(
        r#"SELECT
            EXISTS (SELECT FROM templates WHERE team_id = $2 AND name = $3 AND team_id <> $1
                AND status <> 'deleting') AS "is_reserved!",
            EXISTS (SELECT FROM templates WHERE team_id = $1 AND name = $3
                AND status = 'ready') AS "is_taken!""#,
        new.team_id.0,
        TeamId::PLATFORM.0,
        new.name,
    )
    .fetch_one(&mut *connection)
    .await?;
    if others.is_reserved {
        return Err(TemplateNameError::Reserved.into());
    }
    if others.is_taken && new.on_conflict == OnConflict::Refuse {
        return Err(TemplateNameError::Taken.into());
    }
    Ok(())
}

/// Makes a template ready, in place of the one that it replaces; one of a build is to be tested first.
///
/// Its sizes are what the host says, and no more than the sandbox had of which it was made.
pub(crate) async fn publish(
    connection: &mut PgConnection,
    id: TemplateId,
    host: HostId,
    size_bytes: u64,
    disk_size_mb: u32,
) -> Result<(), StoreError> {
    let status = sqlx::query_scalar!(
        "UPDATE templates SET disk_size_mb = LEAST(GREATEST($3, 1), disk_size_mb),
            size_bytes = LEAST($2, (disk_size_mb::bigint + COALESCE(memory_mb, 0) + $5) * 1048576),
            origin_host_team = (SELECT hosts.team_id FROM hosts WHERE hosts.id = $4),
            status = CASE WHEN build_id IS NOT NULL AND purpose = 'template' THEN 'testing' ELSE status END
         WHERE id = $1 AND status = 'making' RETURNING status",
        id.0,
        i64::try_from(size_bytes).unwrap_or(i64::MAX),
        i32::try_from(disk_size_mb).unwrap_or(i32::MAX),
        host.0,
        i64::try_from(FILES_MARGIN_MB).unwrap_or(i64::MAX),
    );
    if status.fetch_optional(&mut *connection).await?.as_deref() == Some("making") {
        make_ready(connection, id).await?;
    }
    sqlx::query!("INSERT INTO template_hosts (template_id, host_id) VALUES ($1, $2)", id.0, host.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes a template ready that has passed its test; one that is ready already stays so.
pub(crate) async fn publish_tested(connection: &mut PgConnection, id: TemplateId) -> Result<(), StoreError> {
    make_ready(connection, id).await
}

/// Makes a template ready that is complete, in place of the one that it replaces.
async fn make_ready(connection: &mut PgConnection, id: TemplateId) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM templates AS old USING templates AS new
         WHERE new.id = $1 AND new.status <> 'ready' AND new.replaces AND old.team_id = new.team_id
            AND old.name = new.name AND old.status = 'ready'",
        id.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE templates SET status = 'ready' WHERE id = $1 AND status IN ('making', 'testing')",
        id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a template that is being made.
pub(crate) async fn discard(connection: &mut PgConnection, id: TemplateId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM templates WHERE id = $1 AND status = 'making'", id.0)
        .execute(connection)
        .await?;
    Ok(())
}
