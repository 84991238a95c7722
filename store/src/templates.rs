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
    audit::{AuditIntent, AuditOutcome, AuditStatus},
    ids::{AuditId, HostId, SandboxId, TeamId, TemplateId},
    template::{
        NewTemplate, OnConflict, Template, TemplateKind, TemplateNameError, TemplateOrigin, TemplateSource,
    },
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    sandboxes::TransitionError,
};

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
    ) -> Result<Vec<Template>, StoreError> {
        let rows = rows!(
            "WHERE team_id IN ($1, $2) AND status = 'ready' AND purpose = 'template' AND ($3::text IS NULL OR type = $3)
             ORDER BY created_at DESC, id",
            team_id.0,
            TeamId::PLATFORM.0,
            kind.map(TemplateKind::as_str),
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(TryInto::try_into).collect()
    }

    /// Begins to delete a template that is ready, or was to be tested, with the audit entry: from now on nobody finds it.
    /// Returns false if it is neither.
    pub async fn template_delete_begin(
        &self,
        id: TemplateId,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE templates SET status = 'deleting', audit_id = $2
             WHERE id = $1 AND status IN ('ready', 'testing')",
            id.0,
            intent.id.0,
        )
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, intent, AuditStatus::Accepted, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Forgets a template whose deletion has begun, and settles the audit entry; its hosts remove what they still have of
    /// it when they are compared with the rows.
    pub async fn template_delete_finish(&self, id: TemplateId) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let entry = sqlx::query_scalar!(
            "DELETE FROM templates WHERE id = $1 AND status = 'deleting' RETURNING audit_id",
            id.0
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(entry) = entry.flatten() {
            audit::settle(&mut transaction, AuditId(entry), &AuditOutcome::succeeded()).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Returns the templates whose deletion was begun, for example by a server that has ended.
    pub async fn templates_deleting(&self) -> Result<Vec<TemplateId>, StoreError> {
        let ids = sqlx::query_scalar!("SELECT id FROM templates WHERE status = 'deleting' ORDER BY id");
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(TemplateId).collect())
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

    /// Returns the templates that attempts at builds have left untested.
    pub async fn templates_untested_left(&self) -> Result<Vec<TemplateId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT templates.id FROM templates LEFT JOIN builds ON builds.id = templates.build_id
             WHERE templates.status = 'testing'
                AND NOT COALESCE(builds.status = 'running' AND builds.attempt = templates.build_attempt, false)
             ORDER BY templates.id"
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(TemplateId).collect())
    }

    /// Returns every team's templates that are ready, with the names of their teams, newest first.
    pub async fn template_list_all(&self) -> Result<Vec<(Template, String)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT templates.id, teams.name AS team_name FROM templates JOIN teams ON teams.id = team_id
               WHERE status = 'ready' AND purpose = 'template'"#
        );
        let mut teams: BTreeMap<TemplateId, String> = rows
            .fetch_all(&self.pool)
            .await?
            .into_iter()
            .map(|row| (TemplateId(row.id), row.team_name))
            .collect();
        let rows = rows!("WHERE status = 'ready' AND purpose = 'template' ORDER BY created_at DESC, id");
        let all = rows.fetch_all(&self.pool).await?.into_iter().map(Template::try_from);
        // One that was made between the two statements is there next time.
        let with_team = |template: Template| teams.remove(&template.id).map(|team| (template, team));
        Ok(all.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(with_team).collect())
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
    pub async fn template_host_remove(&self, id: TemplateId, host: HostId) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM template_hosts WHERE template_id = $1 AND host_id = $2", id.0, host.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Writes a template that is being made. The caller takes everything back if it cannot have its name.
pub(crate) async fn begin(connection: &mut PgConnection, new: &NewTemplate) -> Result<(), TransitionError> {
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
pub(crate) async fn publish(
    connection: &mut PgConnection,
    id: TemplateId,
    host: HostId,
    size_bytes: u64,
    disk_size_mb: u32,
) -> Result<(), StoreError> {
    let status = sqlx::query_scalar!(
        "UPDATE templates SET size_bytes = $2, disk_size_mb = GREATEST($3, 1),
            status = CASE WHEN build_id IS NOT NULL AND purpose = 'template' THEN 'testing' ELSE status END
         WHERE id = $1 AND status = 'making' RETURNING status",
        id.0,
        i64::try_from(size_bytes).unwrap_or(i64::MAX),
        i32::try_from(disk_size_mb).unwrap_or(i32::MAX),
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
