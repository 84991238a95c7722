//! A socket that talks to a process of a capsule.
//!
//! ```text
//!   client ─ frames ─▶ Dialect::hear ─▶ inputs ─▶ tunnel      waits for a process that does not read
//!          ◀─ frames ─ Dialect::tell ◀─ events ◀─             waits for a client that does not read
//! ```
//!
//! The directions do not wait for each other. When the client leaves, the session ends and the process goes on. When the
//! process has ended, or its capsule, its host or the link to it is lost, the client is told.

use std::convert::Infallible;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    web::{Data, Payload},
};
use serde::{Serialize, de::DeserializeOwned};
use wrenn_actors::{ExecSession, SessionOpenError};
use wrenn_proto::{
    guest::{exec_event::Event, exec_input::Input},
    ids::SandboxId,
};

use super::{
    command::CommandError,
    operate::{self, OperateError},
    session,
};
use crate::{
    app::App,
    auth::{AuthError, Caller, OptionalCaller},
    error::{ApiError, impl_response_error},
    http::extract::PathId,
    ws::{Ending, Incoming, Outgoing, Upgrade},
};

/// Why a request did not become a socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("the capsule cannot be used")]
    Find(#[from] OperateError),
    #[error(transparent)]
    Open(#[from] SessionOpenError),
}

impl SocketError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Auth(error) => error.api_error(),
            Self::Find(error) => error.api_error(),
            Self::Open(error) => session::open_answer(error),
        }
    }
}
impl_response_error!(SocketError);

/// What a conversation needs to know.
#[derive(Clone)]
pub(super) struct Capsule {
    app: Data<App>,
    id: SandboxId,
}

/// Makes a socket of a request, of which `P` is taken besides, and lets `conversation` run on it once its client is known and may use the capsule.
///
/// What is wrong with a request that has credentials is answered as usual; one that has none becomes a socket whose
/// first frame must bring them.
pub(super) async fn open<P: FromRequest + 'static>(
    request: &HttpRequest,
    payload: Payload,
    conversation: impl AsyncFnOnce(Capsule, P, &mut Incoming, &Outgoing) -> Result<Infallible, Ending> + 'static,
) -> actix_web::Result<HttpResponse> {
    let OptionalCaller(caller) = OptionalCaller::extract(request).await?;
    let app = Data::<App>::extract(request).await?;
    let upgrade = match (Upgrade::of(request, payload), &caller) {
        (Ok(upgrade), _) => upgrade,
        // Without credentials nothing is said but that they are missing.
        (Err(_), None) => return Err(SocketError::Auth(AuthError::Missing).into()),
        (Err(error), Some(_)) => return Err(error),
    };
    let (PathId(id), parts) = <(PathId<SandboxId>, P)>::extract(request).await?;
    let capsule = Capsule { app, id };
    if let Some(caller) = caller {
        capsule.enter(caller).await?;
    }
    Ok(upgrade.serve(async move |incoming: &mut Incoming, outgoing: &Outgoing| {
        let conversation = async {
            if caller.is_none() {
                let caller = incoming.authenticate(&capsule.app).await?;
                capsule.enter(caller).await.map_err(|error| error.api_error())?;
            }
            conversation(capsule, parts, incoming, outgoing).await
        };
        match conversation.await {
            Err(ending) => ending,
            Ok(never) => match never {},
        }
    }))
}

impl Capsule {
    /// Checks that the caller may use the capsule, and that it runs, or can be woken.
    async fn enter(&self, caller: Caller) -> Result<(), SocketError> {
        operate::find(&self.app, caller, self.id).await?;
        self.app.control_plane.sandbox_awake(self.id).await?;
        Ok(())
    }

    /// Opens a session in it.
    pub(super) async fn session(&self, opening: Input) -> Result<ExecSession, Ending> {
        let opened = self.app.control_plane.session_open(self.id, opening).await;
        opened.map_err(|error| session::open_answer(&error).into())
    }
}

/// What a frame of the client means.
pub(super) enum Heard {
    /// The process is told this.
    Input(Input),
    /// It cannot be done, and the client is told so.
    InVain(String),
}

/// The frames of a kind of socket.
pub(super) trait Dialect {
    /// What the client sends.
    type Hears: DeserializeOwned;
    /// What it is sent.
    type Tells: Serialize;

    /// What a frame means.
    ///
    /// # Errors
    /// When it means nothing here.
    fn hear(frame: Self::Hears) -> Result<Heard, Ending>;

    /// How an event is told.
    fn tell(&mut self, event: Event) -> Vec<Self::Tells>;
}

/// Talks until either end has nothing more to say.
pub(super) async fn drive<D: Dialect>(
    session: ExecSession,
    incoming: &mut Incoming,
    outgoing: &Outgoing,
    mut dialect: D,
) -> Result<Infallible, Ending> {
    let ExecSession { input, mut events } = session;
    let hear = async {
        loop {
            match D::hear(incoming.next().await?)? {
                // One that has ended says so in its events.
                Heard::Input(said) => drop(input.send(said).await),
                Heard::InVain(message) => outgoing.complain(&message).await?,
            }
        }
    };
    let tell = async {
        while let Some(event) = events.recv().await {
            let event = event.map_err(|error| session::broken_answer(&error))?;
            match event.event {
                Some(Event::Failed(failed)) => return Err(CommandError::from(failed).api_error().into()),
                Some(event) => {
                    for frame in dialect.tell(event) {
                        outgoing.send(&frame).await?;
                    }
                }
                None => {}
            }
        }
        Err(Ending::Complete)
    };
    tokio::select! {
        ended = hear => ended,
        ended = tell => ended,
    }
}

/// Why a frame that is known is not what is expected now.
pub(super) fn out_of_order(expected: &str) -> Ending {
    Ending::refused(format!("a frame out of order: expected {expected}"))
}
