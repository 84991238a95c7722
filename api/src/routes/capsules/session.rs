//! What everything that is done inside a capsule has in common: how it fails, and what a client is told.

use wrenn_actors::{SessionError, SessionOpenError};
use wrenn_domain::error_code::ErrorCode;

use super::operate::{self, OperateError};
use crate::error::{ApiError, Chain};

/// How much of a guest's message is believed, in characters.
const MESSAGE_CHARACTERS: usize = 300;

/// The answer to whoever could not get into a capsule.
pub(crate) fn open_answer(error: &SessionOpenError) -> ApiError {
    match error {
        SessionOpenError::NotFound(id) => OperateError::NotFound(*id).api_error(),
        SessionOpenError::InvalidState { status, operation } => operate::not_running(*status, *operation),
        SessionOpenError::HostUnavailable(_) => ApiError::new(ErrorCode::HostUnavailable, operate::HOST_AWAY),
        SessionOpenError::Refused { .. } | SessionOpenError::TimedOut(_) => {
            ApiError::new(ErrorCode::AgentError, error.to_string())
        }
        SessionOpenError::Unanswered(error) => ApiError::unanswered(*error),
        SessionOpenError::Store(_) => ApiError::internal(),
        SessionOpenError::Wake(error) => operate::operation_answer(error),
    }
}

/// The answer to whoever was in a capsule when something broke.
pub(crate) fn broken_answer(error: &SessionError) -> ApiError {
    ApiError::new(ErrorCode::AgentError, Chain(error).to_string())
}

/// What a guest says, cut to a size at which it can be passed on: out of its middle, where the long path stands whose
/// fault it names at the end.
pub(crate) fn quote(message: &str) -> String {
    let said: Vec<char> = message.chars().filter(|c| !c.is_control()).collect();
    if said.len() <= MESSAGE_CHARACTERS {
        return said.into_iter().collect();
    }
    let half = MESSAGE_CHARACTERS / 2;
    let (head, tail) = (&said[..half], &said[said.len() - half..]);
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
