//! The client of a real guest: gRPC over the tap of its namespace.
//!
//! ```text
//!   GuestClient ─ one HTTP/2 connection ─▶ wrenn-guest      any number of sessions share it
//! ```
//!
//! The connection is made when it is needed, and again after it broke; nothing is sent twice. Each stream has
//! its own window, and the connection's is as large as all that may be open together: so a session whose events nobody
//! reads stops, and the others go on.
//!
//! The guest is hostile. Every message is bounded in size and every answer in time; only a command's output may take
//! as long as the command does, and then pings notice a guest that is not there any more.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture, future::FutureExt as _};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Code, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tower::service_fn;
use wrenn_proto::{
    GUEST_IP, GUEST_PORT, MAX_WARNINGS,
    guest::{
        ClockRequest, ConnectEvent, ConnectInput, ExecEvent, ExecInput, FiguresRequest, FiguresResponse,
        FileEvent, FileInput, FreezeRequest, HelloRequest, HelloResponse, InitRequest, ThawRequest,
        clock_request, guest_client::GuestClient as Rpc,
    },
};

use super::{Correction, Events, Guest, GuestError, Inputs, SESSIONS_MAX, UnixTime};
use crate::net::{ConnectError, connect_in};

/// How long a guest may take to answer a small request.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a guest may take to write back what it has in memory.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a guest may take to let its programs write again.
const THAW_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a guest may take to accept a session.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer to a small request, in bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Largest event of a session, in bytes; twice of what our guest puts into one.
const EVENT_MAX_BYTES: usize = 512 * 1024;
/// Longest text of a guest's error or warning that is passed on, in characters.
const ERROR_MAX_CHARS: usize = 300;
/// What is said when a guest does not know what it is asked for.
const OLD_GUEST: &str = "this capsule was started by an older version, which cannot do that; pause it and resume it with \
                         `drop_memory`, which boots it with the present one";
/// What one stream may have under way and unread, in bytes.
const STREAM_WINDOW: u32 = 512 * 1024;
/// Most bytes that all streams of a guest have under way and unread: no more streams are opened.
const CONNECTION_WINDOW: u32 = (SESSIONS_MAX as u32 + 1) * STREAM_WINDOW;
/// Largest frame of HTTP/2 that is taken: fewer of them cost the guest less.
const FRAME_MAX_BYTES: u32 = 256 * 1024;
/// A connection on which nothing was heard for this long is probed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered; generous, as an emulated guest on a busy host is slow.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Shortest and longest time for a connection to be made, and how it grows with every try.
const CONNECT_MIN: Duration = Duration::from_millis(200);
const CONNECT_GROWTH: Duration = Duration::from_millis(50);
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How patiently a guest is dialled.
///
/// What is sent before the guest's network is up is lost, and the kernel repeats it only after a second: short tries
/// find a booting guest sooner. They grow, so that a guest that is merely slow is found, too.
#[derive(Debug, Default)]
struct Patience(AtomicU32);

impl Patience {
    fn next_limit(&self) -> Duration {
        let tries = self.0.load(Ordering::Relaxed);
        self.0.store(tries.saturating_add(1), Ordering::Relaxed);
        CONNECT_GROWTH.saturating_mul(tries).saturating_add(CONNECT_MIN).min(CONNECT_MAX)
    }

    /// It has answered once, so it is not booting any more.
    fn note_answer(&self) {
        self.0.store(u32::MAX, Ordering::Relaxed);
    }
}

/// A client of the guest in one namespace.
pub struct GuestClient {
    channel: Channel,
}

impl GuestClient {
    /// Makes a client; it connects when it is used. Must be called within a tokio runtime.
    pub fn new(netns: &Path) -> Self {
        let netns: Arc<PathBuf> = Arc::new(netns.to_owned());
        let patience = Arc::new(Patience::default());
        let connector = service_fn(move |_| {
            let (netns, patience) = (netns.clone(), patience.clone());
            async move { Ok::<_, ConnectError>(TokioIo::new(dial(&netns, &patience).await?)) }
        });
        let channel = Endpoint::from_static("http://guest")
            .initial_stream_window_size(STREAM_WINDOW)
            .max_frame_size(FRAME_MAX_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .connect_with_connector_lazy(connector);
        Self { channel }
    }

    fn rpc(&self, max_bytes: usize) -> Rpc<Channel> {
        Rpc::new(self.channel.clone()).max_decoding_message_size(max_bytes)
    }
}

async fn dial(netns: &Path, patience: &Patience) -> Result<TcpStream, ConnectError> {
    let address = SocketAddr::from((GUEST_IP.0, GUEST_PORT));
    let stream = connect_in(netns, address, patience.next_limit()).await?;
    patience.note_answer();
    Ok(stream)
}

/// Waits for an answer for a bounded time.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, GuestError> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(guest_error),
        Err(_) => {
            Err(GuestError::TimedOut { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) })
        }
    }
}

fn guest_error(status: Status) -> GuestError {
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::Unknown => GuestError::Unreachable(status.into()),
        // The memory of a machine that was saved brings the guest of its time along.
        Code::Unimplemented => GuestError::Protocol(OLD_GUEST.to_owned()),
        code => GuestError::Protocol(format!("{}: {}", code.description(), harmless(status.message()))),
    }
}

