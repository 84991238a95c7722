//! Statistics over five million samples. Measures, and checks only what does not depend on the machine:
//!
//! ```console
//! $ cargo test -p wrenn-store --test statistics_scale -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::time::{Duration, Instant};

use sqlx::PgPool;
use wrenn_domain::{
    ids::TeamId,
    statistics::{Reserved, StatsRange, UsagePeriod},
};
use wrenn_store::Store;

/// Samples of each of ten teams: 61 days.
const SLOTS: i64 = 527_040;
const PORTION: u32 = 5_000;

/// Returns the median and the longest time of some runs.
async fn measured<F: Future<Output = ()>>(run: impl Fn() -> F) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..21 {
        let start = Instant::now();
        run().await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    (times[10], times[20])
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
#[ignore = "writes five million rows"]
async fn statistics_of_five_million_samples(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let teams: Vec<TeamId> = (0..10).map(|_| TeamId::new()).collect();
    let start = Instant::now();
    let ids: Vec<_> = teams.iter().map(|team| team.0).collect();
    // As samplers write them: the samples of all teams one beside the other.
    for day in 0..61 {
        sqlx::query(
            "INSERT INTO sandbox_metrics_snapshots
                (team_id, sampled_at, running_count, vcpus_reserved, memory_mb_reserved)
             SELECT team, at, 1 + n % 7, 1 + n % 13, 512 * (1 + n % 7)
             FROM generate_series($2::bigint, $2 + 8639) AS n,
                LATERAL (SELECT date_bin('10 s', now(), 'epoch') - make_interval(secs => 10 * ($3 - n)) AS at) AS slot,
                unnest($1::uuid[]) AS team
             ORDER BY at",
        )
        .bind(&ids)
        .bind(day * 8640_i64)
        .bind(SLOTS)
        .execute(&pool)
        .await
        .unwrap();
    }
    println!("{} samples written in {:?}", 10 * SLOTS, start.elapsed());
    let size = "SELECT pg_size_pretty(pg_total_relation_size('sandbox_metrics_snapshots')
        + pg_total_relation_size('sandbox_metrics_rollups'))";
    let size: String = sqlx::query_scalar(size).fetch_one(&pool).await.unwrap();
    println!("they take {size} with their roll-ups and indexes");
    let now = store.database_time().await.unwrap();
    for state in ["before ANALYZE", "after VACUUM ANALYZE"] {
        for &range in StatsRange::ALL {
            let window = range.window(now);
            let (store, team) = (&store, teams[3]);
            let (median, longest) = measured(|| async {
                let maxima = store.team_rollups(team, &StatsRange::LONGEST.window(now)).await.unwrap();
                let samples = match range {
                    StatsRange::LONGEST => maxima,
                    _ => store.team_samples(team, &window).await.unwrap(),
                };
                let series = window.series(samples, Reserved::default());
                assert!(series.iter().rev().skip(1).all(|bucket| bucket.reserved.running_count > 0));
            })
            .await;
            println!("{state}: stats of {range}: median {median:?}, longest {longest:?}");
        }
        let period = UsagePeriod::new(Some("2026-01-01"), Some("2026-12-31"), now.date_naive()).unwrap();
        let (median, longest) = measured(|| async {
            store.team_usage(teams[3], &period).await.unwrap();
        })
        .await;
        println!("{state}: usage of a year: median {median:?}, longest {longest:?}");
        sqlx::query("VACUUM ANALYZE sandbox_metrics_snapshots").execute(&pool).await.unwrap();
    }

    let (mut portions, mut removed) = (Vec::new(), 0);
    let sampling = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for _ in 0..200 {
                let start = Instant::now();
                let new = store.teams_sample().await;
                assert!(new.is_ok());
                longest = longest.max(start.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            longest
        })
    };
    loop {
        let start = Instant::now();
        let portion = store.samples_retire(Duration::from_secs(60 * 86_400), PORTION).await.unwrap();
        portions.push(start.elapsed());
        removed += portion;
        if portion < PORTION.into() {
            break;
        }
    }
    portions.sort_unstable();
    println!(
        "retention: {removed} samples in {} portions, median {:?}, longest {:?}",
        portions.len(),
        portions[portions.len() / 2],
        portions.last().unwrap()
    );
    println!("a sampler beside it: longest look {:?}", sampling.await.unwrap());
    assert!((86_400..=86_500).contains(&removed), "the samples of a day of ten teams: {removed}");
}
