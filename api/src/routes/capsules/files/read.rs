//! `POST /v1/capsules/{id}/files/read`, and `…/files/stream/read`
//!
//! ```text
//!   guest ─▶ session ─▶ pump ─ one piece ─▶ body ─▶ client
//! ```
//!
//! The head is sent when the guest has opened the file. A later failure aborts the connection, so that no client takes
//! a part for the whole.

use std::{io, pin::Pin};

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::header::{self, ContentType},
    web::Data,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::{sync::mpsc, time::timeout};
use wrenn_actors::FileSession;
use wrenn_domain::{action::Action, ids::SandboxId};
use wrenn_proto::guest::{FileRead, file_event::Event, file_start::Request};

use super::{
    FileError, PathRequest, STALLED,
    session::{self, FileAccess},
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::capsules::session::UNAVAILABLE,
};

/// Read a file
///
/// The content is streamed, so this is the same as `files/stream/read`. The answer has a length if the file has a size;
/// a connection that ends before it means that the file could not be read to its end.
#[utoipa::path(
    post, path = Action::FileRead.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The content", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "The request is not valid, or the path is not that of a file", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn read_file(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<PathRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    Ok(read(FileAccess::new(&app, &principal, Action::FileRead, id), request).await?)
}

/// Read a file of any size
///
/// Alias of `files/read`.
#[utoipa::path(
    post, path = Action::FileStreamRead.path(), tag = "files",
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The content", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "The request is not valid, or the path is not that of a file", body = ErrorBody),
        (status = 403, description = session::FORBIDDEN, body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or the capsule no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn stream_read_file(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<PathRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    Ok(read(FileAccess::new(&app, &principal, Action::FileStreamRead, id), request).await?)
}

async fn read(access: FileAccess<'_>, request: PathRequest) -> Result<HttpResponse, FileError> {
    let read = Request::Read(FileRead { path: request.path });
    let mut session = access.open(request.user, read).await?;
    let Some(Event::Entry(entry)) = session::next(&mut session.events).await? else {
        return Err(FileError::Unexpected);
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(ContentType::octet_stream())
        // Compression would hide the length.
        .insert_header((header::CONTENT_ENCODING, "identity"));
    if entry.size > 0 {
        let body = body(session, Content::Sized { missing: entry.size });
        return Ok(response.body(SizedStream::new(entry.size, body)));
    }
    // Files of the kernel have content although their size is 0.
    let first = match session::next(&mut session.events).await? {
        Some(Event::Data(data)) => data,
        Some(_) => return Err(FileError::Unexpected),
        None => return Ok(response.body(Bytes::new())),
    };
    Ok(response.streaming(body(session, Content::Unknown { first })))
}

/// Extent of the content.
enum Content {
    /// The number of bytes that the head announced.
    Sized { missing: u64 },
    /// All bytes to the end, after the first piece.
    Unknown { first: Bytes },
}

type Piece = Result<Bytes, io::Error>;

/// Returns the body of an answer. A client that does not read for [`STALLED`] is given up, with its session.
fn body(session: FileSession, content: Content) -> Pin<Box<dyn Stream<Item = Piece>>> {
    let (pieces, received) = mpsc::channel(1);
    actix_web::rt::spawn(async move {
        let ended = tokio::select! {
            ended = pump(session, content, &pieces) => ended,
            () = pieces.closed() => Ok(()),
        };
        if let Err(error) = ended {
            tracing::info!(error = %error, "download aborted");
            let _ = timeout(STALLED, pieces.send(Err(io::Error::other(error)))).await;
        }
    });
    Box::pin(stream::unfold(received, |mut received| async move {
        received.recv().await.map(|piece| (piece, received))
    }))
}

/// The reason for which a body is aborted.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the file became shorter while it was read")]
    Shorter,
    #[error("the client does not read")]
    ClientStalled,
}

async fn pump(
    mut session: FileSession,
    content: Content,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), BrokenOff> {
    let mut missing = match content {
        Content::Sized { missing } => Some(missing),
        Content::Unknown { first } => {
            hand_over(first, pieces).await?;
            None
        }
    };
    loop {
        let next = timeout(STALLED, session::next(&mut session.events)).await;
        let mut data = match next.map_err(|_| FileError::GuestStalled)?? {
            Some(Event::Data(data)) => data,
            Some(_) => return Err(FileError::Unexpected.into()),
            None if missing.is_some() => return Err(BrokenOff::Shorter),
            None => return Ok(()),
        };
        if let Some(missing) = &mut missing {
            // Bytes that were appended meanwhile exceed the announced length.
            data.truncate(usize::try_from(*missing).unwrap_or(usize::MAX));
            *missing -= data.len() as u64;
        }
        hand_over(data, pieces).await?;
        if missing == Some(0) {
            return Ok(());
        }
    }
}

async fn hand_over(data: Bytes, pieces: &mpsc::Sender<Piece>) -> Result<(), BrokenOff> {
    // A closed channel ends the pump in `body`.
    timeout(STALLED, pieces.send(Ok(data))).await.map_err(|_| BrokenOff::ClientStalled).map(|_| ())
}
