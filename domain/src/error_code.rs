//! The codes of errors that clients see, each with one HTTP status.

/// Code of an error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed, or a value is out of range.
    InvalidRequest,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The password is right; the code of the second factor is missing.
    TotpRequired,
    /// The principal may not do this.
    Forbidden,
    /// The user is not a member of the team.
    NoTeam,
    /// The account was switched off.
    AccountDisabled,
    /// The team has no such resource.
    NotFound,
    /// The address does not take this method.
    MethodNotAllowed,
    /// The state of the resource does not allow it.
    InvalidState,
    /// Something else needs the resource.
    Conflict,
    /// There is an account with this address.
    EmailTaken,
    /// The team has a template of this name.
    TemplateNameTaken,
    /// The name belongs to the platform.
    NameReserved,
    /// The host has capsules, which would end with it.
    HostHasCapsules,
    /// The team's quota does not allow it.
    QuotaExceeded,
    /// The body is too large.
    TooLarge,
    /// The client, or its team, asks too often.
    RateLimited,
    /// The host tried and failed.
    AgentError,
    /// The host is away, or has no room.
    HostUnavailable,
    /// The server has more to do than it can do soon.
    Overloaded,
    /// The server failed.
    InternalError,
}

impl ErrorCode {
    /// Returns the code as clients see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::TotpRequired => "totp_required",
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
            Self::HostHasCapsules => "host_has_capsules",
            Self::QuotaExceeded => "quota_exceeded",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::AgentError => "agent_error",
            Self::HostUnavailable => "host_unavailable",
            Self::Overloaded => "overloaded",
            Self::InternalError => "internal_error",
        }
    }

    /// Returns the HTTP status that goes with the code.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthorized | Self::TotpRequired => 401,
            Self::Forbidden | Self::NoTeam | Self::AccountDisabled | Self::QuotaExceeded => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::InvalidState
            | Self::Conflict
            | Self::EmailTaken
            | Self::TemplateNameTaken
            | Self::NameReserved
            | Self::HostHasCapsules => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::InternalError => 500,
            Self::AgentError => 502,
            Self::HostUnavailable | Self::Overloaded => 503,
        }
    }
}
