//! Which names templates get when several are made at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::collections::BTreeMap;

use sqlx::PgPool;
use wrenn_domain::{
    audit::AuditChange,
    ids::TemplateId,
    lifecycle::{Lifecycle, Operation},
    sandbox::Sandbox,
    template::{NewTemplate, OnConflict, TemplateChange, TemplateNameError, TemplateOrigin, TemplateSource},
};
use wrenn_store::{Store, sandboxes::TransitionError};
use wrenn_testkit::{
    rows::{self, attached_host, attachment, intent, new_sandbox},
    wait::eventually,
};

/// A sandbox that runs.
async fn running(store: &Store) -> Sandbox {
    let host = attached_host(store).await;
    let row = store.sandbox_insert(&new_sandbox(), host, &intent()).await.unwrap().unwrap();
    store
        .sandbox_transition(
            row.id,
            attachment(store, row.host_id).await,
            &row.lifecycle,
            &rows::running(&row.lifecycle),
            None,
            &AuditChange::default(),
        )
        .await
        .unwrap()
        .unwrap()
}

/// Begins a snapshot with this name.
async fn begin(store: &Store, row: &Sandbox, name: &str) -> Result<Option<Sandbox>, TransitionError> {
    let id = TemplateId::new();
    let new = NewTemplate {
        id,
        team_id: row.team_id,
        name: name.to_owned(),
        source: TemplateSource::Snapshot,
        vcpus: row.vcpus,
        memory_mb: row.memory_mb,
        disk_size_mb: row.disk_size_mb,
        default_user: row.default_user.clone(),
        default_env: BTreeMap::new(),
        on_conflict: OnConflict::Refuse,
        origin: TemplateOrigin::Client,
    };
    let to = Lifecycle {
        operation: Some(Operation::Snapshotting),
        generation: row.lifecycle.generation.next(),
        template: Some(id),
        ..row.lifecycle.clone()
    };
    store
        .sandbox_transition(
            row.id,
            attachment(store, row.host_id).await,
            &row.lifecycle,
            &to,
            Some(&TemplateChange::Begin(new)),
            &AuditChange::default(),
        )
        .await
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_name_that_becomes_taken_at_this_moment_is_refused(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (first, second) = (running(&store).await, running(&store).await);
    let making = begin(&store, &first, "mine").await.unwrap().unwrap().lifecycle.template.unwrap();
    let mut publishing = pool.begin().await.unwrap();
    sqlx::query("UPDATE templates SET status = 'ready' WHERE id = $1")
        .bind(making.0)
        .execute(&mut *publishing)
        .await
        .unwrap();

    let (other, row) = (store.clone(), second.clone());
    let refused = tokio::spawn(async move { begin(&other, &row, "mine").await });
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = async || sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() > 0;
    eventually("the second waits for the first", waits).await;
    publishing.commit().await.unwrap();
    let refused = refused.await.unwrap().unwrap_err();
    assert!(matches!(refused, TransitionError::Name(TemplateNameError::Taken)), "{refused:?}");
    assert_eq!(store.sandbox_load(second.id).await.unwrap().unwrap().lifecycle, second.lifecycle);
}
