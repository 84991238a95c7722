//! Plans that a connection makes on a new installation: it keeps them while the tables grow, until Postgres has gathered
//! statistics.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use sqlx::{PgConnection, PgPool};

/// Prepares statements whose plans are kept from the first use.
const PREPARE: &str = "
    SET plan_cache_mode = force_generic_plan;
    PREPARE usage AS SELECT running_capsules FROM team_usage($1);
    PREPARE list AS SELECT id, status FROM sandboxes
        WHERE team_id = $1 AND destroyed_at IS NULL AND build_attempt IS NULL
            AND (created_at, id) < (COALESCE($2::timestamptz, 'infinity'),
                COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY created_at DESC, id DESC LIMIT $4";

/// Statements of statistics, with the index that each has to take.
const STATISTICS: [(&str, &str); 5] = [
    (
        "PREPARE statement AS SELECT date_bin(make_interval(secs => $4), sampled_at, 'epoch'), max(running_count)
            FROM sandbox_metrics_snapshots WHERE team_id = $1 AND sampled_at >= $2 AND sampled_at < $3 GROUP BY 1",
        "sandbox_metrics_snapshots_team",
    ),
    (
        "PREPARE statement AS SELECT since, running_max FROM sandbox_metrics_rollups
            WHERE team_id = $1 AND since >= $2 AND since < $3 AND $4::float8 IS NULL",
        "sandbox_metrics_rollups_pkey",
    ),
    (
        "PREPARE statement AS SELECT id FROM sandbox_metrics_snapshots
            WHERE sampled_at < now() - make_interval(secs => $1) AND $3::text IS NULL AND $4::text IS NULL
            ORDER BY sampled_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        "sandbox_metrics_snapshots_sampled_at",
    ),
    (
        "PREPARE statement AS SELECT old.id FROM teams CROSS JOIN LATERAL (
                SELECT id FROM sandbox_metrics_snapshots WHERE team_id = teams.id LIMIT $1 FOR UPDATE SKIP LOCKED) AS old
            WHERE teams.deleted_at IS NOT NULL AND $2::text IS NULL AND $3::text IS NULL AND $4::text IS NULL LIMIT $1",
        "sandbox_metrics_snapshots_team",
    ),
    (
        "PREPARE statement AS SELECT id FROM sandboxes
            WHERE destroyed_at < now() - make_interval(secs => $1) AND $3::text IS NULL AND $4::text IS NULL
            ORDER BY destroyed_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        "sandboxes_destroyed",
    ),
];

async fn assert_reads_one_team(connection: &mut PgConnection, explain: &'static str) {
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(connection).await.unwrap();
    let plan = lines.join("\n");
    assert!(plan.contains("using sandboxes_team on sandboxes"), "{plan}");
    assert!(
        plan.contains("Index Cond: (team_id = $1)") || plan.contains("Index Cond: ((team_id = $1)"),
        "{plan}"
    );
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn without_statistics_a_teams_capsules_are_found_by_the_team(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql(PREPARE).execute(&mut *connection).await.unwrap();
    assert_reads_one_team(&mut connection, "EXPLAIN (COSTS OFF) EXECUTE usage (NULL)").await;
    assert_reads_one_team(&mut connection, "EXPLAIN (COSTS OFF) EXECUTE list (NULL, NULL, NULL, NULL)").await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn without_statistics_those_of_a_team_and_old_rows_are_found_by_their_index(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut *connection).await.unwrap();
    for (prepare, index) in STATISTICS {
        sqlx::raw_sql(prepare).execute(&mut *connection).await.unwrap();
        let explain = "EXPLAIN (COSTS OFF) EXECUTE statement (NULL, NULL, NULL, NULL)";
        let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *connection).await.unwrap();
        let plan = lines.join("\n");
        let is_found =
            plan.contains(&format!("using {index} on")) || plan.contains(&format!("Scan on {index}\n"));
        assert!(is_found && plan.contains("Index Cond: "), "{plan}");
        sqlx::raw_sql("DEALLOCATE statement").execute(&mut *connection).await.unwrap();
    }
}
