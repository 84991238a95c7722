//! Measurements of capsules: who may hand them over, and how long they are kept.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::time::Duration;

use sqlx::PgPool;
use wrenn_domain::{
    host::{Attachment, Epoch},
    ids::SandboxId,
    metrics::Tier,
};
use wrenn_store::{Store, capsule_metrics::MetricsSaved};
use wrenn_testkit::rows::{attached_host, intent, new_sandbox};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn tiers(content: &[u8]) -> Vec<(Tier, Vec<u8>)> {
    Tier::ALL.iter().map(|tier| (*tier, [content, tier.as_str().as_bytes()].concat())).collect()
}

async fn sandbox(store: &Store, host: Attachment) -> SandboxId {
    store.sandbox_insert(&new_sandbox(), host, &intent()).await.unwrap().unwrap().id
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn only_the_host_of_a_capsule_hands_over_and_the_latest_counts(pool: PgPool) {
    let store = Store::from_pool(pool);
    let (host, other) = (attached_host(&store).await, attached_host(&store).await);
    let id = sandbox(&store, host).await;
    assert_eq!(store.capsule_metrics_get(id, Tier::Fine).await.unwrap(), None);
    for content in [b"1", b"2"] {
        let saved = store.capsule_metrics_save(host, id, &tiers(content)).await.unwrap();
        assert_eq!(saved, MetricsSaved::Stored);
    }
    let saved = store.capsule_metrics_save(other, id, &tiers(b"3")).await.unwrap();
    assert_eq!(saved, MetricsSaved::Unknown, "another host");
    let saved = store.capsule_metrics_save(host, SandboxId::new(), &tiers(b"4")).await.unwrap();
    assert_eq!(saved, MetricsSaved::Unknown, "no such capsule");
    let late = Attachment { epoch: Epoch(host.epoch.0 + 1), ..host };
    let saved = store.capsule_metrics_save(late, id, &tiers(b"5")).await.unwrap();
    assert_eq!(saved, MetricsSaved::NotHeld);
    for (tier, content) in tiers(b"2") {
        assert_eq!(store.capsule_metrics_get(id, tier).await.unwrap(), Some(content));
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn measurements_are_removed_a_month_after_the_end_in_portions(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = sandbox(&store, host).await;
        store.capsule_metrics_save(host, id, &tiers(b"1")).await.unwrap();
        ids.push(id);
    }
    sqlx::query("UPDATE capsule_metrics SET saved_at = now() - interval '40 days'")
        .execute(&pool)
        .await
        .unwrap();
    let end = async |id: SandboxId, days: i32| {
        sqlx::query(
            "UPDATE sandboxes SET status = 'stopped', operation = NULL, destroy_requested_at = created_at,
                destroyed_at = now() - make_interval(days => $2) WHERE id = $1",
        )
        .bind(id.0)
        .bind(days)
        .execute(&pool)
        .await
        .unwrap();
    };
    end(ids[0], 31).await;
    end(ids[1], 31).await;
    end(ids[2], 29).await;
    assert_eq!(store.capsule_metrics_retire(MONTH, 4).await.unwrap(), 4);
    assert_eq!(store.capsule_metrics_retire(MONTH, 4).await.unwrap(), 2);
    assert_eq!(store.capsule_metrics_retire(MONTH, 4).await.unwrap(), 0);
    for (id, is_kept) in ids.iter().zip([false, false, true, true]) {
        assert_eq!(store.capsule_metrics_get(*id, Tier::Coarse).await.unwrap().is_some(), is_kept);
    }
    sqlx::query("DELETE FROM sandboxes WHERE id = $1").bind(ids[2].0).execute(&pool).await.unwrap();
    assert_eq!(
        store.capsule_metrics_get(ids[2], Tier::Fine).await.unwrap(),
        None,
        "it goes with its capsule"
    );
}
