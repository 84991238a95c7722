//! Builds: recipes that become templates.
//!
//! ```text
//!   insert ─▶ pending ── claim ─▶ running ─┬─ finish ──▶ success, failed
//!                ▲                    │    └─ cancel ──▶ cancelled
//!                └──── give back ─────┘  (also when its lease has run out: claimed anew)
//! ```
//!
//! A [`Claim`] is one attempt. Every write of an attempt repeats its number and that the build runs, so one that lost the
//! build, or whose build was cancelled, changes nothing any more: those writes return false, or none.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;
use wrenn_domain::{
    audit::{AuditIntent, AuditOutcome, AuditStatus},
    build::{Build, BuildEnd, BuildOrder, BuildStage, BuildStatus, BuildableTeams, Claim, NewBuild},
    ids::{AuditId, BuildId, HostId, SandboxId, ServerId, TeamId, TemplateId, UserId},
    page::{Page, PageRequest, Position},
    quota::NotAdmitted,
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
    quotas, templates,
};

/// Key of the advisory lock under which builds are claimed.
const CLAIM_LOCK: i64 = 0x77_72_65_6e_6e_01;

/// Why a build was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum BuildInsertError {
    /// A build that makes the same template of the team waits or runs.
    #[error("a build of that name is pending or running")]
    NameInUse,
    /// The team may not have as many builds or templates.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// The statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BuildInsertError {
    fn from(error: sqlx::Error) -> Self {
        match quotas::refusal(&error) {
            Some(refusal) => Self::NotAdmitted(refusal),
            None => Self::Store(error.into()),
        }
    }
}

struct Row {
    id: Uuid,
    team_id: Uuid,
    name: String,
    base_template: String,
    recipe: Json<Vec<String>>,
    healthcheck: Option<String>,
    vcpus: i32,
    memory_mb: i32,
    disk_size_mb: i32,
    skip_pre_post: bool,
    no_cache: bool,
    archive: Option<String>,
    status: String,
    stage: Option<String>,
    current_step: i32,
    total_steps: i32,
    error: Option<String>,
    sandbox_id: Option<Uuid>,
    host_id: Option<Uuid>,
    template_id: Option<Uuid>,
    default_user: String,
    default_env: Json<BTreeMap<String, String>>,
    attempt: i32,
    created_by: Option<Uuid>,
    audit_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Build {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: BuildId(row.id),
            order: BuildOrder {
                team_id: TeamId(row.team_id),
                name: row.name,
                base_template: row.base_template,
                recipe: row.recipe.0,
                healthcheck: row.healthcheck,
                // CHECK constraints keep the numbers from being negative.
                vcpus: row.vcpus.unsigned_abs(),
                memory_mb: row.memory_mb.unsigned_abs(),
                disk_size_mb: row.disk_size_mb.unsigned_abs(),
                skip_pre_post: row.skip_pre_post,
                no_cache: row.no_cache,
                created_by: row.created_by.map(UserId),
            },
            archive: row.archive,
            total_steps: row.total_steps.unsigned_abs(),
            status: row.status.parse()?,
            stage: row.stage.as_deref().map(str::parse).transpose()?,
            current_step: row.current_step.unsigned_abs(),
            error: row.error,
            sandbox_id: row.sandbox_id.map(SandboxId),
            host_id: row.host_id.map(HostId),
            template_id: row.template_id.map(TemplateId),
            default_user: row.default_user,
            default_env: row.default_env.0,
            attempt: row.attempt.unsigned_abs(),
            created_at: row.created_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
        })
    }
}

/// `query_as!` for whole rows: `$head`, the columns, `$tail`.
macro_rules! rows {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + r#" id, team_id, name, base_template, recipe AS "recipe: Json<Vec<String>>", healthcheck, vcpus, memory_mb,
                disk_size_mb, skip_pre_post, no_cache, archive, status, stage, current_step, total_steps, error, sandbox_id,
                host_id, template_id, default_user, default_env AS "default_env: Json<BTreeMap<String, String>>", attempt,
                created_by, audit_id, created_at, started_at, completed_at "# + $tail
            $(, $argument)*
        )
    };
}

