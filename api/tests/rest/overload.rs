//! Overload: a burst of requests waits in order or is refused early, and never ends in an internal error.

use std::{collections::BTreeMap, time::Instant};

use futures_util::future::join_all;
use serde_json::json;
use sqlx::PgPool;
use wrenn_agent::sim::SimOptions;

use crate::support::{As, host::Installation};

const BURST: usize = 2000;

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_burst_of_creates_is_served_or_refused_early(pool: PgPool) {
    let mut options = SimOptions::default();
    options.capacity.cpu_cores = 4096;
    options.capacity.memory_mb = 4 * 1024 * 1024;
    options.capacity.disk_mb = 64 * 1024 * 1024;
    let installation = Installation::start_with(pool, options).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let other = server.key(&server.token("bob").await).await;

    let creates = (0..BURST).map(|_| async {
        let answer = server.post("/v1/capsules", &key, json!({})).await;
        if answer.status >= 400 {
            let (status, code) = answer.error();
            assert!(matches!((status, code), (503, "overloaded") | (429, "rate_limited")), "{answer:?}");
            let wait = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            assert!(wait.is_some_and(|seconds: u64| seconds >= 1), "{answer:?}");
        }
        answer.status
    });
    // Another team's requests are served in their turn meanwhile.
    let neighbour = async {
        let mut slowest = std::time::Duration::ZERO;
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
    assert!(created >= 100, "a burst is served as far as the server can: {counts:?}");
    let listed = server.get("/v1/capsules", &key).await.ok(200);
    assert_eq!(listed.as_array().unwrap().len(), created, "what is refused is not there");
    assert_eq!(server.get("/v1/capsules", &As::Nobody).await.error(), (401, "unauthorized"));
}
