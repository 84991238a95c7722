//! The guest of a machine, as the agent sees it: the [daemon](Guest) inside, and the [client](GuestClient) of a real one.

mod client;

use std::time::Duration;

use futures_util::{future::BoxFuture, stream::BoxStream};
use tokio_stream::wrappers::ReceiverStream;
use wrenn_proto::guest as wire;

pub use self::client::GuestClient;

/// Sessions that one guest may have open: enough for every terminal and command of its users, and too few to use up
/// what the host has for all machines.
pub(crate) const SESSIONS_MAX: usize = 128;

/// Events of a session; bounded by whoever reads them.
pub type Events<E> = BoxStream<'static, Result<E, GuestError>>;
/// Inputs of a session; the first one opens it.
pub type Inputs<I> = ReceiverStream<I>;

/// The daemon inside of a machine. Nothing it says is trusted; every answer is bounded in size and time.
pub trait Guest: Send + Sync + 'static {
    /// Asks whether the guest is up.
    fn hello(&self) -> BoxFuture<'_, Result<wire::HelloResponse, GuestError>>;

    /// Tells the guest what it cannot know by itself. Returns the parts of the machine that it could not prepare, few and short.
    fn init(&self, request: wire::InitRequest) -> BoxFuture<'_, Result<Vec<String>, GuestError>>;

    /// Writes everything back that the guest has in memory, and lets nobody write until [`thaw`](Self::thaw), or until
    /// `at_most` has passed.
    fn freeze(&self, at_most: Duration) -> BoxFuture<'_, Result<(), GuestError>>;

    /// Ends a freeze; does nothing if there is none.
    fn thaw(&self) -> BoxFuture<'_, Result<(), GuestError>>;

    /// Corrects the guest's wall clock, if there is a correction, and then reads it.
    fn clock(&self, correction: Option<Correction>) -> BoxFuture<'_, Result<UnixTime, GuestError>>;

    /// Asks how much memory and disk the guest uses.
    fn figures(&self) -> BoxFuture<'_, Result<wire::FiguresResponse, GuestError>>;

    /// Opens a session about processes. Dropping the events ends the session.
    fn exec(
        &self,
        inputs: Inputs<wire::ExecInput>,
    ) -> BoxFuture<'_, Result<Events<wire::ExecEvent>, GuestError>>;

    /// Opens a session about files. Dropping the events ends the session.
    fn files(
        &self,
        inputs: Inputs<wire::FileInput>,
    ) -> BoxFuture<'_, Result<Events<wire::FileEvent>, GuestError>>;

    /// Connects to a port. Dropping the events breaks the connection.
    fn connect(
        &self,
        inputs: Inputs<wire::ConnectInput>,
    ) -> BoxFuture<'_, Result<Events<wire::ConnectEvent>, GuestError>>;
}

/// A change of a guest's wall clock by the time that it is behind; negative if it is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// At once.
    Step {
        /// The time.
        nanoseconds: i64,
    },
    /// Half a millisecond a second. It replaces what is left of an earlier one.
    Slew {
        /// The time.
        nanoseconds: i64,
    },
}

/// A time of day, as a guest says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixTime {
    /// Nanoseconds since the Unix epoch.
    pub nanoseconds: i64,
}

/// Failure of a guest to do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// There is no connection to it.
    #[error("the guest cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("the guest did not answer within {limit_ms} ms")]
    TimedOut {
        /// Time that it was given.
        limit_ms: u64,
    },
    /// The guest broke a rule of the protocol, or refused.
    #[error("the guest answered with an error: {0}")]
    Protocol(String),
}
