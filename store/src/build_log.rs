//! What builds log: their steps, and what these print.
//!
//! Steps and lines belong to one attempt, which must still have the build; see [`builds`](crate::builds).
//!
//! ```text
//!   build_lines  every line: the stream, and a build with all of its log
//!   build_steps  every step that has begun
//!   logs         an entry for each step that has ended, with the end of its output: lists, other tools
//! ```
//!
//! An entry is written in the transaction in which its step ends. All three are removed some time after the build's end; the
//! build's row stays, and says when that was.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;
use wrenn_domain::{
    build::{Claim, ENTRY_STREAM_BYTES, LogEntry, LogStream, LoggedLine, LoggedStep, StepEnd, last_output},
    ids::BuildId,
};

use crate::{Store, StoreError};

/// Size of all logs in one list; builds beyond it are listed without theirs.
const LISTED_BYTES: i64 = 16 * 1024 * 1024;
/// Builds whose logs one statement removes at most.
const RETIRED_BUILDS: i64 = 100;

/// An entry of `logs`, with the names of the contract.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct EntryJson {
    step: u32,
    phase: String,
    cmd: String,
    stdout: String,
    stderr: String,
    exit: Option<i32>,
    ok: Option<bool>,
    elapsed_ms: u64,
    cached: bool,
    started_at: DateTime<Utc>,
}

impl From<EntryJson> for LogEntry {
    fn from(entry: EntryJson) -> Self {
        let EntryJson { step, phase, cmd, stdout, stderr, exit, ok, elapsed_ms, cached, started_at } = entry;
        let step = LoggedStep { step, phase, cmd, exit, ok, elapsed_ms, cached, started_at };
        Self { step, stdout, stderr }
    }
}

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
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as!(
            StepRow,
            "WITH build AS (
                UPDATE template_builds SET current_step = $3 WHERE id = $1 AND attempt = $2 AND status = 'running' RETURNING id)
             INSERT INTO build_steps (build_id, step, phase, cmd, cached, ok)
             SELECT id, $3, $4, $5, $6, CASE WHEN $6 THEN true END FROM build
             ON CONFLICT (build_id, step) DO NOTHING
             RETURNING step, phase, cmd, exit, ok, elapsed_ms, cached, started_at",
            claim.build.0,
            claim.attempt.cast_signed(),
            step.cast_signed(),
            phase,
            cmd,
            cached,
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(false) };
        if cached && !append_entry(&mut transaction, claim, row).await? {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Logs that a step has ended. False if the attempt has lost the build.
    pub async fn build_step_end(&self, claim: Claim, step: u32, end: StepEnd) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query_as!(
            StepRow,
            // The build is locked before its step, as a claim does it, so that neither waits for the other.
            "WITH build AS (
                SELECT id FROM template_builds WHERE id = $1 AND attempt = $2 AND status = 'running' FOR UPDATE)
             UPDATE build_steps SET exit = $4, ok = $5, elapsed_ms = $6 FROM build
             WHERE build_id = build.id AND step = $3
             RETURNING step, phase, cmd, exit, ok, elapsed_ms, cached, started_at",
            claim.build.0,
            claim.attempt.cast_signed(),
            step.cast_signed(),
            end.exit,
            end.ok,
            end.elapsed_ms.cast_signed(),
        );
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(false) };
        if !append_entry(&mut transaction, claim, row).await? {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Logs lines; those that are logged already stay as they are. False if the attempt has lost the build.
    pub async fn build_lines_append(&self, claim: Claim, lines: &[LoggedLine]) -> Result<bool, StoreError> {
        let seqs: Vec<i64> = lines.iter().map(|line| line.seq.cast_signed()).collect();
        let steps: Vec<i32> = lines.iter().map(|line| line.step.cast_signed()).collect();
        let streams: Vec<String> = lines.iter().map(|line| line.stream.as_str().to_owned()).collect();
        let texts: Vec<String> = lines.iter().map(|line| line.line.clone()).collect();
        let done = sqlx::query!(
            "INSERT INTO build_lines (build_id, seq, step, stream, line)
             SELECT id, seq, step, stream, line FROM template_builds,
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

    /// Returns the log entries of these builds. The first builds come first; those whose logs would make all of them larger
    /// than a list may be have none.
    pub async fn build_entries(
        &self,
        builds: &[BuildId],
    ) -> Result<HashMap<BuildId, Vec<LogEntry>>, StoreError> {
        let ids: Vec<Uuid> = builds.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"WITH sized AS (
                SELECT id, sum(octet_length(logs::text)) OVER (ORDER BY place) AS sum_bytes
                FROM unnest($1::uuid[]) WITH ORDINALITY AS listed (build, place)
                JOIN template_builds ON id = listed.build)
               SELECT id, logs AS "logs: Json<Vec<EntryJson>>" FROM template_builds JOIN sized USING (id)
               WHERE sum_bytes <= $2"#,
            &ids,
            LISTED_BYTES,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let entries = |logs: Vec<EntryJson>| logs.into_iter().map(Into::into).collect();
        Ok(rows.map(|row| (BuildId(row.id), entries(row.logs.0))).collect())
    }

    /// Removes lines of the builds that ended first, at most `limit`, if their end is longer ago than `age`; returns how many.
    /// Builds that have no line left lose their steps and entries, too.
    pub async fn build_logs_retire(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let age = age.as_secs_f64();
        let lines = sqlx::query!(
            "DELETE FROM build_lines USING (
                SELECT line.build_id, line.seq FROM (
                    SELECT id FROM template_builds
                    WHERE completed_at < now() - make_interval(secs => $1) AND logs_removed_at IS NULL
                    ORDER BY completed_at LIMIT $2) AS build
                CROSS JOIN LATERAL (
                    SELECT build_id, seq FROM build_lines WHERE build_id = build.id ORDER BY seq LIMIT $3
                    FOR UPDATE SKIP LOCKED) AS line
                LIMIT $3) AS old
             WHERE build_lines.build_id = old.build_id AND build_lines.seq = old.seq",
            age,
            RETIRED_BUILDS,
            i64::from(limit),
        );
        let lines = lines.execute(&self.pool).await?.rows_affected();
        sqlx::query!(
            "WITH emptied AS (
                UPDATE template_builds SET logs = '[]', logs_removed_at = now()
                WHERE id IN (
                    SELECT id FROM template_builds
                    WHERE completed_at < now() - make_interval(secs => $1) AND logs_removed_at IS NULL
                        AND NOT EXISTS (SELECT FROM build_lines WHERE build_id = template_builds.id)
                    ORDER BY completed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
                RETURNING id)
             DELETE FROM build_steps WHERE build_id IN (SELECT id FROM emptied)",
            age,
            RETIRED_BUILDS,
        )
        .execute(&self.pool)
        .await?;
        Ok(lines)
    }
}

