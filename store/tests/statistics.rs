//! Samples of teams: taken once whoever takes them, rolled up exactly, and removed when they are old.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::PgPool;
use wrenn_domain::{
    host::Attachment,
    ids::{SandboxId, TeamId},
    sandbox::NewSandbox,
    statistics::{
        BRIDGED_SEC, Reserved, STORAGE_SEC, StatsRange, UsageDay, UsagePeriod, UsageTotals, Window,
    },
    word::UnknownWord,
};
use wrenn_store::Store;
use wrenn_testkit::rows::{attached_host, intent, new_sandbox};

const DAY: Duration = Duration::from_secs(86_400);

async fn team(pool: &PgPool) -> TeamId {
    let team = TeamId::new();
    let insert = "INSERT INTO teams (id, name, slug) VALUES ($1, 'team', $2)";
    sqlx::query(insert).bind(team.0).bind(team.to_string()).execute(pool).await.unwrap();
    team
}

/// Writes a capsule of one vCPU with a settled state.
async fn capsule(store: &Store, pool: &PgPool, team_id: TeamId, host: Attachment, status: &str) -> SandboxId {
    let new = NewSandbox {
        id: SandboxId::new(),
        team_id,
        vcpus: 1,
        memory_mb: 513,
        disk_size_mb: 6000,
        ..new_sandbox()
    };
    store.sandbox_insert(&new, host, &intent()).await.unwrap().unwrap();
    let settle = "UPDATE sandboxes SET status = $2, operation = NULL, started_at = now() WHERE id = $1";
    sqlx::query(settle).bind(new.id.0).bind(status).execute(pool).await.unwrap();
    new.id
}

