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
use wrenn_base::Chain;
use wrenn_control::{PasswordError, TooMany};
use wrenn_domain::{
    admission::{EnterError, Overload},
    error_code::ErrorCode,
    permission::Denial,
    quota::{NotAdmitted, QuotaExceeded},
};
use wrenn_store::StoreError;
use wrenn_supervision::CallError;

/// Returns the HTTP status of a code.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    #[expect(clippy::expect_used, reason = "every code has a status of HTTP, which a test checks")]
    StatusCode::from_u16(code.http_status()).expect("a status of HTTP")
}

/// Returns the code of an answer that something below made with nothing but a status.
pub(crate) fn code_of(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        status if status.is_client_error() => ErrorCode::InvalidRequest,
        _ => ErrorCode::InternalError,
    }
}

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// Header `Retry-After`, in seconds.
    pub(crate) retry_after_sec: Option<u64>,
    /// The quota that does not allow it.
    pub(crate) quota: Option<QuotaExceeded>,
    /// The capsules that are in the way of a host's deletion.
    pub(crate) capsules: Option<Vec<String>>,
}

/// Time after which a capsule's host may be attached here: agents that have lost their server dial within seconds.
const ELSEWHERE_RETRY_SEC: u64 = 5;

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_sec: None, quota: None, capsules: None }
    }

    /// Returns the HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        status_of(self.code)
    }

    /// For everything that is the server's fault; the cause stands in the log.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::InternalError, "something went wrong on the server; it has been logged")
    }

    /// For a principal that may not do what it asks for.
    pub(crate) fn denied(denial: Denial) -> Self {
        let code = match denial {
            Denial::NotSignedIn => ErrorCode::Unauthorized,
            Denial::NoTeam => ErrorCode::NoTeam,
            Denial::NotForKeys
            | Denial::Scope(_)
            | Denial::Role(_)
            | Denial::NotAdmin
            | Denial::NotForHosts
            | Denial::NotAHost
            | Denial::OtherHost => ErrorCode::Forbidden,
        };
        Self::new(code, denial.to_string())
    }

    /// For a use case that did not begin.
    pub(crate) fn not_entered(error: &EnterError) -> Self {
        match error {
            EnterError::Denied(denial) => Self::denied(*denial),
            EnterError::Overload(overload) => Self::overload(overload),
        }
    }

    /// For a team that may not use as much.
    pub(crate) fn not_admitted(refusal: &NotAdmitted) -> Self {
        match refusal {
            NotAdmitted::Exceeded(quota) => {
                Self { quota: Some(*quota), ..Self::new(ErrorCode::QuotaExceeded, quota.to_string()) }
            }
            NotAdmitted::TeamGone => Self::new(ErrorCode::NoTeam, refusal.to_string()),
        }
    }

    /// For a request whose turn would not come soon.
    pub(crate) fn overload(overload: &Overload) -> Self {
        match overload {
            Overload::Server { retry_after_sec } => {
                Self::later(ErrorCode::Overloaded, overload.to_string(), *retry_after_sec)
            }
            Overload::Team { retry_after_sec } => {
                Self::later(ErrorCode::RateLimited, overload.to_string(), *retry_after_sec)
            }
        }
    }

    /// For a request that may be repeated after some seconds.
    pub(crate) fn later(code: ErrorCode, message: impl Into<String>, retry_after_sec: u64) -> Self {
        Self { retry_after_sec: Some(retry_after_sec), ..Self::new(code, message) }
    }

    /// For a client, an account or an address that has to wait.
    pub(crate) fn too_many(error: &TooMany) -> Self {
        Self::later(ErrorCode::RateLimited, error.to_string(), error.wait_sec)
    }

    /// For a password that was not hashed or compared: too much to do, or the server's fault.
    pub(crate) fn of_password(error: &PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::later(ErrorCode::RateLimited, error.to_string(), 1),
            PasswordError::Hash(_) | PasswordError::StoredHash(_) | PasswordError::Lost(_) => {
                Self::internal()
            }
        }
    }

    /// For a statement that the database did not carry out: too much to do, or the server's fault.
    pub(crate) fn of_store(error: &StoreError) -> Self {
        if error.is_overload() {
            let message =
                "the database had no connection free in time; nothing was done, so try again in a moment";
            Self::later(ErrorCode::Overloaded, message, 1)
        } else {
            Self::internal()
        }
    }

    /// For a stream whose principal lost its permission.
    pub(crate) fn revoked() -> Self {
        Self::new(ErrorCode::Unauthorized, wrenn_actors::SessionError::Revoked.to_string())
    }

    /// For a request that certainly changed nothing, because there is too much to do.
    pub(crate) fn overloaded() -> Self {
        let message = "the server has too much to do; nothing was done, so try again in a moment";
        Self::later(ErrorCode::Overloaded, message, 1)
    }

    /// For a capsule whose host is attached to another server.
    pub(crate) fn elsewhere() -> Self {
        let message = "the capsule's host is attached to another server, so nothing was begun; try again in a moment, \
                       or ask that server";
        Self::later(ErrorCode::HostUnavailable, message, ELSEWHERE_RETRY_SEC)
    }

    /// For a question that an actor did not answer. Whoever gets it knows whether asking again is safe.
    pub(crate) fn unanswered(error: CallError) -> Self {
        if error.certainly_not_executed() {
            Self::overloaded()
        } else {
            let message = "something went wrong on the server; the request may have been executed all the same, \
                           so look before you repeat it";
            Self::new(ErrorCode::InternalError, message)
        }
    }

    /// The answer as JSON text.
    pub(crate) fn body(self) -> String {
        let (limit, used) = self.quota.map(|quota| (quota.limit, quota.used)).unzip();
        let sandbox_ids = self.capsules;
        let error = ErrorDetail {
            code: self.code.as_str().to_owned(),
            message: self.message,
            limit,
            used,
            sandbox_ids: sandbox_ids.clone(),
        };
        let body = ErrorBody { error, limit, used, capsule_ids: sandbox_ids.clone(), sandbox_ids };
        // Strings and numbers always serialise; the fallback only avoids a panic in the error path.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The answer as a response.
    pub(crate) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(seconds) = self.retry_after_sec {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.content_type("application/json").body(self.body())
    }
}

