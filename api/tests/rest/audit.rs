//! The audit log: one entry for each change, whoever makes it and however it ends. The cases come from the table of
//! actions, so a new action without a case does not compile.

use serde_json::{Value, json};
use sqlx::{PgPool, Row as _, postgres::PgRow, types::Uuid};
use wrenn_agent::sim::{SimFault, SimStep};
use wrenn_domain::{
    action::{Access, Action, Audit},
    audit::AuditStatus,
    scope::Scopes,
};
use wrenn_testkit::wait::eventually;

use crate::{
    support::{As, TestServer, host::Installation},
    totp,
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

    async fn build(&self, path: &str, who: &As, name: &str) -> String {
        let body = json!({"name": name, "recipe": "RUN sleep 60", "skip_pre_post": true});
        let build = self.post(path, who, body, 201).await;
        build["id"].as_str().unwrap().to_owned()
    }

    /// Makes a host of the platform; returns its path and its registration token.
    async fn host(&self) -> (String, String) {
        let made = self.post("/v1/hosts", &self.admin, json!({"type": "regular"}), 201).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (format!("/v1/hosts/{}", text(&made["host"]["id"])), text(&made["registration_token"]))
    }

    /// Makes a member, named by the membership's path, the owner.
    async fn hand_over(&self, membership: &str) {
        let request = self.server().request("PATCH", membership, &self.who);
        self.server().send(request.json(&json!({"role": "owner"}))).await.ok(204);
    }

    /// Makes a team of the actor's and returns its path.
    async fn team(&self) -> String {
        let team = self.post("/v1/teams", &self.who, json!({"name": self.name}), 201).await;
        format!("/v1/teams/{}", team["id"].as_str().unwrap())
    }

    /// Adds somebody to a team and returns the path of the membership.
    async fn member(&self, team: &str) -> String {
        let bob = self.server().signup(&format!("bob-{}", rand_suffix())).await;
        let body = json!({"email": bob["email"]});
        self.post(&format!("{team}/members"), &self.who, body, 201).await;
        format!("{team}/members/{}", bob["user_id"].as_str().unwrap())
    }

    /// Signs somebody up; returns their id, address and token.
    async fn user(&self) -> (String, String, As) {
        let user = self.server().signup(&format!("{}-{}", self.name, rand_suffix())).await;
        let text = |field: &str| user[field].as_str().unwrap().to_owned();
        (text("user_id"), text("email"), As::Token(text("token")))
    }

    /// Makes a link for a user; returns its token.
    async fn link(&self, user: &str, kind: &str) -> String {
        let token = format!("{kind}-{user}");
        let insert = "INSERT INTO user_links (token_hash, user_id, kind, expires_at)
                      VALUES (sha256($1::text::bytea), $2, $3, now() + interval '1 hour')";
        let id: wrenn_domain::ids::UserId = user.parse().unwrap();
        let insert = sqlx::query(insert).bind(&token).bind(id.0).bind(kind);
        insert.execute(&self.server().pool).await.unwrap();
        token
    }

    /// Makes a channel and returns its path.
    async fn channel(&self) -> String {
        let made = self.post("/v1/channels", &self.who, channel(self.name), 201).await;
        format!("/v1/channels/{}", made["id"].as_str().unwrap())
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
            Action::ProviderDisconnect => {
                let me = server.token(&format!("{name}-{}", rand_suffix())).await;
                let link = "INSERT INTO user_identities (provider, subject, user_id, email)
                            SELECT 'oidc', $1, id, email FROM users ORDER BY created_at DESC LIMIT 1";
                sqlx::query(link).bind(rand_suffix()).execute(&server.pool).await.unwrap();
                server.request("DELETE", "/v1/me/providers/oidc", &me)
            }
            Action::LogOut => {
                let token = server.token(&format!("{name}-{}", rand_suffix())).await;
                server.request("POST", "/v1/auth/logout", &token)
            }
            Action::TeamCreate => post("/v1/teams".into(), json!({"name": name})),
            Action::TeamRename => {
                server.request("PATCH", &self.team().await, who).json(&json!({"name": "renamed"}))
            }
            Action::TeamDelete => server.request("DELETE", &self.team().await, who),
            Action::TeamLeave => {
                let team = self.team().await;
                let bob = self.member(&team).await;
                self.hand_over(&bob).await;
                post(format!("{team}/leave"), json!({}))
            }
            Action::MemberAdd => {
                let bob = server.signup(&format!("bob-{}", rand_suffix())).await;
                post(format!("{}/members", self.team().await), json!({"email": bob["email"]}))
            }
            Action::MemberSetRole => {
                let bob = self.member(&self.team().await).await;
                server.request("PATCH", &bob, who).json(&json!({"role": "admin"}))
            }
            Action::MemberRemove => {
                let bob = self.member(&self.team().await).await;
                server.request("DELETE", &bob, who)
            }
            Action::InvitationCreate => {
                let team = self.team().await;
                post(format!("{team}/invitations"), json!({"email": "new@example.org"}))
            }
            Action::InvitationDelete => {
                let path = format!("{}/invitations", self.team().await);
                let body = json!({"email": "new@example.org"});
                let invitation = self.post(&path, who, body, 201).await;
                server.request("DELETE", &format!("{path}/{}", invitation["id"].as_str().unwrap()), who)
            }
            Action::InvitationAccept => {
                let name = format!("bob-{}", rand_suffix());
                let body = json!({"email": format!("{name}@example.org")});
                let path = format!("{}/invitations", self.team().await);
                let invitation = self.post(&path, who, body, 201).await;
                let bob = server.token(&name).await;
                let accepted = server.request("POST", "/v1/invitations/accept", &bob);
                accepted.json(&json!({"token": invitation["token"]}))
            }
            Action::Activate => {
                let id = self.user().await.0;
                let token = self.link(&id, "activation").await;
                server.request("POST", "/v1/auth/activate", &As::Nobody).json(&json!({"token": token}))
            }
            Action::MeRename => {
                let (_, _, user) = self.user().await;
                server.request("PATCH", "/v1/me", &user).json(&json!({"name": "Ada"}))
            }
            Action::MeDelete => {
                let (_, email, user) = self.user().await;
                server.request("DELETE", "/v1/me", &user).json(&json!({"confirmation": email}))
            }
            Action::PasswordChange => {
                let (_, _, user) = self.user().await;
                let body = json!({"current_password": "correct horse", "new_password": "another horse"});
                server.request("POST", "/v1/me/password", &user).json(&body)
            }
            Action::PasswordReset => {
                let id = self.user().await.0;
                let token = self.link(&id, "password_reset").await;
                let body = json!({"token": token, "new_password": "another horse"});
                server.request("POST", "/v1/me/password/reset/confirm", &As::Nobody).json(&body)
            }
            Action::ResetLinkCreate => {
                let id = self.user().await.0;
                post(format!("/v1/admin/users/{id}/reset-link"), json!({}))
            }
            Action::TotpBegin => {
                let (_, _, user) = self.user().await;
                server.request("POST", "/v1/me/totp", &user)
            }
            Action::TotpConfirm => {
                let (_, _, user) = self.user().await;
                let code = totp::begin(server, &user).await.code(0);
                server.request("POST", "/v1/me/totp/confirm", &user).json(&json!({"code": code}))
            }
            Action::TotpDisable => {
                let (_, _, user) = self.user().await;
                let (user, _) = totp::enable(server, &user).await;
                server.request("DELETE", "/v1/me/totp", &user).json(&json!({"password": "correct horse"}))
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
                "/v1/builds".into(),
                json!({"name": format!("built-by-{name}"), "recipe": "ENV A=1", "skip_pre_post": true}),
            ),
            Action::BuildCancel => {
                let id = self.build("/v1/builds", who, &format!("cancelled-by-{name}")).await;
                post(format!("/v1/builds/{id}/cancel"), json!({}))
            }
            Action::AdminBuildCreate => post(
                "/v1/admin/builds".into(),
                json!({"name": format!("platform-by-{name}"), "recipe": "ENV A=1", "skip_pre_post": true}),
            ),
            Action::AdminBuildCancel => {
                let build = format!("cancelled-as-admin-by-{name}");
                let id = self.build("/v1/admin/builds", who, &build).await;
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
            Action::AdminTeamQuota => {
                let team = server.signup(&rand_suffix()).await;
                let path = format!("/v1/admin/teams/{}/quota", team["team_id"].as_str().unwrap());
                server.request("PUT", &path, who).json(&json!({"vcpus": 4}))
            }
            Action::AdminTeamByoc => {
                let team = server.signup(&rand_suffix()).await;
                let path = format!("/v1/admin/teams/{}/byoc", team["team_id"].as_str().unwrap());
                server.request("PUT", &path, who).json(&json!({"enabled": true}))
            }
            Action::AdminTeamDelete => {
                let team = server.signup(&rand_suffix()).await;
                let path = format!("/v1/admin/teams/{}", team["team_id"].as_str().unwrap());
                server.request("DELETE", &path, who)
            }
            Action::AdminUserActive => {
                let user = server.signup(&rand_suffix()).await;
                let path = format!("/v1/admin/users/{}/active", user["user_id"].as_str().unwrap());
                server.request("PUT", &path, who).json(&json!({"active": false}))
            }
            Action::AdminUserAdmin => {
                let user = server.signup(&rand_suffix()).await;
                let path = format!("/v1/admin/users/{}/admin", user["user_id"].as_str().unwrap());
                server.request("PUT", &path, who).json(&json!({"is_admin": true}))
            }
            Action::ChannelCreate => post("/v1/channels".into(), channel(name)),
            Action::ChannelUpdate => server
                .request("PATCH", &self.channel().await, who)
                .json(&json!({"name": "renamed", "events": ["capsule.paused"]})),
            Action::ChannelConfigure => server
                .request("PUT", &format!("{}/config", self.channel().await), who)
                .json(&json!({"config": channel(name)["config"]})),
            Action::ChannelDelete => server.request("DELETE", &self.channel().await, who),
            Action::SettingsSet => {
                server.request("PUT", "/v1/admin/settings", who).json(&json!({"quota": {"vcpus": 100}}))
            }
            Action::TokenKeyRotate => post("/v1/admin/settings/token-key".into(), json!({})),
            Action::HostCreate => {
                server.request("POST", "/v1/hosts", &self.admin).json(&json!({"type": "regular"}))
            }
            Action::HostTokenIssue => {
                server.request("POST", &format!("{}/token", self.host().await.0), &self.admin)
            }
            Action::HostDrain => {
                let drain = server.request("POST", &format!("{}/drain", self.host().await.0), &self.admin);
                drain.json(&json!({"enabled": true}))
            }
            Action::HostTagAdd => {
                let add = server.request("POST", &format!("{}/tags", self.host().await.0), &self.admin);
                add.json(&json!({"tag": "gpu"}))
            }
            Action::HostTagRemove => {
                let tags = format!("{}/tags", self.host().await.0);
                self.post(&tags, &self.admin, json!({"tag": "gpu"}), 204).await;
                server.request("DELETE", &format!("{tags}/gpu"), &self.admin)
            }
            Action::HostDelete => server.request("DELETE", &self.host().await.0, &self.admin),
            Action::HostRegister => {
                let body = json!({"token": self.host().await.1, "address": "10.0.0.1"});
                server.request("POST", "/v1/hosts/register", &As::Nobody).json(&body)
            }
            // Reads, and what happens inside a capsule.
            Action::LogIn
            | Action::AuthMethods
            | Action::ActivationSend
            | Action::PasswordForget
            | Action::ProviderSignIn
            | Action::ProviderCallback
            | Action::ProviderConnect
            | Action::MeGet
            | Action::TeamSwitch
            | Action::TeamList
            | Action::TeamGet
            | Action::MemberList
            | Action::InvitationList
            | Action::UserSearch
            | Action::TeamQuotaGet
            | Action::AuditList
            | Action::EventFollow
            | Action::AdminEventFollow
            | Action::AdminTeamList
            | Action::AdminUserList
            | Action::AdminCapsuleList
            | Action::AdminAuditList
            | Action::SettingsGet
            | Action::ApiKeyList
            | Action::HostList
            | Action::HostGet
            | Action::HostDeletePreview
            | Action::HostTagList
            | Action::HostRefresh
            | Action::HostHeartbeat
            | Action::ChannelList
            | Action::ChannelGet
            | Action::ChannelTest
            | Action::SandboxList
            | Action::SandboxStats
            | Action::SandboxUsage
            | Action::SandboxGet
            | Action::SandboxMetrics
            | Action::SandboxHistory
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
            | Action::BuildCheck
            | Action::BuildGet
            | Action::BuildFollow
            | Action::AdminBuildList
            | Action::AdminBuildGet
            | Action::AdminBuildFollow
            | Action::AdminTemplateList
            | Action::Health
            | Action::InjectPanic
            | Action::InjectCut => panic!("{action} is not a change"),
        }
    }
}

/// The request for a channel that hears nothing of what a test does.
fn channel(name: &str) -> Value {
    let config = json!({"url": "https://receiver.invalid/"});
    json!({"name": name, "provider": "webhook", "config": config, "events": ["host.down"]})
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
            if actor_type == "api_key" && !spec.scopes.intersects(Scopes::DEFAULT) {
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
            if action == Action::HostRegister {
                assert!(entry.actor_type == "host" && entry.actor_id.is_some(), "{entry:?}");
            } else {
                assert_eq!(entry.actor_type, actor_type, "{action}");
                assert!(entry.actor_id.is_some() && entry.actor_name.is_some(), "{action}: {entry:?}");
            }
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
    assert_eq!(entries(&pool, Action::AdminBuildCreate).await, []);
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
        Action::BuildCreate | Action::AdminBuildCreate => Some(SimStep::Admit),
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
    // Else the next agent would stand still, for ever.
    let world = installation.host.world();
    eventually("the host stands still", || async { world.faults_left(SimStep::Suspend) == 0 }).await;
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
