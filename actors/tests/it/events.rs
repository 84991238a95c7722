//! Streams of events beside writers whose transactions commit out of order: each stream sees each event once and in order,
//! wherever it goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::PgPool;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use wrenn_actors::{ControlPlane, StreamItem};
use wrenn_domain::{
    event::{EventScope, EventType, EventTypes},
    ids::TeamId,
};
use wrenn_store::outbox::OutboxCursor;
use wrenn_testkit::wait::{in_time, in_time_within};

use crate::support::{BY, Server, config};

const WRITERS: u64 = 4;
const TRANSACTIONS: u64 = 120;
const READERS: u64 = 12;
/// Time limit for all of it, on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// Writes one event of a team in each transaction, several of which are open at once, and some of which are rolled back.
async fn write(pool: PgPool, teams: [TeamId; 2], writer: u64) {
    let mut rng = StdRng::seed_from_u64(writer);
    for number in 0..TRANSACTIONS {
        let mut transaction = pool.begin().await.unwrap();
        for part in 0..rng.random_range(1..4) {
            let insert = "INSERT INTO outbox (event, team_id, resource_type, resource_id) VALUES ($1, $2, 'build', $3)";
            // Every tenth row is no event.
            let event = if rng.random_bool(0.1) { "api_key.create" } else { "build.changed" };
            let insert = sqlx::query(insert).bind(event).bind(teams[rng.random_range(0..2)].0);
            insert.bind(format!("{writer}.{number}.{part}")).execute(&mut *transaction).await.unwrap();
        }
        if rng.random_bool(0.3) {
            sleep(Duration::from_millis(rng.random_range(0..40))).await;
        }
        if rng.random_bool(0.1) {
            transaction.rollback().await.unwrap();
        } else {
            transaction.commit().await.unwrap();
        }
    }
}

/// Returns what was written for a team, in the order of the outbox.
async fn written_for(pool: &PgPool, team: TeamId) -> Vec<String> {
    let rows =
        "SELECT resource_id FROM outbox WHERE event = 'build.changed' AND team_id = $1 ORDER BY xid, id";
    sqlx::query_scalar(rows).bind(team.0).fetch_all(pool).await.unwrap()
}