async fn sample_at(pool: &PgPool, team: TeamId, at: DateTime<Utc>, values: (i32, i64, i64)) {
    sqlx::query(
        "INSERT INTO sandbox_metrics_snapshots
            (team_id, sampled_at, running_count, vcpus_reserved, memory_mb_reserved)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(team.0)
    .bind(at)
    .bind(values.0)
    .bind(values.1)
    .bind(values.2)
    .execute(pool)
    .await
    .unwrap();
}

/// Samples of a team, oldest first.
async fn samples(pool: &PgPool, team: TeamId) -> Vec<(DateTime<Utc>, i32, i64, i64)> {
    sqlx::query_as(
        "SELECT sampled_at, running_count, vcpus_reserved, memory_mb_reserved FROM sandbox_metrics_snapshots
         WHERE team_id = $1 ORDER BY sampled_at",
    )
    .bind(team.0)
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn count(pool: &PgPool, from: &'static str) -> i64 {
    let count = format!("SELECT count(*) FROM {from}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(pool).await.unwrap()
}

/// Lets the next look find a slot to sample, as if the last one had been `ago`.
async fn last_sampled(pool: &PgPool, ago: Duration) -> DateTime<Utc> {
    sqlx::query_scalar(
        "UPDATE metrics_sampler SET slot = date_bin('10 s', now(), 'epoch') - make_interval(secs => $1) RETURNING slot",
    )
    .bind(ago.as_secs_f64())
    .fetch_one(pool)
    .await
    .unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn reserved(running_count: u64, vcpus: u64, memory_mb: u64) -> Reserved {
    Reserved { running_count, vcpus, memory_mb }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn samplers_of_many_servers_at_once_write_each_sample_once(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let teams = [team(&pool).await, team(&pool).await, team(&pool).await];
    for team in teams {
        capsule(&store, &pool, team, host, "running").await;
    }
    let mut slots = HashSet::new();
    for _ in 0..25 {
        sqlx::query("UPDATE metrics_sampler SET slot = 'epoch'").execute(&pool).await.unwrap();
        sqlx::query("TRUNCATE sandbox_metrics_snapshots, sandbox_metrics_rollups")
            .execute(&pool)
            .await
            .unwrap();
        slots.clear();
        let looks: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.teams_sample().await })
            })
            .collect();
        for look in looks {
            if let Some(slot) = look.await.unwrap().unwrap() {
                assert_eq!((slot.teams, slot.bridged), (3, 0));
                assert!(slots.insert(slot.at), "{} was sampled twice", slot.at);
            }
        }
        // More than one only if a slot ended meanwhile.
        assert!(!slots.is_empty());
        for team in teams {
            let samples = samples(&pool, team).await;
            assert_eq!(samples.len(), slots.len());
            assert!(
                samples.iter().all(|(at, running, ..)| *running == 1 && slots.contains(at)),
                "{samples:?}"
            );
        }
        let seconds: i64 =
            sqlx::query_scalar("SELECT sum(vcpu_seconds)::bigint FROM sandbox_metrics_rollups")
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(seconds, 3 * 10 * i64::try_from(slots.len()).unwrap());
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_claim_that_is_not_committed_leaves_the_slot_to_others(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let team = team(&pool).await;
    capsule(&store, &pool, team, host, "running").await;
    let mut dead = pool.begin().await.unwrap();
    sqlx::query("UPDATE metrics_sampler SET previous = slot, slot = date_bin('10 s', now(), 'epoch')")
        .execute(&mut *dead)
        .await
        .unwrap();
    let look = tokio::spawn(async move { store.teams_sample().await });
    dead.rollback().await.unwrap();
    assert!(look.await.unwrap().unwrap().is_some());
    assert_eq!(samples(&pool, team).await.len(), 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_sample_has_what_runs_in_full_and_half_of_what_is_paused(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let (busy, paused, idle, gone) =
        (team(&pool).await, team(&pool).await, team(&pool).await, team(&pool).await);
    for status in ["running", "running", "missing", "paused", "stopped", "error"] {
        capsule(&store, &pool, busy, host, status).await;
    }
    for _ in 0..3 {
        capsule(&store, &pool, paused, host, "paused").await;
    }
    capsule(&store, &pool, idle, host, "stopped").await;
    let destroyed = capsule(&store, &pool, idle, host, "stopped").await;
    sqlx::query("UPDATE sandboxes SET destroy_requested_at = now(), destroyed_at = now() WHERE id = $1")
        .bind(destroyed.0)
        .execute(&pool)
        .await
        .unwrap();
    let in_build = capsule(&store, &pool, busy, host, "running").await;
    sqlx::query("UPDATE sandboxes SET build_attempt = 1 WHERE id = $1")
        .bind(in_build.0)
        .execute(&pool)
        .await
        .unwrap();
    capsule(&store, &pool, gone, host, "running").await;
    sqlx::query("UPDATE teams SET deleted_at = now() WHERE id = $1")
        .bind(gone.0)
        .execute(&pool)
        .await
        .unwrap();

    let slot = store.teams_sample().await.unwrap().unwrap();
    assert_eq!((slot.teams, slot.bridged), (2, 0));
    assert_eq!(samples(&pool, busy).await, [(slot.at, 4, 4 + 1, 4 * 513 + 257)]);
    assert_eq!(samples(&pool, paused).await, [(slot.at, 0, 2, 770)]);
    assert_eq!(samples(&pool, idle).await, []);
    assert_eq!(samples(&pool, gone).await, []);
    for (team, expected) in
        [(busy, reserved(4, 5, 4 * 513 + 257)), (paused, reserved(0, 2, 770)), (idle, Reserved::default())]
    {
        assert_eq!(store.team_reserved(team).await.unwrap().1, expected, "counted now as in the sample");
    }
    let (now, nothing) = store.team_reserved(TeamId::new()).await.unwrap();
    assert!(nothing.is_nothing() && now >= slot.at);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_short_pause_of_all_servers_is_filled_and_a_long_one_is_not(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let bridged = TimeDelta::seconds(BRIDGED_SEC.into());
    for ago in [10, 20, 40, BRIDGED_SEC, BRIDGED_SEC + 10, 86_400] {
        let team = team(&pool).await;
        let previous = last_sampled(&pool, Duration::from_secs(ago.into())).await;
        sample_at(&pool, team, previous, (3, 4, 5)).await;
        // Without a sample then, the other team had nothing.
        let slot = store.teams_sample().await.unwrap().unwrap();
        let pause = slot.at - previous;
        let missing = if pause <= bridged { pause.num_seconds() / 10 - 1 } else { 0 };
        assert_eq!(slot.bridged, missing.unsigned_abs(), "{ago}");
        let found = samples(&pool, team).await;
        let expected: Vec<_> =
            (0..=missing).map(|slots| (previous + TimeDelta::seconds(10 * slots), 3, 4, 5)).collect();
        assert_eq!(found, expected, "{ago}");
        sqlx::query("TRUNCATE sandbox_metrics_snapshots").execute(&pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn storage_is_measured_once_in_its_slot_for_teams_that_have_any(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let (with_disk, with_template, without) = (team(&pool).await, team(&pool).await, team(&pool).await);
    for status in ["running", "stopped", "error"] {
        capsule(&store, &pool, with_disk, host, status).await;
    }
    for (purpose, status, bytes) in [
        ("template", "ready", 1_048_576_i64),
        ("template", "ready", 1),
        ("template", "deleting", 1_000_000_000),
        ("step", "ready", 1_000_000_000),
    ] {
        sqlx::query(
            "INSERT INTO templates (id, team_id, name, type, disk_size_mb, size_bytes, purpose, status)
             VALUES (gen_random_uuid(), $1, 'template-' || left(gen_random_uuid()::text, 8), 'base', 5120, $2, $3, $4)",
        )
        .bind(with_template.0)
        .bind(bytes)
        .bind(purpose)
        .bind(status)
        .execute(&pool)
        .await
        .unwrap();
    }
    let first = store.teams_sample().await.unwrap().unwrap().at;
    let slot_of = |at: DateTime<Utc>| at.timestamp() / i64::from(STORAGE_SEC);
    let (mut last, mut times) = (first, 1);
    for _ in 0..3 {
        // The sample of the same slot once more, as if the last one had been that of the slot before.
        let previous = last - TimeDelta::seconds(10);
        sqlx::query("UPDATE metrics_sampler SET slot = $1").bind(previous).execute(&pool).await.unwrap();
        last = store.teams_sample().await.unwrap().unwrap().at;
        times += u64::from(slot_of(previous) != slot_of(last));
    }
    let seconds = u64::from(STORAGE_SEC) * times;
    let usage = async |team| {
        let today = first.date_naive();
        let (from, to) =
            ((today - chrono::Days::new(1)).to_string(), (today + chrono::Days::new(1)).to_string());
        let period = UsagePeriod::new(Some(&from), Some(&to), today).unwrap();
        let days = store.team_usage(team, &period).await.unwrap();
        days.iter().fold((0, 0), |(disk, template), day| {
            (disk + day.totals.disk_mb_seconds, template + day.totals.template_mb_seconds)
        })
    };
    assert_eq!(usage(with_disk).await, (12_000 * seconds, 0));
    assert_eq!(usage(with_template).await, (0, 2 * seconds));
    assert_eq!(usage(without).await, (0, 0));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn windows_are_exact_at_both_edges_in_samples_and_in_roll_ups(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (one, other) = (team(&pool).await, team(&pool).await);
    let now = time("2026-11-30T13:47:38.5Z");
    for &range in StatsRange::ALL {
        let window: Window = range.window(now);
        let (since, until) = (window.since(), window.until());
        let tick = TimeDelta::microseconds(1);
        for (value, at) in [(1, since - tick), (2, since), (3, now), (4, until - tick), (9, until)] {
            sample_at(&pool, one, at, (value, 10 + i64::from(value), 100 + i64::from(value))).await;
        }
        sample_at(&pool, other, now, (99, 99, 99)).await;
        let read = match range {
            StatsRange::ThirtyDays => store.team_rollups(one, &window).await.unwrap(),
            _ => store.team_samples(one, &window).await.unwrap(),
        };
        let series = window.series(read, Reserved::default());
        let filled: Vec<_> = series.iter().filter(|bucket| !bucket.reserved.is_nothing()).collect();
        assert_eq!(filled.len(), 2, "{range}: {filled:?}");
        assert_eq!((filled[0].at, filled[0].reserved), (since, reserved(2, 12, 102)), "{range}");
        assert_eq!(
            (filled[1].at, filled[1].reserved),
            (until - window.bucket(), reserved(4, 14, 104)),
            "{range}"
        );
        sqlx::query("TRUNCATE sandbox_metrics_snapshots, sandbox_metrics_rollups")
            .execute(&pool)
            .await
            .unwrap();
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn each_sample_counts_for_ten_seconds_of_its_own_day(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (one, other) = (team(&pool).await, team(&pool).await);
    for (at, vcpus, memory_mb) in [
        ("2026-11-28T00:00:00Z", 1, 512),
        ("2026-11-28T23:59:50Z", 2, 1024),
        ("2026-11-28T23:59:59.999999Z", 3, 1),
        ("2026-11-29T00:00:00Z", 4, 2),
        ("2026-12-01T00:00:00Z", 5, 3),
    ] {
        sample_at(&pool, one, time(at), (1, vcpus, memory_mb)).await;
        sample_at(&pool, other, time(at), (1, 1000, 1000)).await;
    }
    let day = |date: &str, vcpu_seconds, memory_mb_seconds| UsageDay {
        date: date.parse::<NaiveDate>().unwrap(),
        totals: UsageTotals { vcpu_seconds, memory_mb_seconds, ..UsageTotals::default() },
    };
    let today = "2026-12-31".parse().unwrap();
    let usage = async |from, to| {
        let period = UsagePeriod::new(Some(from), Some(to), today).unwrap();
        store.team_usage(one, &period).await.unwrap()
    };
    let (first, second) = (day("2026-11-28", 60, 15_370), day("2026-11-29", 40, 20));
    assert_eq!(usage("2026-11-28", "2026-11-30").await, [first, second]);
    assert_eq!(usage("2026-11-29", "2026-12-01").await, [second, day("2026-12-01", 50, 30)]);
    assert_eq!(usage("2026-11-28", "2026-11-28").await, [first]);
    assert_eq!(usage("2026-11-30", "2026-11-30").await, []);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn old_samples_go_in_batches_the_oldest_first_and_no_lock_of_others_is_waited_for(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let team = team(&pool).await;
    // The newest rows have the smallest numbers: only the time counts.
    sqlx::query(
        "INSERT INTO sandbox_metrics_snapshots
            (team_id, sampled_at, running_count, vcpus_reserved, memory_mb_reserved)
         SELECT $1, now() - interval '60 days' + interval '1000 hours' - make_interval(hours => n), 1, 1, 1
         FROM generate_series(0, 3999) AS n",
    )
    .bind(team.0)
    .execute(&pool)
    .await
    .unwrap();
    let kept = 60 * DAY;
    assert_eq!(store.samples_retire(kept, 1000).await.unwrap(), 1000);
    assert_eq!(samples(&pool, team).await.len(), 3000);
    let oldest = samples(&pool, team).await[0].0;
    let mut other = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM sandbox_metrics_snapshots WHERE sampled_at = $1 FOR UPDATE")
        .bind(oldest)
        .execute(&mut *other)
        .await
        .unwrap();
    let mut removed = 0;
    loop {
        let portion = store.samples_retire(kept, 700).await.unwrap();
        removed += portion;
        if portion < 700 {
            break;
        }
    }
    assert_eq!(removed, 1999, "all that are older than 60 days, without the locked one");
    other.rollback().await.unwrap();
    assert_eq!(store.samples_retire(kept, 700).await.unwrap(), 1);
    let left = samples(&pool, team).await;
    assert_eq!(left.len(), 1000);
    assert_eq!(store.samples_retire(kept, 700).await.unwrap(), 0);

    // Roll-ups outlive their samples.
    let rollups = count(&pool, "sandbox_metrics_rollups").await;
    assert!(rollups >= 4000 / 6, "{rollups}");
    assert_eq!(store.rollups_retire(400 * DAY, 5).await.unwrap(), 0);
    assert_eq!(store.rollups_retire(50 * DAY, 5).await.unwrap(), 5);
    assert_eq!(count(&pool, "sandbox_metrics_rollups").await, rollups - 5);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn statistics_of_a_deleted_team_go_and_those_of_others_stay(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (deleted, other) = (team(&pool).await, team(&pool).await);
    let now = time("2026-11-30T13:47:30Z");
    for team in [deleted, other] {
        for slot in 0..30 {
            sample_at(&pool, team, now - TimeDelta::hours(slot), (1, 1, 1)).await;
        }
    }
    assert_eq!(store.statistics_of_deleted_teams_remove(100).await.unwrap(), 0);
    let delete = "UPDATE teams SET deleted_at = now() WHERE id = $1";
    sqlx::query(delete).bind(deleted.0).execute(&pool).await.unwrap();
    assert_eq!(store.statistics_of_deleted_teams_remove(20).await.unwrap(), 20 + 6);
    assert_eq!(store.statistics_of_deleted_teams_remove(20).await.unwrap(), 10);
    assert_eq!(store.statistics_of_deleted_teams_remove(20).await.unwrap(), 0);
    assert_eq!((samples(&pool, deleted).await.len(), samples(&pool, other).await.len()), (0, 30));
    assert_eq!(count(&pool, "sandbox_metrics_rollups").await, 6);
}

#[test]
fn ranges_that_do_not_exist_are_unknown_words() {
    for bad in ["", "1H", "1h ", "2h", "30", "5min"] {
        assert!(matches!(bad.parse::<StatsRange>(), Err(UnknownWord { .. })), "{bad}");
    }
}
