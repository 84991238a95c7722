//! What the statements for sandboxes and host tokens refuse.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::time::Duration;

use sqlx::PgPool;
use wrenn_domain::{
    audit::AuditChange,
    host::{Attachment, HostCapacity, HostStatus},
    ids::{HostId, ServerId, TeamId},
    lifecycle::{End, Lifecycle, Operation, SandboxStatus},
    page::PageRequest,
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_store::{
    Store,
    host_tokens::{CredentialHashes, HOST_TTL, HostFacts, REFRESH_AGAIN, TokenHash},
    sandboxes::InsertError,
};
use wrenn_testkit::rows::{attached_host, attachment, host, intent, new_sandbox, running};

async fn inserted(store: &Store) -> Sandbox {
    let host = attached_host(store).await;
    store.sandbox_insert(&new_sandbox(), host, &intent()).await.unwrap().unwrap()
}

fn destroying(from: &Lifecycle) -> Lifecycle {
    Lifecycle {
        operation: Some(Operation::Destroying),
        generation: from.generation.next(),
        end: End::Requested,
        ..from.clone()
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_row_is_read_as_it_was_written(pool: PgPool) {
    let store = Store::from_pool(pool);
    let new = NewSandbox {
        envs: [("A".to_owned(), "b".to_owned())].into(),
        metadata: [("owner".to_owned(), "me".to_owned())].into(),
        ..new_sandbox()
    };
    let row = store.sandbox_insert(&new, attached_host(&store).await, &intent()).await.unwrap().unwrap();
    assert_eq!(row.lifecycle, Lifecycle::first());
    assert_eq!((row.envs["A"].as_str(), row.metadata["owner"].as_str()), ("b", "me"));
    assert_eq!(store.sandbox_fetch(row.team_id, row.id).await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.sandbox_fetch(TeamId::new(), row.id).await.unwrap(), None);
    assert_eq!(
        store.sandbox_list(row.team_id, PageRequest::WHOLE).await.unwrap().items,
        std::slice::from_ref(&row)
    );
    let server = attachment(&store, row.host_id).await.server;
    assert_eq!(store.sandboxes_in_flight(server).await.unwrap(), [row.id]);
    store.sandboxes_used(server, &[(row.id, std::time::Duration::ZERO)]).await.unwrap();
    assert!(store.sandbox_load(row.id).await.unwrap().unwrap().last_active_at.is_some());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_writer_that_was_overtaken_changes_nothing(pool: PgPool) {
    let store = Store::from_pool(pool);
    let row = inserted(&store).await;
    let first = row.lifecycle;
    let overtaking = destroying(&first);
    let written = store
        .sandbox_transition(
            row.id,
            attachment(&store, row.host_id).await,
            &first,
            &overtaking,
            None,
            &AuditChange::default(),
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(written.lifecycle, overtaking);
    assert_eq!(
        store
            .sandbox_transition(
                row.id,
                attachment(&store, row.host_id).await,
                &first,
                &running(&first),
                None,
                &AuditChange::default()
            )
            .await
            .unwrap(),
        None
    );
    let same_generation = Lifecycle { operation: None, ..overtaking.clone() };
    assert_eq!(
        store
            .sandbox_transition(
                row.id,
                attachment(&store, row.host_id).await,
                &same_generation,
                &running(&first),
                None,
                &AuditChange::default()
            )
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.sandbox_load(row.id).await.unwrap().unwrap().lifecycle, overtaking);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_gone_stays_gone_and_holds_nothing(pool: PgPool) {
    let store = Store::from_pool(pool);
    let row = inserted(&store).await;
    let server = attachment(&store, row.host_id).await.server;
    assert_eq!(store.sandbox_reservations(server).await.unwrap().len(), 1);
    let requested = destroying(&row.lifecycle);
    store
        .sandbox_transition(
            row.id,
            attachment(&store, row.host_id).await,
            &row.lifecycle,
            &requested,
            None,
            &AuditChange::default(),
        )
        .await
        .unwrap()
        .unwrap();
    let gone =
        Lifecycle { status: SandboxStatus::Stopped, operation: None, end: End::Reached, ..requested.clone() };
    let written = store
        .sandbox_transition(
            row.id,
            attachment(&store, row.host_id).await,
            &requested,
            &gone,
            None,
            &AuditChange::default(),
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(written.lifecycle, gone);
    assert_eq!(
        store
            .sandbox_transition(
                row.id,
                attachment(&store, row.host_id).await,
                &gone,
                &running(&gone),
                None,
                &AuditChange::default()
            )
            .await
            .unwrap(),
        None
    );
    assert!(store.sandbox_reservations(server).await.unwrap().is_empty());
    assert!(store.sandboxes_of_host(row.host_id).await.unwrap().is_empty());
    assert!(store.sandbox_list(row.team_id, PageRequest::WHOLE).await.unwrap().items.is_empty());
    assert!(store.sandbox_fetch(row.team_id, row.id).await.unwrap().is_some());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn sizes_out_of_range_are_refused_and_nothing_is_made(pool: PgPool) {
    let store = Store::from_pool(pool);
    let host = attached_host(&store).await;
    for (vcpus, memory_mb) in [(0, 512), (u32::MAX, 512), (1, 0), (1, u32::MAX)] {
        let new = NewSandbox { vcpus, memory_mb, ..new_sandbox() };
        let error = store.sandbox_insert(&new, host, &intent()).await.unwrap_err();
        assert!(matches!(&error, InsertError::Store(error) if error.changed_nothing()), "{error:?}");
    }
    assert!(store.sandboxes_of_host(host.host).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn tokens_work_for_their_purpose_and_until_they_end(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = host(&store).await;
    assert!(!store.host_can_return(host).await.unwrap());
    store.host_registration_token_issue(host, &[0; 32]).await.unwrap();
    store.host_registration_token_issue(host, &[1; 32]).await.unwrap();
    let facts = HostFacts {
        capacity: HostCapacity { cpu_cores: 2, memory_mb: 4096, disk_mb: 10_000 },
        arch: "x86_64".to_owned(),
        address: "here".to_owned(),
    };
    let first = CredentialHashes { host: [2; 32], refresh: [3; 32] };
    let second = CredentialHashes { host: [4; 32], refresh: [5; 32] };
    assert_eq!(store.host_register(&[0; 32], &first, &facts).await.unwrap(), None, "it was replaced");
    assert_eq!(store.host_register(&[1; 32], &first, &facts).await.unwrap(), Some(host));
    assert_eq!(store.host_register(&[1; 32], &second, &facts).await.unwrap(), None);
    let owner = async |hash: TokenHash| store.host_token_verify(&hash).await.unwrap().map(|(host, _)| host);
    let (_, left) = store.host_token_verify(&first.host).await.unwrap().unwrap();
    assert!(left <= HOST_TTL && left > HOST_TTL - Duration::from_secs(60), "{left:?}");
    assert_eq!(owner(first.refresh).await, None);
    assert_eq!(store.host_refresh(&first.host, &second).await.unwrap(), None);
    assert_eq!(store.host_refresh(&first.refresh, &second).await.unwrap(), Some(host));
    for valid in [first.host, second.host] {
        assert_eq!(owner(valid).await, Some(host));
    }
    assert!(store.host_can_return(host).await.unwrap());

    sqlx::query("UPDATE host_tokens SET expires_at = now() - interval '1 second'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(owner(second.host).await, None);
    assert_eq!(store.host_refresh(&second.refresh, &first).await.unwrap(), None);
    assert!(!store.host_can_return(host).await.unwrap());

    let row = store.host_fetch(host).await.unwrap().unwrap();
    assert_eq!((row.capacity, row.arch.as_deref()), (Some(facts.capacity), Some("x86_64")));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_whose_renewal_was_lost_can_ask_again_for_a_while_and_keeps_two_tokens(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = host(&store).await;
    let credentials = |n| CredentialHashes { host: [n; 32], refresh: [n + 1; 32] };
    let (first, lost, second) = (credentials(2), credentials(4), credentials(6));
    store.host_registration_token_issue(host, &[1; 32]).await.unwrap();
    let facts =
        HostFacts { capacity: HostCapacity::default(), arch: "x86_64".to_owned(), address: String::new() };
    store.host_register(&[1; 32], &first, &facts).await.unwrap().unwrap();
    assert_eq!(store.host_refresh(&first.refresh, &lost).await.unwrap(), Some(host));
    assert_eq!(store.host_refresh(&first.refresh, &second).await.unwrap(), Some(host));
    assert_eq!(store.host_token_verify(&first.host).await.unwrap(), None, "only the newest two are kept");
    for valid in [lost.host, second.host] {
        assert!(store.host_token_verify(&valid).await.unwrap().is_some());
    }

    let again_sec: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM host_tokens WHERE token_hash = $1",
    )
    .bind(first.refresh.as_slice())
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(again_sec <= REFRESH_AGAIN.as_secs_f64(), "{again_sec}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_that_attaches_is_online_and_one_without_a_record_is_not_made(pool: PgPool) {
    let store = Store::from_pool(pool);
    let host = host(&store).await;
    assert_eq!(store.host_fetch(host).await.unwrap().unwrap().status, HostStatus::Pending);
    let capacity = HostCapacity { cpu_cores: 2, memory_mb: 4096, disk_mb: 10_000 };
    let server = ServerId::new();
    store.server_register(server).await.unwrap();
    let attachment = store.host_attached(host, server, capacity).await.unwrap().unwrap();
    let row = store.host_fetch(host).await.unwrap().unwrap();
    assert_eq!((row.status, row.capacity), (HostStatus::Online, Some(capacity)));
    assert!(row.last_heartbeat_at.is_some());
    assert!(store.host_set_status(attachment, HostStatus::Offline).await.unwrap());
    assert!(store.host_heartbeat(attachment).await.unwrap());

    let nobody = HostId::new();
    assert_eq!(store.host_attached(nobody, server, capacity).await.unwrap(), None);
    let of_nobody = Attachment { host: nobody, ..attachment };
    assert!(!store.host_set_status(of_nobody, HostStatus::Offline).await.unwrap());
    assert!(!store.host_heartbeat(of_nobody).await.unwrap());
    assert_eq!(store.host_list().await.unwrap().len(), 1);
}
