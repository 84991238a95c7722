//! The capsule in which a build works: how commands are run in it and archives unpacked, and why that may fail.

use std::{
    fs::File,
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{timeout, timeout_at},
};
use wrenn_base::Clock;
use wrenn_domain::{
    archive::Contents,
    build::{LogStream, copy::Selection, plan::Context},
    principal::{Principal, SystemReason},
};
use wrenn_proto::{
    guest::{
        CloseStdin, ExecStart, FileEnd, FileStart, FileUnpack, exec_event, exec_input, file_event,
        file_input, file_start,
    },
    ids::SandboxId,
};

use super::{lines::StepLines, log::BuildLog};
use crate::{
    ControlPlane, SessionError, SessionOpenError,
    archive::pack,
    grants::Grant,
    tunnel::{ExecSession, FileSession},
};

/// How much longer than a command's own limit the host waits for its end.
const GRACE: Duration = Duration::from_secs(30);
/// A begun line that stays begun for so long is shown: it may be a question that nobody answers.
const BEGUN_LINE_SHOWN_AFTER: Duration = Duration::from_secs(1);
/// How long unpacking may stand still.
const UNPACK_STALLED: Duration = Duration::from_secs(120);
/// Size of the pieces in which an archive goes to the guest.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_WAITING: usize = 4;
/// Principal that works in the capsule.
const BUILD: Principal = Principal::system(SystemReason::Build);

/// Why something could not be done in the capsule.
#[derive(Debug, thiserror::Error)]
pub(super) enum CapsuleError {
    /// The guest refuses what is wanted: the build's own fault.
    #[error("{0}")]
    Refused(String),
    /// Capsule, host or link failed; another try may succeed.
    #[error("{0}")]
    Failed(String),
}

impl From<SessionOpenError> for CapsuleError {
    fn from(error: SessionOpenError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<SessionError> for CapsuleError {
    fn from(error: SessionError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exited {
    pub(super) code: i32,
    pub(super) timed_out: bool,
}

/// Where what a command prints goes.
pub(super) struct Output<'a> {
    pub(super) log: &'a mut BuildLog,
    pub(super) lines: &'a mut StepLines,
    pub(super) step: u32,
}

impl Output<'_> {
    async fn take(&mut self, stream: LogStream, bytes: &[u8]) {
        let lines = self.lines.push(stream, bytes);
        self.log.add(self.step, lines).await;
    }

    pub(super) async fn note(&mut self, text: &str) {
        let lines = self.lines.note(text);
        self.log.add(self.step, lines).await;
    }
}

/// The capsule of an attempt.
pub(super) struct Capsule<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) id: SandboxId,
}

/// A command for a shell, with what it is run with.
pub(super) fn shell(command: &str, context: &Context) -> ExecStart {
    ExecStart {
        cmd: command.to_owned(),
        envs: context.env.clone().into_iter().collect(),
        cwd: context.workdir.clone().unwrap_or_default(),
        user: context.user.clone(),
        no_stdin: true,
        ..ExecStart::default()
    }
}

/// A script of ours, run by root with these arguments.
pub(super) fn script(text: &str, args: &[&str]) -> ExecStart {
    let args = [&["-c", text, "sh"], args].concat();
    ExecStart {
        cmd: "/bin/sh".to_owned(),
        args: args.into_iter().map(str::to_owned).collect(),
        has_args: true,
        cwd: "/".to_owned(),
        user: "root".to_owned(),
        timeout_sec: 60,
        no_stdin: true,
        ..ExecStart::default()
    }
}

