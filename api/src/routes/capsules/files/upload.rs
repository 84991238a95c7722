//! Uploads: a form that is passed on to the guest piece by piece.
//!
//! ```text
//!   parts of the form    path, user ─▶ file …………………………… ─▶ (no more)
//!   the session                     open, ready ─▶ data … ─▶ end ─▶ done
//! ```
//!
//! The guest writes nothing without the end of the data, which is sent only when the form has ended well. So whatever
//! goes wrong, on whichever side, leaves nothing behind: the session is dropped, and with it what was sent.

use actix_multipart::Field;
use actix_web::{HttpRequest, HttpResponse, web::Payload};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, stream::Fuse};
use tokio::time::timeout;
use utoipa::ToSchema;
use wrenn_actors::{FileSession, SessionEvents, SessionInput};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::{
    guest::{FileEnd, FileInput, FileWrite, file_event::Event, file_input::Input, file_start::Request},
    ids::SandboxId,
};

use super::{FileError, STALLED, session};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, impl_response_error},
    http::form::{Form, FormError, text},
};

/// Largest part of the form that is not the file.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Pieces are put together until they have this size, and so are at most twice as large: several fit into a stream's
/// window, so that one is under way while another one is written.
const PIECE_BYTES: usize = 64 * 1024;
/// What the form takes.
const PARTS: &str = "`path`, `user` and `file`";

/// A file and where it belongs. The parts must come in this order.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the form, whose parts are read one by one")]
pub(crate) struct UploadForm {
    /// A relative path is meant from the user's home.
    path: String,
    /// With whose rights; by default those of the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
    /// The content.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Why a file was not written. Nothing is left of it.
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

impl UploadError {
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
impl_response_error!(UploadError);

/// Takes a form and writes its file.
pub(super) async fn run(
    app: &App,
    caller: Caller,
    id: SandboxId,
    request: &HttpRequest,
    payload: Payload,
    limit: Option<u64>,
) -> Result<HttpResponse, UploadError> {
    let mut form = Form::new(request.headers(), payload);
    let uploaded = upload(app, caller, id, &mut form, limit).await;
    if uploaded.is_err() {
        form.discard().await;
    }
    uploaded.map(|()| HttpResponse::NoContent().finish())
}

async fn upload(
    app: &App,
    caller: Caller,
    id: SandboxId,
    form: &mut Form,
    limit: Option<u64>,
) -> Result<(), UploadError> {
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
    let FileSession { input, events } = ready(app, caller, id, user, write).await?;
    let mut transfer = Transfer { input, events, limit, sent: 0 };
    transfer.run(file).await?;
    // Only a form that has ended well is meant.
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
async fn ready(
    app: &App,
    caller: Caller,
    id: SandboxId,
    user: Option<String>,
    write: Request,
) -> Result<FileSession, FileError> {
    let mut session = session::open(app, caller, id, user, write).await?;
    match session::next(&mut session.events).await? {
        Some(Event::Ready(_)) => Ok(session),
        _ => Err(FileError::Unexpected),
    }
}

/// A file on its way to the guest.
struct Transfer {
    input: SessionInput<FileInput>,
    events: SessionEvents<FileInput>,
    limit: Option<u64>,
    sent: u64,
}

impl Transfer {
    /// Sends everything that is in a part of the form.
    async fn run(&mut self, file: Field) -> Result<(), UploadError> {
        let mut file = file.fuse();
        loop {
            let piece = tokio::select! {
                // The guest says nothing before the end, unless it has failed.
                failed = session::next(&mut self.events) => return Err(unasked(failed).into()),
                piece = timeout(STALLED, file.next()) => piece.map_err(|_| FormError::Stalled)?,
            };
            let Some(piece) = piece.transpose().map_err(FormError::from)? else { return Ok(()) };
            let piece = with_what_is_there(piece, &mut file)?;
            self.sent += piece.len() as u64;
            if let Some(limit) = self.limit.filter(|&limit| self.sent > limit) {
                return Err(UploadError::TooLarge { limit });
            }
            self.send(Input::Data(piece)).await?;
        }
    }

    /// Sends the end of the data, and waits until the file is there.
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
            failed = session::next(&mut self.events) => return Err(unasked(failed)),
            sent = timeout(STALLED, self.input.send(input)) => sent.map_err(|_| FileError::GuestStalled)?,
        };
        // Why a session has ended, its events tell.
        if is_sent { Ok(()) } else { Err(unasked(session::next(&mut self.events).await)) }
    }
}

/// What it means that the guest says something before all data is sent.
fn unasked(said: Result<Option<Event>, FileError>) -> FileError {
    said.err().unwrap_or(FileError::Unexpected)
}

/// Adds to a piece what has come already: fewer and larger pieces cost less on the way.
fn with_what_is_there(piece: Bytes, file: &mut Fuse<Field>) -> Result<Bytes, UploadError> {
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
