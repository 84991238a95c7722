//! Errors of sessions, which everything that is done inside a capsule has in common.

use wrenn_actors::{OperationError, SessionOpenError};
use wrenn_base::Chain;
use wrenn_control::session_open::SessionError;
use wrenn_domain::error_code::ErrorCode;

use super::operate;
use crate::error::{ApiError, ClientError};

/// Description of status 503 of requests that open a session.
pub(super) const UNAVAILABLE: &str = "The host is away (`host_unavailable`), or the server has too much to do (`overloaded`); see `Retry-After`";

/// Longest message of a guest that is passed on, in characters.
const MESSAGE_CHARACTERS: usize = 300;

impl ClientError for SessionError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Find(error) => error.api_error(),
            Self::Open(error) => open_error(error),
        }
    }
}

/// Converts the error of a session that was not opened.
pub(crate) fn open_error(error: &SessionOpenError) -> ApiError {
    match error {
        SessionOpenError::NotFound(id) => OperationError::NotFound(*id).api_error(),
        SessionOpenError::InvalidState { status, operation } => operate::not_running(*status, *operation),
        SessionOpenError::Elsewhere(_) => ApiError::elsewhere(),
        SessionOpenError::HostUnavailable(_) => ApiError::new(ErrorCode::HostUnavailable, operate::HOST_AWAY),
        SessionOpenError::Refused { .. } | SessionOpenError::TimedOut(_) => {
            ApiError::new(ErrorCode::AgentError, error.to_string())
        }
        SessionOpenError::Unanswered(error) => ApiError::unanswered(*error),
        SessionOpenError::Store(error) => ApiError::of_store(error),
        SessionOpenError::Wake(error) => error.api_error(),
    }
}

/// Converts the error of a session that broke before its last event.
pub(super) fn broken_error(error: &wrenn_actors::SessionError) -> ApiError {
    match error {
        wrenn_actors::SessionError::Revoked => ApiError::revoked(),
        wrenn_actors::SessionError::Machine { .. } | wrenn_actors::SessionError::LinkLost => {
            ApiError::new(ErrorCode::AgentError, Chain(error).to_string())
        }
    }
}

/// Truncates a guest's message in the middle: the path comes first and the reason last. Control characters are removed.
pub(super) fn quote(message: &str) -> String {
    let printable: Vec<char> = message.chars().filter(|c| !c.is_control()).collect();
    if printable.len() <= MESSAGE_CHARACTERS {
        return printable.into_iter().collect();
    }
    let half = MESSAGE_CHARACTERS / 2;
    let (head, tail) = (&printable[..half], &printable[printable.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_keeps_its_beginning_and_its_end() {
        assert_eq!(quote("no such\0 file\n"), "no such file");
        let said = quote(&format!("/{}: permission denied", "d/".repeat(2000)));
        assert!(said.starts_with("/d/") && said.ends_with(": permission denied"), "{said}");
        assert_eq!(said.chars().count(), MESSAGE_CHARACTERS + 1);
    }
}
