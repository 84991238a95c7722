//! The authorisation matrix: every action of the table by every kind of caller.
//!
//! A cell is permitted if its answer is about the request, and not about the caller: a body is missing, or nothing has the
//! id. So nothing is changed, except by the few actions that need neither, whose cells have callers of their own. The
//! expectation is written down once more here, in other words than `permit()`; a new action has its cells by itself.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_base::Clock;
use wrenn_domain::{
    action::{Access, Action, ActionSpec},
    scope::Scope,
    team::Role,
};
use wrenn_store::Store;
use wrenn_testkit::rows;

use crate::support::{Answer, As, TestServer, config};

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    ExpiredToken,
    RevokedKey,
    ReadOnlyKey,
    AdminKey,
    OtherTeam,
    Member,
    Admin,
    Owner,
    WithoutTeam,
    PlatformAdmin,
    Deactivated,
    HostToken,
}

const CALLERS: [Caller; 13] = [
    Caller::Nobody,
    Caller::ExpiredToken,
    Caller::RevokedKey,
    Caller::ReadOnlyKey,
    Caller::AdminKey,
    Caller::OtherTeam,
    Caller::Member,
    Caller::Admin,
    Caller::Owner,
    Caller::WithoutTeam,
    Caller::PlatformAdmin,
    Caller::Deactivated,
    Caller::HostToken,
];

/// Outcome of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Permitted,
    Refused(u16, &'static str),
}

const UNAUTHORIZED: Outcome = Outcome::Refused(401, "unauthorized");
const FORBIDDEN: Outcome = Outcome::Refused(403, "forbidden");
const NO_TEAM: Outcome = Outcome::Refused(403, "no_team");
const NO_SUCH_TEAM: Outcome = Outcome::Refused(404, "not_found");

fn expected(spec: &ActionSpec, caller: Caller) -> Outcome {
    let of_role = |role: Role| {
        let (Access::Team(least) | Access::NamedTeam(least)) = spec.access else { return Outcome::Permitted };
        if role <= least { Outcome::Permitted } else { FORBIDDEN }
    };
    let of_key = |scope: Scope| match spec.scopes.iter().any(|of| of == scope) {
        true => Outcome::Permitted,
        false if spec.scopes.is_empty() => UNAUTHORIZED,
        false => FORBIDDEN,
    };
    match (spec.access, caller) {
        (Access::Open, _) => Outcome::Permitted,
        // No client sends a host's token in its own header.
        (Access::Host, _) => UNAUTHORIZED,
        (_, Caller::Nobody | Caller::ExpiredToken | Caller::RevokedKey | Caller::HostToken) => UNAUTHORIZED,
        (_, Caller::Deactivated) => Outcome::Refused(403, "account_disabled"),
        (_, Caller::ReadOnlyKey) => of_key(Scope::Read),
        (_, Caller::AdminKey) => of_key(Scope::Admin),
        (Access::Platform, Caller::PlatformAdmin) => Outcome::Permitted,
        (Access::Platform, _) => FORBIDDEN,
        (Access::SignedIn, _) => Outcome::Permitted,
        // The administrator of the platform has a team of its own, like everybody.
        (Access::NamedTeam(_), Caller::OtherTeam | Caller::PlatformAdmin | Caller::WithoutTeam) => {
            NO_SUCH_TEAM
        }
        (Access::Team(_), Caller::OtherTeam | Caller::PlatformAdmin) => Outcome::Permitted,
        (Access::Team(_), Caller::WithoutTeam) => NO_TEAM,
        (_, Caller::Member) => of_role(Role::Member),
        (_, Caller::Admin) => of_role(Role::Admin),
        (_, Caller::Owner) => of_role(Role::Owner),
    }
}

/// Callers around one team.
struct Callers {
    team: String,
    credentials: Vec<(Caller, As)>,
}

fn token(signed_in: &Value) -> As {
    As::Token(signed_in["token"].as_str().unwrap().to_owned())
}

