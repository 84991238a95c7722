//! Which names templates get when several are made at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgPool;
use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::{AuditChange, AuditIntent},
    host::NewHost,
    ids::{SandboxId, TeamId, TemplateId},
    lifecycle::{Lifecycle, Operation, SandboxStatus},
    principal::SystemReason,
    sandbox::{NewSandbox, Sandbox},
    template::{NewTemplate, OnConflict, TemplateChange, TemplateNameError, TemplateOrigin, TemplateSource},
};
use wrenn_store::{Store, sandboxes::TransitionError};

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

/// A sandbox that runs.
async fn running(store: &Store) -> Sandbox {
    let host = store.host_create(&NewHost::default()).await.unwrap().id;
    let new = NewSandbox {
        id: SandboxId::new(),
        team_id: TeamId::PLATFORM,
        template_id: TemplateId(Uuid::from_u128(1)),
        template_name: "minimal".to_owned(),
        template_image: None,
        template_hosts: None,
        vcpus: 1,
        memory_mb: 512,
        disk_size_mb: 5120,
        timeout_sec: 0,
        auto_resume: false,
        default_user: "root".to_owned(),
        envs: BTreeMap::new(),
        metadata: BTreeMap::new(),
        preview_access: Default::default(),
        build: None,
    };
    let row = store.sandbox_insert(&new, host, &intent()).await.unwrap().unwrap();
    let running = Lifecycle { status: SandboxStatus::Running, operation: None, ..row.lifecycle.clone() };
    store
        .sandbox_transition(row.id, &row.lifecycle, &running, None, &AuditChange::default())
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
    let waits = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits)
        .await
        .expect("the second never waited for the first");
    publishing.commit().await.unwrap();
    let refused = refused.await.unwrap().unwrap_err();
    assert!(matches!(refused, TransitionError::Name(TemplateNameError::Taken)), "{refused:?}");
    assert_eq!(store.sandbox_load(second.id).await.unwrap().unwrap().lifecycle, second.lifecycle);
}