impl Store {
    /// Takes a build in, with its audit entry, which is settled when the build ends.
    ///
    /// # Errors
    /// See [`BuildInsertError`].
    pub async fn build_insert(
        &self,
        new: &NewBuild,
        intent: &AuditIntent,
    ) -> Result<Build, BuildInsertError> {
        let order = &new.order;
        let team = order.team_id;
        let mut transaction = self.pool.begin().await?;
        let demand = quotas::Demand { builds: 1, template: Some(&order.name) };
        quotas::admit(&mut transaction, team, demand).await?;
        let row = rows!(
            "INSERT INTO template_builds (id, name, base_template, recipe, healthcheck, vcpus, memory_mb, disk_size_mb,
                skip_pre_post, no_cache, archive, total_steps, created_by, audit_id, team_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             RETURNING",
            "",
            new.id.0,
            order.name,
            order.base_template,
            Json(&order.recipe) as _,
            order.healthcheck,
            order.vcpus.cast_signed(),
            order.memory_mb.cast_signed(),
            order.disk_size_mb.cast_signed(),
            order.skip_pre_post,
            order.no_cache,
            new.archive,
            new.total_steps.cast_signed(),
            order.created_by.map(|user| user.0),
            intent.id.0,
            order.team_id.0,
        );
        match row.fetch_one(&mut *transaction).await {
            Ok(row) => {
                audit::insert(&mut transaction, intent, AuditStatus::Accepted, None, EntryKind::Change)
                    .await?;
                transaction.commit().await?;
                Ok(row.try_into()?)
            }
            Err(sqlx::Error::Database(error)) if error.constraint() == Some("template_builds_open_name") => {
                Err(BuildInsertError::NameInUse)
            }
            Err(error) => Err(StoreError::from(error).into()),
        }
    }

    /// Returns a build of a team, or of whichever team it is.
    pub async fn build_fetch(&self, id: BuildId, team: Option<TeamId>) -> Result<Option<Build>, StoreError> {
        rows!(
            "SELECT",
            "FROM template_builds WHERE id = $1 AND ($2::uuid IS NULL OR team_id = $2)",
            id.0,
            team.map(|team| team.0),
        )
        .fetch_optional(&self.pool)
        .await?
        .map(TryInto::try_into)
        .transpose()
    }

