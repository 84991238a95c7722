//! Answers for use cases that only read.

use wrenn_control::read_error::ReadError;

use crate::error::{ApiError, ClientError};

impl ClientError for ReadError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}
