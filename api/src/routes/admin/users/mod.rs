//! All users.

pub(crate) mod list;
pub(crate) mod reset_link;

use wrenn_control::user_active_set::ChangeUserError;
use wrenn_domain::error_code::ErrorCode;

use crate::error::{ApiError, ClientError};

impl ClientError for ChangeUserError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Yourself | Self::LastAdmin(_) => ErrorCode::Conflict,
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}
