//! Uploads: a form that is streamed to the guest.
//!
//! ```text
//!   parts of the form    path, user ─▶ file …………………………… ─▶ (no more)
//!   the session                     open, ready ─▶ data … ─▶ end ─▶ done
//! ```
//!
//! The guest writes nothing before the end of the data, which is sent only after the end of a valid form. So a failure on
//! either side leaves nothing behind: the session is dropped, and its data with it.

use actix_multipart::Field;
use actix_web::{HttpRequest, HttpResponse, web::Payload};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, stream::Fuse};
use tokio::time::timeout;
use utoipa::ToSchema;
use wrenn_actors::{FileSession, SessionEvents, SessionInput};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::guest::{
    FileEnd, FileInput, FileWrite, file_event::Event, file_input::Input, file_start::Request,
};

use super::{
    FileError, STALLED,
    session::{self, FileAccess},
};
use crate::{
    error::{ApiError, ClientError},
    http::form::{Form, FormError, text},
};

/// Largest part of the form that is not the file.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Size up to which pieces are joined, so that they are at most twice as large: several fit into a stream's window, so
/// that one is in flight while another one is written.
const PIECE_BYTES: usize = 64 * 1024;
/// Parts of the form, for error messages.
const PARTS: &str = "`path`, `user` and `file`";

/// A file and its path. The parts must come in this order.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form, whose parts are read one by one")]
pub(crate) struct UploadForm {
    /// A relative path starts at the user's home.
    path: String,
    /// User whose rights apply; by default the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
    /// The content.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The reason for which a file was not written. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("{part}: must come before the part `file`")]
    Order { part: &'static str },
    #[error("file: is larger than {} MB; use files/stream/write", .limit / 1024 / 1024)]
    TooLarge { limit: u64 },
}

impl ClientError for UploadError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::File(error) => return error.api_error(),
            Self::Form(error) => return error.api_error(),
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            _ => ErrorCode::InvalidRequest,
        };
        ApiError::new(code, self.to_string())
    }
}

/// Reads a form and writes its file.
pub(super) async fn run(
    access: FileAccess<'_>,
    request: &HttpRequest,
    payload: Payload,
    limit: Option<u64>,
) -> Result<HttpResponse, UploadError> {
    let mut form = Form::new(request.headers(), payload);
    let uploaded = upload(access, &mut form, limit).await;
    if uploaded.is_err() {
        form.discard().await;
    }
    uploaded.map(|()| HttpResponse::NoContent().finish())
}

async fn upload(access: FileAccess<'_>, form: &mut Form, limit: Option<u64>) -> Result<(), UploadError> {
    let (mut path, mut user) = (None, None);
    let file = loop {
        let mut part = form.next().await?.ok_or(FormError::Missing { part: "file" })?;
        match part.name().unwrap_or_default() {
            "path" => text(&mut part, "path", MAX_TEXT_BYTES, &mut path).await?,
            "user" => text(&mut part, "user", MAX_TEXT_BYTES, &mut user).await?,
            "file" => break part,
            other => return Err(FormError::unknown(PARTS, other).into()),
        }
    };
    let path = path.ok_or(UploadError::Order { part: "path" })?;
    let write = Request::Write(FileWrite { path });
    let FileSession { input, events } = open_ready(access, user, write).await?;
    let mut transfer = Transfer { input, events, limit, sent: 0 };
    transfer.run(file).await?;
    // A form with further parts is refused, and its file is not written.
    if let Some(part) = form.next().await? {
        return Err(match part.name().unwrap_or_default() {
            "path" => UploadError::Order { part: "path" },
            "user" => UploadError::Order { part: "user" },
            "file" => FormError::Twice { part: "file" }.into(),
            other => FormError::unknown(PARTS, other).into(),
        });
    }
    Ok(transfer.finish().await?)
}

/// Opens the session and waits until the guest takes data.
async fn open_ready(
    access: FileAccess<'_>,
    user: Option<String>,
    write: Request,
) -> Result<FileSession, FileError> {
    let mut session = access.open(user, write).await?;
    match session::next(&mut session.events).await? {
        Some(Event::Ready(_)) => Ok(session),
        _ => Err(FileError::Unexpected),
    }
}

/// A transfer of a file to the guest.
struct Transfer {
    input: SessionInput<FileInput>,
    events: SessionEvents<FileInput>,
    limit: Option<u64>,
    sent: u64,
}

impl Transfer {
    /// Sends the content of a part of the form.
    async fn run(&mut self, file: Field) -> Result<(), UploadError> {
        let mut file = file.fuse();
        loop {
            let piece = tokio::select! {
                // The guest sends no event before the end, unless it has failed.
                early = session::next(&mut self.events) => return Err(early_event(early).into()),
                piece = timeout(STALLED, file.next()) => piece.map_err(|_| FormError::Stalled)?,
            };
            let Some(piece) = piece.transpose().map_err(FormError::from)? else { return Ok(()) };
            let piece = join_received(piece, &mut file)?;
            self.sent += piece.len() as u64;
            if let Some(limit) = self.limit.filter(|&limit| self.sent > limit) {
                return Err(UploadError::TooLarge { limit });
            }
            self.send(Input::Data(piece)).await?;
        }
    }

    /// Sends the end of the data, and waits until the file is written.
    async fn finish(mut self) -> Result<(), FileError> {
        self.send(Input::End(FileEnd {})).await?;
        let finished = async {
            match session::next(&mut self.events).await? {
                Some(Event::Entry(_)) => session::done(&mut self.events).await,
                _ => Err(FileError::Unexpected),
            }
        };
        timeout(STALLED, finished).await.unwrap_or(Err(FileError::GuestStalled))
    }

    async fn send(&mut self, input: Input) -> Result<(), FileError> {
        let is_sent = tokio::select! {
            early = session::next(&mut self.events) => return Err(early_event(early)),
            sent = timeout(STALLED, self.input.send(input)) => sent.map_err(|_| FileError::GuestStalled)?,
        };
        // The events of a session that has ended have the reason.
        if is_sent { Ok(()) } else { Err(early_event(session::next(&mut self.events).await)) }
    }
}

/// Returns the error for an event that the guest sent before the end of the data.
fn early_event(event: Result<Option<Event>, FileError>) -> FileError {
    event.err().unwrap_or(FileError::Unexpected)
}

/// Joins a piece with those that have arrived already: fewer and larger pieces cost less.
fn join_received(piece: Bytes, file: &mut Fuse<Field>) -> Result<Bytes, UploadError> {
    let mut all = BytesMut::new();
    let mut first = Some(piece);
    while all.len() < PIECE_BYTES {
        let Some(Some(more)) = file.next().now_or_never() else { break };
        if let Some(first) = first.take() {
            all.reserve(2 * PIECE_BYTES);
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&more.map_err(FormError::from)?);
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
