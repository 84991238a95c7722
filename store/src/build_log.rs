//! What builds log: their steps, and what these print.
//!
//! Steps and lines belong to one attempt, which must still have the build; see [`builds`](crate::builds).

use chrono::{DateTime, Utc};
use wrenn_domain::{
    build::{Claim, LoggedLine, LoggedStep, StepEnd},
    ids::BuildId,
};

use crate::{Store, StoreError};

struct StepRow {
    step: i32,
    phase: String,
    cmd: String,
    exit: Option<i32>,
    ok: Option<bool>,
    elapsed_ms: i64,
    cached: bool,
    started_at: DateTime<Utc>,
}

impl From<StepRow> for LoggedStep {
    fn from(row: StepRow) -> Self {
        Self {
            step: row.step.unsigned_abs(),
            phase: row.phase,
            cmd: row.cmd,
            exit: row.exit,
            ok: row.ok,
            elapsed_ms: row.elapsed_ms.unsigned_abs(),
            cached: row.cached,
            started_at: row.started_at,
        }
    }
}

struct LineRow {
    seq: i64,
    step: i32,
    stream: String,
    line: String,
}

impl TryFrom<LineRow> for LoggedLine {
    type Error = StoreError;

    fn try_from(row: LineRow) -> Result<Self, StoreError> {
        let stream = row.stream.parse()?;
        Ok(Self { seq: row.seq.unsigned_abs(), step: row.step.unsigned_abs(), stream, line: row.line })
    }
}

impl Store {
    /// Logs that a step has begun, or, for one that is `cached`, that nothing is to be done for it. False if the attempt
    /// has lost the build.
    pub async fn build_step_begin(
        &self,
        claim: Claim,
        step: u32,
        phase: &str,
        cmd: &str,
        cached: bool,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "WITH build AS (
                UPDATE builds SET current_step = $3 WHERE id = $1 AND attempt = $2 AND status = 'running' RETURNING id)
             INSERT INTO build_steps (build_id, step, phase, cmd, cached, ok)
             SELECT id, $3, $4, $5, $6, CASE WHEN $6 THEN true END FROM build
             ON CONFLICT (build_id, step) DO NOTHING",
            claim.build.0,
            claim.attempt.cast_signed(),
            step.cast_signed(),
            phase,
            cmd,
            cached,
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Logs that a step has ended. False if the attempt has lost the build.
    pub async fn build_step_end(&self, claim: Claim, step: u32, end: StepEnd) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE build_steps SET exit = $4, ok = $5, elapsed_ms = $6 FROM builds
             WHERE build_id = $1 AND step = $3 AND id = $1 AND attempt = $2 AND status = 'running'",
            claim.build.0,
            claim.attempt.cast_signed(),
            step.cast_signed(),
            end.exit,
            end.ok,
            end.elapsed_ms.cast_signed(),
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Logs lines; those that are logged already stay as they are. False if the attempt has lost the build.
    pub async fn build_lines_append(&self, claim: Claim, lines: &[LoggedLine]) -> Result<bool, StoreError> {
        let seqs: Vec<i64> = lines.iter().map(|line| line.seq.cast_signed()).collect();
        let steps: Vec<i32> = lines.iter().map(|line| line.step.cast_signed()).collect();
        let streams: Vec<String> = lines.iter().map(|line| line.stream.as_str().to_owned()).collect();
        let texts: Vec<String> = lines.iter().map(|line| line.line.clone()).collect();
        let done = sqlx::query!(
            "INSERT INTO build_lines (build_id, seq, step, stream, line)
             SELECT id, seq, step, stream, line FROM builds,
                unnest($3::bigint[], $4::int[], $5::text[], $6::text[]) AS line (seq, step, stream, line)
             WHERE id = $1 AND attempt = $2 AND status = 'running'
             ON CONFLICT (build_id, seq) DO NOTHING",
            claim.build.0,
            claim.attempt.cast_signed(),
            &seqs,
            &steps,
            &streams,
            &texts,
        );
        Ok(done.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Returns the steps of a build's latest attempt.
    pub async fn build_steps(&self, id: BuildId) -> Result<Vec<LoggedStep>, StoreError> {
        let rows = sqlx::query_as!(
            StepRow,
            "SELECT step, phase, cmd, exit, ok, elapsed_ms, cached, started_at FROM build_steps
             WHERE build_id = $1 ORDER BY step",
            id.0
        );
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(Into::into).collect())
    }

    /// Returns lines that follow `after`, in order, at most `at_most`.
    pub async fn build_lines(
        &self,
        id: BuildId,
        after: u64,
        at_most: u32,
    ) -> Result<Vec<LoggedLine>, StoreError> {
        let rows = sqlx::query_as!(
            LineRow,
            "SELECT seq, step, stream, line FROM build_lines WHERE build_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            id.0,
            after.cast_signed(),
            i64::from(at_most),
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(TryInto::try_into).collect()
    }
}
