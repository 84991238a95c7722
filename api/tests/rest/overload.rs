//! Overload: a burst of requests waits in order or is refused early, and never ends in an internal error.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt as _},
};
use serde_json::json;
use sqlx::PgPool;
use wrenn_agent::sim::SimOptions;

use crate::support::{Answer, As, host::Installation};

const BURST: usize = 2000;
/// Ten times the wait after which a request is refused.
const EARLY: Duration = Duration::from_secs(50);

/// Checks that a request was served, or refused as load demands; returns its status.
fn served_or_refused(answer: &Answer) -> u16 {
    if answer.status >= 400 {
        let (status, code) = answer.error();
        assert!(matches!((status, code), (503, "overloaded") | (429, "rate_limited")), "{answer:?}");
        let wait = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        assert!(wait.is_some_and(|seconds: u64| seconds >= 1), "{answer:?}");
    }
    answer.status
}

/// A host that has room for every capsule of a burst.
fn roomy() -> SimOptions {
    let mut options = SimOptions::default();
    options.capacity.cpu_cores = 4096;
    options.capacity.memory_mb = 4 * 1024 * 1024;
    options.capacity.disk_mb = 64 * 1024 * 1024;
    options
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_burst_of_creates_is_served_or_refused_early(pool: PgPool) {
    // Each request is a connection, with two ends in this process.
    wrenn_agent::raise_open_files_limit();
    let installation = Installation::start_with(pool, roomy()).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let other = server.key(&server.token("bob").await).await;

    let creates =
        (0..BURST).map(|_| async { served_or_refused(&server.post("/v1/capsules", &key, json!({})).await) });
    // Another team's requests are served in their turn meanwhile.
    let neighbour = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let begun = Instant::now();
            server.get("/v1/capsules", &other).await.ok(200);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (answers, slowest) = tokio::join!(join_all(creates), neighbour);
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for status in answers {
        *counts.entry(status).or_default() += 1;
    }
    println!("answers: {counts:?}, a neighbour's slowest request took {slowest:?}");
    let created = counts.get(&201).copied().unwrap_or_default();
    assert!(slowest < EARLY, "a neighbour's request took {slowest:?}");
    assert!(created >= 100, "a burst is served as far as the server can: {counts:?}");
    let listed = server.get("/v1/capsules", &key).await.ok(200);
    assert_eq!(listed.as_array().unwrap().len(), created, "what is refused is not there");
    assert_eq!(server.get("/v1/capsules", &As::Nobody).await.error(), (401, "unauthorized"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn while_the_database_stands_still_requests_are_refused_early(pool: PgPool) {
    let installation = Installation::start_with(pool.clone(), roomy()).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    // This transaction keeps every other one from writing a capsule.
    let mut stall = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE sandboxes IN ACCESS EXCLUSIVE MODE").execute(&mut *stall).await.unwrap();
    let begun = Instant::now();
    let creates = (0..200).map(|_| async {
        let status = served_or_refused(&server.post("/v1/capsules", &key, json!({})).await);
        (status, begun.elapsed())
    });
    let mut answers: FuturesUnordered<_> = creates.collect();
    let (first, took) = answers.next().await.unwrap();
    assert_eq!(first, 503, "nothing is served while the database stands still");
    assert!(took < EARLY, "the first refusal took {took:?}");
    stall.rollback().await.unwrap();
    let statuses: Vec<u16> = answers.map(|(status, _)| status).collect().await;
    let created = statuses.iter().filter(|status| **status == 201).count();
    println!("created afterwards: {created} of {}", statuses.len());
    assert!(created > 0, "what waited is served when the database goes on");
}
