//! Measurements of capsules over HTTP: from the host while they run, from the database afterwards.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_agent::{
    metrics::Figures,
    sim::{SimFault, SimStep},
};
use wrenn_testkit::wait::{eventually, found};

use crate::support::{As, TestServer, host::Installation};

async fn metrics(server: &TestServer, who: &As, id: &str, range: &str) -> Value {
    server.get(&format!("/v1/capsules/{id}/metrics?range={range}"), who).await.ok(200)
}

fn points(metrics: &Value) -> Vec<Value> {
    metrics["points"].as_array().expect("points").clone()
}

/// Waits until a capsule has a point that shows as much received traffic, and one before it that is complete.
async fn measured(server: &TestServer, who: &As, id: &str, net_in_bytes: u64) -> Value {
    found("the host has measured it", async || {
        let metrics = metrics(server, who, id, "5m").await;
        let points = points(&metrics);
        let is_there = points.len() > 1 && points[points.len() - 1]["net_in_bytes"] == net_in_bytes;
        is_there.then_some(metrics)
    })
    .await
}

fn figures(net_in_bytes: u64) -> Figures {
    Figures {
        cpu: Duration::ZERO,
        memory_bytes: 200 << 20,
        disk_bytes: 64 << 20,
        net_in_bytes,
        net_out_bytes: 2 * net_in_bytes,
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_running_capsule_shows_what_its_host_measures_and_what_its_guest_says(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    let empty = server.get(&format!("/v1/capsules/{id}/metrics"), &key).await.ok(200);
    assert_eq!((&empty["sandbox_id"], &empty["range"]), (&json!(id), &json!("10m")), "the default");

    assert!(installation.host.world().set_figures(id.parse().unwrap(), figures(700)));
    let shown = measured(server, &key, &id, 700).await;
    assert_eq!((&shown["source"], &shown["step_sec"]), (&json!("live"), &json!(1)));
    let last = points(&shown).pop().unwrap();
    assert!(last["timestamp_unix"].as_i64().is_some_and(|at| at > 1_700_000_000), "{last}");
    assert_eq!(
        (&last["disk_bytes"], &last["net_out_bytes"], &last["cpu_pct"]),
        (&json!(64 << 20), &json!(1400), &json!(0.0))
    );
    assert_eq!(
        (&shown["guest"]["mem_used_bytes"], &shown["guest"]["load_1m"]),
        (&json!(100 << 20), &json!(0.5))
    );

    for (range, step_sec) in [("10m", 1), ("1h", 30), ("2h", 30), ("6h", 300), ("12h", 300), ("24h", 300)] {
        for name in ["capsules", "sandboxes"] {
            let path = format!("/v1/{name}/{id}/metrics?range={range}");
            let shown = server.get(&path, &key).await.ok(200);
            assert_eq!((&shown["range"], &shown["step_sec"]), (&json!(range), &json!(step_sec)));
            let last = points(&shown).pop().expect("a period that goes on has a point");
            assert_eq!(last["timestamp_unix"].as_i64().unwrap() % step_sec, 0);
            assert_eq!(last["net_in_bytes"], 700);
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_guest_that_does_not_say_is_left_out(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    for fault in [SimFault::Fail, SimFault::StallBefore] {
        installation.host.world().order_fault(SimStep::Figures, fault, 1);
        let shown = metrics(server, &key, &id, "5m").await;
        assert_eq!((&shown["source"], shown.get("guest")), (&json!("live"), None), "{fault:?}");
    }
    assert!(metrics(server, &key, &id, "5m").await["guest"].is_object());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn strangers_see_nothing_and_bad_ranges_are_refused_by_name(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    let path = format!("/v1/capsules/{id}/metrics");
    let stranger = server.token("bob").await;
    assert_eq!(server.get(&path, &stranger).await.error(), (404, "not_found"));
    assert_eq!(server.get(&path, &As::Nobody).await.error(), (401, "unauthorized"));
    for bad in ["3h", "", "5M", "10", "24h%00"] {
        let refused = server.get(&format!("{path}?range={bad}"), &key).await;
        assert_eq!(refused.error(), (400, "invalid_request"), "{bad}");
        for part in ["range", "5m", "10m", "1h", "2h", "6h", "12h", "24h"] {
            assert!(refused.message().contains(part), "{bad}: {}", refused.message());
        }
    }
    let malformed = server.get("/v1/capsules/cl-1/metrics", &key).await;
    assert_eq!(malformed.error(), (400, "invalid_request"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_keeps_its_history_over_pauses_and_shows_it_after_its_end(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    let machine = id.parse().unwrap();
    installation.host.world().set_figures(machine, figures(700));
    let before = points(&measured(&installation.server, &key, &id, 700).await);
    let first = before[0].clone();

    let act = async |server: &TestServer, verb: &str| {
        server.post_raw(&format!("/v1/capsules/{id}/{verb}"), &key, None, String::new()).await.ok(200)
    };
    act(&installation.server, "pause").await;
    let paused = metrics(&installation.server, &key, &id, "5m").await;
    assert_eq!((&paused["source"], paused.get("guest")), (&json!("stored"), None));
    assert_eq!(points(&paused)[0], first, "{paused}");
    for range in ["1h", "24h"] {
        assert!(!points(&metrics(&installation.server, &key, &id, range).await).is_empty(), "{range}");
    }
    // The answer does not depend on the host.
    installation.lose_host().await;
    assert_eq!(metrics(&installation.server, &key, &id, "5m").await, paused);
    installation.host.start_agent().await.unwrap();
    wrenn_testkit::host::attached(&installation.host).await;

    act(&installation.server, "resume").await;
    installation.host.world().set_figures(machine, figures(50));
    let resumed = measured(&installation.server, &key, &id, 750).await;
    assert_eq!(points(&resumed)[0], first, "counters and points go on: {resumed}");

    installation.server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    let gone = metrics(&installation.server, &key, &id, "5m").await;
    assert_eq!((&gone["source"], &points(&gone)[0]), (&json!("stored"), &first));
    assert_eq!(points(&gone).last().unwrap()["net_in_bytes"], 750);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM capsule_metrics")
        .fetch_one(&installation.server.pool)
        .await
        .unwrap();
    assert_eq!(rows, 3, "one for each tier");
    let folder = installation.host.data_dir().join("metrics");
    eventually("the host removes what is stored", async || {
        std::fs::read_dir(&folder).unwrap().next().is_none()
    })
    .await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_restart_of_the_agent_loses_nothing_but_its_downtime(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    let machine = id.parse().unwrap();
    installation.host.world().set_figures(machine, figures(700));
    let before = points(&measured(&installation.server, &key, &id, 700).await);
    installation.lose_host().await;
    let away = metrics(&installation.server, &key, &id, "5m").await;
    assert_eq!((&away["source"], points(&away)), (&json!("host_away"), vec![]), "it was never paused");

    installation.host.world().set_figures(machine, figures(900));
    installation.host.start_agent().await.unwrap();
    wrenn_testkit::host::attached(&installation.host).await;
    let after = points(&measured(&installation.server, &key, &id, 900).await);
    // The last second may have got another sample.
    let kept = before.len() - 1;
    assert_eq!(after[..kept], before[..kept]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_could_not_be_stored_at_once_is_stored_later(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.host.world().set_figures(id.parse().unwrap(), figures(700));
    measured(server, &key, &id, 700).await;
    // The table refuses whatever comes.
    sqlx::query("ALTER TABLE capsule_metrics ADD CONSTRAINT closed CHECK (false) NOT VALID")
        .execute(&pool)
        .await
        .unwrap();
    server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    assert_eq!(points(&metrics(server, &key, &id, "5m").await), Vec::<Value>::new());
    sqlx::query("ALTER TABLE capsule_metrics DROP CONSTRAINT closed").execute(&pool).await.unwrap();
    // The next agent sends again what is not acknowledged; the machine is long gone.
    let mut installation = installation;
    installation.lose_host().await;
    installation.host.start_agent().await.unwrap();
    wrenn_testkit::host::attached(&installation.host).await;
    let server = &installation.server;
    eventually("it is stored", async || !points(&metrics(server, &key, &id, "5m").await).is_empty()).await;
}
