//! Builds: who has them, and what those can write who do not.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgPool;
use uuid::Uuid;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    build::{BuildEnd, BuildOrder, BuildStage, BuildStatus, Claim, LogStream, LoggedLine, NewBuild, StepEnd},
    host::NewHost,
    ids::{BuildId, SandboxId, TeamId, TemplateId},
    principal::SystemReason,
    sandbox::NewSandbox,
};
use wrenn_store::{Store, builds::BuildInsertError};

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

const LEASE: Duration = Duration::from_secs(60);
const OVER: Duration = Duration::ZERO;

fn new_build(name: &str) -> NewBuild {
    let order = BuildOrder {
        name: name.to_owned(),
        base_template: "minimal".to_owned(),
        recipe: vec!["RUN true".to_owned()],
        healthcheck: None,
        vcpus: 1,
        memory_mb: 512,
        disk_size_mb: 5120,
        skip_pre_post: true,
        no_cache: false,
        created_by: None,
    };
    NewBuild { id: BuildId::new(), order, archive: None, total_steps: 1 }
}

async fn claimed(store: &Store, lease: Duration) -> Claim {
    store.build_claim(lease).await.unwrap().expect("there is a build").0
}

fn line(seq: u64) -> LoggedLine {
    LoggedLine { seq, step: 1, stream: LogStream::Stdout, line: format!("line {seq}") }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn builds_are_taken_up_in_order_and_by_one_each(pool: PgPool) {
    let store = Store::from_pool(pool);
    let ids: Vec<BuildId> = {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(store.build_insert(&new_build(name), &intent()).await.unwrap().id);
        }
        ids
    };
    assert!(matches!(store.build_insert(&new_build("a"), &intent()).await, Err(BuildInsertError::NameInUse)));
    for id in &ids {
        assert!(store.build_is_claimable().await.unwrap());
        assert_eq!(claimed(&store, LEASE).await, Claim { build: *id, attempt: 1 });
    }
    assert!(!store.build_is_claimable().await.unwrap());
    assert_eq!(store.build_claim(LEASE).await.unwrap(), None);
    let end = BuildEnd::Failed("no".into());
    assert!(store.build_finish(Claim { build: ids[0], attempt: 1 }, &end).await.unwrap());
    assert!(store.build_insert(&new_build("a"), &intent()).await.is_ok(), "the name is free again");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_attempt_that_has_lost_its_build_writes_nothing(pool: PgPool) {
    let store = Store::from_pool(pool);
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let first = claimed(&store, OVER).await;
    assert!(store.build_step_begin(first, 1, "recipe", "RUN true", false).await.unwrap());
    assert!(store.build_lines_append(first, &[line(1), line(2)]).await.unwrap());
    let second = claimed(&store, LEASE).await;
    assert_eq!((second.build, second.attempt), (id, 2));
    assert!(store.build_steps(id).await.unwrap().is_empty(), "what an earlier attempt has logged is gone");
    assert!(store.build_lines(id, 0, 10).await.unwrap().is_empty());

    let end = StepEnd { exit: Some(0), ok: true, elapsed_ms: 1 };
    assert!(!store.build_renew(first, LEASE).await.unwrap());
    assert!(!store.build_step_begin(first, 1, "recipe", "RUN true", false).await.unwrap());
    assert!(!store.build_step_end(first, 1, end).await.unwrap());
    assert!(!store.build_lines_append(first, &[line(3)]).await.unwrap());
    assert!(!store.build_stage(first, BuildStage::Steps).await.unwrap());
    assert!(!store.build_defaults(first, "x", &BTreeMap::new()).await.unwrap());
    assert!(!store.build_give_back(first, "no", OVER).await.unwrap());
    assert!(!store.build_finish(first, &BuildEnd::Failed("no".into())).await.unwrap());

    assert!(store.build_renew(second, LEASE).await.unwrap());
    assert!(store.build_step_begin(second, 1, "recipe", "RUN true", false).await.unwrap());
    assert!(store.build_lines_append(second, &[line(11), line(12)]).await.unwrap());
    assert!(!store.build_lines_append(second, &[line(12)]).await.unwrap(), "twice is once");
    assert_eq!(store.build_lines(id, 11, 10).await.unwrap(), [line(12)]);
    assert!(store.build_step_end(second, 1, end).await.unwrap());
    assert_eq!(store.build_steps(id).await.unwrap()[0].ok, Some(true));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_cancelled_build_stays_cancelled(pool: PgPool) {
    let store = Store::from_pool(pool);
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let claim = claimed(&store, LEASE).await;
    let cancelled = store.build_cancel(id, &intent()).await.unwrap().unwrap();
    assert!(cancelled.status == BuildStatus::Cancelled && cancelled.completed_at.is_some());
    assert!(!store.build_finish(claim, &BuildEnd::Success(TemplateId(Uuid::from_u128(1)))).await.unwrap());
    assert_eq!(store.build_cancel(id, &intent()).await.unwrap(), None);
    assert_eq!(store.build_claim(LEASE).await.unwrap(), None);
    assert_eq!(store.build_fetch(id).await.unwrap().unwrap().status, BuildStatus::Cancelled);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_given_back_waits_for_its_time(pool: PgPool) {
    let store = Store::from_pool(pool);
    let id = store.build_insert(&new_build("a"), &intent()).await.unwrap().id;
    let claim = claimed(&store, LEASE).await;
    assert!(store.build_give_back(claim, "the host went away", Duration::from_secs(3600)).await.unwrap());
    assert_eq!(store.build_claim(LEASE).await.unwrap(), None);
    let build = store.build_fetch(id).await.unwrap().unwrap();
    assert_eq!((build.status, build.error.as_deref()), (BuildStatus::Pending, Some("the host went away")));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn capsules_of_an_attempt_that_is_over_are_found(pool: PgPool) {
    let store = Store::from_pool(pool);
    let host = store.host_create(&NewHost::default()).await.unwrap().id;
    store.build_insert(&new_build("a"), &intent()).await.unwrap();
    let sandbox = |claim| NewSandbox {
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
        build: Some(claim),
    };
    let first = claimed(&store, OVER).await;
    let row = store.sandbox_insert(&sandbox(first), host, &intent()).await.unwrap().unwrap();
    assert!(store.build_sandboxes_left().await.unwrap().is_empty());
    claimed(&store, LEASE).await;
    assert_eq!(store.build_sandboxes_left().await.unwrap(), [row.id]);
    assert!(
        store.sandbox_insert(&sandbox(first), host, &intent()).await.unwrap().is_none(),
        "its attempt is over"
    );
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_last_known_key_is_found_and_the_least_used_disks_go_first(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let step = async |number: u128, size_bytes: i64| {
        let id = TemplateId(Uuid::from_u128(number));
        sqlx::query(
            "INSERT INTO templates (id, team_id, name, type, disk_size_mb, purpose, size_bytes)
             VALUES ($1, '00000000-0000-0000-0000-000000000000', $2, 'base', 1, 'step', $3)",
        )
        .bind(id.0)
        .bind(format!("step.{number}"))
        .bind(size_bytes)
        .execute(&pool)
        .await
        .unwrap();
        id
    };
    let (old, new, useless) = (step(10, 100).await, step(11, 100).await, step(12, 100).await);
    store.build_cache_put(&[1; 32], old).await.unwrap();
    store.build_cache_put(&[2; 32], new).await.unwrap();
    let find = async |keys: &[[u8; 32]]| store.build_cache_find(keys).await.unwrap();
    assert_eq!(find(&[[1; 32], [2; 32], [3; 32]]).await, Some((1, new)));
    assert_eq!(find(&[[1; 32], [9; 32]]).await, Some((0, old)));
    assert_eq!(find(&[[9; 32]]).await, None);
    assert_eq!(find(&[]).await, None);
    // `old` was used last.
    assert_eq!(store.build_cache_excess(150).await.unwrap(), [useless, new]);
    assert_eq!(store.build_cache_excess(1000).await.unwrap(), [useless]);
    store.build_cache_put(&[1; 32], new).await.unwrap();
    assert_eq!(store.build_cache_excess(1000).await.unwrap(), [old, useless]);
    let listed = store.template_list(TeamId::PLATFORM, None).await.unwrap();
    assert_eq!(listed.len(), 1, "steps are nobody's to see");
}
