//! Sign-in with identity providers, against one that the test starts.

use std::collections::HashMap;

use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use sqlx::PgPool;
use wrenn_api::{ClientSecret, GitHubConfig, OidcConfig, ProvidersConfig, ServerConfig, SignUpPolicy};

use crate::support::{
    As, TestServer, config,
    provider::{Account, CLIENT_ID, CLIENT_SECRET, TestProvider, TokenFault},
};

const ADA: Account =
    Account { subject: 1, email: "ada@example.org", is_verified: true, name: Some("Ada L.") };

/// A server with a provider of either kind.
struct World {
    server: TestServer,
    provider: TestProvider,
}

/// A browser: it keeps the cookie of a sign-in, and follows nothing by itself.
#[derive(Default)]
struct Browser {
    cookie: Option<String>,
}

fn client() -> Client {
    crate::support::client(None).redirect(Policy::none()).build().unwrap()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 302, "{response:?}");
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The fields behind the `#` of an address.
fn fields(location: &str) -> HashMap<String, String> {
    let (address, fields) = location.split_once('#').unwrap();
    assert!(address.ends_with("/auth/callback"), "{address}");
    form_urlencoded::parse(fields.as_bytes()).into_owned().collect()
}

impl World {
    async fn start(pool: PgPool) -> Self {
        Self::start_with(pool, Some(SignUpPolicy::Open)).await
    }

    async fn start_with(pool: PgPool, signup: Option<SignUpPolicy>) -> Self {
        let provider = TestProvider::start(ADA);
        let (client_id, client_secret) = (CLIENT_ID.to_owned(), ClientSecret(CLIENT_SECRET.to_owned()));
        let oidc = OidcConfig {
            name: "oidc".into(),
            issuer: provider.url.clone(),
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
        };
        let github = GitHubConfig {
            client_id,
            client_secret,
            web_url: provider.url.parse().unwrap(),
            api_url: format!("{}/api", provider.url).parse().unwrap(),
        };
        let providers = ProvidersConfig { oidc: Some(oidc), github: Some(github) };
        let config = ServerConfig { providers, signup, ..config(&pool) };
        Self { server: TestServer::start_with(pool, config).await, provider }
    }

