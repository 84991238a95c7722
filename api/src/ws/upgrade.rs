//! Upgrade of a request to a socket, and authentication of its client.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use serde::Deserialize;
use tracing::Instrument as _;
use wrenn_base::Chain;
use wrenn_control::authenticate::ActingTeam;
use wrenn_domain::{error_code::ErrorCode, principal::Principal};

use super::{Ending, Incoming, Outgoing, Socket};
use crate::{
    app::App,
    auth::{self, AuthError},
    error::ApiError,
};

/// Time limit for the `auth` frame of a client without credentials.
const AUTH_WITHIN: Duration = Duration::from_secs(10);

/// A request that became a socket.
pub(crate) struct Upgrade {
    response: HttpResponse,
    socket: Socket,
    stops: tokio_util::sync::CancellationToken,
}

/// The first frame of a client that cannot send headers.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum AuthFrame {
    Auth(Credentials),
}

#[derive(Deserialize)]
struct Credentials {
    token: Option<String>,
    api_key: Option<String>,
}

impl Upgrade {
    /// Accepts a request for a socket.
    ///
    /// # Errors
    /// If the request is not for a WebSocket.
    pub(crate) fn of(request: &HttpRequest, payload: Payload) -> actix_web::Result<Self> {
        let (response, session, frames) = actix_ws::handle(request, payload)?;
        let app = App::of(request);
        let socket = Socket::new(session, frames, app.clock.clone());
        Ok(Self { response, socket, stops: app.stopping.clone() })
    }

    /// Spawns the conversation, and returns the answer to the request.
    pub(crate) fn serve(
        self,
        conversation: impl AsyncFnOnce(&mut Incoming, &Outgoing) -> Ending + 'static,
    ) -> HttpResponse {
        let Self { response, socket, stops } = self;
        let served = async move { socket.run(conversation, stops.cancelled()).await };
        actix_web::rt::spawn(served.in_current_span());
        response
    }
}

impl Incoming {
    /// Waits for the `auth` frame, and returns the principal of its credentials.
    ///
    /// # Errors
    /// If the frame does not arrive in time, or its credentials are not accepted.
    pub(crate) async fn authenticate(&mut self, app: &App) -> Result<Principal, Ending> {
        let late = ApiError::new(ErrorCode::Unauthorized, "no `auth` frame came in time");
        let first = app.clock.timeout(AUTH_WITHIN, self.next()).await.map_err(|_| late)?;
        let AuthFrame::Auth(credentials) = first.map_err(|ending| match ending {
            Ending::Refused(_) => {
                let message = r#"the first frame must be {"type": "auth", "token": "…"}"#;
                ApiError::new(ErrorCode::Unauthorized, message).into()
            }
            ending => ending,
        })?;
        let principal = match credentials {
            Credentials { token: Some(token), api_key: None } => {
                auth::of_token(app, &token, ActingTeam::OfCredentials).await
            }
            Credentials { token: None, api_key: Some(key) } => {
                auth::of_api_key(app, &key, ActingTeam::OfCredentials).await
            }
            Credentials { .. } => {
                let message = "an `auth` frame has either a `token` or an `api_key`";
                return Err(ApiError::new(ErrorCode::Unauthorized, message).into());
            }
        };
        principal.map_err(|error| refusal(&error).into())
    }
}

fn refusal(error: &AuthError) -> ApiError {
    let answer = error.api_error();
    if answer.status().is_server_error() {
        tracing::error!(error = %Chain(error), "socket authentication failed");
    }
    answer
}
