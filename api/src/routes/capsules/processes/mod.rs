//! What runs in a capsule: listed, signalled, followed. Only what was started through the API is known.

pub(crate) mod kill;
pub(crate) mod list;
mod selector;
mod signal;
pub(crate) mod stream;

use std::time::Duration;

use tokio::time::timeout;
use wrenn_actors::{ExecSession, SessionError, SessionOpenError};
use wrenn_proto::{
    guest::{exec_event::Event, exec_input::Input},
    ids::SandboxId,
};

pub(super) use self::{
    selector::{Selector, TagError, check_tag},
    signal::SignalName,
};
use super::{command::CommandError, operate::OperateError, session};
use crate::{
    app::App,
    error::{ApiError, impl_response_error},
};
use wrenn_domain::error_code::ErrorCode;

/// How long a guest may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Why processes were not listed or signalled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("the capsule cannot be used")]
    Find(#[from] OperateError),
    #[error("selector: {0}")]
    Selector(#[from] TagError),
    #[error(transparent)]
    Open(#[from] SessionOpenError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Refused(#[from] CommandError),
    #[error("the capsule did not answer")]
    NoAnswer,
}

impl ProcessError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Find(error) => error.api_error(),
            Self::Selector(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Open(error) => session::open_answer(error),
            Self::Session(error) => session::broken_answer(error),
            Self::Refused(error) => error.api_error(),
            Self::NoAnswer => ApiError::new(ErrorCode::AgentError, self.to_string()),
        }
    }
}
impl_response_error!(ProcessError);

/// Asks a capsule something that it answers with one event.
async fn ask(app: &App, id: SandboxId, question: Input) -> Result<Event, ProcessError> {
    let mut session: ExecSession = app.control_plane.session_open(id, question).await?;
    let answer = timeout(ANSWER_WITHIN, session.events.recv()).await.map_err(|_| ProcessError::NoAnswer)?;
    match answer.transpose()?.and_then(|event| event.event) {
        Some(Event::Failed(failed)) => Err(CommandError::from(failed).into()),
        Some(event) => Ok(event),
        None => Err(ProcessError::NoAnswer),
    }
}
