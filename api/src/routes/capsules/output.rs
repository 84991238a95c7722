//! The output of a buffered command: bounded while it arrives, text or base64 when it leaves.
//!
//! ```text
//!  guest ─▶ Bounded ─▶ text ─▶ JSON ─▶ OutputBody ─▶ client
//!             └── OutputBudget: one for the process, held until the body is sent ──┘
//! ```
//!
//! The capsule decides how much a command prints, and many may print at once. So each stream has a limit, and
//! all of them together have a budget, which counts the memory of the bytes, also as JSON. Output for
//! which there is no room is cut off, and the answer says so.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::body::{BodySize, MessageBody};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

/// Most bytes that are kept of each stream.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most memory of the output of all commands together.
const BUDGET_BYTES: usize = 96 * 1024 * 1024;
/// The beginning of each stream needs no room in the budget, so that short answers are always whole.
const FREE_BYTES: usize = 16 * 1024;
/// Bytes of a body that are handed to the connection at once; the rest counts until it is polled.
const SLICE_BYTES: usize = 64 * 1024;

/// Room for the output of all commands of the process.
#[derive(Debug)]
pub(crate) struct OutputBudget(Arc<Semaphore>);

impl Default for OutputBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_BYTES)))
    }
}

impl OutputBudget {
    /// Returns an empty stream that takes its room from this budget.
    pub(crate) fn stream(&self) -> Bounded {
        Bounded { bytes: Vec::new(), is_truncated: false, room: Room(None), budget: self.0.clone() }
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Adds a permit of the same budget.
    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.0 {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
    }

    fn with(mut self, other: Self) -> Self {
        if let Some(more) = other.0 {
            self.add(more);
        }
        self
    }
}

/// The beginning of a stream.
#[derive(Debug)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    is_truncated: bool,
    room: Room,
    budget: Arc<Semaphore>,
}

impl Bounded {
    /// Keeps the part that still fits. The rest is discarded, so that the command can go on.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let left = if self.is_truncated { 0 } else { MAX_BYTES - self.bytes.len() };
        let kept = &bytes[..bytes.len().min(left)];
        self.is_truncated |= kept.len() < bytes.len();
        let free = FREE_BYTES.saturating_sub(self.bytes.len()).min(kept.len());
        let (free, charged) = kept.split_at(free);
        self.bytes.extend_from_slice(free);
        // At most seven times `MAX_BYTES`, which is far from the limit of the type.
        let cost = u32::try_from(charged.len() + json_bytes(charged)).unwrap_or(u32::MAX);
        match self.budget.clone().try_acquire_many_owned(cost) {
            Ok(room) => {
                self.room.add(room);
                self.bytes.extend_from_slice(charged);
            }
            Err(_) => self.is_truncated = true,
        }
    }

    /// Removes an incomplete character at the end.
    fn drop_half_character(&mut self) {
        if self.is_truncated
            && let Err(error) = std::str::from_utf8(&self.bytes)
            && error.error_len().is_none()
        {
            self.bytes.truncate(error.valid_up_to());
        }
    }
}

/// Returns the length of the bytes as a JSON string; base64 takes less than twice as much as text without escapes.
fn json_bytes(bytes: &[u8]) -> usize {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    bytes.iter().map(escaped).sum()
}

/// Encoding of `stdout` and `stderr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum OutputEncoding {
    /// As text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Both in base64, because one of them is not UTF-8.
    #[serde(rename = "base64")]
    Base64,
}

/// Both streams in the encoding in which they are sent.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) encoding: OutputEncoding,
    pub(crate) truncated: bool,
    /// Held as long as the text, or its JSON, is in memory.
    pub(crate) room: Room,
}

