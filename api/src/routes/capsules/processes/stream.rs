//! `GET /v1/capsules/{id}/processes/{selector}/stream`: a process is taken up again.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use serde::Deserialize;
use wrenn_proto::guest::{ProcessAttach, exec_input::Input};

use super::selector::PathSelector;
use crate::{
    error::ErrorBody,
    http::extract::Query,
    routes::capsules::{
        exec_stream::{Encoding, OutputDialect},
        process_socket::{self, Capsule, drive},
    },
    ws::{Ending, Incoming, Outgoing},
};

/// How the output is to be written.
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
    get, path = "/v1/capsules/{id}/processes/{selector}/stream", tag = "processes",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(
        ("id" = String, Path, description = "The capsule"),
        ("selector" = String, Path, description = "A pid, or a tag"),
        ("encoding" = Option<String>, Query, description = "`utf-8`, the default, or `base64`"),
    ),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "No WebSocket was asked for", body = ErrorBody),
        (status = 401, description = "Credentials are wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn follow_process(
    request: HttpRequest,
    payload: Payload,
) -> actix_web::Result<HttpResponse> {
    process_socket::open(&request, payload, converse).await
}

async fn converse(
    capsule: Capsule,
    (PathSelector(selector), Query(query)): (PathSelector, Query<StreamQuery>),
    incoming: &mut Incoming,
    outgoing: &Outgoing,
) -> Result<Infallible, Ending> {
    let attach = ProcessAttach { process: Some(selector.into()), terminal: false };
    let session = capsule.session(Input::Attach(attach)).await?;
    drive(session, incoming, outgoing, OutputDialect::new(query.encoding)).await
}
