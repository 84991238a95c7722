//! A small client for QMP, QEMU's control protocol: one JSON document per line on a Unix socket.
//!
//! ```text
//!   ◀─ greeting ─▶ qmp_capabilities, then   ─▶ {"execute", "arguments", "id"}
//!                                           ◀─ {"return"|"error", "id"}   to whoever asked
//!                                           ◀─ {"event", "data"}          to the event stream
//! ```
//!
//! QEMU is trusted more than its guest, but a guest that has taken over its QEMU must not take the agent with
//! it: lines are bounded, every command has a time limit, and a line that breaks the rules ends the connection.
//! QEMU serves one client at a time; a second one waits until the first has hung up.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::BorrowedFd,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest},
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};

/// Longest line accepted from QEMU, in bytes.
const MAX_LINE: usize = 1 << 20;
/// Events that may wait for their reader; more are dropped.
const EVENT_QUEUE: usize = 64;

/// Why a command was not carried out, or its outcome is not known.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The socket could not be connected, read or written.
    #[error("{action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// No answer in time; the command may have been executed.
    #[error("no answer to {command} within {limit:?}")]
    Timeout {
        /// The command, `connection` or `greeting`.
        command: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended; a command in flight may have been executed.
    #[error("the connection was closed")]
    Closed,
    /// What came is not QMP.
    #[error("not a qmp message: {0}")]
    Protocol(String),
    /// QEMU refused the command.
    #[error("{command}: {class}: {description}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's error class.
        class: String,
        /// QEMU's words.
        description: String,
    },
}

/// Something that happened in QEMU without a command.
#[derive(Debug, Clone, PartialEq)]
pub struct QmpEvent {
    /// Its name, such as `SHUTDOWN`.
    pub name: String,
    /// Its data; an object, or null.
    pub data: Value,
}

/// One connection; dropping it closes it.
pub struct Qmp {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    pending: Arc<Pending>,
    next_id: AtomicU64,
    reader: AbortHandle,
}

/// Who waits for the answer of which command; `None` once the connection has ended.
type Pending = Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>;
type Reply = Result<Value, (String, String)>;

impl Drop for Qmp {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A line from QEMU.
#[derive(Debug, PartialEq)]
enum Message {
    Greeting,
    Reply { id: u64, reply: Reply },
    Event(QmpEvent),
}

impl Qmp {
    /// Connects, and leaves the negotiation mode. Events come on the second value, until the connection ends.
    ///
    /// Events nobody reads are dropped, and so are those of other names than `wanted`: a guest can cause some
    /// at will.
    ///
    /// # Errors
    /// [`QmpError::Timeout`] also if another client holds the socket.
    pub async fn connect(
        path: &Path,
        wanted: &'static [&'static str],
        limit: Duration,
    ) -> Result<(Self, mpsc::Receiver<QmpEvent>), QmpError> {
        let connected = timeout(limit, UnixStream::connect(path)).await;
        let stream = connected
            .map_err(|_| QmpError::Timeout { command: "connection".into(), limit })?
            .map_err(|source| QmpError::Io { action: "connect to the control socket", source })?;
        Self::over(stream, wanted, limit).await
    }

