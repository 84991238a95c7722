//! The audit log and the outbox: written with the change or not at all, and read without a gap.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::time::Duration;

use sqlx::PgPool;
use wrenn_domain::{
    action::Action,
    api_key::NewApiKey,
    audit::{AuditChange, AuditIntent, AuditOutcome, AuditStatus},
    audit_log::{AuditEntry, AuditFilter},
    host::HostCapacity,
    ids::{ApiKeyId, ServerId, TeamId, UserId},
    lifecycle::{Lifecycle, Operation},
    page::PageRequest,
    principal::{Membership, Principal, SystemReason},
    sandbox::NewSandbox,
    scope::Scopes,
    team::Role,
    user::NewAccount,
};
use wrenn_store::{Store, outbox::OutboxCursor};
use wrenn_testkit::{
    rows::{attached_host, attachment, new_sandbox, running},
    wait::eventually,
};

const ALL: u32 = 1000;

async fn account(store: &Store) -> (UserId, TeamId) {
    let new = NewAccount {
        email: "ada@example.org".into(),
        name: "Ada".into(),
        password_hash: Some("-".into()),
        identity: None,
        team_name: "Ada's team".into(),
        team_slug: "ada".into(),
        admin: wrenn_domain::user::AdminRule::FirstAccount,
        invitation: None,
        is_verified: true,
    };
    let intent = AuditIntent::new(Principal::Anonymous, Action::SignUp);
    let (user, team) = store.account_create(new, &intent).await.unwrap();
    (user.id, team)
}

fn principal(id: UserId, team: TeamId) -> Principal {
    Principal::User { id, membership: Some(Membership { team, role: Role::Owner }), is_admin: true, epoch: 0 }
}