/// Makes a host; returns the token with which it attaches.
async fn host_token(server: &TestServer, name: &str) -> As {
    let store = Store::from_pool(server.pool.clone());
    let host = rows::host(&store).await;
    let token = format!("hst_{name:x<48}");
    sqlx::query(
        "INSERT INTO host_tokens (token_hash, host_id, kind, expires_at)
         VALUES (sha256($1::text::bytea), $2, 'host', now() + interval '1 day')",
    )
    .bind(&token)
    .bind(host.0)
    .execute(&server.pool)
    .await
    .unwrap();
    let hash = sqlx::query_scalar::<_, Vec<u8>>("SELECT sha256($1::text::bytea)").bind(&token);
    let hash = hash.fetch_one(&server.pool).await.unwrap().try_into().unwrap();
    let verified = store.host_token_verify(&hash).await.unwrap();
    assert!(verified.is_some_and(|(of, _)| of == host), "it is a host's token");
    As::Token(token)
}

impl Callers {
    /// Makes a team with a member of each role, and the other callers; `name` is new.
    async fn new(server: &TestServer, expired: &As, root: &As, name: &str) -> Self {
        let named = |who: &str| format!("{who}-{name}");
        let owner = server.signup(&named("owner")).await;
        let team = owner["team_id"].as_str().unwrap().to_owned();
        let mut credentials = vec![
            (Caller::Nobody, As::Nobody),
            (Caller::ExpiredToken, expired.clone()),
            (Caller::Owner, token(&owner)),
            (Caller::OtherTeam, server.token(&named("other")).await),
            (Caller::HostToken, host_token(server, name).await),
        ];
        for (caller, role) in [(Caller::Member, "member"), (Caller::Admin, "admin")] {
            let user = server.signup(&named(role)).await;
            let body = json!({"email": user["email"], "role": role});
            server.post(&format!("/v1/teams/{team}/members"), &token(&owner), body).await.ok(201);
            let switched = server.post("/v1/auth/switch-team", &token(&user), json!({"team_id": team})).await;
            credentials.push((caller, As::Token(switched.text("token"))));
        }
        let admin = credentials.last().unwrap().1.clone();
        for (caller, scopes) in [
            (Caller::ReadOnlyKey, json!(["read"])),
            (Caller::AdminKey, json!(["admin"])),
            (Caller::RevokedKey, json!(["read", "capsules", "builds", "admin"])),
        ] {
            let key = server.post("/v1/api-keys", &admin, json!({"scopes": scopes})).await.ok(201);
            if caller == Caller::RevokedKey {
                let path = format!("/v1/api-keys/{}", key["id"].as_str().unwrap());
                server.delete(&path, &admin).await.ok(204);
            }
            credentials.push((caller, As::Key(key["key"].as_str().unwrap().to_owned())));
        }
        let deactivated = server.signup(&named("deactivated")).await;
        let path = format!("/v1/admin/users/{}/active", deactivated["user_id"].as_str().unwrap());
        server.send(server.request("PUT", &path, root).json(&json!({"active": false}))).await.ok(204);
        credentials.push((Caller::Deactivated, token(&deactivated)));
        let platform = server.signup(&named("platform")).await;
        let path = format!("/v1/admin/users/{}/admin", platform["user_id"].as_str().unwrap());
        server.send(server.request("PUT", &path, root).json(&json!({"is_admin": true}))).await.ok(204);
        credentials.push((Caller::PlatformAdmin, token(&platform)));
        let alone = server.signup(&named("alone")).await;
        server
            .delete(&format!("/v1/teams/{}", alone["team_id"].as_str().unwrap()), &token(&alone))
            .await
            .ok(204);
        credentials.push((Caller::WithoutTeam, token(&alone)));
        assert_eq!(credentials.len(), CALLERS.len());
        Self { team, credentials }
    }

    fn of(&self, caller: Caller) -> &As {
        &self.credentials.iter().find(|(of, _)| *of == caller).expect("every caller is there").1
    }