    /// Leaves the negotiation mode on a stream that is connected; otherwise as [`Qmp::connect`].
    ///
    /// # Errors
    /// As [`Qmp::connect`].
    pub async fn over(
        stream: UnixStream,
        wanted: &'static [&'static str],
        limit: Duration,
    ) -> Result<(Self, mpsc::Receiver<QmpEvent>), QmpError> {
        let handshake = async {
            let (read, writer) = stream.into_split();
            let mut lines = BufReader::new(read);
            let line = read_line(&mut lines).await?;
            if parse(&line)? != Message::Greeting {
                return Err(QmpError::Protocol("no greeting".into()));
            }
            Ok((lines, writer))
        };
        let (lines, writer) = timeout(limit, handshake)
            .await
            .map_err(|_| QmpError::Timeout { command: "greeting".into(), limit })??;

        let pending = Arc::new(Pending::new(Some(HashMap::new())));
        let (events, event_stream) = mpsc::channel(EVENT_QUEUE);
        let reader = tokio::spawn(read_messages(lines, pending.clone(), events, wanted)).abort_handle();
        let qmp = Self { writer: writer.into(), pending, next_id: AtomicU64::new(1), reader };
        qmp.execute("qmp_capabilities", json!({}), limit).await?;
        Ok((qmp, event_stream))
    }

    /// Carries out one command and returns what it returned.
    ///
    /// # Errors
    /// After [`QmpError::Timeout`] or [`QmpError::Closed`] the command may have been executed.
    pub async fn execute(&self, command: &str, arguments: Value, limit: Duration) -> Result<Value, QmpError> {
        self.exchange(command, arguments, None, limit).await
    }

    /// Gives QEMU a copy of a descriptor, which commands can then name; replaces an earlier one of that name.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub async fn give_descriptor(
        &self,
        name: &str,
        descriptor: BorrowedFd<'_>,
        limit: Duration,
    ) -> Result<(), QmpError> {
        self.exchange("getfd", json!({ "fdname": name }), Some(descriptor), limit).await.map(drop)
    }

    async fn exchange(
        &self,
        command: &str,
        arguments: Value,
        descriptor: Option<BorrowedFd<'_>>,
        limit: Duration,
    ) -> Result<Value, QmpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');

        let (sender, reply) = oneshot::channel();
        lock(&self.pending).as_mut().ok_or(QmpError::Closed)?.insert(id, sender);
        let exchange = async {
            let mut writer = self.writer.lock().await;
            let sent = match descriptor {
                Some(descriptor) => send_with(writer.as_ref(), line.as_bytes(), descriptor).await,
                None => Ok(0),
            };
            let rest = async { writer.write_all(&line.as_bytes()[sent?..]).await };
            rest.await.map_err(|source| QmpError::Io { action: "write to the control socket", source })?;
            drop(writer);
            reply.await.map_err(|_| QmpError::Closed)
        };
        let outcome = timeout(limit, exchange).await;
        if let Some(pending) = lock(&self.pending).as_mut() {
            pending.remove(&id);
        }
        let reply = outcome.map_err(|_| QmpError::Timeout { command: command.to_owned(), limit })??;
        reply.map_err(|(class, description)| QmpError::Refused {
            command: command.to_owned(),
            class,
            description,
        })
    }
}

/// Sends the beginning of a line together with a descriptor, and returns how much of it was sent.
async fn send_with(stream: &UnixStream, line: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
    let descriptors = [descriptor];
    let send = || {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut attached = SendAncillaryBuffer::new(&mut space);
        if !attached.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(sendmsg(stream, &[IoSlice::new(line)], &mut attached, SendFlags::NOSIGNAL)?)
    };
    stream.async_io(Interest::WRITABLE, send).await
}

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Reply>>>> {
    // Nothing under this lock can leave the map half changed.
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_messages(
    mut lines: impl AsyncBufRead + Unpin,
    pending: Arc<Pending>,
    events: mpsc::Sender<QmpEvent>,
    wanted: &'static [&'static str],
) {
    loop {
        let message = match read_line(&mut lines).await.and_then(|line| parse(&line)) {
            Ok(message) => message,
            Err(QmpError::Closed) => break,
            Err(error) => {
                tracing::warn!(%error, "control connection ended");
                break;
            }
        };
        match message {
            Message::Reply { id, reply } => {
                let waiting = lock(&pending).as_mut().and_then(|pending| pending.remove(&id));
                // Nobody waits any more after a time limit.
                if let Some(waiting) = waiting {
                    let _ = waiting.send(reply);
                }
            }
            Message::Event(event) if wanted.contains(&event.name.as_str()) => {
                if let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event) {
                    tracing::warn!(event = event.name, "event dropped, nobody reads");
                }
            }
            Message::Event(_) | Message::Greeting => {}
        }
    }
    // Dropping the senders tells everyone who still waits.
    lock(&pending).take();
}

/// Reads one line without its end; [`QmpError::Closed`] at the end of the stream.
async fn read_line(lines: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, QmpError> {
    let mut line = Vec::new();
    lines
        .take(MAX_LINE as u64 + 1)
        .read_until(b'\n', &mut line)
        .await
        .map_err(|source| QmpError::Io { action: "read from the control socket", source })?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(line);
    }
    if line.len() > MAX_LINE {
        Err(QmpError::Protocol("line too long".into()))
    } else {
        Err(QmpError::Closed)
    }
}

