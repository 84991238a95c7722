//! Why a socket is closed, and what its client is told.

use actix_ws::{CloseCode, CloseReason};
use wrenn_domain::error_code::ErrorCode;

use crate::error::ApiError;

/// Why a conversation is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was said.
    Complete,
    /// The client has left, or says nothing at all any more.
    ClientGone,
    /// The server is about to stop.
    ServerStops,
    /// A frame that is no text.
    Binary,
    /// A text, or data in it, that is not what it is said to be: no JSON, no UTF-8, no base64.
    Garbled(String),
    /// JSON that means nothing here.
    Refused(String),
    /// A frame that is longer than frames may be.
    TooLarge,
    /// Bytes that are no WebSocket frames.
    Protocol(String),
    /// What the route would have answered to a request.
    ApiError(ApiError),
}

impl Ending {
    /// What the client did wrong.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// What is said in an error frame; none if nothing went wrong, or nobody would hear it.
    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Self::Complete | Self::ClientGone => None,
            Self::ServerStops => Some("the server is stopping; connect again"),
            Self::Binary => Some("frames must be text"),
            Self::TooLarge => Some("a frame must have at most 1 MiB"),
            Self::Garbled(message) | Self::Refused(message) | Self::Protocol(message) => Some(message),
            Self::ApiError(answer) => Some(&answer.message),
        }
    }

    /// How the socket is closed; none if the client does not want to know.
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        let code = match self {
            Self::ClientGone => return None,
            Self::Complete => CloseCode::Normal,
            Self::ServerStops => CloseCode::Away,
            Self::Binary => CloseCode::Unsupported,
            Self::Garbled(_) => CloseCode::Invalid,
            Self::TooLarge => CloseCode::Size,
            Self::Protocol(_) => CloseCode::Protocol,
            Self::Refused(_) => CloseCode::Policy,
            Self::ApiError(answer) if answer.status().is_client_error() => CloseCode::Policy,
            Self::ApiError(_) => CloseCode::Error,
        };
        let description = match self {
            // A browser shows programs nothing but this.
            Self::ApiError(answer) => Some(answer.code.as_str().to_owned()),
            _ => self.message().map(str::to_owned),
        };
        Some(CloseReason { code, description })
    }

    /// The code of the error, for programs.
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::ApiError(answer) => answer.code,
            Self::ServerStops => ErrorCode::HostUnavailable,
            Self::TooLarge => ErrorCode::TooLarge,
            _ => ErrorCode::InvalidRequest,
        }
    }
}

impl From<ApiError> for Ending {
    fn from(answer: ApiError) -> Self {
        Self::ApiError(answer)
    }
}
