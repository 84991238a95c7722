//! A small client of our own REST interface, for `up`, `doctor`, `bench` and the end-to-end tests.

mod tls;

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, bail};
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode,
    header::RETRY_AFTER,
    multipart::{Form, Part},
};
use rustls::ClientConfig;
use serde_json::Value;

use crate::up::dev_env::DevEnv;

/// How long a file may be on its way.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(3600);

/// How a request proves who sends it.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing is sent.
    None,
    /// An API key.
    ApiKey(String),
    /// A token of a signed-in user.
    Bearer(String),
}

impl Credentials {
    /// The header that carries them; none if nothing is sent.
    pub fn header(&self) -> Option<(&'static str, String)> {
        match self {
            Self::None => None,
            Self::ApiKey(key) => Some(("x-api-key", key.clone())),
            Self::Bearer(token) => Some(("authorization", format!("Bearer {token}"))),
        }
    }
}

/// A connection to one server, as one caller.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    credentials: Credentials,
}

/// What the server answered, whatever it is.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Header `Retry-After`, in seconds.
    pub retry_after_sec: Option<u64>,
    /// JSON body; null if there was none.
    pub body: Value,
}

impl Client {
    /// Talks to the server at `base_url`, whose certificate this machine must trust if it has one.
    pub fn new(base_url: &str, credentials: Credentials) -> anyhow::Result<Self> {
        Self::with_tls(base_url, credentials, tls::trusting_the_system(base_url)?, None)
    }

    /// Talks to the server at `base_url` from this address of the machine.
    pub fn at_address(base_url: &str, credentials: Credentials, address: IpAddr) -> anyhow::Result<Self> {
        Self::with_tls(base_url, credentials, tls::trusting_the_system(base_url)?, Some(address))
    }

    /// Talks to a server of this machine without credentials, whatever certificate it has.
    pub fn local(base_url: &str) -> anyhow::Result<Self> {
        Self::with_tls(base_url, Credentials::None, tls::trusting_everybody()?, None)
    }

    fn with_tls(
        base_url: &str,
        credentials: Credentials,
        tls: ClientConfig,
        address: Option<IpAddr>,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .local_address(address)
            .tls_backend_preconfigured(tls)
            // Longest of all operations: a cold boot on a machine that is busy and emulates.
            .timeout(Duration::from_secs(300))
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { http, base_url: base_url.trim_end_matches('/').to_owned(), credentials })
    }

    /// Talks to an installation as its first team.
    pub fn of(env: &DevEnv) -> anyhow::Result<Self> {
        Self::new(&env.base_url, Credentials::ApiKey(env.api_key.clone()))
    }

    /// Where the server is.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// As whom.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The same server, as another caller.
    pub fn with(&self, credentials: Credentials) -> Self {
        Self { credentials, ..self.clone() }
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// # Errors
    /// If no whole answer came.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let what = format!("{method} {path}");
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| what.clone())?;
        Answer::read(response).await.context(what)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match self.credentials.header() {
            None => request,
            Some((name, value)) => request.header(name, value),
        }
    }

    /// Writes a file of a capsule: `path` is that of the request, `file` where it is to be.
    ///
    /// # Errors
    /// If no whole answer came.
    pub async fn upload(&self, path: &str, file: &str, content: impl Into<Body>) -> anyhow::Result<Answer> {
        let content = Part::stream(content).file_name("file");
        let form = Form::new().text("path", file.to_owned()).part("file", content);
        self.form(path, form).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// If no whole answer came.
    pub async fn form(&self, path: &str, form: Form) -> anyhow::Result<Answer> {
        let request = self.request(Method::POST, path).timeout(TRANSFER_TIMEOUT).multipart(form);
        let response = request.send().await.with_context(|| format!("POST {path}"))?;
        Answer::read(response).await.with_context(|| format!("POST {path}"))
    }

    /// Sends a request whose answer is read piece by piece; one that is no success is an error.
    ///
    /// # Errors
    /// If it was not answered with a success.
    pub async fn stream(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        let mut request = self.request(method, path).timeout(TRANSFER_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| path.to_owned())?;
        if response.status().is_success() {
            return Ok(response);
        }
        bail!("{path} was answered {:?}", Answer::read(response).await?)
    }

    /// GET; see [`send`](Self::send).
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// POST with a JSON body; see [`send`](Self::send).
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// PUT with a JSON body; see [`send`](Self::send).
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// DELETE; see [`send`](Self::send).
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Errors
    /// The connection broke before the end.
    pub async fn read(response: Response) -> anyhow::Result<Self> {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after_sec = retry_after.and_then(|seconds| seconds.parse().ok());
        let bytes = response.bytes().await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into())
        };
        Ok(Self { status, retry_after_sec, body })
    }

    /// The body, if the status says success.
    pub fn success(self) -> anyhow::Result<Value> {
        if !self.status.is_success() {
            bail!("the server answered {}: {}", self.status, self.body);
        }
        Ok(self.body)
    }

    /// A text field of the body; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}