/// Decodes both streams as text, or encodes both in base64 if one of them is not UTF-8.
pub(crate) fn text(mut stdout: Bounded, mut stderr: Bounded) -> Text {
    let truncated = stdout.is_truncated || stderr.is_truncated;
    stdout.drop_half_character();
    stderr.drop_half_character();
    let room = stdout.room.with(stderr.room);
    let (stdout, stderr, encoding) = match (String::from_utf8(stdout.bytes), String::from_utf8(stderr.bytes))
    {
        (Ok(stdout), Ok(stderr)) => (stdout, stderr, OutputEncoding::Utf8),
        (stdout, stderr) => {
            let encode = |text: Result<String, std::string::FromUtf8Error>| {
                BASE64_STANDARD.encode(text.map_or_else(|error| error.into_bytes(), String::into_bytes))
            };
            (encode(stdout), encode(stderr), OutputEncoding::Base64)
        }
    };
    Text { stdout, stderr, encoding, truncated, room }
}

/// A body that gives its room back when it has been sent, or its client has disconnected.
#[derive(Debug)]
pub(crate) struct OutputBody {
    bytes: Bytes,
    _room: Room,
}

impl OutputBody {
    pub(crate) fn new(bytes: Vec<u8>, room: Room) -> Self {
        Self { bytes: bytes.into(), _room: room }
    }
}

impl MessageBody for OutputBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let slice = self.bytes.len().min(SLICE_BYTES);
        Poll::Ready((slice > 0).then(|| Ok(self.bytes.split_to(slice))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns both streams as they are sent.
    fn sent(stdout: &[&[u8]], stderr: &[u8]) -> Text {
        let budget = OutputBudget::default();
        let (mut out, mut err) = (budget.stream(), budget.stream());
        stdout.iter().for_each(|bytes| out.push(bytes));
        err.push(stderr);
        text(out, err)
    }

    #[test]
    fn text_stays_text() {
        let text = sent(&["grüße".as_bytes()], b"");
        assert_eq!((text.stdout.as_str(), text.encoding), ("grüße", OutputEncoding::Utf8));
        assert!(!text.truncated);
    }

    #[test]
    fn one_stream_that_is_no_text_turns_both_into_base64() {
        let text = sent(&[b"plain"], b"\xff\x00");
        assert_eq!((text.stdout.as_str(), text.stderr.as_str()), ("cGxhaW4=", "/wA="));
        assert_eq!(text.encoding, OutputEncoding::Base64);
    }

    #[test]
    fn too_much_is_cut_between_characters() {
        let text = sent(&[&vec![b'a'; MAX_BYTES - 1], "ß and more".as_bytes(), b"and more"], b"");
        assert_eq!((text.stdout.len(), text.encoding), (MAX_BYTES - 1, OutputEncoding::Utf8));
        assert!(text.truncated);
    }

    #[test]
    fn all_streams_together_take_no_more_than_the_budget_until_their_bodies_are_sent() {
        let budget = OutputBudget::default();
        let one = || {
            let mut stream = budget.stream();
            (0..MAX_BYTES / FREE_BYTES).for_each(|_| stream.push(&[0; FREE_BYTES]));
            stream
        };
        // A stream of NULs takes seven times its length: the budget holds one and a part of another.
        let (first, second, third) = (one(), one(), one());
        assert!(!first.is_truncated && second.is_truncated);
        assert_eq!((third.is_truncated, third.bytes.len()), (true, FREE_BYTES));
        let text = text(first, second);
        let mut body = OutputBody::new(vec![0; SLICE_BYTES + 1], text.room);
        let mut context = Context::from_waker(std::task::Waker::noop());
        for slice in [SLICE_BYTES, 1] {
            assert!(budget.0.available_permits() < MAX_BYTES);
            let polled = Pin::new(&mut body).poll_next(&mut context);
            assert!(matches!(polled, Poll::Ready(Some(Ok(bytes))) if bytes.len() == slice));
        }
        assert!(matches!(Pin::new(&mut body).poll_next(&mut context), Poll::Ready(None)));
        drop((body, third));
        assert_eq!(budget.0.available_permits(), BUDGET_BYTES);
    }
}
