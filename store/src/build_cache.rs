//! The step cache of builds: which disk everything up to a step leads to.
//!
//! Each disk is a template with the purpose `step`, which only builds use. Several keys may lead to one disk, as not every
//! step changes it; a disk that no key leads to is of no use. A disk belongs to the team of its build, and leads no other
//! team anywhere: the team is part of each key, and every statement repeats it.

use wrenn_domain::{
    build::StepKey,
    ids::{TeamId, TemplateId},
};

use crate::{Store, StoreError};

impl Store {
    /// Returns what the last of a team's `keys` that is known leads to, with its place among them; it counts as used now. What
    /// was made on the team's own hosts leads nowhere while the team runs on the platform's.
    pub async fn build_cache_find(
        &self,
        team: TeamId,
        keys: &[StepKey],
    ) -> Result<Option<(usize, TemplateId)>, StoreError> {
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        let row = sqlx::query!(
            r#"WITH found AS (
                SELECT wanted.place, cached.key, cached.template_id
                FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (key, place)
                JOIN build_cache AS cached ON cached.key = wanted.key
                JOIN templates ON templates.id = cached.template_id AND templates.status = 'ready'
                    AND (templates.team_id = $2 OR templates.purpose = 'template')
                    AND (templates.origin_host_team IS NULL
                        OR templates.origin_host_team = (SELECT teams.id FROM teams WHERE teams.id = $2 AND is_byoc))
                ORDER BY wanted.place DESC LIMIT 1)
               UPDATE build_cache SET used_at = now() FROM found WHERE build_cache.key = found.key
               RETURNING found.place AS "place!", found.template_id AS "template_id!""#,
            &keys,
            team.0,
        );
        let row = row.fetch_optional(&self.pool).await?;
        // Places are counted from 1.
        Ok(row.and_then(|row| {
            Some((usize::try_from(row.place).ok()?.checked_sub(1)?, TemplateId(row.template_id)))
        }))
    }

    /// Notes what a key leads to, in place of what it led to before.
    pub async fn build_cache_put(&self, key: &StepKey, template: TemplateId) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO build_cache (key, template_id)
             SELECT $1, id FROM templates WHERE id = $2 AND status = 'ready'
             ON CONFLICT (key) DO UPDATE SET template_id = EXCLUDED.template_id, used_at = now()",
            key.as_slice(),
            template.0,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the disks that no key leads to, and those that were not used for the longest time, as far as all together
    /// occupy more than `limit_bytes`. None that a build that runs has just made is among them.
    pub async fn build_cache_excess(
        &self,
        limit_bytes: u64,
    ) -> Result<Vec<(TemplateId, TeamId)>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH disks AS (
                SELECT id, team_id, size_bytes,
                    (SELECT max(used_at) FROM build_cache WHERE template_id = templates.id) AS used_at,
                    EXISTS (SELECT FROM template_builds WHERE template_builds.id = templates.build_id AND template_builds.status = 'running'
                        AND template_builds.attempt = templates.build_attempt) AS is_new
                FROM templates WHERE purpose = 'step' AND status = 'ready'),
               sums AS (
                SELECT id, team_id, used_at, is_new,
                    sum(size_bytes) OVER (ORDER BY used_at DESC NULLS LAST, id) AS sum_bytes FROM disks)
               SELECT id AS "id!", team_id AS "team_id!" FROM sums
               WHERE NOT is_new AND (used_at IS NULL OR sum_bytes > $1::bigint) ORDER BY used_at NULLS FIRST, id"#,
            i64::try_from(limit_bytes).unwrap_or(i64::MAX),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (TemplateId(row.id), TeamId(row.team_id))).collect())
    }

    /// Returns a team's ready template that was made of exactly this, if it has this name.
    pub async fn build_result_find(
        &self,
        team: TeamId,
        name: &str,
        key: &StepKey,
    ) -> Result<Option<TemplateId>, StoreError> {
        let id = sqlx::query_scalar!(
            "SELECT id FROM templates WHERE team_id = $1 AND name = $2 AND status = 'ready' AND result_key = $3
                AND (origin_host_team IS NULL
                    OR origin_host_team = (SELECT teams.id FROM teams WHERE teams.id = $1 AND is_byoc))",
            team.0,
            name,
            key.as_slice(),
        );
        Ok(id.fetch_optional(&self.pool).await?.map(TemplateId))
    }
}
