//! A web server inside a capsule, used through its preview address.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{
    installation::{Capsule, Installation},
    wait::{RECOVERY, until},
};

/// The server, see there.
const SITE: &str = include_str!("site.py");
/// Where it listens.
const PORT: u16 = 8080;
/// The longest that anybody waits for the end of a stream whose capsule is gone.
const END: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// A capsule's port, as somebody outside reaches it.
struct Preview {
    host: String,
    token: String,
    client: reqwest::Client,
    server: String,
}

impl Preview {
    async fn of(capsule: &Capsule<'_>, port: u16) -> anyhow::Result<Self> {
        let shown = capsule.show().await?;
        let text = |name: &str| shown[name].as_str().map(str::to_owned).with_context(|| name.to_owned());
        let url = text("preview_url")?.replace("{port}", &port.to_string());
        let host = url.strip_prefix("http://").context("a url")?.to_owned();
        // Resolvers other than a browser's need not know names below `.localhost`.
        let server = format!("127.0.0.1:{}", capsule.installation.port());
        let client = reqwest::Client::builder().redirect(redirect::Policy::none()).build()?;
        Ok(Self { host, token: text("preview_token")?, client, server })
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.server));
        request.header("host", &self.host).timeout(PATIENCE)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path).header("x-wrenn-token", &self.token)
    }

    async fn socket(&self) -> anyhow::Result<WebSocketStream<TcpStream>> {
        let mut request = format!("ws://{}/socket", self.host).into_client_request()?;
        request.headers_mut().insert("x-wrenn-token", self.token.parse()?);
        let stream = TcpStream::connect(&self.server).await?;
        let (socket, answer) =
            timeout(PATIENCE, client_async(request, stream)).await.context("handshake")??;
        ensure!(answer.status() == 101, "{answer:?}");
        Ok(socket)
    }
}

/// Starts the site, and waits until it answers.
async fn start_site(capsule: &Capsule<'_>) -> anyhow::Result<Preview> {
    let write = format!("echo {} | base64 -d > /root/site.py", BASE64_STANDARD.encode(SITE));
    capsule.shell(&write).await?;
    capsule.shell(&format!("setsid python3 /root/site.py {PORT} > /root/site.log 2>&1 &")).await?;
    let preview = Preview::of(capsule, PORT).await?;
    until("the site answers", RECOVERY, async || {
        let answer = preview.get("/headers").send().await?;
        Ok((answer.status() == StatusCode::OK).then_some(()))
    })
    .await?;
    Ok(preview)
}

pub(crate) async fn a_web_server_is_used_from_outside(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let preview = start_site(&capsule).await?;

    // Requests and answers arrive as they were sent, but for what is ours.
    let seen: Value = preview.get("/headers?a=%20b").header("accept", "a/b").send().await?.json().await?;
    ensure!(seen["path"] == "/headers?a=%20b", "{seen}");
    ensure!(seen["headers"]["host"] == preview.host.as_str() && seen["headers"]["accept"] == "a/b", "{seen}");
    ensure!(!seen.to_string().contains(&preview.token), "the token reached the capsule: {seen}");
    let head =
        preview.ask(Method::HEAD, "/bytes?n=1234").header("x-wrenn-token", &preview.token).send().await?;
    ensure!(head.headers()["content-length"] == "1234", "{head:?}");
    ensure!(!head.headers().contains_key("content-security-policy"), "{head:?}");
    ensure!(preview.get("/nothing").send().await?.status() == StatusCode::NOT_FOUND, "the site's own 404");

    // Bodies of any size, in both directions.
    let body = vec![b'u'; 20 << 20];
    let sum = preview.ask(Method::POST, "/sum").header("x-wrenn-token", &preview.token).body(body.clone());
    let expected = format!("{} {}", body.len(), hex::encode(Sha256::digest(&body)));
    ensure!(sum.send().await?.text().await? == expected, "the upload is another one");
    let down = preview.get("/bytes?n=20971520").send().await?;
    ensure!(down.bytes().await?.len() == 20 << 20, "the download is another one");

    // An event arrives when it is sent, not when the answer ends.
    let mut events = preview.get("/events").timeout(RECOVERY).send().await?;
    for _ in 0..3 {
        preview.get("/emit").send().await?;
        let event = timeout(PATIENCE, events.chunk()).await.context("an event")??.context("an event")?;
        ensure!(event.as_ref() == b"data: tick\n\n", "{event:?}");
    }
    drop(events);

    let mut socket = preview.socket().await?;
    for length in [1, 1000, 100_000] {
        let sent = Message::text("w".repeat(length));
        socket.send(sent.clone()).await?;
        let heard = timeout(PATIENCE, socket.next()).await.context("an echo")?.context("an echo")??;
        ensure!(heard == sent, "{length} bytes came back otherwise");
    }
    socket.close(None).await?;
    capsule.delete().await
}

