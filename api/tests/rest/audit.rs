//! The audit log: one entry for each change, whoever makes it and however it ends. The cases come from the table of
//! actions, so a new action without a case does not compile.

use serde_json::{Value, json};
use sqlx::{PgPool, Row as _, postgres::PgRow, types::Uuid};
use wrenn_agent::sim::{SimFault, SimStep};
use wrenn_domain::{
    action::{Access, Action, Audit},
    audit::AuditStatus,
};

use crate::support::{
    As, TestServer,
    host::{Installation, eventually},
};

/// An entry of the audit log, of whichever team or of the platform.
#[derive(Debug, PartialEq)]
struct Entry {
    team_id: Option<Uuid>,
    actor_type: String,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    resource_type: String,
    resource_id: Option<String>,
    status: AuditStatus,
    error: Option<String>,
}

/// Entries of an action, newest first.
async fn entries(pool: &PgPool, action: Action) -> Vec<Entry> {
    let rows = sqlx::query(
        "SELECT team_id, actor_type, actor_id, actor_name, resource_type, resource_id, status, error
         FROM audit_logs WHERE action = $1 ORDER BY created_at DESC, id DESC",
    );
    let rows = rows.bind(action.name()).fetch_all(pool).await.unwrap();
    let entry = |row: PgRow| Entry {
        team_id: row.get("team_id"),
        actor_type: row.get("actor_type"),
        actor_id: row.get("actor_id"),
        actor_name: row.get("actor_name"),
        resource_type: row.get("resource_type"),
        resource_id: row.get("resource_id"),
        status: row.get::<String, _>("status").parse().unwrap(),
        error: row.get("error"),
    };
    rows.into_iter().map(entry).collect()
}

/// Entries of clients: the control plane's own are not asked for by anybody.
async fn of_clients(pool: &PgPool, action: Action) -> Vec<Entry> {
    let mut found = entries(pool, action).await;
    found.retain(|entry| entry.actor_type != "system");
    found
}

/// Actors, resources and outcomes of a test.
struct Case<'a> {
    installation: &'a Installation,
    who: As,
    admin: As,
    name: &'static str,
}

