//! The reasons for which a socket is closed, with their error frames and close codes.

use actix_ws::{CloseCode, CloseReason};
use wrenn_domain::error_code::ErrorCode;

use crate::error::ApiError;

/// The reason for which a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The conversation is complete.
    Complete,
    /// The client has disconnected, or is silent.
    ClientGone,
    /// The server is shutting down.
    ServerStops,
    /// A binary frame.
    Binary,
    /// Invalid JSON, UTF-8 or base64.
    Garbled(String),
    /// Valid JSON that the socket does not accept.
    Refused(String),
    /// A frame that exceeds the size limit.
    TooLarge,
    /// A violation of the WebSocket protocol.
    Protocol(String),
    /// An error that a plain request would have been answered with.
    ApiError(ApiError),
}

impl Ending {
    /// Ends the conversation because of an unacceptable frame.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// Returns the message of the error frame; `None` without an error, or without a client to receive it.
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

    /// Returns the reason in the close frame; `None` if the client has disconnected.
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
            // The close reason is all that a browser shows to programs.
            Self::ApiError(answer) => Some(answer.code.as_str().to_owned()),
            _ => self.message().map(str::to_owned),
        };
        Some(CloseReason { code, description })
    }

    /// Returns the code of the error frame.
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
