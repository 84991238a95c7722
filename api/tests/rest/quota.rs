//! Quotas over HTTP: counted where they are used, whoever asks at the same time.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_testkit::wait::eventually;

use crate::support::{Answer, As, host::Installation};

struct Case {
    installation: Installation,
    root: As,
    key: As,
    token: As,
    team: String,
}

impl Case {
    async fn start(pool: PgPool) -> Self {
        let installation = Installation::start(pool).await;
        let server = &installation.server;
        let body = json!({"email": "root@example.org", "password": "correct horse"});
        let root = As::Token(server.post("/v1/auth/login", &As::Nobody, body).await.text("token"));
        let ada = server.signup("ada").await;
        let token = As::Token(ada["token"].as_str().unwrap().to_owned());
        let key = server.key(&token).await;
        let team = ada["team_id"].as_str().unwrap().to_owned();
        Self { root, key, token, team, installation }
    }

    async fn limit(&self, quota: Value) {
        let path = format!("/v1/admin/teams/{}/quota", self.team);
        let server = &self.installation.server;
        server.send(server.request("PUT", &path, &self.root).json(&quota)).await.ok(200);
    }

    async fn default_limit(&self, quota: Value) {
        let server = &self.installation.server;
        let request = server.request("PUT", "/v1/admin/settings", &self.root);
        server.send(request.json(&json!({"quota": quota}))).await.ok(200);
    }

    async fn create(&self) -> Answer {
        self.installation.server.post("/v1/capsules", &self.key, json!({"wait": true})).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.installation.server.post(path, &self.key, body).await
    }

    /// Limit and use of a resource.
    async fn quota(&self, resource: &str) -> (Value, Value) {
        let path = format!("/v1/teams/{}/quota", self.team);
        let shown = self.installation.server.get(&path, &self.token).await.ok(200);
        (shown[resource]["limit"].clone(), shown[resource]["used"].clone())
    }
}

