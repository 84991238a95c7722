//! The history of a sandbox, and the places that readers of the outbox have in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::time::Duration;

use sqlx::PgPool;
use wrenn_domain::{
    action::Action,
    audit::{AuditChange, AuditIntent},
    event::{EventScope, EventTypes},
    history::{HistoryEvent, HistoryOrigin},
    ids::TeamId,
    lifecycle::{Lifecycle, SandboxStatus},
    page::PageRequest,
    principal::SystemReason,
};
use wrenn_store::{
    Store,
    outbox::{Continuity, OutboxCursor, OutboxFilter, Reach},
};
use wrenn_testkit::{
    rows::{attached_host, new_sandbox, running},
    wait::eventually,
};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const ALL: u32 = 1_000;
const EVERYTHING: EventScope = EventScope::Platform;

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_nobody_requested_is_in_the_history_for_as_long_as_it_is_kept(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let new = new_sandbox();
    let create =
        AuditIntent::system(SystemReason::Build, Action::SandboxCreate).in_team(new.team_id).of(new.id);
    let mut row = store.sandbox_insert(&new, host, &create).await.unwrap().unwrap();
    let with = |row: &Lifecycle, status, reason: Option<&str>| Lifecycle {
        status,
        operation: None,
        stop_reason: reason.map(str::to_owned),
        ..row.clone()
    };
    for (status, reason) in [
        (SandboxStatus::Running, None),
        (SandboxStatus::Missing, None),
        (SandboxStatus::Running, None),
        (SandboxStatus::Stopped, Some("the kernel panicked")),
        (SandboxStatus::Error, Some("its host is gone for good")),
    ] {
        let to = with(&row.lifecycle, status, reason);
        let change = AuditChange::default();
        let written = store.sandbox_transition(row.id, host, &row.lifecycle, &to, None, &change).await;
        row = written.unwrap().unwrap();
    }
    let read = async || store.sandbox_history(new.team_id, new.id, PageRequest::WHOLE).await.unwrap().items;
    let all = read().await;
    let events: Vec<_> = all.iter().rev().map(|entry| (entry.event, entry.reason.as_deref())).collect();
    assert_eq!(
        events,
        [
            (HistoryEvent::Created, None),
            (HistoryEvent::Missing, None),
            (HistoryEvent::Found, None),
            (HistoryEvent::Stopped, Some("the kernel panicked")),
            (HistoryEvent::Failed, Some("its host is gone for good")),
        ]
    );
    let page =
        store.sandbox_history(new.team_id, new.id, PageRequest { limit: 2, after: None }).await.unwrap();
    assert_eq!(page.items, all[..2]);
    let rest = store.sandbox_history(new.team_id, new.id, PageRequest { limit: ALL, after: page.next }).await;
    assert_eq!(rest.unwrap().items, all[2..]);
    let of_others = store.sandbox_history(TeamId::new(), new.id, PageRequest::WHOLE).await.unwrap();
    assert_eq!(of_others.items, []);

    assert_eq!(store.sandbox_incidents_retire(WEEK, ALL).await.unwrap(), 0);
    sqlx::query("UPDATE sandbox_incidents SET created_at = now() - interval '8 days'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(store.sandbox_incidents_retire(WEEK, 3).await.unwrap(), 3);
    assert_eq!(store.sandbox_incidents_retire(WEEK, 3).await.unwrap(), 1);
    let left = read().await;
    assert!(matches!(left[..], [ref only] if matches!(only.origin, HistoryOrigin::Audit { .. })), "{left:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_sandbox_of_a_build_has_no_history(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let host = attached_host(&store).await;
    let new = new_sandbox();
    let create =
        AuditIntent::system(SystemReason::Build, Action::SandboxCreate).in_team(new.team_id).of(new.id);
    let row = store.sandbox_insert(&new, host, &create).await.unwrap().unwrap();
    let change = AuditChange::default();
    store
        .sandbox_transition(row.id, host, &row.lifecycle, &running(&row.lifecycle), None, &change)
        .await
        .unwrap();
    assert_eq!(store.sandbox_history(new.team_id, new.id, PageRequest::WHOLE).await.unwrap().items.len(), 1);
    sqlx::query("UPDATE sandboxes SET build_attempt = 1").execute(&pool).await.unwrap();
    assert_eq!(store.sandbox_history(new.team_id, new.id, PageRequest::WHOLE).await.unwrap().items, []);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_reader_sees_its_rows_in_portions_and_learns_if_some_were_removed(pool: PgPool) {
    let store = Store::from_pool(pool.clone());
    let (team, other) = (TeamId::new(), TeamId::new());
    let insert =
        "INSERT INTO outbox (event, team_id, resource_type, resource_id) VALUES ($1, $2, 'build', $3)";
    for (number, (event, of)) in [
        ("build.changed", team),
        ("build.changed", other),
        ("api_key.create", team),
        ("template.changed", TeamId::PLATFORM),
        ("build.changed", team),
    ]
    .into_iter()
    .enumerate()
    {
        let row = sqlx::query(insert).bind(event).bind(of.0).bind(number.to_string());
        row.execute(&pool).await.unwrap();
    }
    let of_team = OutboxFilter { types: EventTypes::of_teams(), scope: EventScope::Team(team) };
    let of_all = OutboxFilter { types: EventTypes::all(), scope: EVERYTHING };
    // Transactions of other tests, in other databases of the same server, may be older and still open.
    eventually("all rows can be read", async || {
        let portion = store.outbox_portion(OutboxCursor::default(), None, of_all, ALL).await.unwrap();
        portion.rows.len() == 4
    })
    .await;
    let mut cursor = OutboxCursor::default();
    let mut portions = Vec::new();
    loop {
        let portion = store.outbox_portion(cursor, None, of_team, 2).await.unwrap();
        assert_eq!(portion.continuity, Continuity::Unbroken);
        assert!(portion.end >= cursor);
        cursor = portion.end;
        let ids: Vec<_> = portion.rows.iter().map(|(_, row)| row.resource_id.clone().unwrap()).collect();
        portions.push(ids);
        if portion.reach == Reach::End {
            break;
        }
    }
    assert_eq!(portions, [vec!["0"], vec!["3"], vec!["4"]]);
    assert!(cursor <= store.outbox_end().await.unwrap());
    // Up to a place, and no further.
    let first = store.outbox_portion(OutboxCursor::default(), None, of_all, 1).await.unwrap().end;
    let until = store.outbox_portion(OutboxCursor::default(), Some(first), of_all, ALL).await.unwrap();
    assert_eq!((until.rows.len(), until.reach, until.end), (1, Reach::End, first));

    sqlx::query("UPDATE outbox SET created_at = now() - interval '8 days' WHERE resource_id < '3'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(store.outbox_retire(WEEK, 2).await.unwrap(), 2);
    let broken = async |after| store.outbox_portion(after, None, of_all, ALL).await.unwrap().continuity;
    assert_eq!(broken(OutboxCursor::default()).await, Continuity::Broken);
    assert_eq!(broken(first).await, Continuity::Broken);
    assert_eq!(store.outbox_retire(WEEK, ALL).await.unwrap(), 1);
    assert_eq!(store.outbox_retire(WEEK, ALL).await.unwrap(), 0);
    assert_eq!(broken(cursor).await, Continuity::Unbroken);
    assert_eq!(
        broken(OutboxCursor { xid: i64::MAX / 2, id: 1 }).await,
        Continuity::Broken,
        "of another cluster"
    );
    // A database that was restored has the horizon of the former cluster.
    sqlx::query("UPDATE outbox_horizon SET xid = '4611686018427387904'").execute(&pool).await.unwrap();
    assert_eq!(broken(OutboxCursor::default()).await, Continuity::Unbroken);
}