async fn entries(store: &Store, team: TeamId, action: Action) -> Vec<AuditEntry> {
    let all = store.audit_list(Some(team), &AuditFilter::default(), PageRequest::WHOLE).await.unwrap().items;
    all.into_iter().filter(|entry| entry.action == action.name()).collect()
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_operation_is_accepted_with_its_beginning_and_settled_with_its_end(pool: PgPool) {
    let store = Store::from_pool(pool);
    let (user, team) = account(&store).await;
    let principal = principal(user, team);
    let new = NewSandbox { team_id: team, ..new_sandbox() };
    let create = AuditIntent::new(principal, Action::SandboxCreate).of(new.id).with("template", "minimal");
    let row = store.sandbox_insert(&new, attached_host(&store).await, &create).await.unwrap().unwrap();
    assert_eq!(row.audit_id, Some(create.id));
    let entry = &entries(&store, team, Action::SandboxCreate).await[0];
    assert_eq!((entry.status, entry.actor_type.as_str()), (AuditStatus::Accepted, "user"));
    assert_eq!((entry.actor_id, entry.actor_name.as_deref()), (Some(user.0), Some("Ada")));
    assert_eq!(entry.resource_id, Some(new.id.to_string()));
    assert_eq!(entry.metadata["template"], "minimal");

    let settle = AuditChange { begins: None, ends: Some((create.id, AuditOutcome::succeeded())) };
    let to = running(&row.lifecycle);
    let row = store
        .sandbox_transition(row.id, attachment(&store, row.host_id).await, &row.lifecycle, &to, None, &settle)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.audit_id, None);
    assert_eq!(entries(&store, team, Action::SandboxCreate).await[0].status, AuditStatus::Succeeded);

    // A removal takes the place of a pause: one statement settles the one entry and begins the other.
    let pause = AuditIntent::new(principal, Action::SandboxPause).of(row.id);
    let pausing = Lifecycle {
        operation: Some(Operation::Pausing),
        generation: row.lifecycle.generation.next(),
        ..row.lifecycle.clone()
    };
    let begin = AuditChange { begins: Some(pause.clone()), ends: None };
    let row = store
        .sandbox_transition(
            row.id,
            attachment(&store, row.host_id).await,
            &row.lifecycle,
            &pausing,
            None,
            &begin,
        )
        .await
        .unwrap()
        .unwrap();
    let destroy = AuditIntent::system(SystemReason::Idle, Action::SandboxDestroy).in_team(team).of(row.id);
    let overtake = AuditChange {
        begins: Some(destroy.clone()),
        ends: Some((pause.id, AuditOutcome::failed("overtaken"))),
    };
    let removing = Lifecycle {
        operation: Some(Operation::Destroying),
        generation: pausing.generation.next(),
        ..pausing.clone()
    };
    let row = store
        .sandbox_transition(
            row.id,
            attachment(&store, row.host_id).await,
            &pausing,
            &removing,
            None,
            &overtake,
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.audit_id, Some(destroy.id));
    let paused = &entries(&store, team, Action::SandboxPause).await[0];
    assert_eq!((paused.status, paused.error.as_deref()), (AuditStatus::Failed, Some("overtaken")));
    let destroyed = &entries(&store, team, Action::SandboxDestroy).await[0];
    assert_eq!((destroyed.status, destroyed.actor_type.as_str()), (AuditStatus::Accepted, "system"));
    assert_eq!((destroyed.actor_name.as_deref(), destroyed.actor_id), (Some("idle"), None));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_transition_that_was_overtaken_writes_no_entry_and_no_event(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (user, team) = account(&store).await;
    let new = NewSandbox { team_id: team, ..new_sandbox() };
    let create = AuditIntent::new(principal(user, team), Action::SandboxCreate).of(new.id);
    let row = store.sandbox_insert(&new, attached_host(&store).await, &create).await.unwrap().unwrap();
    let events =
        async || -> i64 { sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&pool).await.unwrap() };
    let before = events().await;
    let stale = Lifecycle { generation: row.lifecycle.generation.next(), ..row.lifecycle.clone() };
    let change = AuditChange {
        begins: Some(AuditIntent::new(principal(user, team), Action::SandboxPause).of(row.id)),
        ends: Some((create.id, AuditOutcome::succeeded())),
    };
    let written = store
        .sandbox_transition(
            row.id,
            attachment(&store, row.host_id).await,
            &stale,
            &running(&stale),
            None,
            &change,
        )
        .await
        .unwrap();
    assert_eq!(written, None);
    assert_eq!(entries(&store, team, Action::SandboxPause).await, []);
    assert_eq!(entries(&store, team, Action::SandboxCreate).await[0].status, AuditStatus::Accepted);
    assert_eq!(events().await, before);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_entry_is_written_once_and_a_refusal_never_covers_a_change(pool: PgPool) {
    let store = Store::from_pool(pool);
    let (user, team) = account(&store).await;
    let id = ApiKeyId::new();
    let intent = AuditIntent::new(principal(user, team), Action::ApiKeyCreate).of(id);
    let new = NewApiKey {
        id,
        team_id: team,
        name: "a".into(),
        key_hash: [1; 32],
        key_prefix: "wrn_".into(),
        created_by: user,
        scopes: Scopes::DEFAULT,
        expires_at: None,
    };
    store.api_key_create(new, &intent).await.unwrap().unwrap();
    store.audit_refuse(&intent, "the answer was lost").await.unwrap();
    store.audit_note(&intent).await.unwrap();
    let created = entries(&store, team, Action::ApiKeyCreate).await;
    assert_eq!(created.iter().map(|entry| entry.status).collect::<Vec<_>>(), [AuditStatus::Succeeded]);

    let refused = AuditIntent::new(principal(user, team), Action::ApiKeyDelete).of(ApiKeyId::new());
    store.audit_refuse(&refused, "there is no such key").await.unwrap();
    let entry = &entries(&store, team, Action::ApiKeyDelete).await[0];
    assert_eq!((entry.status, entry.error.as_deref()), (AuditStatus::Refused, Some("there is no such key")));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_change_that_is_committed_late_takes_the_place_of_its_refusal(pool: PgPool) {
    let store = Store::from_pool(pool);
    let (user, team) = account(&store).await;
    let new = NewSandbox { team_id: team, ..new_sandbox() };
    let create = AuditIntent::new(principal(user, team), Action::SandboxCreate).of(new.id);
    store.audit_refuse(&create, "no answer in time").await.unwrap();
    let row = store.sandbox_insert(&new, attached_host(&store).await, &create).await.unwrap().unwrap();
    let entry = &entries(&store, team, Action::SandboxCreate).await[0];
    assert_eq!((entry.status, &entry.error), (AuditStatus::Accepted, &None));

    // A request that joins is settled with the operation that it joined.
    let joined = AuditIntent::new(principal(user, team), Action::SandboxCreate).of(new.id);
    let host = attachment(&store, row.host_id).await;
    assert!(store.audit_join(&joined, create.id, host).await.unwrap());
    let settle = AuditChange { begins: None, ends: Some((create.id, AuditOutcome::failed("no space"))) };
    let to = running(&row.lifecycle);
    store
        .sandbox_transition(row.id, attachment(&store, row.host_id).await, &row.lifecycle, &to, None, &settle)
        .await
        .unwrap()
        .unwrap();
    let found = entries(&store, team, Action::SandboxCreate).await;
    assert_eq!(found.len(), 2);
    for entry in found {
        assert_eq!((entry.status, entry.error.as_deref()), (AuditStatus::Failed, Some("no space")));
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn nobody_joins_an_operation_that_another_server_settles_by_now(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (user, team) = account(&store).await;
    let former = attached_host(&store).await;
    let new = NewSandbox { team_id: team, ..new_sandbox() };
    let create = AuditIntent::new(principal(user, team), Action::SandboxCreate).of(new.id);
    let row = store.sandbox_insert(&new, former, &create).await.unwrap().unwrap();

    // A server that takes the host waits for the entry that is being written, and settles it.
    let joined = AuditIntent::new(principal(user, team), Action::SandboxCreate).of(new.id);
    assert!(store.audit_join(&joined, create.id, former).await.unwrap());
    let server = ServerId::new();
    store.server_register(server).await.unwrap();
    let taken = store.host_attached(former.host, server, HostCapacity::default()).await.unwrap().unwrap();
    let late = AuditIntent::new(principal(user, team), Action::SandboxCreate).of(new.id);
    assert!(!store.audit_join(&late, create.id, former).await.unwrap());
    let settle = AuditChange { begins: None, ends: Some((create.id, AuditOutcome::succeeded())) };
    let to = running(&row.lifecycle);
    let settled = store.sandbox_transition(row.id, taken, &row.lifecycle, &to, None, &settle).await;
    settled.unwrap().unwrap();
    assert!(!store.audit_join(&late, create.id, former).await.unwrap());
    let statuses: Vec<_> =
        entries(&store, team, Action::SandboxCreate).await.iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [AuditStatus::Succeeded; 2]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn events_of_transactions_that_commit_out_of_order_are_all_read(pool: PgPool) {
    async fn tell(connection: &mut sqlx::PgConnection, event: &str) {
        sqlx::query("INSERT INTO outbox (event, resource_type) VALUES ($1, 'server')")
            .bind(event)
            .execute(connection)
            .await
            .unwrap();
    }
    let store = Store::from_pool(pool.clone());
    let read = async |after: OutboxCursor| {
        let events = store.outbox_read(after, ALL).await.unwrap();
        let cursor = events.last().map_or(after, |event| event.cursor);
        (events.into_iter().map(|event| event.event).collect::<Vec<_>>(), cursor)
    };
    let mut early = pool.begin().await.unwrap();
    tell(&mut early, "early").await;
    let mut late = pool.begin().await.unwrap();
    tell(&mut late, "late").await;
    late.commit().await.unwrap();
    // The one that began first is still open: a reader that took the other one would never see it.
    let (seen, cursor) = read(OutboxCursor::default()).await;
    assert_eq!(seen, [] as [String; 0]);
    early.commit().await.unwrap();
    // Transactions of other tests, in other databases of the same server, may be older and still open.
    let read_all = async |mut cursor: OutboxCursor, expected: &[&str]| {
        let mut all: Vec<String> = Vec::new();
        let are_read = async || {
            let (seen, next) = read(cursor).await;
            all.extend(seen);
            cursor = next;
            all.len() >= expected.len()
        };
        eventually("the events are read", are_read).await;
        assert_eq!(all, expected);
        cursor
    };
    let cursor = read_all(cursor, &["early", "late"]).await;

    // One that is rolled back holds nobody up.
    let mut undone = pool.begin().await.unwrap();
    tell(&mut undone, "undone").await;
    undone.rollback().await.unwrap();
    tell(&mut pool.acquire().await.unwrap(), "next").await;
    let cursor = read_all(cursor, &["next"]).await;
    assert_eq!(read(cursor).await.0, [] as [String; 0]);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn old_events_and_entries_are_retired_in_portions(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (_, team) = account(&store).await;
    sqlx::query("UPDATE outbox SET created_at = now() - interval '8 days'").execute(&pool).await.unwrap();
    for _ in 0..3 {
        sqlx::query(
            "INSERT INTO outbox (event, resource_type, created_at)
             VALUES ('old', 'server', now() - interval '8 days')",
        )
        .execute(&pool)
        .await
        .unwrap();
    }
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(store.outbox_retire(week, 2).await.unwrap(), 2);
    // The account, its team, the membership and the entry of the audit log.
    assert_eq!(store.outbox_retire(week, ALL).await.unwrap(), 5);
    assert_eq!(store.outbox_retire(week, ALL).await.unwrap(), 0);
    assert_eq!(store.audit_retire(week, ALL).await.unwrap(), 0);
    sqlx::query("UPDATE audit_logs SET created_at = now() - interval '8 days'").execute(&pool).await.unwrap();
    assert_eq!(store.audit_retire(week, ALL).await.unwrap(), 1);
    assert_eq!(
        store.audit_list(Some(team), &AuditFilter::default(), PageRequest::WHOLE).await.unwrap().items,
        []
    );
}