impl Case<'_> {
    fn server(&self) -> &TestServer {
        &self.installation.server
    }

    async fn post(&self, path: &str, who: &As, body: Value, status: u16) -> Value {
        self.server().post(path, who, body).await.ok(status)
    }

    /// Makes a capsule in the state that an action needs.
    async fn capsule(&self) -> String {
        self.installation.running(&self.who).await
    }

    async fn snapshot(&self, name: &str) {
        let id = self.capsule().await;
        self.post("/v1/snapshots", &self.who, json!({"sandbox_id": id, "name": name}), 201).await;
    }

    async fn build(&self, name: &str) -> String {
        let body = json!({"name": name, "recipe": "RUN sleep 60", "skip_pre_post": true});
        let build = self.post("/v1/admin/builds", &self.admin, body, 201).await;
        build["id"].as_str().unwrap().to_owned()
    }

    /// Prepares what an action needs; returns the request that carries it out once.
    async fn request(&self, action: Action) -> reqwest::RequestBuilder {
        let (server, name) = (self.server(), self.name);
        let who = if action.spec().access == Access::Platform { &self.admin } else { &self.who };
        let post = |path: String, body: Value| server.request("POST", &path, who).json(&body);
        match action {
            Action::SignUp => {
                let email = format!("{name}.{}@example.org", rand_suffix());
                let body = json!({"email": email, "password": "correct horse", "name": name});
                server.request("POST", "/v1/auth/signup", &As::Nobody).json(&body)
            }
            Action::ApiKeyCreate => post("/v1/api-keys".into(), json!({"name": name})),
            Action::ApiKeyDelete => {
                let key = self.post("/v1/api-keys", &self.who, json!({"name": name}), 201).await;
                server.request("DELETE", &format!("/v1/api-keys/{}", key["id"].as_str().unwrap()), who)
            }
            Action::SandboxCreate => post("/v1/capsules?wait=true".into(), json!({})),
            Action::SandboxDestroy => {
                server.request("DELETE", &format!("/v1/capsules/{}", self.capsule().await), who)
            }
            Action::SandboxPause => post(format!("/v1/capsules/{}/pause", self.capsule().await), json!({})),
            Action::SandboxResume => {
                let id = self.capsule().await;
                self.post(&format!("/v1/capsules/{id}/pause"), who, json!({}), 200).await;
                post(format!("/v1/capsules/{id}/resume"), json!({}))
            }
            Action::SandboxTimeout => {
                post(format!("/v1/capsules/{}/timeout", self.capsule().await), json!({"timeout_sec": 600}))
            }
            Action::SandboxPreview => server
                .request("PUT", &format!("/v1/capsules/{}/preview", self.capsule().await), who)
                .json(&json!({"access": "public"})),
            Action::TemplateCreate => post(
                "/v1/snapshots".into(),
                json!({"sandbox_id": self.capsule().await, "name": format!("made-by-{name}")}),
            ),
            Action::TemplateDelete => {
                let template = format!("deleted-by-{name}");
                self.snapshot(&template).await;
                server.request("DELETE", &format!("/v1/snapshots/{template}"), who)
            }
            Action::BuildCreate => post(
                "/v1/admin/builds".into(),
                json!({"name": format!("built-by-{name}"), "recipe": "ENV A=1", "skip_pre_post": true}),
            ),
            Action::BuildCancel => {
                let id = self.build(&format!("cancelled-by-{name}")).await;
                post(format!("/v1/admin/builds/{id}/cancel"), json!({}))
            }
            Action::AdminTemplateDelete => {
                let template = format!("deleted-as-admin-by-{name}");
                self.snapshot(&template).await;
                let me = server.get("/v1/snapshots", &self.who).await.ok(200);
                let found = me.as_array().unwrap().iter().find(|found| found["name"] == template);
                let team = found.unwrap()["team_id"].as_str().unwrap();
                server.request("DELETE", &format!("/v1/admin/templates/{template}?team_id={team}"), who)
            }
            // Reads, and what happens inside a capsule.
            Action::LogIn
            | Action::MeGet
            | Action::TeamList
            | Action::ApiKeyList
            | Action::HostList
            | Action::SandboxList
            | Action::SandboxGet
            | Action::SandboxPing
            | Action::Exec
            | Action::ExecStream
            | Action::Terminal
            | Action::ProcessList
            | Action::ProcessKill
            | Action::ProcessStream
            | Action::FileList
            | Action::FileRead
            | Action::FileWrite
            | Action::FileMakeDir
            | Action::FileRemove
            | Action::FileStat
            | Action::FileExists
            | Action::FileRename
            | Action::FileWatch
            | Action::FileStreamRead
            | Action::FileStreamWrite
            | Action::TemplateList
            | Action::BuildList
            | Action::BuildGet
            | Action::BuildFollow
            | Action::AdminTemplateList
            | Action::Health
            | Action::InjectPanic
            | Action::InjectCut => panic!("{action} is not a change"),
        }
    }
}

fn rand_suffix() -> String {
    wrenn_domain::ids::UserId::new().to_string()
}

fn changes() -> impl Iterator<Item = Action> {
    Action::ALL.iter().copied().filter(|action| action.spec().audit == Audit::Change)
}

