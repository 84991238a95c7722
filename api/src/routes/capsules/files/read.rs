//! `POST /v1/capsules/{id}/files/read`, and `…/files/stream/read`
//!
//! ```text
//!   guest ─▶ session ─▶ pump ─ one piece ─▶ body ─▶ client
//! ```
//!
//! The head is sent when the guest has opened the file. What goes wrong afterwards breaks the connection off, so that
//! nobody takes a part for the whole.

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
use wrenn_proto::{
    guest::{FileRead, file_event::Event, file_start::Request},
    ids::SandboxId,
};

use super::{FileError, PathRequest, STALLED, session};
use crate::{
    app::App,
    auth::Caller,
    error::ErrorBody,
    http::extract::{AuthThen, Json, PathId},
};

/// Read a file
///
/// Nothing is kept in memory, whatever its size, so this is the same as `files/stream/read`. The answer has a length
/// if the file has a size; a connection that breaks off before it means that the file could not be read to its end.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/read", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The content", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "The request is not valid, or the path is not that of a file", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or it no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn read_file(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<PathRequest>)>,
) -> Result<HttpResponse, FileError> {
    read(&app, caller, id, request).await
}

/// Read a file of any size
///
/// Another name of `files/read`.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/files/stream/read", tag = "files",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = PathRequest,
    responses(
        (status = 200, description = "The content", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "The request is not valid, or the path is not that of a file", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account may not, or the capsule's user may not (`forbidden`)", body = ErrorBody),
        (status = 404, description = "The team has no such capsule, or it no such file", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn stream_read_file(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<PathRequest>)>,
) -> Result<HttpResponse, FileError> {
    read(&app, caller, id, request).await
}

async fn read(
    app: &App,
    caller: Caller,
    id: SandboxId,
    request: PathRequest,
) -> Result<HttpResponse, FileError> {
    let wanted = Request::Read(FileRead { path: request.path });
    let mut session = session::open(app, caller, id, request.user, wanted).await?;
    let Some(Event::Entry(entry)) = session::next(&mut session.events).await? else {
        return Err(FileError::Unexpected);
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(ContentType::octet_stream())
        // It is nobody's text, and its length is to be known.
        .insert_header((header::CONTENT_ENCODING, "identity"));
    if entry.size > 0 {
        let body = body(session, Content::Sized { missing: entry.size });
        return Ok(response.body(SizedStream::new(entry.size, body)));
    }
    // Files of the kernel have no size and yet something in them.
    let first = match session::next(&mut session.events).await? {
        Some(Event::Data(data)) => data,
        Some(_) => return Err(FileError::Unexpected),
        None => return Ok(response.body(Bytes::new())),
    };
    Ok(response.streaming(body(session, Content::Unknown { first })))
}

/// How much there is to send.
enum Content {
    /// As many bytes as the head says.
    Sized { missing: u64 },
    /// To the end, after what is known already.
    Unknown { first: Bytes },
}

type Piece = Result<Bytes, io::Error>;

/// The body of an answer. A client that does not read for long is given up, with its session.
fn body(session: FileSession, content: Content) -> Pin<Box<dyn Stream<Item = Piece>>> {
    let (pieces, received) = mpsc::channel(1);
    actix_web::rt::spawn(async move {
        let ended = tokio::select! {
            ended = pump(session, content, &pieces) => ended,
            () = pieces.closed() => Ok(()),
        };
        if let Err(error) = ended {
            tracing::info!(error = %error, "a download broke off");
            let _ = timeout(STALLED, pieces.send(Err(io::Error::other(error)))).await;
        }
    });
    Box::pin(stream::unfold(received, |mut received| async move {
        received.recv().await.map(|piece| (piece, received))
    }))
}

/// Why a body breaks off.
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
            // What has been added to the file meanwhile is not in the length that was promised.
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
    // One that has left is noticed elsewhere.
    timeout(STALLED, pieces.send(Ok(data))).await.map_err(|_| BrokenOff::ClientStalled).map(|_| ())
}