    /// Opens an address of the server.
    async fn open(&self, browser: &mut Browser, address: &str) -> Response {
        let path = match address.strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/').unwrap()..],
            None => address,
        };
        let mut request = client().get(self.server.url(path));
        if let Some(cookie) = &browser.cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.unwrap();
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("Path=/"), "{cookie}");
            browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        response
    }

    /// Begins a sign-in and returns the address to which the provider sends the browser back.
    async fn come_back(&self, browser: &mut Browser, provider: &str) -> String {
        let begun = self.open(browser, &format!("/v1/auth/oauth/{provider}")).await;
        location(&client().get(location(&begun)).send().await.unwrap())
    }

    /// Signs in; returns the fields with which the dashboard is opened.
    async fn sign_in(&self, provider: &str) -> HashMap<String, String> {
        let mut browser = Browser::default();
        let back = self.come_back(&mut browser, provider).await;
        fields(&location(&self.open(&mut browser, &back).await))
    }

    async fn me(&self, signed_in: &HashMap<String, String>) -> Value {
        self.server.get("/v1/me", &As::Token(signed_in["token"].clone())).await.ok(200)
    }

    async fn accounts(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&self.server.pool).await.unwrap()
    }
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_new_person_gets_an_account_and_the_same_one_the_next_time(pool: PgPool) {
    let world = World::start(pool).await;
    assert_eq!(
        world.server.get("/v1/auth/methods", &As::Nobody).await.ok(200)["providers"],
        json!(["github", "oidc"])
    );
    for provider in ["oidc", "github"] {
        let email = if provider == "oidc" { "ada@example.org" } else { "bob@example.org" };
        world.provider.is_used_by(Account { email, ..ADA });
        let first = world.sign_in(provider).await;
        assert_eq!((first["name"].as_str(), first["email"].as_str()), ("Ada L.", email), "{first:?}");
        let me = world.me(&first).await;
        assert_eq!((&me["providers"], &me["has_password"]), (&json!([provider]), &json!(false)));
        assert_eq!(me["is_verified"], true);
        // The address at the provider may change: the account is the same.
        world.provider.is_used_by(Account { email: "new@example.org", is_verified: false, ..ADA });
        let again = world.sign_in(provider).await;
        assert_eq!((&again["user_id"], &again["team_id"]), (&first["user_id"], &first["team_id"]));
    }
    assert_eq!(world.accounts().await, 2);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn the_name_is_what_stands_before_the_at_if_the_provider_has_none(pool: PgPool) {
    let world = World::start(pool).await;
    world.provider.is_used_by(Account { name: None, ..ADA });
    assert_eq!(world.sign_in("oidc").await["name"], "ada");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn an_account_is_linked_by_its_address_only_if_both_sides_have_verified_it(pool: PgPool) {
    let world = World::start(pool).await;
    let ada = world.server.signup("ada").await;
    world.provider.is_used_by(Account { is_verified: false, ..ADA });
    assert_eq!(world.sign_in("oidc").await["error"], "forbidden", "the provider has not verified it");
    world.provider.is_used_by(ADA);
    let signed_in = world.sign_in("oidc").await;
    assert_eq!(signed_in["user_id"], ada["user_id"]);
    assert_eq!(world.me(&signed_in).await["has_password"], true);
    assert_eq!(world.accounts().await, 1);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_second_factor_is_not_got_around_by_a_provider_that_was_not_connected(pool: PgPool) {
    let world = World::start(pool).await;
    world.server.signup("ada").await;
    let enabled = "UPDATE users SET totp_secret = 'x', totp_enabled_at = now()";
    sqlx::query(enabled).execute(&world.server.pool).await.unwrap();
    assert_eq!(world.sign_in("oidc").await["error"], "conflict");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_state_is_good_once_and_in_the_browser_that_began(pool: PgPool) {
    let world = World::start(pool).await;
    let mut browser = Browser::default();
    let back = world.come_back(&mut browser, "oidc").await;
    let mut stranger = Browser::default();
    let refused = fields(&location(&world.open(&mut stranger, &back).await));
    assert_eq!(refused["error"], "invalid_request", "another browser");
    let cookie = browser.cookie.clone();
    let done = fields(&location(&world.open(&mut browser, &back).await));
    assert!(done.contains_key("token"), "{done:?}");
    browser.cookie.clone_from(&cookie);
    let replayed = fields(&location(&world.open(&mut browser, &back).await));
    assert_eq!(replayed["error"], "invalid_request", "a second time");
    // A state of another provider, one that nobody began, and a sign-in that the person refused.
    let mut browser = Browser::default();
    let back = world.come_back(&mut browser, "oidc").await.replace("/oidc/", "/github/");
    assert_eq!(fields(&location(&world.open(&mut browser, &back).await))["error"], "invalid_request");
    for (query, code) in [
        ("code=a&state=b", "invalid_request"),
        ("code=a", "invalid_request"),
        ("error=access_denied&state=b", "unauthorized"),
    ] {
        let path = format!("/v1/auth/oauth/oidc/callback?{query}");
        let refused = fields(&location(&world.open(&mut Browser::default(), &path).await));
        assert_eq!(refused["error"], code, "{query}");
    }
    // The time of a sign-in is moved to its end.
    let mut browser = Browser::default();
    let back = world.come_back(&mut browser, "oidc").await;
    sqlx::query("UPDATE provider_sign_ins SET expires_at = now()").execute(&world.server.pool).await.unwrap();
    assert_eq!(fields(&location(&world.open(&mut browser, &back).await))["error"], "invalid_request");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_token_that_is_not_for_this_sign_in_is_refused(pool: PgPool) {
    let world = World::start(pool).await;
    for fault in [
        TokenFault::ForAnother,
        TokenFault::OtherNonce,
        TokenFault::Over,
        TokenFault::OtherIssuer,
        TokenFault::Unsigned,
    ] {
        world.provider.fails_by(fault);
        assert_eq!(world.sign_in("oidc").await["error"], "agent_error", "{fault:?}");
    }
    assert_eq!(world.accounts().await, 0);
    world.provider.fails_by(TokenFault::None);
    assert!(world.sign_in("oidc").await.contains_key("token"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn where_sign_up_is_closed_a_provider_opens_it_for_nobody(pool: PgPool) {
    let world = World::start_with(pool, Some(SignUpPolicy::Closed)).await;
    assert_eq!(world.sign_in("oidc").await["error"], "forbidden");
    assert_eq!(world.accounts().await, 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_user_connects_and_disconnects_a_provider(pool: PgPool) {
    let world = World::start(pool).await;
    let server = &world.server;
    let (ada, bob) = (server.token("ada").await, server.token("bob").await);
    let connect = async |who: &As, provider: &str| {
        let request = server.request("GET", &format!("/v1/me/providers/{provider}/connect"), who);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let url: Value = response.json().await.unwrap();
        let mut browser = Browser { cookie: Some(cookie) };
        let at_provider = client().get(url["auth_url"].as_str().unwrap()).send().await.unwrap();
        fields(&location(&world.open(&mut browser, &location(&at_provider)).await))
    };
    // The address is another one than the account's, and not verified: who is signed in connects what is theirs.
    world.provider.is_used_by(Account { email: "work@example.com", is_verified: false, ..ADA });
    assert_eq!(connect(&ada, "github").await["connected"], "github");
    assert_eq!(connect(&ada, "github").await["connected"], "github", "once more changes nothing");
    assert_eq!(server.get("/v1/me", &ada).await.ok(200)["providers"], json!(["github"]));
    assert_eq!(connect(&bob, "github").await["error"], "conflict", "it is somebody else's");
    let signed_in = world.sign_in("github").await;
    assert_eq!(world.me(&signed_in).await["email"], "ada@example.org");

    server.delete("/v1/me/providers/github", &ada).await.ok(204);
    assert_eq!(server.delete("/v1/me/providers/github", &ada).await.error(), (404, "not_found"));
    assert_eq!(server.get("/v1/me/providers/other/connect", &ada).await.error(), (404, "not_found"));
    assert_eq!(server.get("/v1/auth/oauth/other", &As::Nobody).await.error(), (404, "not_found"));

    // The only way to sign in stays.
    world.provider.is_used_by(Account { subject: 7, email: "eve@example.org", ..ADA });
    let eve = As::Token(world.sign_in("oidc").await["token"].clone());
    assert_eq!(server.delete("/v1/me/providers/oidc", &eve).await.error(), (400, "invalid_request"));
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_connection_that_was_begun_with_a_token_ends_with_it(pool: PgPool) {
    let world = World::start(pool).await;
    let server = &world.server;
    let ada = server.token("ada").await;
    let begun = server.request("GET", "/v1/me/providers/oidc/connect", &ada).send().await.unwrap();
    let cookie = begun.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let url: Value = begun.json().await.unwrap();
    let at_provider = client().get(url["auth_url"].as_str().unwrap()).send().await.unwrap();
    server.post("/v1/auth/logout", &ada, json!({})).await.ok(204);
    let mut browser = Browser { cookie: Some(cookie) };
    let refused = fields(&location(&world.open(&mut browser, &location(&at_provider)).await));
    assert_eq!(refused["error"], "invalid_request");
    let linked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM user_identities").fetch_one(&server.pool).await.unwrap();
    assert_eq!(linked, 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_provider_that_is_away_is_told_and_nothing_is_begun(pool: PgPool) {
    let oidc = OidcConfig {
        name: "oidc".into(),
        // A port on which nobody listens.
        issuer: "http://127.0.0.1:1".into(),
        client_id: "a".into(),
        client_secret: ClientSecret("b".into()),
    };
    let providers = ProvidersConfig { oidc: Some(oidc), github: None };
    let config = ServerConfig { providers, ..config(&pool) };
    let server = TestServer::start_with(pool, config).await;
    assert_eq!(server.get("/v1/auth/oauth/oidc", &As::Nobody).await.error(), (502, "agent_error"));
    let begun: i64 =
        sqlx::query_scalar("SELECT count(*) FROM provider_sign_ins").fetch_one(&server.pool).await.unwrap();
    assert_eq!(begun, 0);
}
