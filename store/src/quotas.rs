//! Quotas: the limits of teams, and the decision whether a team may use more.
//!
//! The function `team_admits` of the database decides, in the statement of the change itself and under a lock on the team's
//! row, so of many requests at once no more succeed than the quota allows, and none takes another round trip. Its
//! refusal arrives as an error of the statement, of which [`refusal`] makes a [`NotAdmitted`].

use sqlx::{PgConnection, postgres::PgDatabaseError, types::Json};
use wrenn_domain::{
    audit::{AuditIntent, AuditStatus},
    ids::TeamId,
    quota::{NotAdmitted, Quota, Usage},
};

use crate::{
    Store, StoreError,
    audit::{self, EntryKind},
};

/// Name of the platform's defaults among the settings; `team_admits` reads them by it.
const DEFAULTS: &str = "quota";
/// SQLSTATE of a team that may not use more.
const EXCEEDED: &str = "WRN01";
/// SQLSTATE of a team that was deleted.
const TEAM_GONE: &str = "WRN02";

/// Use of a team that a change adds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Demand<'a> {
    /// Builds that have not ended.
    pub(crate) builds: i64,
    /// Name of a template that is about to be made.
    pub(crate) template: Option<&'a str>,
}

/// Returns the refusal with which a statement that asks for more than a team may use has failed.
pub(crate) fn refusal(error: &sqlx::Error) -> Option<NotAdmitted> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    match error.code() {
        EXCEEDED => Some(NotAdmitted::Exceeded(serde_json::from_str(error.detail()?).ok()?)),
        TEAM_GONE => Some(NotAdmitted::TeamGone),
        _ => None,
    }
}

/// Admits a change in whose transaction further statements follow. An error of it is a [`refusal`], or a failure.
pub(crate) async fn admit(
    connection: &mut PgConnection,
    team: TeamId,
    demand: Demand<'_>,
) -> Result<(), sqlx::Error> {
    let admitted = sqlx::query_scalar!(
        r#"SELECT team_admits($1, 0, 0, 0, 0, 0, $2, $3) AS "is_admitted!""#,
        team.0,
        demand.builds,
        demand.template,
    );
    admitted.fetch_one(connection).await?;
    Ok(())
}

/// Limits and use of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamQuota {
    /// The team's own limits.
    pub own: Quota,
    /// The platform's defaults.
    pub defaults: Quota,
    /// The team's use.
    pub usage: Usage,
}

impl Store {
    /// Returns the limits and the use of a team; `None` if there is no such team, or it is deleted.
    pub async fn team_quota(&self, team: TeamId) -> Result<Option<TeamQuota>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT quota AS "quota: Json<Quota>", running_capsules AS "running_capsules!", vcpus AS "vcpus!",
                memory_mb AS "memory_mb!", disk_mb AS "disk_mb!", paused_capsules AS "paused_capsules!",
                templates AS "templates!", concurrent_builds AS "concurrent_builds!"
               FROM teams CROSS JOIN LATERAL team_usage(teams.id) WHERE teams.id = $1 AND deleted_at IS NULL"#,
            team.0,
        );
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(None) };
        // Counts and sums of positive numbers.
        let usage = Usage {
            running_capsules: row.running_capsules.unsigned_abs(),
            vcpus: row.vcpus.unsigned_abs(),
            memory_mb: row.memory_mb.unsigned_abs(),
            disk_mb: row.disk_mb.unsigned_abs(),
            templates: row.templates.unsigned_abs(),
            paused_capsules: row.paused_capsules.unsigned_abs(),
            concurrent_builds: row.concurrent_builds.unsigned_abs(),
        };
        Ok(Some(TeamQuota { own: row.quota.0, defaults: self.quota_defaults().await?, usage }))
    }

    /// Replaces a team's own limits, with the audit entry; false if there is no such team, or it is deleted. A use that is
    /// larger stays as it is.
    pub async fn team_quota_set(
        &self,
        team: TeamId,
        quota: &Quota,
        intent: &AuditIntent,
    ) -> Result<bool, StoreError> {
        let changed = audit::change!(
            "UPDATE teams SET quota = jsonb_strip_nulls($16) WHERE id = $15 AND deleted_at IS NULL RETURNING id",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            team.0,
            Json(quota) as _,
        );
        Ok(changed.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Returns the platform's defaults.
    pub async fn quota_defaults(&self) -> Result<Quota, StoreError> {
        let stored = sqlx::query_scalar!(
            r#"SELECT convert_from(value, 'UTF8')::jsonb AS "quota!: Json<Quota>" FROM settings WHERE name = $1"#,
            DEFAULTS
        );
        Ok(stored.fetch_optional(&self.pool).await?.map_or_else(Quota::default, |quota| quota.0))
    }

    /// Replaces the platform's defaults, with the audit entry.
    pub async fn quota_defaults_set(&self, quota: &Quota, intent: &AuditIntent) -> Result<(), StoreError> {
        let changed = audit::change!(
            "INSERT INTO settings (name, value) VALUES ($15, convert_to($16::jsonb::text, 'UTF8'))
             ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value RETURNING name",
            intent,
            AuditStatus::Succeeded,
            None::<&str>,
            EntryKind::Change,
            DEFAULTS,
            Json(quota) as _,
        );
        changed.execute(&self.pool).await?;
        Ok(())
    }
}
