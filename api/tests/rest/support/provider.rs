//! A small identity provider on loopback: OpenID Connect, and what GitHub has instead.

use std::{collections::HashMap, sync::Arc, thread};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    rt::System,
    web::{self, Data, Form, Query},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Key of the provider, for tests alone: PKCS #8, and its public half.
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIGGIGtxtmA4IP+RVRr10ljreFwmT4uwyPYfrS+gqNNJN";
const PUBLIC_KEY: &str = "RRAiL2R7B2J1cw73MmQqaNMEYRq6TfbKsWQ2WRqNM0Y";

/// Id and secret under which the provider knows the server.
pub(crate) const CLIENT_ID: &str = "wrenn";
pub(crate) const CLIENT_SECRET: &str = "a secret of the client";

/// The account with which the next visitor signs in at the provider.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) subject: u64,
    pub(crate) email: &'static str,
    pub(crate) is_verified: bool,
    pub(crate) name: Option<&'static str>,
}

/// A fault of the ID token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    None,
    ForAnother,
    OtherNonce,
    Over,
    OtherIssuer,
    Unsigned,
}

#[derive(Debug)]
struct State {
    url: String,
    account: Account,
    fault: TokenFault,
    /// Codes that were given out, with the nonce and the challenge of their sign-in, and the account.
    codes: HashMap<String, (String, String, Account)>,
    issued: u64,
}

/// A running provider; it ends with the test's process.
pub(crate) struct TestProvider {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

type Shared = Data<Arc<Mutex<State>>>;

impl TestProvider {
    pub(crate) fn start(account: Account) -> Self {
        let state =
            State { url: String::new(), account, fault: TokenFault::None, codes: HashMap::new(), issued: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Data::new(state.clone());
        let (ready, listens) = std::sync::mpsc::channel();
        thread::spawn(move || {
            System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(shared.clone())
                        .route("/.well-known/openid-configuration", web::get().to(discovery))
                        .route("/jwks", web::get().to(keys))
                        .route("/authorize", web::get().to(authorize))
                        .route("/token", web::post().to(token))
                        .route("/login/oauth/authorize", web::get().to(authorize))
                        .route("/login/oauth/access_token", web::post().to(token))
                        .route("/api/user", web::get().to(github_user))
                        .route("/api/user/emails", web::get().to(github_emails))
                });
                let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a port");
                ready.send(server.addrs()[0]).expect("the test waits");
                server.run().await.expect("the provider runs");
            });
        });
        let url = format!("http://{}", listens.recv().expect("the provider listens"));
        state.lock().url.clone_from(&url);
        Self { url, state }
    }

    /// Lets the next visitor sign in with this account.
    pub(crate) fn is_used_by(&self, account: Account) {
        self.state.lock().account = account;
    }

    /// Gives a fault to the tokens from now on.
    pub(crate) fn fails_by(&self, fault: TokenFault) {
        self.state.lock().fault = fault;
    }
}

async fn discovery(state: Shared) -> HttpResponse {
    let url = &state.lock().url;
    HttpResponse::Ok().json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys() -> HttpResponse {
    HttpResponse::Ok().json(json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": PUBLIC_KEY},
    ]}))
}

/// The page of the provider, on which the visitor has signed in already.
async fn authorize(state: Shared, query: Query<HashMap<String, String>>) -> HttpResponse {
    let mut state = state.lock();
    assert_eq!((query["response_type"].as_str(), query["client_id"].as_str()), ("code", CLIENT_ID));
    assert_eq!(query["code_challenge_method"], "S256");
    state.issued += 1;
    let code = format!("code-{}", state.issued);
    let nonce = query.get("nonce").cloned().unwrap_or_default();
    let account = state.account.clone();
    state.codes.insert(code.clone(), (nonce, query["code_challenge"].clone(), account));
    let location = format!("{}?code={code}&state={}", query["redirect_uri"], query["state"]);
    HttpResponse::Found().insert_header(("location", location)).finish()
}

/// Redeems a code, once, for whoever knows the verifier and the client's secret.
async fn token(state: Shared, request: HttpRequest, form: Form<HashMap<String, String>>) -> HttpResponse {
    let mut state = state.lock();
    let basic = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{}", CLIENT_SECRET.replace(' ', "+")));
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    assert_eq!(authorization, Some(format!("Basic {basic}").as_str()));
    let refused = || HttpResponse::BadRequest().json(json!({"error": "invalid_grant"}));
    let Some((nonce, challenge, account)) = state.codes.remove(&form["code"]) else { return refused() };
    if BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"])) != challenge {
        return refused();
    }
    HttpResponse::Ok().json(json!({
        // The account, of which GitHub's interface is answered.
        "access_token": serde_json::to_string(&(account.subject, account.email, account.is_verified, account.name))
            .expect("JSON").replace('"', "'"),
        "token_type": "Bearer",
        "id_token": id_token(&state, nonce, &account),
    }))
}

fn id_token(state: &State, nonce: String, account: &Account) -> String {
    let now = chrono::Utc::now().timestamp();
    let fault = state.fault;
    let claims = json!({
        "iss": if fault == TokenFault::OtherIssuer { "https://other.example" } else { state.url.as_str() },
        "aud": if fault == TokenFault::ForAnother { "another" } else { CLIENT_ID },
        "nonce": if fault == TokenFault::OtherNonce { "other".to_owned() } else { nonce },
        "iat": now,
        "exp": if fault == TokenFault::Over { now - 3600 } else { now + 300 },
        "sub": account.subject.to_string(),
        "email": account.email,
        "email_verified": account.is_verified,
        "name": account.name,
    });
    let der = BASE64_STANDARD.decode(KEY).expect("a key");
    let header = Header { kid: Some("1".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&der)).expect("a token");
    if fault == TokenFault::Unsigned {
        let (signed, _) = token.rsplit_once('.').expect("three parts");
        return format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 64]));
    }
    token
}

/// The account in an access token.
fn of_token(request: &HttpRequest) -> Value {
    let header = request.headers().get("authorization").expect("a header").to_str().expect("text");
    let token = header.strip_prefix("Bearer ").expect("a bearer").replace('\'', "\"");
    serde_json::from_str(&token).expect("the token of this provider")
}

async fn github_user(request: HttpRequest) -> HttpResponse {
    let account = of_token(&request);
    HttpResponse::Ok().json(json!({"id": account[0], "login": "octo", "name": account[3]}))
}

async fn github_emails(request: HttpRequest) -> HttpResponse {
    let account = of_token(&request);
    HttpResponse::Ok().json(json!([
        {"email": "other@example.org", "primary": false, "verified": false},
        {"email": account[1], "primary": true, "verified": account[2]},
    ]))
}