async fn admin(server: &TestServer) -> As {
    let body = json!({"email": "root@example.org", "password": "correct horse"});
    As::Token(server.post("/v1/auth/login", &As::Nobody, body).await.text("token"))
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_change_has_one_entry_with_its_principal_and_its_outcome(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let token = server.token("ada").await;
    let key = server.key(&token).await;
    let admin = admin(server).await;
    for (who, actor_type, name) in [(token, "user", "user"), (key, "api_key", "key")] {
        let case = Case { installation: &installation, who, admin: admin.clone(), name };
        for action in changes() {
            let spec = action.spec();
            if actor_type == "api_key" && spec.scope.is_none() {
                continue;
            }
            let request = case.request(action).await;
            let before = of_clients(&pool, action).await.len();
            let answer = server.send(request).await;
            assert!((200..300).contains(&answer.status), "{action}: {answer:?}");
            // A build ends a while after the answer.
            eventually("the change is settled", || async {
                of_clients(&pool, action)
                    .await
                    .first()
                    .is_some_and(|entry| entry.status != AuditStatus::Accepted)
            })
            .await;
            let found = of_clients(&pool, action).await;
            assert_eq!(found.len(), before + 1, "{action}: {found:?}");
            let entry = &found[0];
            assert_eq!((entry.status, &entry.error), (AuditStatus::Succeeded, &None), "{action}");
            assert_eq!(entry.actor_type, actor_type, "{action}");
            assert!(entry.actor_id.is_some() && entry.actor_name.is_some(), "{action}: {entry:?}");
            assert_eq!(entry.resource_type, spec.resource.as_str(), "{action}");
            assert!(entry.resource_id.is_some(), "{action}: {entry:?}");
        }
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_is_refused_after_the_permission_is_written_and_what_is_denied_is_not(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let token = server.token("ada").await;
    let key = server.key(&token).await;
    let id = installation.running(&key).await;
    assert!(installation.host.crash_machine(id.parse().unwrap()));
    eventually("it is stopped", || async {
        server.get(&format!("/v1/capsules/{id}"), &key).await.ok(200)["status"] == "stopped"
    })
    .await;
    let refused = server.post(&format!("/v1/capsules/{id}/pause"), &key, json!({})).await;
    assert_eq!(refused.error(), (409, "invalid_state"));
    let found = of_clients(&pool, Action::SandboxPause).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].status, &found[0].resource_id), (AuditStatus::Refused, &Some(id)));
    assert!(found[0].error.as_ref().is_some_and(|error| error.contains("stopped")), "{found:?}");

    let denied = server.post("/v1/admin/builds", &token, json!({"name": "a", "recipe": "ENV A=1"})).await;
    assert_eq!(denied.error(), (403, "forbidden"));
    assert_eq!(entries(&pool, Action::BuildCreate).await, []);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn what_changes_nothing_and_what_fails_have_one_entry_each(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let id = installation.running(&key).await;
    for _ in 0..2 {
        server.post(&format!("/v1/capsules/{id}/pause"), &key, json!({})).await.ok(200);
    }
    let statuses = |found: Vec<Entry>| found.into_iter().map(|entry| entry.status).collect::<Vec<_>>();
    let paused = of_clients(&pool, Action::SandboxPause).await;
    assert_eq!(statuses(paused), [AuditStatus::Succeeded; 2]);

    installation.host.world().set_vmm_version("2");
    let failed = server.post(&format!("/v1/capsules/{id}/resume"), &key, json!({})).await;
    assert_eq!(failed.error(), (502, "agent_error"));
    let resumed = of_clients(&pool, Action::SandboxResume).await;
    assert!(resumed[0].error.is_some(), "{resumed:?}");
    assert_eq!(statuses(resumed), [AuditStatus::Failed]);
    for _ in 0..2 {
        server.delete(&format!("/v1/capsules/{id}"), &key).await.ok(204);
    }
    let destroyed = of_clients(&pool, Action::SandboxDestroy).await;
    assert_eq!(statuses(destroyed), [AuditStatus::Succeeded; 2]);
}

/// The step of the host at which a change that takes a while stands still; `None` for one that is done in one transaction.
fn stands_still_at(action: Action) -> Option<SimStep> {
    match action {
        Action::SandboxCreate => Some(SimStep::Admit),
        Action::SandboxDestroy => Some(SimStep::Kill),
        Action::SandboxPause => Some(SimStep::Suspend),
        Action::SandboxResume => Some(SimStep::Restore),
        Action::TemplateCreate => Some(SimStep::CopyInto),
        Action::TemplateDelete | Action::AdminTemplateDelete => Some(SimStep::DropTemplate),
        // The build waits for its capsule.
        Action::BuildCreate => Some(SimStep::Admit),
        _ => None,
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_change_that_takes_a_while_is_settled_by_the_next_server(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let admin = admin(&installation.server).await;
    for action in changes() {
        let Some(step) = stands_still_at(action) else { continue };
        let case = Case { installation: &installation, who: key.clone(), admin: admin.clone(), name: "ada" };
        let request = case.request(action).await;
        let before = of_clients(&pool, action).await.len();
        installation.host.world().order_fault(step, SimFault::StallBefore, 1);
        let asked = tokio::spawn(request.send());
        let is_accepted = || async {
            let found = of_clients(&pool, action).await;
            found.len() == before + 1 && found[0].status == AuditStatus::Accepted
        };
        eventually(&format!("{action} is accepted"), is_accepted).await;
        eventually(&format!("{action} stands still"), || async {
            installation.host.world().faults_left(step) == 0
        })
        .await;
        // The client is gone, and the server with it; the agent begins anew, too, and goes on.
        asked.abort();
        installation = installation.restart_server().await;
        installation.host.kill_agent().await;
        installation.host.start_agent().await.unwrap();
        eventually(&format!("{action} is settled"), || async {
            of_clients(&pool, action).await[0].status != AuditStatus::Accepted
        })
        .await;
        let found = of_clients(&pool, action).await;
        assert_eq!(found.len(), before + 1, "{action}: {found:?}");
        // The next agent takes these back; everything else it carries out.
        let is_taken_back =
            matches!(action, Action::SandboxCreate | Action::SandboxResume | Action::TemplateCreate);
        let expected = if is_taken_back { AuditStatus::Failed } else { AuditStatus::Succeeded };
        assert_eq!(found[0].status, expected, "{action}: {found:?}");
        assert_eq!(found[0].error.is_some(), expected == AuditStatus::Failed, "{action}: {found:?}");
        assert!(matches!(found[0].actor_type.as_str(), "user" | "api_key"), "{action}: {found:?}");
        assert!(installation.host.attached().await);
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_request_that_joins_an_operation_is_settled_with_it(pool: PgPool) {
    let mut installation = Installation::start(pool.clone()).await;
    let key = installation.server.key(&installation.server.token("ada").await).await;
    let id = installation.running(&key).await;
    installation.host.world().order_fault(SimStep::Suspend, SimFault::StallBefore, 1);
    let path = format!("/v1/capsules/{id}/pause");
    let pause = || installation.server.request("POST", &path, &key).json(&json!({})).send();
    let (first, second) = (tokio::spawn(pause()), tokio::spawn(pause()));
    eventually("both are accepted", || async {
        let found = of_clients(&pool, Action::SandboxPause).await;
        found.len() == 2 && found.iter().all(|entry| entry.status == AuditStatus::Accepted)
    })
    .await;
    installation.host.kill_agent().await;
    installation.host.start_agent().await.unwrap();
    // The answers depend on how long the host was away.
    drop((first.await, second.await));
    eventually("both are settled", || async {
        let found = of_clients(&pool, Action::SandboxPause).await;
        found.iter().all(|entry| entry.status != AuditStatus::Accepted)
    })
    .await;
    let paused = of_clients(&pool, Action::SandboxPause).await;
    assert_eq!(paused.len(), 2, "{paused:?}");
    assert!(paused.iter().all(|entry| entry.status == AuditStatus::Succeeded), "{paused:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_control_plane_says_why_it_acts(pool: PgPool) {
    let installation = Installation::start(pool.clone()).await;
    let server = &installation.server;
    let key = server.key(&server.token("ada").await).await;
    let body = json!({"wait": true, "timeout_sec": 1});
    let capsule = server.post("/v1/capsules", &key, body).await.ok(201);
    let id = capsule["id"].as_str().unwrap();
    eventually("it is paused by itself", || async {
        let found = entries(&pool, Action::SandboxPause).await;
        found.first().is_some_and(|entry| entry.status == AuditStatus::Succeeded)
    })
    .await;
    let found = entries(&pool, Action::SandboxPause).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].actor_type.as_str(), found[0].actor_name.as_deref()), ("system", Some("idle")));
    assert_eq!(found[0].resource_id.as_deref(), Some(id));

    installation.host.world().order_fault(SimStep::Boot, SimFault::Fail, 1);
    let body = json!({"wait": true, "memory_mb": 256});
    assert_eq!(server.post("/v1/capsules", &key, body).await.error(), (502, "agent_error"));
    let created = of_clients(&pool, Action::SandboxCreate).await;
    assert_eq!((created.len(), created[0].status), (2, AuditStatus::Failed), "{created:?}");
    eventually("what is left is removed", || async {
        let found = entries(&pool, Action::SandboxDestroy).await;
        found.first().is_some_and(|entry| entry.status == AuditStatus::Succeeded)
    })
    .await;
    let removed = entries(&pool, Action::SandboxDestroy).await;
    assert_eq!(removed[0].actor_name.as_deref(), Some("machine_clean_up"));
}
