//! Extractors for bodies, paths and queries whose errors are the contract's.

use std::{convert::Infallible, net::IpAddr, str::FromStr, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web::BytesMut};
use futures_util::{StreamExt as _, future::LocalBoxFuture};
use serde::de::DeserializeOwned;
use wrenn_domain::error_code::ErrorCode;

use crate::error::{ApiError, impl_response_error};

/// Largest JSON body that is read, unless the handler takes larger ones.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a client may take to send one.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body. Unknown fields are refused where the type denies them, which all request types do.
#[derive(Debug)]
pub(crate) struct Json<T, const MAX_BYTES: usize = MAX_BODY_BYTES>(pub(crate) T);

/// Why a body was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("the body must be JSON (content-type: application/json)")]
    ContentType,
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: usize },
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body could not be read")]
    Read(#[source] actix_web::error::PayloadError),
    #[error("the body is empty; it must be a JSON object")]
    Empty,
    #[error("the body is not valid JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    #[error("{}{source}", field_prefix(.path))]
    Field {
        path: String,
        #[source]
        source: serde_json::Error,
    },
}

/// The field's name and a colon, or nothing where serde names the field itself.
fn field_prefix(path: &str) -> String {
    if path == "." || path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl JsonError {
    pub(crate) fn api_error(&self) -> ApiError {
        let code = match self {
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            _ => ErrorCode::InvalidRequest,
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(JsonError);

impl<T: DeserializeOwned + 'static, const MAX_BYTES: usize> FromRequest for Json<T, MAX_BYTES> {
    type Error = JsonError;
    type Future = LocalBoxFuture<'static, Result<Self, JsonError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
            .unwrap_or(0);
        let payload = payload.take();
        Box::pin(async move {
            if announced > MAX_BYTES {
                return Err(JsonError::TooLarge { max_bytes: MAX_BYTES });
            }
            if !is_json {
                return Err(JsonError::ContentType);
            }
            let body = tokio::time::timeout(BODY_TIMEOUT, read(payload, MAX_BYTES))
                .await
                .map_err(|_| JsonError::TooSlow)??;
            parse(&body).map(Self)
        })
    }
}

/// Whether the body claims to be JSON; a client that claims nothing is believed.
fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return true };
    let Ok(value) = value.to_str() else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read(mut payload: Payload, max_bytes: usize) -> Result<BytesMut, JsonError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(JsonError::Read)?;
        if body.len() + chunk.len() > max_bytes {
            return Err(JsonError::TooLarge { max_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads JSON; an error names the field.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(JsonError::Empty);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let source = error.into_inner();
        if source.is_data() { JsonError::Field { path, source } } else { JsonError::Syntax(source) }
    })?;
    deserializer.end().map_err(JsonError::Syntax)?;
    Ok(value)
}

/// A JSON body that may be left out, or be null: then everything has its default.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJson<T> {
    type Error = JsonError;
    type Future = LocalBoxFuture<'static, Result<Self, JsonError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let payload = payload.take();
        Box::pin(async move {
            let body = tokio::time::timeout(BODY_TIMEOUT, read(payload, MAX_BODY_BYTES))
                .await
                .map_err(|_| JsonError::TooSlow)??;
            if body.iter().all(u8::is_ascii_whitespace) {
                return Ok(Self(T::default()));
            }
            // What type nothing is said to have does not matter.
            if !is_json {
                return Err(JsonError::ContentType);
            }
            parse::<Option<T>>(&body).map(|body| Self(body.unwrap_or_default()))
        })
    }
}

/// The id in the path, under the name `id`.
#[derive(Debug)]
pub(crate) struct PathId<T>(pub(crate) T);

/// Why the id in a path is none.
#[derive(Debug, thiserror::Error)]
#[error("{parameter}: {source}")]
pub(crate) struct PathIdError {
    parameter: &'static str,
    source: wrenn_proto::ids::ParseIdError,
}

impl PathIdError {
    fn api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::InvalidRequest, self.to_string())
    }
}
impl_response_error!(PathIdError);

impl<T: FromStr<Err = wrenn_proto::ids::ParseIdError>> FromRequest for PathId<T> {
    type Error = PathIdError;
    type Future = std::future::Ready<Result<Self, PathIdError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::of(request))
    }
}

impl<T: FromStr<Err = wrenn_proto::ids::ParseIdError>> PathId<T> {
    /// Returns the id in the path of a request.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, PathIdError> {
        Self::named(request, "id")
    }

    /// Returns the id in the path of a request under another name.
    pub(crate) fn named(request: &HttpRequest, parameter: &'static str) -> Result<Self, PathIdError> {
        let id = request.match_info().get(parameter).unwrap_or_default();
        id.parse().map(Self).map_err(|source| PathIdError { parameter, source })
    }
}

/// The first, and only if that was accepted the second: a caller without credentials learns nothing
/// about the rest of the request, and its body is not read.
#[derive(Debug)]
pub(crate) struct AuthThen<A, B>(pub(crate) A, pub(crate) B);

impl<A: FromRequest + 'static, B: FromRequest + 'static> FromRequest for AuthThen<A, B> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let first = A::from_request(&request, &mut payload).await.map_err(Into::into)?;
            let second = B::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self(first, second))
        })
    }
}

/// Address of the client, or of the proxy before this server; `None` for a socket without addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

impl FromRequest for ClientAddress {
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(request.peer_addr().map(|address| address.ip().to_canonical()))))
    }
}

/// The query of the address. Parameters that the type does not know are ignored.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// Why a query was not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{}{source}", query_prefix(.parameter))]
pub(crate) struct QueryError {
    parameter: String,
    #[source]
    source: serde_urlencoded::de::Error,
}

/// The parameter's name, or at least where it is wrong.
fn query_prefix(parameter: &str) -> String {
    if parameter == "." || parameter.is_empty() { "query: ".to_owned() } else { format!("{parameter}: ") }
}

impl QueryError {
    fn api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::InvalidRequest, self.to_string())
    }
}
impl_response_error!(QueryError);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = QueryError;
    type Future = std::future::Ready<Result<Self, QueryError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pairs = form_urlencoded::parse(request.query_string().as_bytes());
        let query = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        std::future::ready(
            query.map(Self).map_err(|error| QueryError {
                parameter: error.path().to_string(),
                source: error.into_inner(),
            }),
        )
    }
}
