//! Capsules over HTTP, on a host whose machines are simulated and whose agent is real.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_agent::sim::{SimFault, SimOptions, SimStep};
use wrenn_testkit::wait::eventually;

use crate::support::{Answer, As, host::Installation};

async fn exec(installation: &Installation, who: &As, id: &str, body: Value) -> Answer {
    installation.server.post(&format!("/v1/capsules/{id}/exec"), who, body).await
}

/// Whether the capsule can run a command.
async fn works(installation: &Installation, who: &As, id: &str) -> bool {
    exec(installation, who, id, json!({"cmd": "true"})).await.status == 200
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_lives_from_create_to_destroy(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;

    let wanted = json!({
        "vcpus": 2, "memory_mb": 256, "disk_size_mb": 6000, "timeout_sec": 60,
        "envs": {"SECRET": "s"}, "metadata": {"job": "7"}, "auto_resume": true,
    });
    let created = server.post("/v1/capsules", &key, wanted).await.ok(201);
    assert!(["starting", "running"].contains(&created["status"].as_str().unwrap()), "{created}");
    let path = format!("/v1/capsules/{}", created["id"].as_str().unwrap());
    eventually("it runs", || async { server.get(&path, &key).await.body["status"] == "running" }).await;

    let shown = server.get(&path, &key).await.ok(200);
    for (field, value) in [
        ("operation", json!(null)),
        ("last_error", json!(null)),
        ("stop_reason", json!(null)),
        ("template", json!("minimal")),
        ("vcpus", json!(2)),
        ("memory_mb", json!(256)),
        ("disk_size_mb", json!(6000)),
        ("timeout_sec", json!(60)),
        ("auto_resume", json!(true)),
        ("metadata", json!({"job": "7"})),
        ("default_user", json!("root")),
        ("created_at", created["created_at"].clone()),
    ] {
        assert_eq!(shown[field], value, "{field} of {shown}");
    }
    assert!(shown["template_id"].as_str().unwrap().starts_with("tpl-"));
    assert!(shown["host_id"].as_str().unwrap().starts_with("host-"));
    assert!(shown["started_at"].is_string() && shown["last_updated"].as_str().unwrap().ends_with('Z'));
    assert!(!shown.to_string().contains("SECRET"), "variables may be secrets: {shown}");
    assert_eq!(server.get("/v1/capsules", &key).await.ok(200), json!([shown]));
    assert_eq!(server.get(&path.replace("capsules", "sandboxes"), &key).await.ok(200), shown);

    server.delete(&path, &key).await.ok(204);
    let gone = server.get(&path, &key).await.ok(200);
    assert_eq!((&gone["status"], &gone["operation"]), (&json!("stopped"), &json!(null)));
    server.delete(&path, &key).await.ok(204);
    assert_eq!(server.get("/v1/capsules", &key).await.ok(200), json!([]));
    assert_eq!(installation.host.world().holdings(), Vec::<String>::new());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn exec_answers_with_all_that_the_command_did(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;

    let body = json!({"cmd": "echo out; warn err; env NAME; exit 3", "envs": {"NAME": "ada"}});
    let done = exec(&installation, &key, &id, body.clone()).await.ok(200);
    assert_eq!((&done["sandbox_id"], &done["cmd"]), (&json!(id), &body["cmd"]));
    assert_eq!((&done["stdout"], &done["stderr"]), (&json!("out\nada\n"), &json!("err\n")));
    assert_eq!((&done["exit_code"], &done["encoding"]), (&json!(3), &json!("utf-8")));
    assert!(done["duration_ms"].is_u64() && done["truncated"] == false);

    let done = exec(&installation, &key, &id, json!({"cmd": "echo", "args": ["a", "b"]})).await.ok(200);
    assert_eq!(done["stdout"], "a b\n");
    // Nobody types anything, so what reads its input finds the end.
    assert_eq!(exec(&installation, &key, &id, json!({"cmd": "cat"})).await.ok(200)["exit_code"], 0);
    let done = exec(&installation, &key, &id, json!({"cmd": "flood 5000000"})).await.ok(200);
    assert_eq!((done["stdout"].as_str().unwrap().len(), &done["truncated"]), (5_000_000, &json!(false)));
    let done = exec(&installation, &key, &id, json!({"cmd": "flood 9000000; exit 5"})).await.ok(200);
    assert_eq!((done["stdout"].as_str().unwrap().len(), &done["truncated"]), (8 << 20, &json!(true)));
    assert_eq!(done["exit_code"], 5);
    assert!(
        installation.server.get(&format!("/v1/capsules/{id}"), &key).await.ok(200)["last_active_at"]
            .is_string()
    );
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_timeout_is_124_with_what_was_printed_so_far(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    let begun = Instant::now();
    let body = json!({"cmd": "echo so far; sleep 60", "timeout_sec": 1});
    let done = exec(&installation, &key, &id, body).await.ok(200);
    assert_eq!((&done["exit_code"], &done["stdout"]), (&json!(124), &json!("so far\n")));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(installation.host.world().execs_running(), 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn exec_says_what_is_wrong_with_the_request_the_capsule_or_the_guest(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    for (body, word) in [
        (json!({}), "cmd"),
        (json!({"cmd": ""}), "cmd"),
        (json!({"cmd": "a\u{0}"}), "cmd"),
        (json!({"cmd": "true", "timeout_sec": -1}), "timeout_sec"),
        (json!({"cmd": "true", "args": "x"}), "args"),
        (json!({"cmd": "true", "shell": true}), "shell"),
        (json!({"cmd": "true", "tag": "12"}), "tag"),
        (json!({"cmd": "true", "user": "nobody-here"}), "user"),
    ] {
        let answer = exec(&installation, &key, &id, body.clone()).await;
        assert_eq!(answer.error(), (400, "invalid_request"), "{body}");
        assert!(answer.message().contains(word), "{body}: {}", answer.message());
    }
    let babble = exec(&installation, &key, &id, json!({"cmd": "babble"})).await;
    assert_eq!(babble.error(), (502, "agent_error"));
    assert!(works(&installation, &key, &id).await);

    server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    let answer = exec(&installation, &key, &id, json!({"cmd": "true"})).await;
    assert_eq!(answer.error(), (409, "invalid_state"));
    assert!(answer.message().contains("destroyed"), "{}", answer.message());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_client_that_leaves_takes_its_command_with_it(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    let world = installation.host.world();
    let leaving = tokio::select! {
        answer = exec(&installation, &key, &id, json!({"cmd": "sleep 600", "timeout_sec": 600})) => Some(answer),
        () = eventually("the command runs", || async { world.execs_running() == 1 }) => None,
    };
    assert!(leaving.is_none(), "{leaving:?}");
    eventually("the command is gone", || async { world.execs_running() == 0 }).await;
    assert!(works(&installation, &key, &id).await);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn another_teams_capsule_does_not_exist(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let ada = server.token("ada").await;
    let bob = server.key(&server.token("bob").await).await;
    let id = installation.running(&ada).await;
    let path = format!("/v1/capsules/{id}");
    assert_eq!(server.get(&path, &bob).await.error(), (404, "not_found"));
    assert_eq!(server.delete(&path, &bob).await.error(), (404, "not_found"));
    let answer = exec(&installation, &bob, &id, json!({"cmd": "true"})).await;
    assert_eq!(answer.error(), (404, "not_found"));
    assert_eq!(server.get("/v1/capsules", &bob).await.ok(200), json!([]));
    assert!(works(&installation, &ada, &id).await);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_capsule_that_does_not_start_says_why(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    installation.host.world().order_fault(SimStep::Boot, SimFault::Fail, 1);
    let answer = server.post("/v1/capsules?wait=true", &key, json!({})).await;
    assert_eq!(answer.error(), (502, "agent_error"));
    let listed = server.get("/v1/capsules", &key).await.ok(200);
    let id = listed[0]["id"].as_str().unwrap();
    assert!(answer.message().contains(id), "{}", answer.message());
    assert_eq!(listed[0]["status"], "error");
    assert!(listed[0]["last_error"].is_string(), "{listed}");
    server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    assert_eq!(installation.host.world().holdings(), Vec::<String>::new());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_fits_on_no_host_is_503_and_says_what_is_short(pool: PgPool) {
    let options = SimOptions::default();
    let installation = Installation::start_with(pool, options).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let answer = server.post("/v1/capsules", &key, json!({"memory_mb": 65_536})).await;
    assert_eq!(answer.error(), (503, "host_unavailable"));
    assert!(answer.message().contains("memory"), "{}", answer.message());
    assert_eq!(server.get("/v1/capsules", &key).await.ok(200), json!([]));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_machine_that_dies_is_told_with_its_reason(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    let path = format!("/v1/capsules/{id}");
    assert!(installation.host.crash_machine(id.parse().unwrap()));
    eventually("it is known", || async { server.get(&path, &key).await.body["status"] != "running" }).await;
    let dead = server.get(&path, &key).await.ok(200);
    assert!(["stopped", "error"].contains(&dead["status"].as_str().unwrap()), "{dead}");
    assert!(dead["stop_reason"].is_string(), "{dead}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_panic_in_an_actor_costs_one_request_and_no_other_capsule(pool: PgPool) {
    let installation = Installation::start(pool).await;
    let server = &installation.server;
    let login = json!({"email": "root@example.org", "password": "correct horse"});
    let admin = As::Token(server.post("/v1/auth/login", &As::Nobody, login).await.text("token"));
    let key = server.key(&admin).await;
    let (one, other) = (installation.running(&key).await, installation.running(&key).await);
    let host = server.get("/v1/hosts", &admin).await.ok(200)[0]["id"].clone();
    for victim in [json!({"actor": "sandbox", "id": one}), json!({"actor": "host", "id": host})] {
        server.post("/v1/admin/faults/panic", &admin, victim.clone()).await.ok(204);
        assert!(works(&installation, &key, &one).await, "{victim}");
        assert!(works(&installation, &key, &other).await, "{victim}");
    }
    let page = server.get("/metrics", &As::Nobody).await;
    let text = page.body.as_str().unwrap();
    assert!(text.contains("wrenn_capsules{status=\"running\"} 2"), "{text}");
    let panics =
        text.lines().filter(|line| line.contains("event=\"panic\"") && !line.ends_with(" 0")).count();
    assert_eq!(panics, 2, "{text}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn while_the_host_is_away_its_capsules_say_so_and_settle_when_it_is_back(pool: PgPool) {
    let mut installation = Installation::start(pool).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let (kept, ended) = (installation.running(&key).await, installation.running(&key).await);
    installation.lose_host().await;
    let server = &installation.server;
    let answer = exec(&installation, &key, &kept, json!({"cmd": "true"})).await;
    assert_eq!(answer.error(), (503, "host_unavailable"));
    let path = format!("/v1/capsules/{ended}");
    assert_eq!(server.delete(&path, &key).await.error(), (503, "host_unavailable"));
    assert_eq!(server.post("/v1/capsules", &key, json!({})).await.error(), (503, "host_unavailable"));

    installation.host.start_agent().await.unwrap();
    let server = &installation.server;
    eventually("it works again", || works(&installation, &key, &kept)).await;
    eventually("the other is gone", || async { server.get(&path, &key).await.body["status"] == "stopped" })
        .await;
    server.delete(&path, &key).await.ok(204);
}
