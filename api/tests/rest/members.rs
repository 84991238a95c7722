//! Members of teams and invitations: who may change what, at once and by turns.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    ids::InvitationId,
    principal::{Membership, Principal},
    team::{NewInvitation, Role},
};
use wrenn_store::{Store, members::Addition};

use crate::support::{As, TestServer};

/// A signed-up user.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    /// The first team, which the user owns.
    pub(crate) team: String,
    /// A token for that team.
    pub(crate) token: As,
}

impl Person {
    pub(crate) async fn sign_up(server: &TestServer, name: &str) -> Self {
        let answer = server.signup(name).await;
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        Self {
            id: text("user_id"),
            email: text("email"),
            team: text("team_id"),
            token: As::Token(text("token")),
        }
    }

    /// Switches to another team; returns the token.
    pub(crate) async fn acting_for(&self, server: &TestServer, team: &str) -> As {
        let answer = server.post("/v1/auth/switch-team", &self.token, json!({"team_id": team})).await;
        As::Token(answer.text("token"))
    }
}

/// Adds a person to the first team of another one.
pub(crate) async fn add(server: &TestServer, owner: &Person, person: &Person, role: &str) {
    let path = format!("/v1/teams/{}/members", owner.team);
    let body = json!({"email": person.email, "role": role});
    server.post(&path, &owner.token, body).await.ok(201);
}

