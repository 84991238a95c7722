//! Writes of a server that does not hold a host's attachment: they change nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::time::Duration;

use sqlx::PgPool;
use wrenn_domain::{
    host::{Attachment, HostCapacity, HostStatus},
    ids::{ServerId, TeamId},
    lifecycle::SandboxStatus,
    sandbox::NewSandbox,
};
use wrenn_store::Store;
use wrenn_testkit::rows::{attached_host, intent, new_sandbox, running};

/// A host that was attached to one server and is now attached to another.
async fn moved(store: &Store) -> (Attachment, Attachment) {
    let old = attached_host(store).await;
    let server = ServerId::new();
    store.server_register(server).await.unwrap();
    let new = store.host_attached(old.host, server, HostCapacity::default()).await.unwrap().unwrap();
    assert!(new.epoch > old.epoch);
    (old, new)
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_that_has_lost_a_host_changes_nothing_of_it(pool: PgPool) {
    let store = Store::from_pool(pool);
    let (old, new) = moved(&store).await;
    assert!(store.sandbox_insert(&new_sandbox(), old, &intent()).await.unwrap().is_none());
    assert!(store.sandboxes_of_host(old.host).await.unwrap().is_empty());
    let wanted = NewSandbox { timeout_sec: 1, ..new_sandbox() };
    let row = store.sandbox_insert(&wanted, new, &intent()).await.unwrap().unwrap();

    let to = running(&row.lifecycle);
    let audit = Default::default();
    let late = store.sandbox_transition(row.id, old, &row.lifecycle, &to, None, &audit).await.unwrap();
    assert_eq!(late, None);
    assert_eq!(store.sandbox_set_timeout(row.id, old, 7, &intent()).await.unwrap(), None);
    assert!(!store.host_heartbeat(old).await.unwrap());
    assert!(!store.host_set_status(old, HostStatus::Offline).await.unwrap());
    assert_eq!(store.sandbox_load(row.id).await.unwrap().unwrap(), row);
    assert_eq!(store.host_fetch(old.host).await.unwrap().unwrap().status, HostStatus::Online);

    store.sandbox_transition(row.id, new, &row.lifecycle, &to, None, &audit).await.unwrap().unwrap();
    assert_eq!(store.sandbox_set_timeout(row.id, new, 7, &intent()).await.unwrap().unwrap().timeout_sec, 7);
    assert!(store.host_heartbeat(new).await.unwrap());
    // The same epoch of another server, and another epoch of the same one, are as little.
    let wrong_server = Attachment { server: old.server, ..new };
    let wrong_epoch = Attachment { epoch: old.epoch, ..new };
    for wrong in [wrong_server, wrong_epoch] {
        assert!(!store.host_set_status(wrong, HostStatus::Offline).await.unwrap());
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_looks_after_the_sandboxes_on_its_own_hosts(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (one, other) = (attached_host(&store).await, attached_host(&store).await);
    let wanted = NewSandbox { timeout_sec: 1, ..new_sandbox() };
    let row = store.sandbox_insert(&wanted, one, &intent()).await.unwrap().unwrap();
    assert_eq!(store.sandboxes_in_flight(one.server).await.unwrap(), [row.id]);
    assert!(store.sandboxes_in_flight(other.server).await.unwrap().is_empty());
    assert_eq!(store.sandbox_reservations(one.server).await.unwrap().len(), 1);
    assert!(store.sandbox_reservations(other.server).await.unwrap().is_empty());

    let to = running(&row.lifecycle);
    store.sandbox_transition(row.id, one, &row.lifecycle, &to, None, &Default::default()).await.unwrap();
    let now = [(row.id, Duration::ZERO)];
    for statement in [
        "UPDATE sandboxes SET last_active_at = now() - interval '1 hour'",
        "UPDATE hosts SET attached_at = now() - interval '1 hour'",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    assert!(store.sandboxes_idle(other.server).await.unwrap().is_empty());
    assert_eq!(store.sandboxes_idle(one.server).await.unwrap(), [row.id]);
    assert!(store.sandbox_is_idle(row.id).await.unwrap());
    store.sandboxes_used(other.server, &now).await.unwrap();
    assert!(store.sandbox_is_idle(row.id).await.unwrap(), "another server has not seen its use");
    // Clients of a host that has just changed hands have a moment to come back.
    sqlx::query("UPDATE hosts SET attached_at = now()").execute(&pool).await.unwrap();
    assert!(store.sandboxes_idle(one.server).await.unwrap().is_empty());
    store.sandboxes_used(one.server, &now).await.unwrap();
    assert!(!store.sandbox_is_idle(row.id).await.unwrap());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_server_that_ends_or_is_silent_sets_free_what_it_held(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (ended, silent, living) = (attached_host(&store).await, attached_host(&store).await, ServerId::new());
    store.server_register(living).await.unwrap();
    assert_eq!(store.hosts_claim(living).await.unwrap(), 0);

    let template = store.template_find(TeamId::PLATFORM, "minimal").await.unwrap().unwrap();
    assert!(store.template_delete_begin(template.id, ended.server, &intent()).await.unwrap());
    assert!(store.templates_deleted_by_nobody().await.unwrap().is_empty());

    store.server_end(ended.server).await.unwrap();
    assert_eq!(store.host_attachment(ended.host).await.unwrap(), None);
    assert_eq!(store.templates_deleted_by_nobody().await.unwrap(), [template.id]);
    assert_eq!(store.hosts_claim(living).await.unwrap(), 1);
    assert!(store.host_attachment(ended.host).await.unwrap().unwrap().epoch > ended.epoch);

    assert!(store.servers_remove_silent(Duration::from_secs(60)).await.unwrap().is_empty());
    sqlx::query("UPDATE servers SET seen_at = now() - interval '2 minutes' WHERE id = $1")
        .bind(silent.server.0)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(store.servers_remove_silent(Duration::from_secs(60)).await.unwrap(), [silent.server]);
    assert!(!store.server_renew(silent.server).await.unwrap(), "it learns it");
    assert!(store.server_renew(living).await.unwrap());
    assert_eq!(store.hosts_claim(living).await.unwrap(), 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_attaches_again_to_its_server_keeps_its_epoch(pool: PgPool) {
    let store = Store::from_pool(pool);
    let held = attached_host(&store).await;
    let again = store.host_attached(held.host, held.server, HostCapacity::default()).await.unwrap();
    assert_eq!(again, Some(held));
    assert_eq!(store.host_attachment(held.host).await.unwrap(), Some(held));
    let row = store.sandbox_insert(&new_sandbox(), held, &intent()).await.unwrap().unwrap();
    assert_eq!(row.lifecycle.status, SandboxStatus::Starting);
}
