//! Measurements that a host hands over or is asked for, and hosts that lie about them.

use wrenn_actors::{MetricsError, MetricsReport};
use wrenn_domain::metrics::{Point, Tier, pack};
use wrenn_proto::{
    agent::{self, MetricsHistory, MetricsRequest, MetricsStored, agent_frame, server_frame},
    guest::FiguresResponse,
    ids::SandboxId,
};
use wrenn_store::Store;

use crate::support::{FakeAgent, Server, config};

type Pool = sqlx::PgPool;

fn points(tier: Tier) -> Vec<Point> {
    let at = |n: u64| Point { at_ms: n * tier.period_ms(), memory_bytes: n, ..Point::default() };
    (1..4).map(at).collect()
}

fn history(sandbox: &str) -> MetricsHistory {
    let packed = |tier| pack(tier, &points(tier));
    MetricsHistory {
        sandbox_id: sandbox.to_owned(),
        up_to_unix_ms: 1500,
        fine: packed(Tier::Fine),
        medium: packed(Tier::Medium),
        coarse: packed(Tier::Coarse),
    }
}

async fn rows(pool: &Pool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM capsule_metrics").fetch_one(pool).await.unwrap()
}

async fn stored(agent: &mut FakeAgent) -> MetricsStored {
    match agent.frame().await {
        Some(server_frame::Frame::MetricsStored(stored)) => stored,
        other => panic!("expected an acknowledgement, got {other:?}"),
    }
}

async fn asked(agent: &mut FakeAgent) -> MetricsRequest {
    match agent.frame().await {
        Some(server_frame::Frame::MetricsRequest(request)) => request,
        other => panic!("expected a question, got {other:?}"),
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_history_is_stored_and_acknowledged_and_lies_are_not(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let mut agent = FakeAgent::attach(&server, server.host().await, vec![]).await;
    let id = server.running(&mut agent).await;
    let say = async |agent: &FakeAgent, history: MetricsHistory| {
        agent.say(agent_frame::Frame::MetricsHistory(history)).await;
    };
    let good = history(&id.to_string());
    for lie in [
        MetricsHistory { fine: b"junk".to_vec(), ..good.clone() },
        MetricsHistory { coarse: Vec::new(), ..good.clone() },
        MetricsHistory { medium: good.fine.clone(), ..good.clone() },
        MetricsHistory { medium: [good.medium.clone(), vec![0; 3_000_000]].concat(), ..good.clone() },
        history("cl-nonsense"),
    ] {
        say(&agent, lie).await;
    }
    assert_eq!(rows(&pool).await, 0);
    agent.assert_silent();

    // That of a sandbox which the host does not have is not wanted; the agent need not keep it.
    let mut other = FakeAgent::attach(&server, server.host().await, vec![]).await;
    for stranger in [id, SandboxId::new()] {
        say(&other, history(&stranger.to_string())).await;
        assert_eq!(stored(&mut other).await.sandbox_id, stranger.to_string());
    }
    assert_eq!(rows(&pool).await, 0);

    for _ in 0..2 {
        say(&agent, good.clone()).await;
        let acknowledged = MetricsStored { sandbox_id: id.to_string(), up_to_unix_ms: 1500 };
        assert_eq!(stored(&mut agent).await, acknowledged);
        assert_eq!(rows(&pool).await, 3);
    }
    let kept = Store::from_pool(pool).capsule_metrics_get(id, Tier::Medium).await.unwrap();
    assert_eq!(kept, Some(good.medium));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_is_asked_and_only_what_can_be_true_is_passed_on(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let ask = || server.control_plane.sandbox_metrics(host, id, Tier::Medium);
    let report = |request: &MetricsRequest, points: Vec<u8>, guest| {
        let request_id = request.request_id;
        agent_frame::Frame::MetricsReport(agent::MetricsReport { request_id, points, guest })
    };
    let lying = FiguresResponse {
        memory_total_bytes: 10,
        memory_used_bytes: 99,
        load_1m: f64::NAN,
        ..Default::default()
    };
    let good = async {
        let request = asked(&mut agent).await;
        assert_eq!((request.tier(), request.with_guest), (agent::MetricsTier::Medium, true));
        assert_eq!(request.sandbox_id, id.to_string());
        let unasked = MetricsRequest { request_id: request.request_id + 9, ..request.clone() };
        agent.say(report(&unasked, Vec::new(), None)).await;
        agent.say(report(&request, pack(Tier::Medium, &points(Tier::Medium)), Some(lying))).await;
    };
    let (answer, ()) = tokio::join!(ask(), good);
    let MetricsReport { points: shown, guest } = answer.unwrap();
    assert_eq!(shown, points(Tier::Medium));
    let guest = guest.unwrap();
    assert_eq!((guest.memory_used_bytes, guest.load_1m), (10, 0.0));

    let bad = async {
        let request = asked(&mut agent).await;
        agent.say(report(&request, b"junk".to_vec(), None)).await;
    };
    let (answer, ()) = tokio::join!(ask(), bad);
    assert_eq!(answer, Err(MetricsError::HostAway(host)));
    let leaves = async move {
        asked(&mut agent).await;
        drop(agent);
    };
    let (answer, ()) = tokio::join!(ask(), leaves);
    assert_eq!(answer, Err(MetricsError::HostAway(host)));
    server.stop().await;
}
