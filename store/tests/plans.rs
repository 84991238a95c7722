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