    /// Returns builds of a team, or of all teams, newest first.
    pub async fn build_list(
        &self,
        team: Option<TeamId>,
        page: PageRequest,
    ) -> Result<Page<Build>, StoreError> {
        let (at, id) = page.bounds();
        let rows = match team {
            Some(team) => {
                rows!(
                    "SELECT",
                    "FROM template_builds WHERE team_id = $4
                        AND (created_at, id) < (COALESCE($1::timestamptz, 'infinity'),
                            COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                     ORDER BY created_at DESC, id DESC LIMIT $3",
                    at,
                    id,
                    page.rows_to_read(),
                    team.0,
                )
                .fetch_all(&self.pool)
                .await?
            }
            None => {
                rows!(
                    "SELECT",
                    "FROM template_builds
                     WHERE (created_at, id) < (COALESCE($1::timestamptz, 'infinity'),
                        COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                     ORDER BY created_at DESC, id DESC LIMIT $3",
                    at,
                    id,
                    page.rows_to_read(),
                )
                .fetch_all(&self.pool)
                .await?
            }
        };
        let builds = rows.into_iter().map(Build::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(builds, page, |build| Position { at: build.created_at, id: build.id.0 }))
    }

    /// Takes up a build that waits, or one whose lease has run out; what an earlier attempt has logged is forgotten. Teams
    /// take turns: it is the oldest build of the team of which the fewest run. Returns `None` if there is nothing to do for
    /// `teams`.
    pub async fn build_claim(
        &self,
        lease: Duration,
        teams: &BuildableTeams,
    ) -> Result<Option<(Claim, Build)>, StoreError> {
        let with_own_hosts: Vec<Uuid> = teams.with_own_hosts.iter().map(|team| team.0).collect();
        let mut transaction = self.pool.begin().await?;
        // Serializes claims, so that each counts those before it.
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", CLAIM_LOCK).execute(&mut *transaction).await?;
        let row = rows!(
            "UPDATE template_builds SET status = 'running', stage = 'preparing', attempt = attempt + 1, current_step = 0,
                lease_until = now() + make_interval(secs => $1), started_at = COALESCE(started_at, now()),
                sandbox_id = NULL, host_id = NULL, not_before = NULL, logs = '[]'
             WHERE id = (
                SELECT open.id FROM template_builds AS open
                JOIN teams ON teams.id = open.team_id AND teams.deleted_at IS NULL
                LEFT JOIN (
                    SELECT team_id, count(*) AS builds FROM template_builds
                    WHERE status = 'running' AND lease_until >= now() GROUP BY team_id
                ) AS running ON running.team_id = open.team_id
                WHERE ((open.status = 'pending' AND COALESCE(open.not_before, '-infinity') <= now())
                        OR (open.status = 'running' AND open.lease_until < now()))
                    AND CASE WHEN teams.is_byoc THEN open.team_id = ANY($2) ELSE $3 END
                ORDER BY COALESCE(running.builds, 0), open.created_at, open.id LIMIT 1 FOR UPDATE OF open SKIP LOCKED)
             RETURNING",
            "",
            lease.as_secs_f64(),
            &with_own_hosts,
            teams.of_platform,
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        sqlx::query!("DELETE FROM build_steps WHERE build_id = $1", row.id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query!("DELETE FROM build_lines WHERE build_id = $1", row.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let build = Build::try_from(row)?;
        Ok(Some((Claim { build: build.id, attempt: build.attempt }, build)))
    }

    /// Whether a build could be taken up now.
    pub async fn build_is_claimable(&self) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM template_builds
                WHERE (status = 'pending' AND COALESCE(not_before, '-infinity') <= now())
                    OR (status = 'running' AND lease_until < now())) AS "found!""#
        );
        Ok(found.fetch_one(&self.pool).await?)
    }

    /// Keeps a build for a while longer; false if the attempt has lost it.
    pub async fn build_renew(&self, claim: Claim, lease: Duration) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE template_builds SET lease_until = now() + make_interval(secs => $3)
             WHERE id = $1 AND attempt = $2 AND status = 'running'",
            claim.build.0,
            claim.attempt.cast_signed(),
            lease.as_secs_f64(),
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Gives a build back to be taken up anew, after a while.
    pub async fn build_give_back(
        &self,
        claim: Claim,
        reason: &str,
        after: Duration,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE template_builds SET status = 'pending', stage = NULL, lease_until = NULL, error = $3,
                not_before = now() + make_interval(secs => $4)
             WHERE id = $1 AND attempt = $2 AND status = 'running'",
            claim.build.0,
            claim.attempt.cast_signed(),
            reason,
            after.as_secs_f64(),
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Notes what an attempt is doing.
    pub async fn build_stage(&self, claim: Claim, stage: BuildStage) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE template_builds SET stage = $3 WHERE id = $1 AND attempt = $2 AND status = 'running'",
            claim.build.0,
            claim.attempt.cast_signed(),
            stage.as_str(),
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Notes in which capsule an attempt works.
    pub async fn build_sandbox(
        &self,
        claim: Claim,
        sandbox: SandboxId,
        host: HostId,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE template_builds SET sandbox_id = $3, host_id = $4
             WHERE id = $1 AND attempt = $2 AND status = 'running'",
            claim.build.0,
            claim.attempt.cast_signed(),
            sandbox.0,
            host.0,
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Notes what capsules of the template will have.
    pub async fn build_defaults(
        &self,
        claim: Claim,
        user: &str,
        env: &BTreeMap<String, String>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE template_builds SET default_user = $3, default_env = $4
             WHERE id = $1 AND attempt = $2 AND status = 'running'",
            claim.build.0,
            claim.attempt.cast_signed(),
            user,
            Json(env) as _,
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Ends a build, and makes its template ready, in place of the one that has its name; all or nothing. False if the
    /// attempt has lost the build.
    pub async fn build_finish(&self, claim: Claim, end: &BuildEnd) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let (status, error, template) = match end {
            BuildEnd::Success(template) => (BuildStatus::Success, None, Some(template.0)),
            BuildEnd::Failed(reason) => (BuildStatus::Failed, Some(reason.as_str()), None),
        };
        let done = sqlx::query_scalar!(
            "UPDATE template_builds SET status = $3, stage = NULL, lease_until = NULL, completed_at = now(), error = $4,
                template_id = $5, current_step = CASE WHEN $3 = 'success' THEN total_steps ELSE current_step END
             WHERE id = $1 AND attempt = $2 AND status = 'running'
             RETURNING audit_id",
            claim.build.0,
            claim.attempt.cast_signed(),
            status.as_str(),
            error,
            template,
        );
        let Some(entry) = done.fetch_optional(&mut *transaction).await? else { return Ok(false) };
        if let Some(entry) = entry {
            let outcome = match end {
                BuildEnd::Success(_) => AuditOutcome::succeeded(),
                BuildEnd::Failed(reason) => AuditOutcome::failed(reason),
            };
            audit::settle(&mut transaction, AuditId(entry), &outcome).await?;
        }
        if let BuildEnd::Success(template) = end {
            templates::publish_tested(&mut transaction, *template).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Cancels a build of a team, or of whichever team it is, with the audit entry, and settles the one of whoever asked for
    /// it. Returns `None` if there is no such build, or it has ended.
    pub async fn build_cancel(
        &self,
        id: BuildId,
        team: Option<TeamId>,
        intent: &AuditIntent,
    ) -> Result<Option<Build>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = rows!(
            "UPDATE template_builds SET status = 'cancelled', stage = NULL, lease_until = NULL, completed_at = now()
             WHERE id = $1 AND status IN ('pending', 'running') AND ($2::uuid IS NULL OR team_id = $2)
             RETURNING",
            "",
            id.0,
            team.map(|team| team.0),
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        if let Some(entry) = row.audit_id {
            audit::settle(&mut transaction, AuditId(entry), &AuditOutcome::failed("it was cancelled"))
                .await?;
        }
        audit::insert(&mut transaction, intent, AuditStatus::Succeeded, None, EntryKind::Change).await?;
        transaction.commit().await?;
        Ok(Some(row.try_into()?))
    }

    /// Returns the capsules of a build that are not gone.
    pub async fn build_sandboxes(&self, id: BuildId) -> Result<Vec<SandboxId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sandboxes WHERE build_id = $1 AND destroyed_at IS NULL ORDER BY id",
            id.0
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(SandboxId).collect())
    }

    /// Returns the capsules on a server's hosts of attempts that are over, as far as nobody has asked for their end, with
    /// their teams.
    pub async fn build_sandboxes_left(
        &self,
        server: ServerId,
    ) -> Result<Vec<(SandboxId, TeamId)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT left_over.id, left_over.team_id
             FROM sandboxes AS left_over JOIN template_builds ON template_builds.id = left_over.build_id
             WHERE left_over.destroyed_at IS NULL AND left_over.destroy_requested_at IS NULL
                AND NOT (template_builds.status = 'running' AND template_builds.attempt = left_over.build_attempt)
                AND left_over.host_id IN (SELECT id FROM hosts WHERE attached_to = $1)
             ORDER BY left_over.id",
            server.0
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (SandboxId(row.id), TeamId(row.team_id))).collect())
    }

    /// Returns the archives of builds that have ended.
    pub async fn build_archives_left(&self) -> Result<Vec<(BuildId, String)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT id, archive AS "archive!" FROM template_builds
               WHERE archive IS NOT NULL AND status NOT IN ('pending', 'running') ORDER BY id"#
        );
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(|row| (BuildId(row.id), row.archive)).collect())
    }

    /// Notes that a build's archive is gone.
    pub async fn build_archive_forget(&self, id: BuildId) -> Result<(), StoreError> {
        sqlx::query!("UPDATE template_builds SET archive = NULL WHERE id = $1", id.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns the builds that begin with a team's template of this name and have not ended. One of the platform is that of
    /// every team that has none of the name itself.
    pub async fn builds_from(&self, team: TeamId, base_template: &str) -> Result<Vec<BuildId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM template_builds AS open
             WHERE base_template = $2 AND status IN ('pending', 'running')
                AND (team_id = $1 OR ($1 = $3 AND NOT EXISTS (
                    SELECT FROM templates AS own WHERE own.team_id = open.team_id AND own.name = $2
                        AND own.status = 'ready' AND own.purpose = 'template')))
             ORDER BY id",
            team.0,
            base_template,
            TeamId::PLATFORM.0,
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(BuildId).collect())
    }

    /// Returns true if a team's build cannot have this name: a template of the platform has it, or, for a build of the
    /// platform, an image that every host is given.
    pub async fn build_name_is_reserved(&self, team: TeamId, name: &str) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM templates WHERE team_id = $1 AND name = $2 AND status <> 'deleting'
                AND (image IS NOT NULL OR $3 <> $1)) AS "found!""#,
            TeamId::PLATFORM.0,
            name,
            team.0,
        );
        Ok(found.fetch_one(&self.pool).await?)
    }
}
