//! What goes wrong with files, and what a client is told.

use wrenn_actors::{SessionError, SessionOpenError};
use wrenn_domain::{error_code::ErrorCode, limits};
use wrenn_proto::guest::{FileFailed, FileFailure};

use crate::{
    error::{ApiError, impl_response_error},
    routes::capsules::{operate::OperateError, session},
};

/// Why something was not done with files of a capsule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the capsule cannot be used")]
    Find(#[from] OperateError),
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    #[error(transparent)]
    Open(#[from] SessionOpenError),
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The guest could not do it; the text says why, and names the path.
    #[error("{message}")]
    Failed { kind: FileFailure, message: String },
    #[error("the capsule broke off without saying what became of it")]
    NoEnd,
    #[error("the capsule answered something else than it was asked")]
    Unexpected,
    #[error("the capsule stands still and takes no data")]
    GuestStalled,
}

impl FileError {
    pub(crate) fn api_error(&self) -> ApiError {
        match self {
            Self::Find(error) => error.api_error(),
            Self::Open(error) => session::open_answer(error),
            Self::Session(error) => session::broken_answer(error),
            Self::Limit(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Failed { kind, message } => failed_answer(*kind, message),
            Self::NoEnd | Self::Unexpected | Self::GuestStalled => {
                ApiError::new(ErrorCode::AgentError, self.to_string())
            }
        }
    }
}
impl_response_error!(FileError);

impl From<FileFailed> for FileError {
    fn from(failed: FileFailed) -> Self {
        Self::Failed { kind: failed.kind(), message: session::quote(&failed.message) }
    }
}

fn failed_answer(kind: FileFailure, message: &str) -> ApiError {
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
