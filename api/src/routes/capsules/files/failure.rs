//! Errors of files.

use wrenn_control::session_open;
use wrenn_domain::{error_code::ErrorCode, limits};
use wrenn_proto::guest::{FileFailed, FileFailure};

use crate::{
    error::{ApiError, ClientError},
    routes::capsules::session,
};

/// The reason for which a request about files of a capsule failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    #[error(transparent)]
    Session(#[from] session_open::SessionError),
    #[error(transparent)]
    Broken(#[from] wrenn_actors::SessionError),
    /// The guest failed; the message has the path and the reason.
    #[error("{message}")]
    Failed { kind: FileFailure, message: String },
    #[error("the capsule broke off without saying what became of it")]
    NoEnd,
    #[error("the capsule answered something else than it was asked")]
    Unexpected,
    #[error("the capsule stands still and takes no data")]
    GuestStalled,
}

impl ClientError for FileError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Session(error) => error.api_error(),
            Self::Broken(error) => session::broken_error(error),
            Self::Limit(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Failed { kind, message } => guest_error(*kind, message),
            Self::NoEnd | Self::Unexpected | Self::GuestStalled => {
                ApiError::new(ErrorCode::AgentError, self.to_string())
            }
        }
    }
}

impl From<FileFailed> for FileError {
    fn from(failed: FileFailed) -> Self {
        Self::Failed { kind: failed.kind(), message: session::quote(&failed.message) }
    }
}

fn guest_error(kind: FileFailure, message: &str) -> ApiError {
    let code = match kind {
        FileFailure::NotFound => ErrorCode::NotFound,
        FileFailure::NotPermitted => ErrorCode::Forbidden,
        FileFailure::Exists => ErrorCode::Conflict,
        FileFailure::NoSpace => {
            return ApiError::new(ErrorCode::InvalidState, format!("the capsule's disk is full: {message}"));
        }
        FileFailure::Internal | FileFailure::Unspecified => ErrorCode::AgentError,
        FileFailure::Invalid
        | FileFailure::IsDirectory
        | FileFailure::NotDirectory
        | FileFailure::NotRegular
        | FileFailure::Loop
        | FileFailure::NameTooLong
        | FileFailure::UserUnknown
        | FileFailure::CrossDevice
        | FileFailure::ReadOnly => ErrorCode::InvalidRequest,
    };
    ApiError::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_the_code_that_tells_a_client_what_to_do() {
        let code = |kind: FileFailure| {
            let failed = FileFailed { kind: kind.into(), message: "m".repeat(1000) };
            let answer = FileError::from(failed).api_error();
            assert!(answer.message.len() < 400);
            answer.code
        };
        assert_eq!(code(FileFailure::NotFound), ErrorCode::NotFound);
        assert_eq!(code(FileFailure::NotPermitted), ErrorCode::Forbidden);
        assert_eq!(code(FileFailure::Exists), ErrorCode::Conflict);
        assert_eq!(code(FileFailure::NoSpace), ErrorCode::InvalidState);
        assert_eq!(code(FileFailure::Internal), ErrorCode::AgentError);
        for kind in [FileFailure::IsDirectory, FileFailure::UserUnknown, FileFailure::Loop] {
            assert_eq!(code(kind), ErrorCode::InvalidRequest);
        }
    }
}