/// Answers for an error, and logs it with its sources if it is the server's fault.
pub(crate) fn respond(error: &(dyn StdError + 'static), answer: ApiError) -> HttpResponse {
    log(error, &answer);
    answer.into_response()
}

/// Logs an error with its sources if it is the server's fault. That a host is away, or that there is too much to do, is
/// no fault.
fn log(error: &(dyn StdError + 'static), answer: &ApiError) {
    let code = answer.code.as_str();
    match answer.status() {
        StatusCode::SERVICE_UNAVAILABLE => tracing::info!(error = %Chain(error), code, "request refused"),
        status if status.is_server_error() => tracing::error!(error = %Chain(error), code, "request failed"),
        _ => {}
    }
}

/// An error of a use case, as far as clients are told about it.
///
/// Implemented for the errors of `wrenn-control`, each beside the handler of its operation. Handlers return [`ApiError`],
/// and `?` makes it of any such error.
pub(crate) trait ClientError: StdError {
    /// Returns what the client is told.
    fn api_error(&self) -> ApiError;
}

impl<E: ClientError + 'static> From<E> for ApiError {
    /// Logs the error with its sources if it is the server's fault: nobody below this point sees it.
    fn from(error: E) -> Self {
        let answer = error.api_error();
        log(&error, &answer);
        answer
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl actix_web::ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response()
    }
}

/// Makes an error type, which has a method `answer`, what a handler may return.
macro_rules! impl_response_error {
    ($error:ty) => {
        impl actix_web::ResponseError for $error {
            fn status_code(&self) -> actix_web::http::StatusCode {
                self.api_error().status()
            }

            fn error_response(&self) -> actix_web::HttpResponse {
                $crate::error::respond(self, self.api_error())
            }
        }
    };
}
pub(crate) use impl_response_error;

/// Implements [`ClientError`] for an error of a use case on one thing, which fails if there is no such thing.
macro_rules! impl_lookup_error {
    ($error:ty) => {
        impl $crate::error::ClientError for $error {
            fn api_error(&self) -> $crate::error::ApiError {
                use wrenn_domain::error_code::ErrorCode;

                use $crate::error::ApiError;
                match self {
                    Self::Enter(error) => ApiError::not_entered(error),
                    Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
                    Self::Store(error) => ApiError::of_store(error),
                }
            }
        }
    };
}
pub(crate) use impl_lookup_error;

/// Body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
    /// The limit of the quota; only with `quota_exceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    limit: Option<u64>,
    /// The use of the quota; only with `quota_exceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    used: Option<u64>,
    /// The capsules of the host; only with `host_has_capsules`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    capsule_ids: Option<Vec<String>>,
    /// The same list under the name that older clients read; only with `host_has_capsules`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    sandbox_ids: Option<Vec<String>>,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// One of a fixed set, for programs.
    #[schema(example = "not_found")]
    code: String,
    /// For people.
    message: String,
    /// The limit of the quota; only with `quota_exceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    limit: Option<u64>,
    /// The use of the quota; only with `quota_exceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    used: Option<u64>,
    /// The capsules of the host; only with `host_has_capsules`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    sandbox_ids: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_request_may_have_been_executed_is_told() {
        for error in [CallError::Full, CallError::NotDelivered] {
            assert_eq!(ApiError::unanswered(error).code, ErrorCode::Overloaded);
        }
        for error in [CallError::MayHaveExecuted, CallError::TimedOut] {
            let answer = ApiError::unanswered(error);
            assert_eq!(answer.code, ErrorCode::InternalError);
            assert!(answer.message.contains("may have been executed"));
        }
    }
}
