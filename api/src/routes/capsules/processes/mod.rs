//! Processes of a capsule: listed, signalled, followed. The API knows only those that it started.

pub(crate) mod kill;
pub(crate) mod list;
mod selector;
mod signal;
pub(crate) mod stream;

use std::time::Duration;

use tokio::time::timeout;
use wrenn_actors::ExecSession;
use wrenn_control::session_open;
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::SandboxId, principal::Principal};
use wrenn_proto::guest::{exec_event::Event, exec_input::Input};

pub(super) use self::{
    selector::{Selector, TagError, check_tag},
    signal::SignalName,
};
use super::{command::CommandError, session};
use crate::{
    app::App,
    error::{ApiError, ClientError},
};

/// Time limit for the guest's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// The reason for which processes were not listed or signalled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error(transparent)]
    Session(#[from] session_open::SessionError),
    #[error(transparent)]
    Broken(#[from] wrenn_actors::SessionError),
    #[error(transparent)]
    Refused(#[from] CommandError),
    #[error("the capsule did not answer")]
    NoAnswer,
}

impl ClientError for ProcessError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Session(error) => error.api_error(),
            Self::Broken(error) => session::broken_error(error),
            Self::Refused(error) => error.api_error(),
            Self::NoAnswer => ApiError::new(ErrorCode::AgentError, self.to_string()),
        }
    }
}

/// Sends a request that the guest answers with one event.
async fn query(
    app: &App,
    principal: &Principal,
    action: Action,
    id: SandboxId,
    request: Input,
) -> Result<Event, ProcessError> {
    let mut session: ExecSession = session_open::run(&app.control, principal, action, id, request).await?;
    let answer = timeout(ANSWER_WITHIN, session.events.recv()).await.map_err(|_| ProcessError::NoAnswer)?;
    match answer.transpose()?.and_then(|event| event.event) {
        Some(Event::Failed(failed)) => Err(CommandError::from(failed).into()),
        Some(event) => Ok(event),
        None => Err(ProcessError::NoAnswer),
    }
}