fn parse(line: &[u8]) -> Result<Message, QmpError> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "QMP")]
        greeting: Option<Value>,
        event: Option<String>,
        #[serde(default)]
        data: Value,
        // `Some(Null)` and absence differ: `{"return": null}` is an answer.
        #[serde(rename = "return", default, deserialize_with = "present")]
        result: Option<Value>,
        error: Option<Refusal>,
        id: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Refusal {
        class: String,
        desc: String,
    }
    fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }

    let line: Line = serde_json::from_slice(line).map_err(|error| QmpError::Protocol(error.to_string()))?;
    match line {
        Line { greeting: Some(_), .. } => Ok(Message::Greeting),
        Line { event: Some(name), data, .. } => Ok(Message::Event(QmpEvent { name, data })),
        Line { id: Some(id), error: Some(refusal), .. } => {
            Ok(Message::Reply { id, reply: Err((refusal.class, refusal.desc)) })
        }
        Line { id: Some(id), result: Some(value), .. } => Ok(Message::Reply { id, reply: Ok(value) }),
        _ => Err(QmpError::Protocol("neither greeting, event nor answer".into())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn lines_are_told_apart() {
        let reply = |text: &str| parse(text.as_bytes()).expect("a message");
        assert_eq!(reply(r#"{"QMP":{"version":{},"capabilities":["oob"]}}"#), Message::Greeting);
        assert_eq!(reply(r#"{"return":{},"id":3}"#), Message::Reply { id: 3, reply: Ok(json!({})) });
        assert_eq!(reply(r#"{"return":null,"id":3}"#), Message::Reply { id: 3, reply: Ok(Value::Null) });
        assert_eq!(
            reply(r#"{"error":{"class":"GenericError","desc":"no"},"id":4}"#),
            Message::Reply { id: 4, reply: Err(("GenericError".into(), "no".into())) }
        );
        assert_eq!(
            reply(r#"{"event":"STOP","timestamp":{"seconds":1,"microseconds":2}}"#),
            Message::Event(QmpEvent { name: "STOP".into(), data: Value::Null })
        );
        for bad in ["", "{}", "[]", r#"{"return":{}}"#, r#"{"id":1}"#, "\u{0}"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?} must be refused");
        }
    }

    #[tokio::test]
    async fn endless_lines_are_refused_and_ends_are_noticed() {
        let endless = vec![b'a'; MAX_LINE + 2];
        let mut lines = BufReader::new(&endless[..]);
        assert!(matches!(read_line(&mut lines).await, Err(QmpError::Protocol(_))));
        let mut cut = BufReader::new(&b"{\"return\""[..]);
        assert!(matches!(read_line(&mut cut).await, Err(QmpError::Closed)));
    }

    /// Plays QEMU: greets, then answers each line with what `answers` says, then hangs up.
    async fn fake(answers: Vec<String>) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("qmp");
        let listener = UnixListener::bind(&path).expect("bind");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("accept");
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"{\"QMP\":{}}\r\n").await.expect("greet");
            for answer in answers {
                lines.next_line().await.expect("read").expect("a line");
                write.write_all(answer.as_bytes()).await.expect("answer");
            }
        });
        (folder, path)
    }

    #[tokio::test]
    async fn answers_find_their_command_and_unwanted_events_are_dropped() {
        let (_folder, path) = fake(vec![
            "{\"return\":{},\"id\":1}\n".into(),
            "{\"event\":\"RTC_CHANGE\"}\n{\"event\":\"STOP\"}\n{\"return\":1,\"id\":99}\n{\"return\":7,\"id\":2}\n".into(),
            "{\"error\":{\"class\":\"C\",\"desc\":\"d\"},\"id\":3}\n".into(),
        ])
        .await;
        let (qmp, mut events) = Qmp::connect(&path, &["STOP"], LIMIT).await.expect("connect");
        assert_eq!(qmp.execute("a", json!({}), LIMIT).await.expect("answer"), json!(7));
        assert!(matches!(qmp.execute("b", json!({}), LIMIT).await, Err(QmpError::Refused { .. })));
        assert_eq!(events.recv().await.map(|event| event.name), Some("STOP".into()));
        assert_eq!(events.recv().await, None, "the end of the connection ends the stream");
        assert!(matches!(qmp.execute("c", json!({}), LIMIT).await, Err(QmpError::Closed)));
    }

    #[tokio::test]
    async fn a_command_without_answer_ends_in_time() {
        let (_folder, path) =
            fake(vec!["{\"return\":{},\"id\":1}\n".into(), String::new(), String::new()]).await;
        let (qmp, _events) = Qmp::connect(&path, &[], LIMIT).await.expect("connect");
        let outcome = qmp.execute("a", json!({}), Duration::from_millis(50)).await;
        assert!(matches!(outcome, Err(QmpError::Timeout { .. })), "{outcome:?}");
    }
}
