//! WebSockets that are connected to a process of a capsule.
//!
//! ```text
//!   client ─ frames ─▶ FrameCodec::decode ─▶ inputs ─▶ tunnel      waits for a process that does not read
//!          ◀─ frames ─ FrameCodec::encode ◀─ events ◀─             waits for a client that does not read
//! ```
//!
//! The directions do not wait for each other. When the client disconnects, the session ends and the process goes on. When
//! the process has ended, or its capsule, its host or the link to it is lost, the client is notified.

use std::convert::Infallible;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use serde::{Serialize, de::DeserializeOwned};
use wrenn_actors::ExecSession;
use wrenn_control::session_open::{self, SessionPermit};
use wrenn_domain::{action::Action, ids::SandboxId, principal::Principal};
use wrenn_proto::guest::{exec_event::Event, exec_input::Input};

use super::{command::CommandError, session};
use crate::{
    app::App,
    auth::{AuthError, OptionallyAuthorized},
    error::{ApiError, ClientError},
    http::extract::PathId,
    ws::{Ending, Incoming, Outgoing, Upgrade},
};

/// Opens the session of a socket, when the client has sent its first frame.
pub(super) struct SessionOpener {
    app: Data<App>,
    permit: SessionPermit,
}

/// Upgrades the request to a WebSocket and runs `conversation` once the client is authenticated and authorized. `P` is an
/// additional extractor.
///
/// A request with credentials is refused with an HTTP status; one without them is upgraded, and its first frame must
/// bring them.
pub(super) async fn open<P: FromRequest + 'static>(
    action: Action,
    request: &HttpRequest,
    payload: Payload,
    conversation: impl AsyncFnOnce(SessionOpener, P, &mut Incoming, &Outgoing) -> Result<Infallible, Ending>
    + 'static,
) -> actix_web::Result<HttpResponse> {
    let OptionallyAuthorized(principal) = OptionallyAuthorized::extract(request).await?;
    let app = Data::<App>::extract(request).await?;
    let upgrade = match (Upgrade::of(request, payload), &principal) {
        (Ok(upgrade), _) => upgrade,
        // A client without credentials learns only that they are missing.
        (Err(_), None) => return Err(AuthError::Missing.into()),
        (Err(error), Some(_)) => return Err(error),
    };
    let (PathId(id), parts) = <(PathId<SandboxId>, P)>::extract(request).await?;
    let opener = match principal {
        Some(principal) => Some(SessionOpener::check(app.clone(), &principal, action, id).await?),
        None => None,
    };
    Ok(upgrade.serve(async move |incoming: &mut Incoming, outgoing: &Outgoing| {
        let conversation = async {
            let opener = match opener {
                Some(opener) => opener,
                None => {
                    let principal = incoming.authenticate(&app).await?;
                    SessionOpener::check(app, &principal, action, id).await?
                }
            };
            let permit = opener.permit.clone();
            // Also while the client sends nothing, or reads nothing.
            tokio::select! {
                ended = conversation(opener, parts, incoming, outgoing) => ended,
                () = permit.revoked() => Err(ApiError::revoked().into()),
            }
        };
        match conversation.await {
            Err(ending) => ending,
            Ok(never) => match never {},
        }
    }))
}

impl SessionOpener {
    /// Checks that the principal may use the capsule, and that it runs or can be resumed.
    async fn check(
        app: Data<App>,
        principal: &Principal,
        action: Action,
        id: SandboxId,
    ) -> Result<Self, ApiError> {
        let permit = session_open::check(&app.control, principal, action, id).await?;
        Ok(Self { app, permit })
    }

    /// Opens the session.
    pub(super) async fn open(&self, opening: Input) -> Result<ExecSession, Ending> {
        let opened = self.permit.open(&self.app.control, opening).await;
        opened.map_err(|error| ApiError::from(error).into())
    }
}

/// Meaning of a client's frame.
pub(super) enum Decoded {
    /// Input for the process.
    Input(Input),
    /// A request that cannot be met. The client is warned, and the socket stays open.
    Rejected(String),
}

/// Translation between the frames of one kind of socket and the guest's protocol.
pub(super) trait FrameCodec {
    /// A frame that the client sends.
    type ClientFrame: DeserializeOwned;
    /// A frame that the client receives.
    type ServerFrame: Serialize;

    /// Decodes a frame of the client.
    ///
    /// # Errors
    /// The ending of the socket, if the frame is invalid or out of order.
    fn decode(frame: Self::ClientFrame) -> Result<Decoded, Ending>;

    /// Encodes an event of the process.
    fn encode(&mut self, event: Event) -> Vec<Self::ServerFrame>;
}

/// Relays frames and events until the session or the socket ends.
pub(super) async fn relay<C: FrameCodec>(
    session: ExecSession,
    incoming: &mut Incoming,
    outgoing: &Outgoing,
    mut codec: C,
) -> Result<Infallible, Ending> {
    let ExecSession { input, mut events } = session;
    let to_process = async {
        loop {
            match C::decode(incoming.next().await?)? {
                // A session that has ended reports that in its events.
                Decoded::Input(frame) => drop(input.send(frame).await),
                Decoded::Rejected(message) => outgoing.warn(&message).await?,
            }
        }
    };
    let to_client = async {
        while let Some(event) = events.recv().await {
            let event = event.map_err(|error| session::broken_error(&error))?;
            match event.event {
                Some(Event::Failed(failed)) => return Err(CommandError::from(failed).api_error().into()),
                Some(event) => {
                    for frame in codec.encode(event) {
                        outgoing.send(&frame).await?;
                    }
                }
                None => {}
            }
        }
        Err(Ending::Complete)
    };
    tokio::select! {
        ended = to_process => ended,
        ended = to_client => ended,
    }
}

/// Refuses a known frame that is not the expected one.
pub(super) fn out_of_order(expected: &str) -> Ending {
    Ending::refused(format!("a frame out of order: expected {expected}"))
}
