//! `GET /v1/capsules/{id}/processes/{selector}/stream`: attaches to a running process.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use serde::Deserialize;
use wrenn_domain::action::Action;
use wrenn_proto::guest::{ProcessAttach, exec_input::Input};

use super::selector::PathSelector;
use crate::{
    error::ErrorBody,
    http::extract::Query,
    routes::capsules::{
        exec_stream::{Encoding, OutputCodec},
        process_socket::{self, SessionOpener, relay},
        session,
    },
    ws::{Ending, Incoming, Outgoing},
};

/// Options of the stream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamQuery {
    #[serde(default)]
    encoding: Encoding,
}

/// Follow a process over a WebSocket
///
/// The frames are those of `exec/stream` without the client's `start`: output that was kept comes first, with `dropped`
/// in front of it if there was more. A process that ended not long ago can be followed, too.
#[utoipa::path(
    get, path = Action::ProcessStream.path(), tag = "processes",
    params(
        ("id" = String, Path, description = "The capsule"),
        ("selector" = String, Path, description = "A pid, or a tag"),
        ("encoding" = Option<String>, Query, description = "`utf-8`, the default, or `base64`"),
    ),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "The request is not for a WebSocket", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 503, description = session::UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn follow_process(
    request: HttpRequest,
    payload: Payload,
) -> actix_web::Result<HttpResponse> {
    process_socket::open(Action::ProcessStream, &request, payload, follow).await
}

async fn follow(
    opener: SessionOpener,
    (PathSelector(selector), Query(query)): (PathSelector, Query<StreamQuery>),
    incoming: &mut Incoming,
    outgoing: &Outgoing,
) -> Result<Infallible, Ending> {
    let attach = ProcessAttach { process: Some(selector.into()), terminal: false };
    let session = opener.open(Input::Attach(attach)).await?;
    relay(session, incoming, outgoing, OutputCodec::new(query.encoding)).await
}