impl Capsule<'_> {
    /// Runs a command to its end; it must have a limit.
    pub(super) async fn run(
        &self,
        start: ExecStart,
        output: &mut Output<'_>,
    ) -> Result<Exited, CapsuleError> {
        let limit_sec = start.timeout_sec;
        let clock = &self.plane.parts.clock;
        let deadline = clock.now() + Duration::from_secs(limit_sec.into()) + GRACE;
        let ExecSession { input, mut events } = self
            .plane
            .session_open(self.id, exec_input::Input::Start(start), Grant::of_system(BUILD))
            .await?;
        // A guest of an older version gives the command a pipe.
        let _ = input.send(exec_input::Input::CloseStdin(CloseStdin {})).await;
        let mut begun_at: Option<Instant> = None;
        loop {
            let event = tokio::select! {
                event = timeout_at(deadline.into(), events.recv()) => event,
                () = until(clock, output.log.write_at()) => {
                    output.log.write().await;
                    continue;
                }
                () = until(clock, begun_at) => {
                    begun_at = None;
                    let lines = output.lines.complete_begun();
                    output.log.add(output.step, lines).await;
                    continue;
                }
            };
            let Ok(event) = event else {
                return Err(CapsuleError::Failed(format!(
                    "the command did not end although its time of {limit_sec} s was over"
                )));
            };
            // After an error nothing follows, and before one something does.
            let Some(event) = event.transpose()?.and_then(|event| event.event) else {
                return Err(SessionError::LinkLost.into());
            };
            match event {
                exec_event::Event::Stdout(bytes) => output.take(LogStream::Stdout, &bytes).await,
                exec_event::Event::Stderr(bytes) => output.take(LogStream::Stderr, &bytes).await,
                exec_event::Event::DroppedBytes(bytes) => {
                    output.note(&format!("[{bytes} bytes of output were lost here]")).await;
                }
                exec_event::Event::Exited(exited) => {
                    return Ok(Exited { code: exited.exit_code, timed_out: exited.timed_out });
                }
                exec_event::Event::Failed(failed) => return Err(CapsuleError::Refused(failed.message)),
                exec_event::Event::Detached(_) => return Ok(Exited { code: 0, timed_out: false }),
                exec_event::Event::Started(_) => {}
                exec_event::Event::Processes(_) | exec_event::Event::Signalled(_) => {
                    return Err(CapsuleError::Failed("the guest answered something else".to_owned()));
                }
            }
            begun_at = output.lines.has_begun().then(|| clock.now() + BEGUN_LINE_SHOWN_AFTER);
        }
    }

    /// Unpacks entries of an archive into a folder; what is made belongs to the user.
    pub(super) async fn unpack(
        &self,
        archive: &File,
        contents: &Contents,
        selection: Selection,
        folder: &str,
        user: &str,
    ) -> Result<(), CapsuleError> {
        let unpack = file_start::Request::Unpack(FileUnpack { path: folder.to_owned() });
        let start = FileStart { user: user.to_owned(), request: Some(unpack) };
        let FileSession { input, mut events } = self
            .plane
            .session_open(self.id, file_input::Input::Start(start), Grant::of_system(BUILD))
            .await?;
        let next = timeout(UNPACK_STALLED, events.recv()).await.map_err(|_| stalled())?;
        match file_event(next)? {
            file_event::Event::Ready(_) => {}
            _ => return Err(CapsuleError::Failed("the guest answered something else".to_owned())),
        }
        let mut pieces = packed(archive, contents.clone(), selection)?;
        loop {
            let piece = tokio::select! {
                // The guest says nothing before the end, unless it has failed.
                event = events.recv() => {
                    file_event(event)?;
                    return Err(CapsuleError::Failed("the guest answered before it had everything".to_owned()));
                }
                piece = pieces.recv() => piece,
            };
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| CapsuleError::Refused(error.to_string()))?;
            let sent = timeout(UNPACK_STALLED, input.send(file_input::Input::Data(piece))).await;
            if !sent.map_err(|_| stalled())? {
                // Why it takes no more, its events tell.
                file_event(events.recv().await)?;
                return Err(SessionError::LinkLost.into());
            }
        }
        let _ = input.send(file_input::Input::End(FileEnd {})).await;
        loop {
            let event = timeout(UNPACK_STALLED, events.recv()).await.map_err(|_| stalled())?;
            if let file_event::Event::Done(_) = file_event(event)? {
                return Ok(());
            }
        }
    }
}

fn stalled() -> CapsuleError {
    CapsuleError::Failed(format!("the guest did not go on unpacking for {} s", UNPACK_STALLED.as_secs()))
}

fn file_event(
    event: Option<Result<wrenn_proto::guest::FileEvent, SessionError>>,
) -> Result<file_event::Event, CapsuleError> {
    match event.transpose()?.and_then(|event| event.event) {
        Some(file_event::Event::Failed(failed)) => Err(CapsuleError::Refused(failed.message)),
        Some(event) => Ok(event),
        None => Err(SessionError::LinkLost.into()),
    }
}

async fn until(clock: &Clock, at: Option<Instant>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

type Piece = Result<Bytes, pack::PackError>;

/// Packs on a thread of its own, no faster than the pieces are taken.
fn packed(
    archive: &File,
    contents: Contents,
    selection: Selection,
) -> Result<mpsc::Receiver<Piece>, CapsuleError> {
    let archive =
        archive.try_clone().map_err(|error| CapsuleError::Failed(format!("the archive: {error}")))?;
    let (sender, pieces) = mpsc::channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let to = io::BufWriter::with_capacity(PIECE_BYTES, PieceWriter { pieces: sender.clone() });
        if let Err(error) = pack::pack(&archive, &contents, &selection.names, to) {
            // If nobody listens any more, nobody needs to know.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(pieces)
}

struct PieceWriter {
    pieces: mpsc::Sender<Piece>,
}

impl io::Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.pieces.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