pub(crate) async fn who_is_let_in_is_the_owners_choice(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let preview = start_site(&capsule).await?;
    let status = async |request: RequestBuilder| anyhow::Ok(request.send().await?.status().as_u16());

    let page = preview.ask(Method::GET, "/").header("accept", "text/html").send().await?;
    ensure!(page.status() == StatusCode::UNAUTHORIZED, "{page:?}");
    let page = page.text().await?;
    ensure!(page.starts_with("<!doctype html>") && page.contains("token"), "{page}");
    ensure!(
        status(preview.ask(Method::GET, "/").header("x-wrenn-token", "wrong")).await? == 401,
        "a wrong token"
    );

    // A link with the token leads on to the page, with a cookie in place of the token.
    let link =
        preview.ask(Method::GET, &format!("/headers?wrenn_token={}&a=b", preview.token)).send().await?;
    ensure!(link.status() == StatusCode::FOUND && link.headers()["location"] == "/headers?a=b", "{link:?}");
    let cookie = link.headers()["set-cookie"].to_str()?.split(';').next().context("a cookie")?.to_owned();
    let seen =
        preview.ask(Method::GET, "/headers?a=b").header("cookie", format!("{cookie}; own=1")).send().await?;
    let seen: Value = seen.json().await?;
    ensure!(seen["headers"]["cookie"] == "own=1", "{seen}");

    let change = async |body: Value| {
        let path = format!("{}/preview", capsule.path());
        installation.client()?.send(Method::PUT, &path, Some(&body)).await?.success()
    };
    let shown = change(json!({ "access": "public" })).await?;
    ensure!(shown["preview_access"] == "public", "{shown}");
    ensure!(status(preview.ask(Method::GET, "/")).await? == 200, "everybody may enter");
    let shown = change(json!({ "access": "token", "rotate_token": true })).await?;
    ensure!(shown["preview_token"] != preview.token.as_str(), "{shown}");
    ensure!(status(preview.get("/")).await? == 401, "the old token is void");

    // Addresses of nothing.
    let silent = Preview::of(&capsule, PORT + 1).await?;
    let refused: Response = silent.get("/").send().await?;
    ensure!(refused.status() == StatusCode::BAD_GATEWAY, "{refused:?}");
    ensure!(refused.text().await?.contains("nothing listens on port 8081"), "the port is named");
    let daemon = Preview::of(&capsule, wrenn_proto::GUEST_PORT).await?;
    ensure!(status(daemon.get("/")).await? == 502, "the guest daemon is not to be reached");
    capsule.delete().await?;
    ensure!(status(preview.get("/")).await? == 404, "a capsule that is gone");
    Ok(())
}

pub(crate) async fn a_request_wakes_a_capsule_that_may_be_woken(
    installation: &Installation,
) -> anyhow::Result<()> {
    let sleeper = installation.capsule_with(json!({ "auto_resume": true })).await?;
    let preview = start_site(&sleeper).await?;
    for _ in 0..3 {
        sleeper.pause().await?;
        // All at once, as a browser asks.
        let asked = (0..5).map(|_| preview.get("/headers").send());
        for answer in futures_util::future::join_all(asked).await {
            ensure!(answer?.status() == StatusCode::OK, "a request did not wake it");
        }
        ensure!(sleeper.show().await?["status"] == "running", "it runs again");
    }
    sleeper.pause().await?;
    ensure!(sleeper.shell("echo awake").await? == "awake\n", "a command wakes it, too");
    sleeper.delete().await?;

    let asleep = installation.capsule().await?;
    let preview = start_site(&asleep).await?;
    asleep.pause().await?;
    let page = preview.get("/").header("accept", "text/html").send().await?;
    ensure!(page.status() == StatusCode::CONFLICT, "{page:?}");
    ensure!(page.text().await?.contains("paused"), "the page says why");
    ensure!(asleep.show().await?["status"] == "paused", "nobody woke it");
    asleep.delete().await
}

pub(crate) async fn visitors_of_a_capsule_that_goes_are_not_kept_waiting(
    installation: &Installation,
) -> anyhow::Result<()> {
    for end in ["pause", "kill", "delete"] {
        let capsule = installation.capsule().await?;
        let preview = start_site(&capsule).await?;
        let mut events = preview.get("/events").timeout(RECOVERY).send().await?;
        let mut socket = preview.socket().await?;
        match end {
            "pause" => drop(capsule.pause().await?),
            "kill" => kill(Pid::from_raw(capsule.machine()?), Signal::SIGKILL)?,
            _ => capsule.delete().await?,
        }
        let ended = async {
            while let Ok(Some(_)) = events.chunk().await {}
            while let Some(Ok(_)) = socket.next().await {}
        };
        timeout(END, ended).await.with_context(|| format!("streams end after {end}"))?;
        if end != "delete" {
            capsule.delete().await?;
        }
    }
    // What counts as use while a stream is open must not count afterwards.
    let capsule = installation.capsule_with(json!({ "timeout_sec": 3 })).await?;
    let preview = start_site(&capsule).await?;
    let mut socket = preview.socket().await?;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        socket.send(Message::text("alive")).await?;
        if timeout(PATIENCE, socket.next()).await?.is_none() {
            bail!("a capsule was paused under an open socket");
        }
    }
    drop(socket);
    capsule.wait_for("paused", Duration::from_secs(30)).await?;
    capsule.delete().await
}
