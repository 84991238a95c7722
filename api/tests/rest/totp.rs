//! The second factor: enabling it, signing in with it, removing it.

use serde_json::{Value, json};
use sqlx::PgPool;
use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::support::{As, TestServer};

/// An authenticator app.
pub(crate) struct App(Totp);

impl App {
    /// Code of the present time step, or of one `steps` later.
    pub(crate) fn code(&self, steps: u64) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        self.0.generate(now + 30 * steps).to_string()
    }
}

/// Begins a second factor.
pub(crate) async fn begin(server: &TestServer, who: &As) -> App {
    let begun = server.post("/v1/me/totp", who, json!({})).await.ok(200);
    let secret = begun["secret"].as_str().unwrap();
    assert!(begun["otpauth_url"].as_str().unwrap().contains(&format!("secret={secret}")), "{begun}");
    let app = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(30)
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .with_account_name("ada");
    App(app.build().unwrap())
}

/// Enables a second factor; returns the new token and the app.
pub(crate) async fn enable(server: &TestServer, who: &As) -> (As, App) {
    let (token, app, _) = enable_with_codes(server, who).await;
    (token, app)
}

async fn enable_with_codes(server: &TestServer, who: &As) -> (As, App, Vec<String>) {
    let app = begin(server, who).await;
    let body = json!({"code": app.code(0)});
    let enabled = server.post("/v1/me/totp/confirm", who, body).await.ok(200);
    let codes = enabled["recovery_codes"].as_array().unwrap().iter();
    let codes = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
    (As::Token(enabled["token"].as_str().unwrap().to_owned()), app, codes)
}

fn login(code: Option<&str>) -> Value {
    let mut body = json!({"email": "ada@example.org", "password": "correct horse"});
    if let Some(code) = code {
        body["totp_code"] = json!(code);
    }
    body
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn signing_in_takes_a_code_and_each_is_good_once(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let former = server.token("ada").await;
    let try_login = |code: Option<String>| {
        let body = login(code.as_deref());
        let server = &server;
        async move { server.post("/v1/auth/login", &As::Nobody, body).await }
    };
    let app = begin(&server, &former).await;
    // Signing in is the same as before until a code is confirmed.
    try_login(None).await.ok(200);
    let wrong = server.post("/v1/me/totp/confirm", &former, json!({"code": "000000x"})).await;
    assert_eq!(wrong.error(), (400, "invalid_request"));
    let first = app.code(0);
    let enabled = server.post("/v1/me/totp/confirm", &former, json!({"code": first})).await.ok(200);
    assert_eq!(enabled["recovery_codes"].as_array().unwrap().len(), 10);
    // Another session might be somebody else's.
    assert_eq!(server.get("/v1/me", &former).await.error(), (401, "unauthorized"));
    let token = As::Token(enabled["token"].as_str().unwrap().to_owned());
    assert_eq!(server.get("/v1/me", &token).await.ok(200)["totp_enabled"], true);
    assert_eq!(server.post("/v1/me/totp", &token, json!({})).await.error(), (409, "invalid_state"));

    assert_eq!(try_login(None).await.error(), (401, "totp_required"));
    assert_eq!(try_login(Some("123".into())).await.error(), (401, "unauthorized"));
    // The code that was confirmed is used up.
    assert_eq!(try_login(Some(first)).await.error(), (401, "unauthorized"));
    let next = app.code(1);
    let answers = futures_util::future::join_all((0..5).map(|_| try_login(Some(next.clone())))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    let body = json!({"email": "ada@example.org", "password": "wrong horse", "totp_code": app.code(1)});
    let wrong_password = server.post("/v1/auth/login", &As::Nobody, body).await;
    assert_eq!(wrong_password.error(), (401, "unauthorized"));
    assert!(!wrong_password.message().contains("code"), "{wrong_password:?}");
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_recovery_code_replaces_the_app_once_and_the_second_factor_can_be_removed(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (token, _, codes) = enable_with_codes(&server, &server.token("ada").await).await;
    let as_typed = codes[0].to_uppercase().replace('-', " ");
    server.post("/v1/auth/login", &As::Nobody, login(Some(&as_typed))).await.ok(200);
    let again = server.post("/v1/auth/login", &As::Nobody, login(Some(&codes[0]))).await;
    assert_eq!(again.error(), (401, "unauthorized"));
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("SELECT code_hash FROM user_recovery_codes")
        .fetch_all(&server.pool)
        .await
        .unwrap();
    assert_eq!(kept.len(), 9);

    let remove = |who: As, body: Value| {
        let server = &server;
        async move { server.delete_with("/v1/me/totp", &who, body).await }
    };
    assert_eq!(remove(token.clone(), json!({})).await.error(), (400, "invalid_request"));
    assert_eq!(remove(token.clone(), json!({"code": "1"})).await.error(), (400, "invalid_request"));
    assert_eq!(remove(token.clone(), json!({"password": "wrong"})).await.error(), (400, "invalid_request"));
    let removed = remove(token.clone(), json!({"code": codes[1]})).await.ok(200);
    assert_eq!(server.get("/v1/me", &token).await.error(), (401, "unauthorized"));
    let token = As::Token(removed["token"].as_str().unwrap().to_owned());
    assert_eq!(remove(token, json!({"password": "correct horse"})).await.error(), (409, "invalid_state"));
    server.post("/v1/auth/login", &As::Nobody, login(None)).await.ok(200);
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM user_recovery_codes").fetch_one(&server.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn codes_cannot_be_guessed_without_end(pool: PgPool) {
    let server = TestServer::start(pool).await;
    let (_, app) = enable(&server, &server.token("ada").await).await;
    for _ in 0..9 {
        let wrong = server.post("/v1/auth/login", &As::Nobody, login(Some("1"))).await;
        assert_eq!(wrong.error(), (401, "unauthorized"));
    }
    let right = server.post("/v1/auth/login", &As::Nobody, login(Some(&app.code(1)))).await;
    assert_eq!(right.error(), (429, "rate_limited"));
    assert!(right.headers.contains_key("retry-after"));
}
