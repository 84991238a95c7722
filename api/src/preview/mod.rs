//! Previews: the ports of a capsule, at addresses of their own.
//!
//! ```text
//!   8000-cl-….preview.example.com ─▶ address ─▶ access ─▶ awake? ─▶ forward ─▶ connect ─▶ tunnel ─▶ capsule:8000
//!                                       │          │        │          │
//!                                       └──────────┴────────┴──────────┴─▶ error, as a page or JSON
//! ```
//!
//! HTTP/1.1, with bodies streamed both ways, server-sent events and WebSockets. Connections to a port are pooled. A
//! request counts as use of the capsule until its answer is sent; it wakes a paused capsule with `auto_resume`.
//!
//! The program's answer is forwarded unchanged except for headers of the connection, and without the dashboard's own
//! headers: the program's pages are another origin, and have no access to the dashboard.

mod access;
mod address;
mod connect;
mod forward;
mod page;
mod pool;

use std::panic::AssertUnwindSafe;

use actix_web::{
    HttpRequest, HttpResponse,
    guard::{Guard, GuardContext},
    http::{Method, header},
    web::{self, Data, Payload},
};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use wrenn_actors::SessionOpenError;
use wrenn_base::Chain;
use wrenn_control::preview_open::{self, PreviewOpenError};
use wrenn_domain::{error_code::ErrorCode, preview::PreviewAccess};
use wrenn_proto::guest::ConnectFailure;

pub use self::address::{PreviewUrl, PreviewUrlError};
pub(crate) use self::pool::Previews;
use self::{
    access::{Entry, GivenToken},
    address::{Named, Target},
    connect::ConnectError,
    forward::ForwardError,
};
use crate::{app::App, error::ApiError, metrics::Metrics, routes::open_error};

/// The reason for which a visitor does not see the program's answer.
#[derive(Debug, thiserror::Error)]
enum PreviewError {
    #[error("there is no capsule at this address")]
    NoCapsule,
    #[error(
        "this preview needs its token: open the link that the dashboard shows, or send the header `x-wrenn-token`"
    )]
    NoToken,
    #[error(
        "this token is not, or no longer, the one of this preview: open the link that the dashboard shows now"
    )]
    WrongToken,
    #[error(transparent)]
    Open(#[from] PreviewOpenError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
    #[error("a handler panicked")]
    Panicked,
}

impl PreviewError {
    /// Returns the title and the error of the page.
    fn api_error(&self) -> (&'static str, ApiError) {
        let broken = |message| ("The program did not answer", ApiError::new(ErrorCode::AgentError, message));
        match self {
            Self::NoCapsule | Self::Open(PreviewOpenError::NotFound(_)) => {
                ("No such capsule", ApiError::new(ErrorCode::NotFound, Self::NoCapsule.to_string()))
            }
            Self::NoToken | Self::WrongToken => {
                ("This preview is not public", ApiError::new(ErrorCode::Unauthorized, self.to_string()))
            }
            Self::Open(PreviewOpenError::Open(error)) => not_open(error),
            Self::Forward(error) => match Chain(error).find() {
                Some(ConnectError::Open(error)) => not_open(error),
                Some(ConnectError::Failed { kind: ConnectFailure::Refused, message }) => {
                    ("Nothing listens here", ApiError::new(ErrorCode::AgentError, message.clone()))
                }
                Some(error) => broken(error.to_string()),
                None => broken(format!("the connection to the program broke: {}", Chain(error))),
            },
            Self::Open(PreviewOpenError::Store(error)) => ("Something went wrong", ApiError::of_store(error)),
            Self::Panicked => ("Something went wrong", ApiError::internal()),
        }
    }
}

fn not_open(error: &SessionOpenError) -> (&'static str, ApiError) {
    let title = match error {
        SessionOpenError::NotFound(_) => "No such capsule",
        SessionOpenError::InvalidState { .. } => "The capsule is not running",
        SessionOpenError::Wake(_) => "The capsule could not be resumed",
        _ => "The capsule cannot be reached",
    };
    (title, open_error(error))
}

/// Matches requests with a host name that belongs to previews.
struct IsPreview(Data<App>);

impl Guard for IsPreview {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        named(&self.0.previews.url, context.head().headers()) != Named::Other
    }
}

fn named(url: &PreviewUrl, headers: &header::HeaderMap) -> Named {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    url.read(host)
}

/// Mounts the previews. They must come first, as only the host name distinguishes them.
pub(crate) fn configure(config: &mut web::ServiceConfig, app: &Data<App>) {
    config.service(web::scope("").guard(IsPreview(app.clone())).default_service(web::to(serve)));
}

async fn serve(
    request: HttpRequest,
    payload: Payload,
    app: Data<App>,
    metrics: Data<Metrics>,
) -> HttpResponse {
    let span = tracing::info_span!("preview", host = ?request.headers().get(header::HOST), method = %request.method());
    let served = async {
        let answered = AssertUnwindSafe(answer(&request, payload, &app)).catch_unwind().await;
        answered.unwrap_or(Err(PreviewError::Panicked)).unwrap_or_else(|error| {
            let (title, answer) = error.api_error();
            if answer.code == ErrorCode::InternalError {
                tracing::error!(error = %Chain(&error), "preview failed");
            } else {
                tracing::debug!(error = %Chain(&error), "preview refused");
            }
            page::respond(&request, title, answer)
        })
    };
    let response = served.instrument(span).await;
    metrics.preview_answered(response.status());
    response
}

async fn answer(request: &HttpRequest, payload: Payload, app: &App) -> Result<HttpResponse, PreviewError> {
    let previews = &app.previews;
    let Named::Preview(target) = named(&previews.url, request.headers()) else {
        return Err(PreviewError::NoCapsule);
    };
    let Target { capsule, .. } = target;
    let given = GivenToken::of(request);
    let holder = given.as_ref().and_then(GivenToken::holder);
    let preview = preview_open::find(&app.control, capsule, holder).await?;
    let is_visit = *request.method() == Method::GET && !request.headers().contains_key(header::UPGRADE);
    match access::decide(given.as_ref(), &preview) {
        Entry::NoToken => return Err(PreviewError::NoToken),
        Entry::WrongToken => return Err(PreviewError::WrongToken),
        Entry::ByLink if is_visit => return Ok(redirect(request, previews)),
        Entry::ByLink | Entry::Open => {}
    }
    let holder = preview.holder.filter(|_| preview.access == PreviewAccess::Token);
    let visit = preview_open::run(&app.control, capsule, holder).await?;
    let scheme = if previews.url.is_https() { "https" } else { "http" };
    Ok(forward::forward(&previews.client, target, request, payload, scheme, visit).await?)
}

/// Redirects a browser to the address without the token, with the cookie.
fn redirect(request: &HttpRequest, previews: &Previews) -> HttpResponse {
    let token = access::query_token(request.query_string()).unwrap_or_default();
    let query = access::query_without_token(request.query_string());
    // A path that begins with two slashes would name another host.
    let path = format!("/{}", request.uri().path().trim_start_matches(['/', '\\']));
    let location = if query.is_empty() { path } else { format!("{path}?{query}") };
    HttpResponse::Found()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .cookie(access::cookie(&token, previews.url.is_https()))
        .finish()
}
