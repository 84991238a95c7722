//! What must be refused: clearly, never with a 500, and with nothing half made.

use std::{path::Path, process::Stdio};

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use wrenn_cli::client::{Answer, Client, Credentials};

use crate::{
    databases::Databases,
    installation::{Installation, free_port, temporary_folder, wrenn},
    wait::{RECOVERY, until},
};

/// A well-formed id of no capsule.
const NO_CAPSULE: &str = "cl-0000000000000000000000042";

fn expect(answer: &Answer, status: u16, code: &str, what: &str) -> anyhow::Result<()> {
    let has_message = !answer.text("/error/message").is_empty();
    ensure!(
        answer.status == status && answer.text("/error/code") == code && has_message,
        "{what}: wanted {status} {code}, got {answer:?}"
    );
    Ok(())
}

async fn capsule_count(client: &Client) -> anyhow::Result<usize> {
    Ok(client.get("/v1/capsules").await?.success()?.as_array().context("a list")?.len())
}

pub(crate) async fn is_refused(installation: &Installation) -> anyhow::Result<()> {
    let client = installation.client()?;
    let before = capsule_count(&client).await?;
    let bodies = [
        (json!({ "template": "no-such-template" }), 404, "not_found"),
        (json!({ "template": "../minimal" }), 404, "not_found"),
        (json!({ "vcpus": 0 }), 400, "invalid_request"),
        (json!({ "vcpus": 10_000 }), 400, "invalid_request"),
        (json!({ "vcpus": "two" }), 400, "invalid_request"),
        (json!({ "vcpus": 1.5 }), 400, "invalid_request"),
        (json!({ "memory_mb": -512 }), 400, "invalid_request"),
        (json!({ "memory_mb": 9_223_372_036_854_775_807_i64 }), 400, "invalid_request"),
        (json!({ "disk_size_mb": 1 }), 400, "invalid_request"),
        (json!({ "timeout_sec": -1 }), 400, "invalid_request"),
        (json!({ "colour": "blue" }), 400, "invalid_request"),
        (json!({ "envs": { "A=B": "c" } }), 400, "invalid_request"),
        (json!({ "metadata": { "key": 1 } }), 400, "invalid_request"),
        (json!([]), 400, "invalid_request"),
        (json!("minimal"), 400, "invalid_request"),
        // As much as the contract allows, and more than any test machine has.
        (json!({ "vcpus": 32, "memory_mb": 65_536 }), 503, "host_unavailable"),
    ];
    for (body, status, code) in bodies {
        expect(&client.post("/v1/capsules", &body).await?, status, code, &body.to_string())?;
    }
    let malformed = raw(installation, "/v1/capsules", "{\"template\": ").await?;
    expect(&malformed, 400, "invalid_request", "malformed JSON")?;

    expect(&client.get(&format!("/v1/capsules/{NO_CAPSULE}")).await?, 404, "not_found", "no such capsule")?;
    let wrong_ids =
        ["x", "cl-", "cl-UPPERCASE0000000000000042", "host-0000000000000000000000042", "cl-%00", "..%2f"];
    for id in wrong_ids {
        for (method, path) in [
            (Method::GET, format!("/v1/capsules/{id}")),
            (Method::DELETE, format!("/v1/capsules/{id}")),
            (Method::POST, format!("/v1/capsules/{id}/exec")),
        ] {
            let body = (method == Method::POST).then(|| json!({ "cmd": "true" }));
            let answer = client.send(method.clone(), &path, body.as_ref()).await?;
            let is_refused =
                (answer.status == 400 || answer.status == 404) && !answer.text("/error/code").is_empty();
            ensure!(is_refused, "{method} {path}: {answer:?}");
        }
    }
    let exec = format!("/v1/capsules/{NO_CAPSULE}/exec");
    expect(&client.post(&exec, &json!({ "cmd": "true" })).await?, 404, "not_found", "exec in no capsule")?;
    for body in [json!({}), json!({ "cmd": 1 }), json!({ "cmd": "true", "timeout_sec": -1 })] {
        expect(&client.post(&exec, &body).await?, 400, "invalid_request", &body.to_string())?;
    }
    expect(&client.get("/v1/no/such/path").await?, 404, "not_found", "no such path")?;

    ensure!(capsule_count(&client).await? == before, "a refused request has made a capsule");
    Ok(())
}

