//! Statistics and usage over HTTP: counted now, sampled by the servers, exact in their ranges; and the retention of old rows.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_api::{RetentionConfig, ServerConfig};
use wrenn_base::Clock;
use wrenn_domain::ids::{SandboxId, TeamId};
use wrenn_store::Store;
use wrenn_testkit::{rows, wait::eventually};

use crate::support::{As, TestServer, config, host::Installation};

/// A team with an owner.
struct Team {
    id: TeamId,
    token: As,
}

impl Team {
    async fn sign_up(server: &TestServer, name: &str) -> Self {
        let signed_up = server.signup(name).await;
        let id = signed_up["team_id"].as_str().unwrap().parse().unwrap();
        Self { id, token: As::Token(signed_up["token"].as_str().unwrap().to_owned()) }
    }

    /// Writes a sample: running capsules, vCPUs and memory.
    async fn sample(&self, pool: &PgPool, at: DateTime<Utc>, values: (i32, i64, i64)) {
        sqlx::query(
            "INSERT INTO sandbox_metrics_snapshots
                (team_id, sampled_at, running_count, vcpus_reserved, memory_mb_reserved)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.id.0)
        .bind(at)
        .bind(values.0)
        .bind(values.1)
        .bind(values.2)
        .execute(pool)
        .await
        .unwrap();
    }

    async fn stats(&self, server: &TestServer, range: &str) -> Value {
        server.get(&format!("/v1/capsules/stats?range={range}"), &self.token).await.ok(200)
    }

    async fn samples(&self, pool: &PgPool) -> i64 {
        let count = "SELECT count(*) FROM sandbox_metrics_snapshots WHERE team_id = $1";
        sqlx::query_scalar(count).bind(self.id.0).fetch_one(pool).await.unwrap()
    }
}

async fn now(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT now()").fetch_one(pool).await.unwrap()
}

