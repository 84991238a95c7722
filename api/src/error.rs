//! What a client sees when something goes wrong: `{"error": {"code", "message"}}`, always.
//!
//! Every operation has an error type of its own beside its handler; each says through [`ApiError`] what
//! the client is told. The rest of the error, its sources, goes to the log only: a message never leaks
//! a query, a path of the server or a token.

use std::{error::Error as StdError, fmt};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_supervision::CallError;

/// The codes of the contract; each has exactly one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    Unauthorized,
    Forbidden,
    NoTeam,
    AccountDisabled,
    NotFound,
    MethodNotAllowed,
    InvalidState,
    Conflict,
    EmailTaken,
    TemplateNameTaken,
    NameReserved,
    TooLarge,
    RateLimited,
    AgentError,
    HostUnavailable,
    InternalError,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NoTeam => "no_team",
            Self::AccountDisabled => "account_disabled",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InvalidState => "invalid_state",
            Self::Conflict => "conflict",
            Self::EmailTaken => "email_taken",
            Self::TemplateNameTaken => "template_name_taken",
            Self::NameReserved => "name_reserved",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::AgentError => "agent_error",
            Self::HostUnavailable => "host_unavailable",
            Self::InternalError => "internal_error",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::NoTeam | Self::AccountDisabled => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::InvalidState
            | Self::Conflict
            | Self::EmailTaken
            | Self::TemplateNameTaken
            | Self::NameReserved => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::AgentError => StatusCode::BAD_GATEWAY,
            Self::HostUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code for an answer that something below made with nothing but a status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            status if status.is_client_error() => Self::InvalidRequest,
            _ => Self::InternalError,
        }
    }
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// For everything that is the server's fault; the cause stands in the log.
    pub(crate) fn internal() -> Self {
        Self::new(Code::InternalError, "something went wrong on the server; it has been logged")
    }

    /// For a question that an actor did not answer. Whoever gets it knows whether asking again is safe.
    pub(crate) fn unanswered(error: CallError) -> Self {
        if error.certainly_not_executed() {
            let message = "the server has too much to do; nothing was done, so try again in a moment";
            Self::new(Code::HostUnavailable, message)
        } else {
            let message = "something went wrong on the server; the request may have been executed all the same, \
                           so look before you repeat it";
            Self::new(Code::InternalError, message)
        }
    }

    /// The answer as JSON text.
    pub(crate) fn body(self) -> String {
        let body =
            ErrorBody { error: ErrorDetail { code: self.code.as_str().to_owned(), message: self.message } };
        // Two strings always serialise; the fallback only avoids a panic in the error path.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The answer as a response.
    pub(crate) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        if self.code == Code::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.content_type("application/json").body(self.body())
    }
}

/// Answers for an error, and logs it with its sources if it is the server's fault.
pub(crate) fn respond(error: &(dyn StdError + 'static), answer: ApiError) -> HttpResponse {
    if answer.code.status().is_server_error() {
        tracing::error!(error = %Chain(error), code = answer.code.as_str(), "request failed");
    }
    answer.into_response()
}

/// An error followed by its sources.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            f.write_str(": ")?;
            write!(f, "{error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Makes an error type, which has a method `answer`, what a handler may return.
macro_rules! impl_response_error {
    ($error:ty) => {
        impl actix_web::ResponseError for $error {
            fn status_code(&self) -> actix_web::http::StatusCode {
                self.api_error().code.status()
            }

            fn error_response(&self) -> actix_web::HttpResponse {
                $crate::error::respond(self, self.api_error())
            }
        }
    };
}
pub(crate) use impl_response_error;

/// Body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// One of a fixed set, for programs.
    #[schema(example = "not_found")]
    code: String,
    /// For people.
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_request_may_have_been_executed_is_told() {
        for error in [CallError::Full, CallError::NotDelivered] {
            assert_eq!(ApiError::unanswered(error).code, Code::HostUnavailable);
        }
        for error in [CallError::MayHaveExecuted, CallError::TimedOut] {
            let answer = ApiError::unanswered(error);
            assert_eq!(answer.code, Code::InternalError);
            assert!(answer.message.contains("may have been executed"));
        }
    }
}