/// Follows the events of a team, at either server, in pieces of which each goes on where the one before it ended.
async fn follow(
    planes: [ControlPlane; 2],
    team: TeamId,
    written: Arc<AtomicBool>,
    reader: u64,
    pool: PgPool,
) {
    let mut rng = StdRng::seed_from_u64(1_000 + reader);
    let mut seen = Vec::new();
    let mut cursor = OutboxCursor::default();
    let types = EventTypes::from_iter([EventType::BuildChanged]);
    loop {
        let plane = &planes[rng.random_range(0..2)];
        let mut stream = plane.events_follow(&BY, EventScope::Team(team), types, Some(cursor)).unwrap();
        let mut left = rng.random_range(1..40);
        let mut is_live = false;
        while left > 0 {
            // A future that is dropped in the middle loses nothing.
            let within = Duration::from_millis(rng.random_range(1..300));
            match timeout(within, stream.next()).await {
                Ok(Ok(StreamItem::Event(event))) => {
                    assert!(event.cursor > cursor, "the order is that of the outbox");
                    cursor = event.cursor;
                    seen.push(event.event.resource_id.clone().unwrap());
                    left -= 1;
                }
                Ok(Ok(StreamItem::Live(at))) => {
                    assert!(!is_live && at >= cursor);
                    (is_live, cursor) = (true, at);
                }
                Ok(item) => panic!("{item:?}"),
                Err(_) => {
                    if let Some(idle) = stream.idle_at() {
                        assert!(idle >= cursor);
                        cursor = idle;
                    }
                    if !written.load(Ordering::Relaxed) {
                        continue;
                    }
                    let expected = written_for(&pool, team).await;
                    if seen.len() >= expected.len() {
                        assert_eq!(seen, expected, "reader {reader}");
                        return;
                    }
                }
            }
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn each_stream_sees_each_event_once_and_in_order(pool: PgPool) {
    let (one, other) = (Server::start(&pool, config()).await, Server::start(&pool, config()).await);
    let teams = [TeamId::new(), TeamId::new()];
    let written = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let planes = [one.control_plane.clone(), other.control_plane.clone()];
        let team = teams[usize::from(reader % 2 == 0)];
        readers.spawn(follow(planes, team, written.clone(), reader, pool.clone()));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(pool.clone(), teams, writer));
    }
    let rounds = async {
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
        written.store(true, Ordering::Relaxed);
        while let Some(ended) = readers.join_next().await {
            ended.unwrap();
        }
    };
    in_time_within(WITHIN, "all events are seen", rounds).await;
    one.stop().await;
    other.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_event_of_a_transaction_that_commits_late_comes_before_those_that_follow_it(pool: PgPool) {
    let server = Server::start(&pool, config()).await;
    let team = TeamId::new();
    let insert = "INSERT INTO outbox (event, team_id, resource_type, resource_id) VALUES ('build.changed', $1, 'build', $2)";
    let follow = |after| {
        let types = EventTypes::all();
        server.control_plane.events_follow(&BY, EventScope::Team(team), types, after).unwrap()
    };
    let mut live = follow(None);
    let StreamItem::Live(start) = in_time("it is live", live.next()).await.unwrap() else {
        panic!("not live")
    };
    let mut early = pool.begin().await.unwrap();
    sqlx::query(insert).bind(team.0).bind("early").execute(&mut *early).await.unwrap();
    sqlx::query(insert).bind(team.0).bind("late").execute(&pool).await.unwrap();
    // A stream that begins now has both before it.
    let mut meanwhile = follow(None);
    let StreamItem::Live(_) = in_time("it is live", meanwhile.next()).await.unwrap() else {
        panic!("not live")
    };
    let waits = timeout(Duration::from_millis(600), live.next()).await;
    assert!(waits.is_err(), "what is committed waits for what is not: {waits:?}");
    early.commit().await.unwrap();
    for stream in [&mut live, &mut meanwhile, &mut follow(Some(start))] {
        for expected in ["early", "late"] {
            let item = in_time("the event", stream.next()).await.unwrap();
            let StreamItem::Event(event) = item else { panic!("{item:?}") };
            assert_eq!(event.event.resource_id.as_deref(), Some(expected));
        }
    }
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_stream_that_takes_nothing_is_dropped_and_goes_on_later(pool: PgPool) {
    const EVENTS: i32 = 700;
    let server = Server::start(&pool, config()).await;
    let team = TeamId::new();
    let follow = |after| {
        let types = EventTypes::all();
        server.control_plane.events_follow(&BY, EventScope::Team(team), types, after).unwrap()
    };
    let (mut slow, mut quick) = (follow(None), follow(None));
    let StreamItem::Live(start) = in_time("it is live", slow.next()).await.unwrap() else {
        panic!("not live")
    };
    in_time("it is live", quick.next()).await.unwrap();
    let insert = "INSERT INTO outbox (event, team_id, resource_type, resource_id)
                  SELECT 'build.changed', $1, 'build', number::text FROM generate_series(1, $2) AS number";
    // In steps that a client can take which reads.
    for _ in 0..7 {
        sqlx::query(insert).bind(team.0).bind(EVENTS / 7).execute(&pool).await.unwrap();
        for _ in 0..EVENTS / 7 {
            let item = in_time("the event", quick.next()).await.unwrap();
            assert!(matches!(item, StreamItem::Event(_)), "{item:?}");
        }
    }
    in_time("it is dropped", slow.overflowed().cancelled()).await;
    assert_eq!(slow.next().await.unwrap(), StreamItem::Dropped);
    assert_eq!(slow.idle_at(), None);
    let mut again = follow(Some(start));
    for _ in 0..EVENTS {
        let item = in_time("the event", again.next()).await.unwrap();
        assert!(matches!(item, StreamItem::Event(_)), "{item:?}");
    }
    assert!(matches!(in_time("it is live", again.next()).await.unwrap(), StreamItem::Live(_)));
    server.stop().await;
}