/// Checks that an answer is the refusal of a quota, in both places where clients look.
#[track_caller]
fn assert_exceeded(answer: &Answer, resource: &str, limit: u64, used: u64) {
    let Answer { status, body, .. } = answer;
    assert_eq!((*status, &body["error"]["code"]), (403, &json!("quota_exceeded")), "{answer:?}");
    for place in [body, &body["error"]] {
        assert_eq!((&place["limit"], &place["used"]), (&json!(limit), &json!(used)), "{answer:?}");
    }
    assert!(body["error"]["message"].as_str().unwrap().starts_with(&format!("{resource}: ")), "{answer:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn of_fifty_creates_at_once_exactly_as_many_succeed_as_the_quota_allows(pool: PgPool) {
    let case = Case::start(pool).await;
    case.limit(json!({"running_capsules": 10})).await;
    let small = json!({"memory_mb": 128, "disk_size_mb": 5120});
    let answers = join_all((0..50).map(|_| case.post("/v1/capsules", small.clone()))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 10, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_exceeded(refused, "running_capsules", 10, 10);
    }
    assert_eq!(case.quota("running_capsules").await, (json!(10), json!(10)));
    let refused = "SELECT count(*) FROM audit_logs WHERE action = 'capsule.create' AND status = 'refused'";
    let written: i64 = sqlx::query_scalar(refused).fetch_one(&case.installation.server.pool).await.unwrap();
    assert_eq!(written, 40);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn each_size_of_a_capsule_has_a_limit(pool: PgPool) {
    let case = Case::start(pool).await;
    for (limits, body, resource, limit) in [
        (json!({"vcpus": 1}), json!({"vcpus": 2}), "vcpus", 1),
        (json!({"memory_mb": 511}), json!({}), "memory_mb", 511),
        (json!({"disk_mb": 5119}), json!({}), "disk_mb", 5119),
        (json!({"running_capsules": 0}), json!({}), "running_capsules", 0),
    ] {
        case.limit(limits).await;
        assert_exceeded(&case.post("/v1/capsules", body).await, resource, limit, 0);
    }
    case.limit(json!({"vcpus": 1, "memory_mb": 512, "disk_mb": 5120, "running_capsules": 1})).await;
    let id = case.create().await.text("id");
    for (resource, used) in [("vcpus", 1), ("memory_mb", 512), ("disk_mb", 5120), ("running_capsules", 1)] {
        assert_eq!(case.quota(resource).await, (json!(used), json!(used)), "{resource}");
    }
    // A paused one keeps its disk only, and what is gone keeps nothing.
    case.post(&format!("/v1/capsules/{id}/pause"), json!({})).await.ok(200);
    for (resource, used) in
        [("vcpus", 0), ("memory_mb", 0), ("disk_mb", 5120), ("running_capsules", 0), ("paused_capsules", 1)]
    {
        assert_eq!(case.quota(resource).await.1, json!(used), "{resource}");
    }
    case.installation.server.delete(&format!("/v1/capsules/{id}"), &case.key).await.ok(204);
    assert_eq!(case.quota("disk_mb").await, (json!(5120), json!(0)));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn pauses_and_resumes_count_and_a_quota_lowered_below_the_use_breaks_nothing(pool: PgPool) {
    let case = Case::start(pool).await;
    let (one, other) = (case.create().await.text("id"), case.create().await.text("id"));
    case.limit(json!({"paused_capsules": 1})).await;
    let pause = async |id: &str| case.post(&format!("/v1/capsules/{id}/pause"), json!({})).await;
    let resume = async |id: &str| case.post(&format!("/v1/capsules/{id}/resume"), json!({})).await;
    let (first, second) = tokio::join!(pause(&one), pause(&other));
    let (paused, running, refused) =
        if first.status == 200 { (one, other, second) } else { (other, one, first) };
    assert_exceeded(&refused, "paused_capsules", 1, 1);
    pause(&paused).await.ok(200);
    let shown = case.installation.server.get(&format!("/v1/capsules/{running}"), &case.key).await.ok(200);
    assert_eq!((&shown["status"], &shown["operation"]), (&json!("running"), &json!(null)));

    case.limit(json!({"running_capsules": 1})).await;
    assert_exceeded(&resume(&paused).await, "running_capsules", 1, 1);
    // Resuming one that runs changes nothing, and is not refused.
    resume(&running).await.ok(200);

    case.limit(json!({"running_capsules": 0, "paused_capsules": 0, "disk_mb": 0})).await;
    assert_eq!(case.quota("running_capsules").await, (json!(0), json!(1)));
    assert_eq!(case.installation.prints(&case.key, &running, "write kept disk").await, "");
    assert_exceeded(&case.create().await, "running_capsules", 0, 1);
    assert_exceeded(&pause(&running).await, "paused_capsules", 0, 1);
    for id in [&paused, &running] {
        case.installation.server.delete(&format!("/v1/capsules/{id}"), &case.key).await.ok(204);
    }
    case.limit(json!({})).await;
    case.create().await.ok(201);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_idle_capsule_runs_on_while_the_quota_has_no_room_for_a_paused_one(pool: PgPool) {
    let case = Case::start(pool).await;
    let server = &case.installation.server;
    case.limit(json!({"paused_capsules": 0})).await;
    let idle = json!({"wait": true, "timeout_sec": 1});
    let id = case.post("/v1/capsules", idle.clone()).await.text("id");
    // Idle for a shorter time, in a team without a limit: once it is paused, the watch has found both.
    let other_key = server.key(&server.token("bob").await).await;
    let other = server.post("/v1/capsules", &other_key, idle).await.text("id");
    let show = async |key: &As, id: &str| server.get(&format!("/v1/capsules/{id}"), key).await.ok(200);
    eventually("the other is paused", || async { show(&other_key, &other).await["status"] == "paused" })
        .await;
    let shown = show(&case.key, &id).await;
    assert_eq!((&shown["status"], &shown["operation"]), (&json!("running"), &json!(null)), "{shown}");
    let pauses = async || {
        let found = server.get("/v1/audit-logs?action=capsule.pause", &case.token).await.ok(200);
        found.as_array().unwrap().len()
    };
    assert_eq!(pauses().await, 0, "every look would write one");

    case.limit(json!({"paused_capsules": 1})).await;
    eventually("it is paused", || async { show(&case.key, &id).await["status"] == "paused" }).await;
    assert_eq!(pauses().await, 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_use_that_would_wake_a_capsule_is_refused_if_the_quota_does_not_allow_it(pool: PgPool) {
    let case = Case::start(pool).await;
    let id = case.post("/v1/capsules", json!({"wait": true, "auto_resume": true})).await.text("id");
    case.post(&format!("/v1/capsules/{id}/pause"), json!({})).await.ok(200);
    case.limit(json!({"running_capsules": 0})).await;
    let run = async || case.post(&format!("/v1/capsules/{id}/exec"), json!({"cmd": "echo hello"})).await;
    assert_exceeded(&run().await, "running_capsules", 0, 0);
    case.limit(json!({"running_capsules": 1})).await;
    assert_eq!(run().await.text("stdout"), "hello\n");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn templates_count_by_name_and_one_that_is_replaced_counts_once(pool: PgPool) {
    let case = Case::start(pool).await;
    let id = case.create().await.text("id");
    case.limit(json!({"templates": 1})).await;
    let make = async |path: &str, name: &str| case.post(path, json!({"sandbox_id": id, "name": name})).await;
    make("/v1/snapshots", "a").await.ok(201);
    assert_exceeded(&make("/v1/snapshots", "b").await, "templates", 1, 1);
    make("/v1/snapshots?overwrite=true", "a").await.ok(201);
    assert_eq!(case.quota("templates").await, (json!(1), json!(1)));
    case.installation.server.delete("/v1/snapshots/a", &case.key).await.ok(204);
    make("/v1/snapshots", "b").await.ok(201);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_without_limits_of_its_own_has_the_platforms_and_others_see_nothing_of_it(pool: PgPool) {
    let case = Case::start(pool).await;
    let server = &case.installation.server;
    assert_eq!(case.quota("running_capsules").await, (json!(null), json!(0)));
    case.default_limit(json!({"running_capsules": 0, "templates": 5})).await;
    assert_exceeded(&case.create().await, "running_capsules", 0, 0);
    case.limit(json!({"running_capsules": 1})).await;
    assert_eq!(case.quota("running_capsules").await, (json!(1), json!(0)));
    assert_eq!(case.quota("templates").await, (json!(5), json!(0)));
    case.create().await.ok(201);
    assert_exceeded(&case.create().await, "running_capsules", 1, 1);

    // The other team has its own share.
    let eve = server.token("eve").await;
    let path = format!("/v1/teams/{}/quota", case.team);
    assert_eq!(server.get(&path, &eve).await.error(), (404, "not_found"));
    assert_eq!(server.get(&path, &case.key).await.error(), (403, "forbidden"));
    let refused = server.post("/v1/capsules", &eve, json!({})).await;
    assert_exceeded(&refused, "running_capsules", 0, 0);
    // The platform's own builds have no limit.
    case.default_limit(json!({"running_capsules": 0, "concurrent_builds": 0, "templates": 0})).await;
    let body = json!({"name": "built", "recipe": "ENV A=1", "skip_pre_post": true});
    server.post("/v1/admin/builds", &case.root, body).await.ok(201);
}