/// Appends the entry of a step that has ended; twice is once. False if the attempt has lost the build.
async fn append_entry(
    connection: &mut PgConnection,
    claim: Claim,
    step: StepRow,
) -> Result<bool, StoreError> {
    let stdout = stream_end(connection, claim.build, step.step, LogStream::Stdout).await?;
    let stderr = stream_end(connection, claim.build, step.step, LogStream::Stderr).await?;
    let LoggedStep { step, phase, cmd, exit, ok, elapsed_ms, cached, started_at } = step.into();
    let entry = EntryJson { step, phase, cmd, stdout, stderr, exit, ok, elapsed_ms, cached, started_at };
    let done = sqlx::query!(
        "UPDATE template_builds SET logs = CASE
                WHEN logs @> jsonb_build_array(jsonb_build_object('step', $3::int)) THEN logs
                ELSE logs || $4::jsonb END
         WHERE id = $1 AND attempt = $2 AND status = 'running'",
        claim.build.0,
        claim.attempt.cast_signed(),
        step.cast_signed(),
        Json(&entry) as _,
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Returns the end of what a step printed on a stream.
async fn stream_end(
    connection: &mut PgConnection,
    build: BuildId,
    step: i32,
    stream: LogStream,
) -> Result<String, StoreError> {
    // Of the lines that do not fit whole, only the last is read.
    let lines = sqlx::query_scalar!(
        "SELECT line FROM (
            SELECT seq, line, octet_length(line) + 1 AS bytes,
                sum(octet_length(line) + 1) OVER (ORDER BY seq DESC) AS sum_bytes
            FROM build_lines WHERE build_id = $1 AND step = $2 AND stream = $3) AS printed
         WHERE sum_bytes - bytes < $4 ORDER BY seq",
        build.0,
        step,
        stream.as_str(),
        i64::try_from(ENTRY_STREAM_BYTES).unwrap_or(i64::MAX),
    );
    let lines: Vec<String> = lines.fetch_all(connection).await?;
    Ok(last_output(lines.iter().map(String::as_str)))
}