    /// Sends the request of an action without a body, about things that nobody has.
    async fn send(&self, server: &TestServer, action: Action, caller: Caller) -> Answer {
        let spec = action.spec();
        let nothing = "0".repeat(25);
        let mut path = match spec.access {
            Access::NamedTeam(_) => spec.path.replace("{id}", &self.team),
            _ => spec.path.to_owned(),
        };
        let kind = [
            ("/v1/capsules", "cl"),
            ("/v1/builds", "bld"),
            ("/v1/admin/builds", "bld"),
            ("/v1/api-keys", "key"),
            ("/v1/channels", "ch"),
            ("/v1/admin/users", "usr"),
            ("/v1/admin/teams", "team"),
            ("/v1/hosts", "host"),
        ];
        if let Some((_, prefix)) = kind.iter().find(|(begins, _)| path.starts_with(begins)) {
            path = path.replace("{id}", &format!("{prefix}-{nothing}"));
        }
        for (parameter, value) in [
            ("{uid}", format!("usr-{nothing}")),
            ("{iid}", format!("inv-{nothing}")),
            ("{selector}", "1".to_owned()),
            ("{name}", "nothing".to_owned()),
            ("{provider}", "nothing".to_owned()),
            ("{tag}", "nothing".to_owned()),
        ] {
            path = path.replace(parameter, &value);
        }
        if matches!(action, Action::EventFollow | Action::AdminEventFollow) {
            // The answer would not end.
            path.push_str("?last_event_id=nothing");
        }
        assert!(!path.contains('{'), "{action}: say what stands for the parameters of {path}");
        server.send(server.request(spec.method.as_str(), &path, self.of(caller))).await
    }
}

/// Actions that need neither a body nor an id of something else: where they are permitted, they happen.
const HAPPEN: [Action; 4] = [Action::LogOut, Action::TeamDelete, Action::TeamLeave, Action::TotpBegin];

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn every_action_is_for_whom_the_table_says_and_for_nobody_else(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let server = TestServer::start_at(pool.clone(), config(&pool), clock).await;
    let expired = server.token("expired").await;
    hand.advance(Duration::from_secs(7 * 60 * 60));
    // The first account administers the platform.
    let login = json!({"email": "expired@example.org", "password": "correct horse"});
    let root = As::Token(server.post("/v1/auth/login", &As::Nobody, login).await.text("token"));
    let callers = Callers::new(&server, &expired, &root, "all").await;
    let mut wrong = Vec::new();
    let mut sets = 0;
    for &action in Action::ALL {
        for caller in CALLERS {
            let expected = expected(action.spec(), caller);
            let answer = if HAPPEN.contains(&action) && expected == Outcome::Permitted {
                sets += 1;
                // The limit for passwords would be reached by these many sign-ups.
                hand.advance(Duration::from_secs(60));
                let own = Callers::new(&server, &expired, &root, &format!("set-{sets}")).await;
                own.send(&server, action, caller).await
            } else {
                callers.send(&server, action, caller).await
            };
            let code = answer.body["error"]["code"].as_str().unwrap_or_default().to_owned();
            let spec = action.spec();
            let is_of_the_team =
                matches!(spec.access, Access::NamedTeam(_)) && spec.path.matches('{').count() == 1;
            // An owner may leave a team, says the table, and has to hand it over first, says the rule.
            let is_rule = (action, caller) == (Action::TeamLeave, Caller::Owner) && code == "forbidden";
            let is_right = match expected {
                // The only id is that of the team, which is there.
                Outcome::Permitted if is_of_the_team && answer.status == 404 => false,
                Outcome::Permitted => is_rule || ![401, 403].contains(&answer.status) && answer.status < 500,
                Outcome::Refused(status, refusal) => (answer.status, code.as_str()) == (status, refusal),
            };
            if !is_right {
                wrong.push(format!(
                    "{action} by {caller:?}: expected {expected:?}, got {} {}",
                    answer.status, answer.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
