//! Retention of capsules that are gone and of the output of builds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::time::Duration;

use sqlx::PgPool;
use wrenn_domain::{
    ids::{BuildId, SandboxId},
    sandbox::NewSandbox,
};
use wrenn_store::Store;
use wrenn_testkit::rows::{attached_host, intent, new_sandbox};

const DAY: Duration = Duration::from_secs(86_400);

async fn count(pool: &PgPool, from: &'static str) -> i64 {
    let count = format!("SELECT count(*) FROM {from}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(pool).await.unwrap()
}

/// Writes a build that ended so many days ago, or has not ended.
async fn build(pool: &PgPool, ended_days_ago: Option<i32>, sandbox: Option<SandboxId>) -> BuildId {
    let build = BuildId::new();
    sqlx::query(
        "INSERT INTO template_builds (id, name, base_template, recipe, vcpus, memory_mb, disk_size_mb, total_steps,
            team_id, status, completed_at, sandbox_id, logs, not_before)
         SELECT $1, left('t' || $1::text, 20), 'minimal', '[]', 1, 512, 5120, 1,
            '00000000-0000-0000-0000-000000000000', CASE WHEN $2::int IS NULL THEN 'pending' ELSE 'success' END,
            now() - make_interval(days => $2), $3, '[{\"step\": 1}]', now() + interval '1 day'",
    )
    .bind(build.0)
    .bind(ended_days_ago)
    .bind(sandbox.map(|id| id.0))
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("INSERT INTO build_steps (build_id, step, phase, cmd) VALUES ($1, 1, 'recipe', 'RUN true')")
        .bind(build.0)
        .execute(pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO build_lines (build_id, seq, step, stream, line)
         SELECT $1, n, 1, 'stdout', 'line' FROM generate_series(1, 1000) AS n",
    )
    .bind(build.0)
    .execute(pool)
    .await
    .unwrap();
    build
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn capsules_leave_their_table_a_while_after_their_end_and_nothing_else_goes_with_them(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let mut ids = Vec::new();
    for destroyed_days_ago in [Some(31), Some(29), None] {
        let new = NewSandbox { id: SandboxId::new(), ..new_sandbox() };
        store.sandbox_insert(&new, host, &intent()).await.unwrap().unwrap();
        sqlx::query(
            "UPDATE sandboxes SET status = 'stopped', operation = NULL, created_at = now() - interval '100 days',
                destroy_requested_at = now() - make_interval(days => $2),
                destroyed_at = now() - make_interval(days => $2)
             WHERE id = $1",
        )
        .bind(new.id.0)
        .bind(destroyed_days_ago)
        .execute(&pool)
        .await
        .unwrap();
        ids.push(new.id);
    }
    let of_build = build(&pool, Some(1), Some(ids[0])).await;
    let entries = count(&pool, "audit_logs").await;
    assert_eq!(store.sandboxes_retire(30 * DAY, 10).await.unwrap(), 1);
    assert_eq!(store.sandboxes_retire(30 * DAY, 10).await.unwrap(), 0);
    assert!(store.sandbox_load(ids[0]).await.unwrap().is_none());
    for id in &ids[1..] {
        assert!(store.sandbox_load(*id).await.unwrap().is_some());
    }
    assert_eq!(count(&pool, "audit_logs").await, entries);
    assert_eq!(store.build_fetch(of_build, None).await.unwrap().unwrap().sandbox_id, None);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn many_capsules_go_in_batches_the_oldest_first(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    store.sandbox_insert(&new_sandbox(), host, &intent()).await.unwrap().unwrap();
    sqlx::query(
        "INSERT INTO sandboxes (id, team_id, template_name, host_id, vcpus, memory_mb, default_user, status,
            destroy_requested_at, destroyed_at)
         SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'minimal', $1, 1, 512, 'root', 'stopped',
            at, at
         FROM generate_series(1, 2500) AS n, LATERAL (SELECT now() - make_interval(days => 30, hours => n) AS at) AS ended",
    )
    .bind(host.host.0)
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(store.sandboxes_retire(30 * DAY, 1000).await.unwrap(), 1000);
    let oldest: i32 = sqlx::query_scalar(
        "SELECT round(extract(epoch FROM now() - interval '30 days' - min(destroyed_at)) / 3600)::int FROM sandboxes",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(oldest, 1500);
    assert_eq!(store.sandboxes_retire(30 * DAY, 1000).await.unwrap(), 1000);
    assert_eq!(store.sandboxes_retire(30 * DAY, 1000).await.unwrap(), 500);
    assert_eq!(count(&pool, "sandboxes").await, 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_output_of_builds_goes_in_batches_and_their_rows_stay(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let old = [build(&pool, Some(40), None).await, build(&pool, Some(31), None).await];
    let kept = [build(&pool, Some(29), None).await, build(&pool, None, None).await];
    assert_eq!(store.build_logs_retire(30 * DAY, 600).await.unwrap(), 600);
    assert_eq!(store.build_steps(old[0]).await.unwrap().len(), 1, "its steps go with its last line");
    assert_eq!(store.build_logs_retire(30 * DAY, 600).await.unwrap(), 600);
    assert!(store.build_steps(old[0]).await.unwrap().is_empty());
    assert_eq!(store.build_steps(old[1]).await.unwrap().len(), 1);
    assert_eq!(store.build_logs_retire(30 * DAY, 5000).await.unwrap(), 800);
    assert_eq!(store.build_logs_retire(30 * DAY, 5000).await.unwrap(), 0);
    for id in old {
        assert!(store.build_lines(id, 0, 10).await.unwrap().is_empty());
        assert!(store.build_steps(id).await.unwrap().is_empty());
        assert!(store.build_fetch(id, None).await.unwrap().is_some());
    }
    for id in kept {
        assert_eq!(store.build_lines(id, 0, 5000).await.unwrap().len(), 1000);
        assert_eq!(store.build_steps(id).await.unwrap().len(), 1);
    }
    assert_eq!(count(&pool, "template_builds WHERE logs = '[]' AND logs_removed_at IS NOT NULL").await, 2);
}