/// Buckets of an answer that are not zero, by their labels.
fn filled(stats: &Value) -> Vec<(DateTime<Utc>, [u64; 3])> {
    let series = &stats["series"];
    let column = |name: &str| series[name].as_array().unwrap().clone();
    let (labels, running, vcpus, memory_mb) =
        (column("labels"), column("running"), column("vcpus"), column("memory_mb"));
    assert!([running.len(), vcpus.len(), memory_mb.len()].iter().all(|length| *length == labels.len()));
    let bucket = |index: usize| {
        let label = labels[index].as_str().unwrap().parse().unwrap();
        (label, [&running, &vcpus, &memory_mb].map(|column| column[index].as_u64().unwrap()))
    };
    (0..labels.len()).map(bucket).filter(|(_, values)| *values != [0; 3]).collect()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn current_values_are_counted_and_half_of_the_paused_is_rounded_once(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let (ada, eve) = (Team::sign_up(server, "ada").await, Team::sign_up(server, "eve").await);
    let nothing = json!({"running_count": 0, "vcpus_reserved": 0, "memory_mb_reserved": 0});
    let current = async |team: &Team| {
        let mut stats = team.stats(server, "5m").await;
        let sampled_at = stats["current"].as_object_mut().unwrap().remove("sampled_at").unwrap();
        assert!(sampled_at.as_str().unwrap().parse::<DateTime<Utc>>().is_ok(), "{sampled_at}");
        stats["current"].take()
    };
    assert_eq!(current(&ada).await, nothing);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(installation.running(&ada.token).await);
    }
    assert_eq!(
        current(&ada).await,
        json!({"running_count": 3, "vcpus_reserved": 3, "memory_mb_reserved": 1536})
    );
    for (id, expected) in ids.iter().zip([(2, 3, 1280), (1, 2, 1024), (0, 2, 768)]) {
        server.post(&format!("/v1/capsules/{id}/pause"), &ada.token, json!({})).await.ok(200);
        let (running, vcpus, memory_mb) = expected;
        let expected = json!({
            "running_count": running, "vcpus_reserved": vcpus, "memory_mb_reserved": memory_mb
        });
        assert_eq!(current(&ada).await, expected);
    }
    assert_eq!(current(&eve).await, nothing, "another team sees nothing of it");

    // The answer's last bucket has what is counted now, and so have the peaks.
    let stats = ada.stats(server, "30d").await;
    assert_eq!(filled(&stats).last().unwrap().1[1], 2);
    assert!(stats["peaks"]["vcpus"].as_u64().unwrap() >= 2, "{stats}");
    for id in &ids {
        server.delete(&format!("/v1/capsules/{id}"), &ada.token).await.ok(204);
    }
    assert_eq!(current(&ada).await, nothing);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_series_has_the_largest_sample_of_each_bucket_of_its_range(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let (ada, eve) = (Team::sign_up(&server, "ada").await, Team::sign_up(&server, "eve").await);
    let now = now(&pool).await;
    let floor = |at: DateTime<Utc>, seconds: i64| {
        DateTime::from_timestamp(at.timestamp().div_euclid(seconds) * seconds, 0).unwrap()
    };
    for (range, seconds, length, bucket) in [
        ("5m", 300, 31, 10),
        ("1h", 3600, 61, 60),
        ("6h", 21_600, 73, 300),
        ("24h", 86_400, 97, 900),
        ("30d", 2_592_000, 121, 21_600),
    ] {
        // Far enough from both ends that the request may take a while.
        let middle = floor(now - TimeDelta::seconds(seconds / 2), bucket);
        let tick = TimeDelta::microseconds(1);
        let end = middle + TimeDelta::seconds(bucket);
        for (at, values) in [
            (middle - tick, (1, 2, 3)),
            (middle, (5, 1, 30)),
            (middle + TimeDelta::seconds(bucket / 2), (4, 9, 20)),
            (end - tick, (1, 1, 40)),
            (end, (7, 8, 9)),
            // Beyond the range.
            (floor(now - TimeDelta::seconds(seconds), bucket) - tick, (100, 100, 100)),
        ] {
            ada.sample(&pool, at, values).await;
        }
        let stats = ada.stats(&server, range).await;
        assert_eq!(stats["range"], range);
        assert_eq!(stats["series"]["labels"].as_array().unwrap().len(), length);
        let found: Vec<_> = filled(&stats);
        let expected =
            [(middle - TimeDelta::seconds(bucket), [1, 2, 3]), (middle, [5, 9, 40]), (end, [7, 8, 9])];
        assert_eq!(found, expected, "{range}");
        // Peaks of 30 days, whatever the range.
        let peak = if range == "30d" { json!(9) } else { json!(100) };
        assert_eq!(stats["peaks"]["vcpus"], peak, "{range}");
        assert!(filled(&eve.stats(&server, range).await).is_empty(), "{range}");
        sqlx::query("TRUNCATE sandbox_metrics_snapshots, sandbox_metrics_rollups")
            .execute(&pool)
            .await
            .unwrap();
    }
    let default = server.get("/v1/capsules/stats", &ada.token).await.ok(200);
    assert_eq!(default["range"], "1h");
    for path in ["/v1/sandboxes/stats?range=6h", "/api/v1/capsules/stats?range=6h"] {
        assert_eq!(server.get(path, &ada.token).await.ok(200)["range"], "6h", "{path}");
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn bad_ranges_and_periods_are_refused_with_their_field(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let ada = Team::sign_up(&server, "ada").await;
    for bad in ["2h", "", "1H", "60m", "30d%20", "1h&range=5m"] {
        let answer = server.get(&format!("/v1/capsules/stats?range={bad}"), &ada.token).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{bad}");
        assert!(answer.message().contains("range"), "{answer:?}");
    }
    let answer = server.get("/v1/capsules/stats?range=2h", &ada.token).await;
    for range in ["range: ", "5m", "1h", "6h", "24h", "30d"] {
        assert!(answer.message().contains(range), "{answer:?}");
    }
    for (query, field) in [
        ("from=yesterday", "from: "),
        ("to=2026-02-30", "to: "),
        ("from=2026-11-30&to=2026-11-29", "from: "),
        ("from=2024-01-01&to=2025-01-01", "from: "),
        ("from=9999-01-01", "from: "),
        ("from=", "from: "),
        ("to=2026-11-30T00:00:00Z", "to: "),
    ] {
        let answer = server.get(&format!("/v1/capsules/usage?{query}"), &ada.token).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{query}");
        assert!(answer.message().starts_with(field), "{answer:?}");
    }
    server.get("/v1/capsules/usage?from=2024-01-01&to=2024-12-31", &ada.token).await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn usage_is_the_sum_of_a_days_samples_in_minutes(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let (ada, eve) = (Team::sign_up(&server, "ada").await, Team::sign_up(&server, "eve").await);
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (time, values) in [
        ("2026-01-31T23:59:50Z", (1, 1, 512)),
        ("2026-02-01T00:00:00Z", (1, 3, 600)),
        ("2026-02-01T06:00:00Z", (1, 3, 600)),
        ("2026-02-01T23:59:50Z", (2, 6, 1200)),
        ("2026-02-03T00:00:00Z", (1, 1, 6)),
    ] {
        ada.sample(&pool, at(time), values).await;
    }
    let path = "/v1/capsules/usage?from=2026-02-01&to=2026-02-03";
    let usage = server.get(path, &ada.token).await.ok(200);
    let point = |date: &str, cpu: f64, ram: f64| {
        json!({
            "date": date, "cpu_minutes": cpu, "ram_mb_minutes": ram,
            "disk_mb_minutes": 0.0, "template_mb_minutes": 0.0
        })
    };
    assert_eq!(
        usage,
        json!({
            "from": "2026-02-01",
            "to": "2026-02-03",
            "points": [
                point("2026-02-01", 2.0, 400.0),
                point("2026-02-02", 0.0, 0.0),
                point("2026-02-03", 10.0 / 60.0, 1.0),
            ]
        })
    );
    let others = server.get(path, &eve.token).await.ok(200);
    assert!(others["points"].as_array().unwrap().iter().all(|point| point["cpu_minutes"] == 0.0), "{others}");
    let month = server.get("/v1/sandboxes/usage", &ada.token).await.ok(200);
    assert_eq!(month["points"].as_array().unwrap().len(), 30);
    assert_eq!(month["points"][0]["date"], month["from"]);
    assert_eq!(month["points"][29]["date"], month["to"]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn two_servers_sample_a_team_once_in_each_slot_and_nothing_is_left_of_a_deleted_team(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let other = TestServer::start_with(pool.clone(), config(&pool)).await;
    let (ada, idle) = (Team::sign_up(server, "ada").await, Team::sign_up(server, "idle").await);
    installation.running(&ada.token).await;
    for round in 1..=3 {
        // Both find the slot free, without a wait for the next one.
        sqlx::query("DELETE FROM sandbox_metrics_snapshots").execute(&pool).await.unwrap();
        sqlx::query("UPDATE metrics_sampler SET slot = 'epoch'").execute(&pool).await.unwrap();
        eventually("the team is sampled", || async { ada.samples(&pool).await > 0 }).await;
        let sum =
            "SELECT COALESCE(sum(vcpu_seconds), 0)::bigint FROM sandbox_metrics_rollups WHERE team_id = $1";
        let seconds: i64 = sqlx::query_scalar(sum).bind(ada.id.0).fetch_one(&pool).await.unwrap();
        assert!(seconds >= 10 * round, "{seconds}");
        assert_eq!(seconds % 10, 0);
    }
    assert_eq!(idle.samples(&pool).await, 0, "no row is written where nothing runs");
    let today = other.get("/v1/capsules/usage", &ada.token).await.ok(200);
    assert!(today["points"][29]["cpu_minutes"].as_f64().unwrap() > 0.0, "{today}");
    // With the day before, in case that midnight has just passed.
    let of_both = |name: &str| {
        today["points"].as_array().unwrap()[28..]
            .iter()
            .map(|point| point[name].as_f64().unwrap())
            .sum::<f64>()
    };
    assert!(of_both("disk_mb_minutes") >= 5120.0 * 5.0, "{today}");

    server.delete(&format!("/v1/teams/{}", ada.id), &ada.token).await.ok(204);
    eventually("nothing of its statistics is left", || async {
        let rollups = "SELECT count(*) FROM sandbox_metrics_rollups WHERE team_id = $1";
        let rollups: i64 = sqlx::query_scalar(rollups).bind(ada.id.0).fetch_one(&pool).await.unwrap();
        ada.samples(&pool).await == 0 && rollups == 0
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn old_samples_and_destroyed_capsules_are_removed_and_younger_ones_stay(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let capsules = Duration::from_secs(10 * 86_400);
    let retention = RetentionConfig { capsules, ..RetentionConfig::default() };
    let config = ServerConfig { retention, ..config(&pool) };
    let server = TestServer::start_at(pool.clone(), config, clock).await;
    let ada = Team::sign_up(&server, "ada").await;
    let key = server.key(&ada.token).await;
    let now = now(&pool).await;
    for days in [61, 59] {
        ada.sample(&pool, now - TimeDelta::days(days), (1, 1, 1)).await;
    }
    let host = rows::host(&Store::from_pool(pool.clone())).await;
    let (old, young) = (SandboxId::new(), SandboxId::new());
    for (id, days) in [(old, 11), (young, 9)] {
        sqlx::query(
            "INSERT INTO sandboxes (id, team_id, template_name, host_id, vcpus, memory_mb, default_user, status,
                destroy_requested_at, destroyed_at)
             VALUES ($1, $2, 'minimal', $3, 1, 512, 'root', 'stopped', $4, $4)",
        )
        .bind(id.0)
        .bind(ada.id.0)
        .bind(host.0)
        .bind(now - TimeDelta::days(days))
        .execute(&pool)
        .await
        .unwrap();
    }
    let show = async |id: SandboxId| server.get(&format!("/v1/capsules/{id}"), &key).await;
    assert_eq!(show(old).await.ok(200)["status"], "stopped");
    eventually("the old rows are gone", || async {
        hand.advance(Duration::from_secs(60));
        ada.samples(&pool).await == 1 && show(old).await.status == 404
    })
    .await;
    assert_eq!(show(young).await.ok(200)["status"], "stopped");
}