/// Roles in a team by name of the member.
async fn roles(server: &TestServer, team: &str, who: &As) -> BTreeMap<String, String> {
    let members = server.get(&format!("/v1/teams/{team}/members"), who).await.ok(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    members.as_array().unwrap().iter().map(|member| (text(&member["name"]), text(&member["role"]))).collect()
}

/// An owner, an admin and a member of one team, and somebody who is in none of it.
async fn team_of_three(server: &TestServer) -> [Person; 4] {
    let mut people = Vec::new();
    for name in ["owner", "admin", "member", "stranger"] {
        people.push(Person::sign_up(server, name).await);
    }
    let people: [Person; 4] = people.try_into().ok().unwrap();
    add(server, &people[0], &people[1], "admin").await;
    add(server, &people[0], &people[2], "member").await;
    people
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn members_are_added_by_address(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (Person::sign_up(&server, "ada").await, Person::sign_up(&server, "bob").await);
    let path = format!("/v1/teams/{}/members", ada.team);
    let added = server.post(&path, &ada.token, json!({"email": " BOB@example.org "})).await.ok(201);
    assert_eq!(
        (&added["user_id"], &added["name"], &added["email"], &added["role"]),
        (&json!(bob.id), &json!("bob"), &json!("bob@example.org"), &json!("member"))
    );
    assert!(added["joined_at"].is_string());
    for (body, expected, word) in [
        (json!({"email": "bob@example.org"}), (400, "invalid_request"), "member"),
        (json!({"email": "ada@example.org"}), (400, "invalid_request"), "member"),
        (json!({"email": "nobody@example.org"}), (404, "not_found"), "account"),
        (json!({"email": "bob"}), (400, "invalid_request"), "email"),
        (json!({"email": "b\0b@example.org"}), (400, "invalid_request"), "email"),
        (json!({}), (400, "invalid_request"), "email"),
        (json!({"email": "bob@example.org", "role": "owner"}), (400, "invalid_request"), "role"),
    ] {
        let answer = server.post(&path, &ada.token, body.clone()).await;
        assert_eq!(answer.error(), expected, "{body}");
        assert!(answer.message().contains(word), "{answer:?}");
    }
    let gone = Person::sign_up(&server, "gone").await;
    sqlx::query("UPDATE users SET is_active = false WHERE name = 'gone'")
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = server.post(&path, &ada.token, json!({"email": gone.email})).await;
    assert_eq!(answer.error(), (404, "not_found"));
    let teams = server.get("/v1/teams", &bob.token).await.ok(200);
    assert_eq!(teams.as_array().unwrap().len(), 2);
    assert_eq!((&teams[0]["id"], &teams[0]["role"]), (&json!(bob.team), &json!("owner")));
    server.post("/v1/auth/switch-team", &bob.token, json!({"team_id": ada.team})).await.ok(200);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn with_mail_a_person_without_a_proved_address_is_invited(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let (ada, bob) = (Person::sign_up(&server, "ada").await, Person::sign_up(&server, "bob").await);
    sqlx::query("UPDATE users SET email_verified_at = NULL WHERE name = 'bob'").execute(&pool).await.unwrap();
    let (store, team, by) =
        (Store::from_pool(pool.clone()), ada.team.parse().unwrap(), ada.id.parse().unwrap());
    let membership = Some(Membership { team, role: Role::Owner });
    let principal = Principal::User { id: by, membership, is_admin: false, epoch: 0 };
    let add = async |email: &str| {
        let (id, role) = (InvitationId::new(), Role::Admin);
        let new =
            NewInvitation { id, team_id: team, email: email.to_owned(), role, token_hash: rand_hash(id) };
        let intent = AuditIntent::new(principal, Action::MemberAdd);
        store.member_add(team, by, email, role, Some(&new), &intent).await.unwrap()
    };
    for email in ["BOB@example.org", "new@example.org"] {
        let added = add(email).await;
        assert!(matches!(&added, Addition::Invited(invited) if invited.email == email), "{added:?}");
    }
    assert_eq!(store.team_members(team).await.unwrap().len(), 1);
    sqlx::query("UPDATE users SET email_verified_at = now()").execute(&pool).await.unwrap();
    let added = add(&bob.email).await;
    assert!(matches!(&added, Addition::Member(member) if member.role == Role::Admin), "{added:?}");
    // A member needs no invitation.
    let open = store.invitations_of_team(team).await.unwrap();
    assert_eq!(open.iter().map(|invited| invited.email.as_str()).collect::<Vec<_>>(), ["new@example.org"]);
}

fn rand_hash(id: InvitationId) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(id.0.as_bytes());
    hash
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn each_role_may_what_the_table_says_and_strangers_see_nothing(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let [owner, admin, member, stranger] = team_of_three(&server).await;
    let team = format!("/v1/teams/{}", owner.team);
    let victim = Person::sign_up(&server, "victim").await;
    add(&server, &owner, &victim, "member").await;
    let invited = json!({"email": "new@example.org"});
    let invitation =
        server.post(&format!("{team}/invitations"), &owner.token, invited.clone()).await.text("id");
    let of_victim = format!("/members/{}", victim.id);
    // Errors of a request are reported only to those who may make it.
    for (method, path, body, least) in [
        ("GET", "", json!({}), "member"),
        ("GET", "/members", json!({}), "member"),
        ("PATCH", "", json!({"name": ""}), "admin"),
        ("POST", "/members", json!({"email": "nobody@example.org"}), "admin"),
        ("PATCH", &of_victim, json!({"role": "nothing"}), "admin"),
        ("GET", "/invitations", json!({}), "admin"),
        ("POST", "/invitations", json!({"email": "nothing"}), "admin"),
        ("DELETE", "/invitations/inv-0000000000000000000000000", json!({}), "admin"),
        ("DELETE", "/members/usr-0000000000000000000000000", json!({}), "admin"),
    ] {
        let path = format!("{team}{path}");
        for (who, role) in [(&owner, "owner"), (&admin, "admin"), (&member, "member")] {
            let answer = server.send(server.request(method, &path, &who.token).json(&body)).await;
            let is_denied = answer.status == 403;
            assert_eq!(
                is_denied,
                role == "member" && least == "admin",
                "{role}: {method} {path}: {answer:?}"
            );
        }
        for (who, expected) in [(&stranger.token, (404, "not_found")), (&As::Nobody, (401, "unauthorized"))] {
            let answer = server.send(server.request(method, &path, who).json(&body)).await;
            assert_eq!(answer.error(), expected, "{method} {path}");
        }
    }
    for who in [&admin, &member] {
        assert_eq!(server.delete(&team, &who.token).await.error(), (403, "forbidden"));
    }
    assert_eq!(server.delete(&team, &stranger.token).await.error(), (404, "not_found"));
    let leave = format!("{team}/leave");
    assert_eq!(server.post(&leave, &stranger.token, json!({})).await.error(), (404, "not_found"));

    // Ids of one team are none of another one.
    let other = format!("/v1/teams/{}", stranger.team);
    let path = format!("{other}/invitations/{invitation}");
    assert_eq!(server.delete(&path, &stranger.token).await.error(), (404, "not_found"));
    let path = format!("{other}{of_victim}");
    assert_eq!(server.delete(&path, &stranger.token).await.error(), (404, "not_found"));
    let answer = server.patch(&path, &stranger.token, json!({"role": "admin"})).await;
    assert_eq!(answer.error(), (404, "not_found"));
    assert_eq!(
        server.get(&format!("{team}/invitations"), &owner.token).await.ok(200)[0]["id"],
        json!(invitation)
    );
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn roles_are_changed_by_admins_and_the_owners_only_by_the_owner(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let [owner, admin, member, _] = team_of_three(&server).await;
    let of = |person: &Person| format!("/v1/teams/{}/members/{}", owner.team, person.id);
    let set = async |who: &Person, target: &Person, role: &str| {
        server.patch(&of(target), &who.token, json!({"role": role})).await
    };
    for (who, target, role, expected) in [
        (&admin, &member, "admin", None),
        (&admin, &member, "admin", None),
        (&admin, &member, "member", None),
        (&owner, &admin, "member", None),
        (&owner, &admin, "admin", None),
        (&admin, &owner, "member", Some((403, "forbidden"))),
        (&admin, &owner, "owner", Some((403, "forbidden"))),
        (&owner, &owner, "admin", Some((403, "forbidden"))),
        (&admin, &admin, "owner", Some((403, "forbidden"))),
        (&owner, &owner, "owner", None),
        (&owner, &member, "king", Some((400, "invalid_request"))),
    ] {
        let answer = set(who, target, role).await;
        match expected {
            None => assert_eq!(answer.status, 204, "{answer:?}"),
            Some(error) => assert_eq!(answer.error(), error, "{role}"),
        }
    }
    // A key of the team cannot give the team away.
    let key = server.post("/v1/api-keys", &owner.token, json!({"scopes": ["admin"]})).await.text("key");
    let answer = server.patch(&of(&admin), &As::Key(key.clone()), json!({"role": "owner"})).await;
    assert_eq!(answer.error(), (403, "forbidden"));
    server.patch(&of(&member), &As::Key(key), json!({"role": "admin"})).await.ok(204);

    sqlx::query("UPDATE users SET is_active = false WHERE name = 'admin'")
        .execute(&server.pool)
        .await
        .unwrap();
    assert_eq!(set(&owner, &admin, "owner").await.error(), (400, "invalid_request"));
    assert_eq!(set(&owner, &member, "owner").await.status, 204);
    let now = roles(&server, &owner.team, &owner.token).await;
    assert_eq!((now["owner"].as_str(), now["member"].as_str()), ("admin", "owner"));
    assert_eq!(set(&owner, &member, "owner").await.error(), (403, "forbidden"));
    assert_eq!(server.delete(&of(&member), &owner.token).await.error(), (403, "forbidden"));
    let path = format!("/v1/teams/{}", owner.team);
    assert_eq!(server.delete(&path, &owner.token).await.error(), (403, "forbidden"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn who_is_removed_or_leaves_loses_keys_invitations_and_the_team_at_once(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let [owner, admin, member, _] = team_of_three(&server).await;
    let team = format!("/v1/teams/{}", owner.team);
    for (person, leaves) in [(&member, false), (&admin, true)] {
        let token = person.acting_for(&server, &owner.team).await;
        let (key, own_key) = (server.key(&token).await, server.key(&person.token).await);
        server.get("/v1/capsules", &key).await.ok(200);
        if leaves {
            let path = format!("{team}/invitations");
            server.post(&path, &token, json!({"email": "accomplice@example.org"})).await.ok(201);
            server.post(&format!("{team}/leave"), &token, json!({})).await.ok(204);
            assert_eq!(server.get(&path, &owner.token).await.ok(200), json!([]));
        } else {
            let path = format!("{team}/members/{}", person.id);
            server.delete(&path, &owner.token).await.ok(204);
            assert_eq!(server.delete(&path, &owner.token).await.error(), (404, "not_found"));
        }
        assert_eq!(server.get("/v1/capsules", &key).await.error(), (401, "unauthorized"));
        assert_eq!(server.get("/v1/capsules", &token).await.error(), (403, "no_team"));
        assert_eq!(server.get(&team, &token).await.error(), (404, "not_found"));
        // The member's own team goes on.
        server.get("/v1/capsules", &own_key).await.ok(200);
        server.get("/v1/capsules", &person.token).await.ok(200);
        // Keys do not come back with their maker.
        add(&server, &owner, person, "member").await;
        assert_eq!(server.get("/v1/capsules", &key).await.error(), (401, "unauthorized"));
        server.get("/v1/capsules", &token).await.ok(200);
    }
    let answer = server.post(&format!("{team}/leave"), &owner.token, json!({})).await;
    assert_eq!(answer.error(), (403, "forbidden"));
    assert!(answer.message().contains("hand over"), "{answer:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_invitation_is_for_one_address_and_good_once(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (Person::sign_up(&server, "ada").await, Person::sign_up(&server, "bob").await);
    let path = format!("/v1/teams/{}/invitations", ada.team);
    let body = json!({"email": "New@example.org", "role": "admin"});
    let first = server.post(&path, &ada.token, body.clone()).await;
    assert!(first.text("token").starts_with("inv_") && first.text("id").starts_with("inv-"), "{first:?}");
    assert_eq!((&first.body["invited_by"], &first.body["role"]), (&json!(ada.id), &json!("admin")));
    let second = server.post(&path, &ada.token, body).await;
    let listed = server.get(&path, &ada.token).await.ok(200);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &second.body["id"]));
    assert!(listed[0].get("token").is_none());
    let texts: Vec<String> =
        sqlx::query_scalar("SELECT i::text FROM team_invitations i").fetch_all(&server.pool).await.unwrap();
    assert!(texts.iter().all(|text| !text.contains("inv_")), "{texts:?}");

    let accept = async |who: &As, token: &str| {
        server.post("/v1/invitations/accept", who, json!({"token": token})).await
    };
    // The second one is in place of the first.
    let new = Person::sign_up(&server, "new").await;
    assert_eq!(accept(&new.token, &first.text("token")).await.error(), (404, "not_found"));
    assert_eq!(accept(&new.token, "inv_nonsense\0").await.error(), (404, "not_found"));
    assert_eq!(accept(&bob.token, &second.text("token")).await.error(), (403, "forbidden"));
    assert_eq!(accept(&As::Nobody, &second.text("token")).await.error(), (401, "unauthorized"));
    let token = second.text("token");
    let answers = futures_util::future::join_all((0..10).map(|_| accept(&new.token, &token))).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(accepted.len(), 1);
    assert_eq!((&accepted[0].body["id"], &accepted[0].body["role"]), (&json!(ada.team), &json!("admin")));
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.status == 404));
    server.get("/v1/capsules", &new.acting_for(&server, &ada.team).await).await.ok(200);
    assert_eq!(server.get(&path, &ada.token).await.ok(200), json!([]));
    let answer = server.post(&path, &ada.token, json!({"email": "new@example.org"})).await;
    assert_eq!(answer.error(), (400, "invalid_request"));

    let third = server.post(&path, &ada.token, json!({"email": "bob@example.org"})).await;
    sqlx::query("UPDATE team_invitations SET expires_at = now()").execute(&server.pool).await.unwrap();
    assert_eq!(accept(&bob.token, &third.text("token")).await.error(), (404, "not_found"));
    let fourth = server.post(&path, &ada.token, json!({"email": "bob@example.org"})).await;
    let one = format!("{path}/{}", fourth.text("id"));
    server.delete(&one, &ada.token).await.ok(204);
    assert_eq!(server.delete(&one, &ada.token).await.error(), (404, "not_found"));
    assert_eq!(accept(&bob.token, &fourth.text("token")).await.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_invitation_ends_with_the_role_of_its_maker(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let [owner, admin, ..] = team_of_three(&server).await;
    let path = format!("/v1/teams/{}/invitations", owner.team);
    let token = server.post(&path, &admin.token, json!({"email": "new@example.org"})).await.text("token");
    let of_admin = format!("/v1/teams/{}/members/{}", owner.team, admin.id);
    server.patch(&of_admin, &owner.token, json!({"role": "member"})).await.ok(204);
    let new = server.token("new").await;
    let answer = server.post("/v1/invitations/accept", &new, json!({"token": token})).await;
    assert_eq!(answer.error(), (404, "not_found"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn fifty_changes_at_once_leave_exactly_one_owner(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let owner = Person::sign_up(&server, "owner").await;
    let mut people = Vec::new();
    for n in 0..5 {
        let person = Person::sign_up(&server, &format!("person{n}")).await;
        add(&server, &owner, &person, "admin").await;
        people.push(person);
    }
    people.push(owner);
    let team = people[5].team.clone();
    let changes = (0..50).map(|n| {
        let (by, target) = (&people[n % 6], &people[(n / 6) % 6]);
        let path = format!("/v1/teams/{team}/members/{}", target.id);
        let role = ["owner", "owner", "member", "admin", "owner"][n % 5];
        let server = &server;
        async move {
            if n % 10 == 7 {
                return server
                    .post(&path.replace(&format!("members/{}", target.id), "leave"), &by.token, json!({}))
                    .await;
            }
            server.patch(&path, &by.token, json!({"role": role})).await
        }
    });
    let answers = futures_util::future::join_all(changes).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 204 | 403 | 404)), "{answers:?}");
    let handed_over =
        "SELECT count(*) FROM audit_logs WHERE action = 'member.set_role' AND status = 'succeeded'";
    let handed_over: i64 = sqlx::query_scalar(handed_over).fetch_one(&server.pool).await.unwrap();
    assert!(handed_over > 0, "nothing was changed: {answers:?}");
    let owners: Vec<i64> = sqlx::query_scalar(
        "SELECT count(*) FILTER (WHERE m.role = 'owner') FROM teams t LEFT JOIN team_members m ON m.team_id = t.id
         WHERE t.slug <> 'platform' GROUP BY t.id",
    )
    .fetch_all(&server.pool)
    .await
    .unwrap();
    assert!(owners.iter().all(|owners| *owners == 1), "{owners:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn fifty_additions_at_once_make_one_member(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (ada, bob) = (Person::sign_up(&server, "ada").await, Person::sign_up(&server, "bob").await);
    let path = format!("/v1/teams/{}/members", ada.team);
    let additions = (0..50).map(|_| server.post(&path, &ada.token, json!({"email": bob.email})));
    let answers = futures_util::future::join_all(additions).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 400)), "{answers:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn keys_that_are_made_at_the_moment_of_removal_do_not_stay(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let [owner, _, member, _] = team_of_three(&server).await;
    let token = member.acting_for(&server, &owner.team).await;
    let path = format!("/v1/teams/{}/members/{}", owner.team, member.id);
    let keys = (0..30).map(|_| server.post("/v1/api-keys", &token, json!({})));
    let (keys, removed) =
        tokio::join!(futures_util::future::join_all(keys), server.delete(&path, &owner.token));
    removed.ok(204);
    assert!(keys.iter().all(|answer| matches!(answer.status, 201 | 403)), "{keys:?}");
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM api_keys").fetch_one(&server.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_team_has_a_thousand_members_at_most(pool: PgPool) {
    let server = TestServer::start(pool.clone()).await;
    let ada = Person::sign_up(&server, "ada").await;
    let last = Person::sign_up(&server, "last").await;
    let one_too_many = Person::sign_up(&server, "one-too-many").await;
    let team = ada.team.parse::<wrenn_domain::ids::TeamId>().unwrap();
    sqlx::query(
        "WITH made AS (INSERT INTO users (id, email, name)
            SELECT gen_random_uuid(), 'member' || n || '@example.org', 'member' FROM generate_series(1, $2) n
            RETURNING id)
         INSERT INTO team_members (team_id, user_id, role, is_default) SELECT $1, id, 'member', true FROM made",
    )
    .bind(team.0)
    .bind(i32::try_from(wrenn_domain::team::MAX_MEMBERS).unwrap() - 2)
    .execute(&pool)
    .await
    .unwrap();
    add(&server, &ada, &last, "member").await;
    let path = format!("/v1/teams/{}/members", ada.team);
    let refused = server.post(&path, &ada.token, json!({"email": one_too_many.email})).await;
    assert_eq!(refused.error(), (409, "conflict"));
    assert!(refused.message().contains("1000 members"), "{refused:?}");
    let again = server.post(&path, &ada.token, json!({"email": last.email})).await;
    assert!(again.message().contains("belongs to a member"), "{again:?}");
    assert_eq!(server.get(&path, &ada.token).await.ok(200).as_array().unwrap().len(), 1000);
}