/// A body that no JSON library would send.
async fn raw(installation: &Installation, path: &str, body: &'static str) -> anyhow::Result<Answer> {
    let env = installation.env()?;
    let response = reqwest::Client::new()
        .post(format!("{}{path}", env.base_url))
        .header("X-API-Key", &env.api_key)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await?;
    Answer::read(response).await
}

pub(crate) async fn credentials_are_needed(installation: &Installation) -> anyhow::Result<()> {
    let client = installation.client()?;
    let wrong = [
        Credentials::None,
        Credentials::ApiKey("wrn_00000000000000000000000000000000".into()),
        Credentials::ApiKey("nonsense".into()),
        Credentials::Bearer("nonsense".into()),
        Credentials::Bearer("eyJhbGciOiJub25lIn0.e30.".into()),
    ];
    for credentials in wrong {
        let caller = client.with(credentials.clone());
        for path in ["/v1/capsules", &format!("/v1/capsules/{NO_CAPSULE}"), "/v1/api-keys"] {
            expect(&caller.get(path).await?, 401, "unauthorized", &format!("{path} with {credentials:?}"))?;
        }
        let created = caller.post("/v1/capsules", &json!({})).await?;
        expect(&created, 401, "unauthorized", &format!("create with {credentials:?}"))?;
    }
    let env = installation.env()?;
    let login = json!({ "email": env.admin_email, "password": "not the password" });
    expect(&client.post("/v1/auth/login", &login).await?, 401, "unauthorized", "wrong password")
}

pub(crate) async fn foreign_capsules_are_hidden(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let stranger = sign_up(&installation.client()?, "stranger@example.org").await?;
    let path = capsule.path();
    expect(&stranger.get(&path).await?, 404, "not_found", "get")?;
    expect(&stranger.delete(&path).await?, 404, "not_found", "delete")?;
    let exec = stranger.post(&format!("{path}/exec"), &json!({ "cmd": "true" })).await?;
    expect(&exec, 404, "not_found", "exec")?;
    ensure!(capsule_count(&stranger).await? == 0, "the stranger sees capsules");
    capsule.shell("true").await.context("the capsule is as it was")?;
    capsule.delete().await
}

async fn sign_up(client: &Client, email: &str) -> anyhow::Result<Client> {
    let account = json!({ "email": email, "password": "correct horse battery", "name": "A Stranger" });
    let answer = client.with(Credentials::None).post("/v1/auth/signup", &account).await?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(client.with(Credentials::Bearer(answer.text("/token").to_owned())))
}

/// A server without any agent, on databases of its own.
pub(crate) async fn no_host() -> anyhow::Result<()> {
    let folder = temporary_folder()?;
    let databases = Databases::start(folder.path()).await?;
    let result = server_alone(folder.path(), &databases).await;
    databases.end().await.and(result)
}

async fn server_alone(folder: &Path, databases: &Databases) -> anyhow::Result<()> {
    let port = free_port()?;
    let mut command = wrenn(folder);
    for variable in dotenvy::from_read_iter(databases.env.as_bytes()) {
        let (name, value) = variable?;
        command.env(name, value);
    }
    let mut server = command
        .arg("server")
        .env("WRENN_HTTP_ADDR", format!("127.0.0.1:{port}"))
        .env("WRENN_GRPC_ADDR", format!("unix:{}", folder.join("agents.sock").display()))
        .stdout(Stdio::null())
        .spawn()?;
    let result = without_host(port).await;
    server.kill().await?;
    result
}

async fn without_host(port: u16) -> anyhow::Result<()> {
    let client = Client::new(&format!("http://127.0.0.1:{port}"), Credentials::None)?;
    let health: Value =
        until("the server answers", RECOVERY, async || Ok(Some(client.get("/health").await?.body))).await?;
    ensure!(health["status"] == "degraded" && health["hosts"]["online"] == 0, "{health}");
    let user = sign_up(&client, "lonely@example.org").await?;
    expect(&user.post("/v1/capsules", &json!({})).await?, 503, "host_unavailable", "create without a host")?;
    ensure!(capsule_count(&user).await? == 0, "half a capsule was made");
    Ok(())
}