/// Cuts a text of the guest to what can be shown.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ERROR_MAX_CHARS).collect()
}

impl Guest for GuestClient {
    fn hello(&self) -> BoxFuture<'_, Result<HelloResponse, GuestError>> {
        async move {
            let mut rpc = self.rpc(ANSWER_MAX_BYTES);
            Ok(within(CALL_TIMEOUT, rpc.hello(HelloRequest {})).await?.into_inner())
        }
        .boxed()
    }

    fn init(&self, request: InitRequest) -> BoxFuture<'_, Result<Vec<String>, GuestError>> {
        async move {
            let mut rpc = self.rpc(ANSWER_MAX_BYTES);
            let warnings = within(CALL_TIMEOUT, rpc.init(request)).await?.into_inner().warnings;
            Ok(warnings.iter().take(MAX_WARNINGS).map(|text| harmless(text)).collect())
        }
        .boxed()
    }

    fn freeze(&self, at_most: Duration) -> BoxFuture<'_, Result<(), GuestError>> {
        async move {
            let max_freeze_ms = u32::try_from(at_most.as_millis()).unwrap_or(u32::MAX);
            let mut rpc = self.rpc(ANSWER_MAX_BYTES);
            within(FREEZE_TIMEOUT, rpc.freeze(FreezeRequest { max_freeze_ms })).await.map(drop)
        }
        .boxed()
    }

    fn thaw(&self) -> BoxFuture<'_, Result<(), GuestError>> {
        async move {
            let mut rpc = self.rpc(ANSWER_MAX_BYTES);
            within(THAW_TIMEOUT, rpc.thaw(ThawRequest {})).await.map(drop)
        }
        .boxed()
    }

    fn clock(&self, correction: Option<Correction>) -> BoxFuture<'_, Result<UnixTime, GuestError>> {
        let correction = correction.map(|correction| match correction {
            Correction::Step { nanoseconds } => clock_request::Correction::StepNs(nanoseconds),
            Correction::Slew { nanoseconds } => clock_request::Correction::SlewNs(nanoseconds),
        });
        async move {
            let mut rpc = self.rpc(ANSWER_MAX_BYTES);
            let answer = within(CALL_TIMEOUT, rpc.clock(ClockRequest { correction })).await?;
            Ok(UnixTime { nanoseconds: answer.into_inner().unix_time_ns })
        }
        .boxed()
    }

    fn figures(&self) -> BoxFuture<'_, Result<FiguresResponse, GuestError>> {
        async move {
            let mut rpc = self.rpc(ANSWER_MAX_BYTES);
            Ok(within(CALL_TIMEOUT, rpc.figures(FiguresRequest {})).await?.into_inner())
        }
        .boxed()
    }

    fn exec(&self, inputs: Inputs<ExecInput>) -> BoxFuture<'_, Result<Events<ExecEvent>, GuestError>> {
        let mut rpc = self.rpc(EVENT_MAX_BYTES);
        async move { session(rpc.exec(inputs)).await }.boxed()
    }

    fn files(&self, inputs: Inputs<FileInput>) -> BoxFuture<'_, Result<Events<FileEvent>, GuestError>> {
        let mut rpc = self.rpc(EVENT_MAX_BYTES);
        async move { session(rpc.files(inputs)).await }.boxed()
    }

    fn connect(
        &self,
        inputs: Inputs<ConnectInput>,
    ) -> BoxFuture<'_, Result<Events<ConnectEvent>, GuestError>> {
        let mut rpc = self.rpc(EVENT_MAX_BYTES);
        async move { session(rpc.dial(inputs)).await }.boxed()
    }
}

/// Waits until a session is accepted.
async fn session<E: Send + 'static>(
    accepted: impl Future<Output = Result<Response<Streaming<E>>, Status>>,
) -> Result<Events<E>, GuestError> {
    let events = within(SESSION_TIMEOUT, accepted).await?.into_inner();
    Ok(events.map(|event| event.map_err(guest_error)).boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_every_try_and_is_greatest_once_the_guest_has_answered() {
        let patience = Patience::default();
        let limits: Vec<_> = (0..4).map(|_| patience.next_limit().as_millis()).collect();
        assert_eq!(limits, [200, 250, 300, 350]);
        patience.note_answer();
        assert_eq!(patience.next_limit(), CONNECT_MAX);
        assert_eq!(patience.next_limit(), CONNECT_MAX);
    }

    #[test]
    fn an_older_guest_is_told_from_a_broken_one() {
        let error = guest_error(Status::unimplemented("Operation is not implemented"));
        assert!(error.to_string().contains("`drop_memory`"), "{error}");
    }

    #[test]
    fn what_a_guest_says_is_cut_to_size() {
        let status = Status::invalid_argument("a\u{1b}[31m".repeat(1000));
        let GuestError::Protocol(text) = guest_error(status) else { panic!("expected a protocol error") };
        assert!(text.chars().count() < ERROR_MAX_CHARS + 60);
        assert!(!text.contains('\u{1b}'));
    }
}
