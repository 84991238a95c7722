//! A command as clients write it, and its errors.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::Deserialize;
use wrenn_domain::{environment, error_code::ErrorCode, limits};
use wrenn_proto::guest::{ExecFailed, ExecFailure, ExecStart};

use super::{
    processes::{TagError, check_tag},
    session,
};
use crate::error::{ApiError, ClientError};

/// Time limit of a command in seconds, up to a day; 0 means no limit.
pub(super) const TIMEOUT_SEC: RangeInclusive<i64> = 0..=86_400;
/// Most arguments of a command.
const MAX_ARGS: usize = 4096;

/// A command.
#[derive(Debug, Deserialize)]
pub(super) struct Command {
    /// Run by `/bin/sh -c`, or directly if there are `args`.
    pub(super) cmd: String,
    pub(super) args: Option<Vec<String>>,
    pub(super) timeout_sec: Option<i64>,
    pub(super) tag: Option<String>,
    pub(super) envs: Option<BTreeMap<String, String>>,
    pub(super) cwd: Option<String>,
    pub(super) user: Option<String>,
    /// False for a command whose standard input is `/dev/null`.
    pub(super) stdin: Option<bool>,
}

/// The reason for which a command was not started, or a process not found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("cmd: must not be empty")]
    Empty,
    #[error("args: must have at most {MAX_ARGS} entries")]
    TooManyArgs,
    #[error("timeout_sec: must be from {} to {}, not {given}", TIMEOUT_SEC.start(), TIMEOUT_SEC.end())]
    Timeout { given: i64 },
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    #[error("tag: {0}")]
    Tag(#[from] TagError),
    /// The guest refused the command because of what the client asked for.
    #[error("{field}: {message}")]
    Refused { field: &'static str, message: String },
    #[error("tag: {0}")]
    TagTaken(String),
    #[error("{0}")]
    NoProcess(String),
    #[error("{0}; use the stream of the process")]
    NoTerminal(String),
    #[error("{0}; end some of them first")]
    TooManyProcesses(String),
    #[error("the capsule could not start the command: {0}")]
    GuestFailed(String),
}

impl ClientError for CommandError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Empty
            | Self::TooManyArgs
            | Self::Timeout { .. }
            | Self::Limit(_)
            | Self::Tag(_)
            | Self::Refused { .. } => ErrorCode::InvalidRequest,
            Self::TagTaken(_) => ErrorCode::Conflict,
            Self::NoProcess(_) => ErrorCode::NotFound,
            Self::NoTerminal(_) | Self::TooManyProcesses(_) => ErrorCode::InvalidState,
            Self::GuestFailed(_) => ErrorCode::AgentError,
        };
        ApiError::new(code, self.to_string())
    }
}

/// Conversion of a failure that the guest reported.
impl From<ExecFailed> for CommandError {
    fn from(failed: ExecFailed) -> Self {
        let message = session::quote(&failed.message);
        let field = match failed.kind() {
            ExecFailure::Invalid | ExecFailure::NotFound | ExecFailure::NotPermitted => "cmd",
            ExecFailure::UserUnknown => "user",
            ExecFailure::CwdMissing => "cwd",
            ExecFailure::NoProcess => return Self::NoProcess(message),
            ExecFailure::TagTaken => return Self::TagTaken(message),
            ExecFailure::NoTerminal => return Self::NoTerminal(message),
            ExecFailure::TooMany => return Self::TooManyProcesses(message),
            ExecFailure::Unspecified | ExecFailure::Internal => return Self::GuestFailed(message),
        };
        Self::Refused { field, message }
    }
}

impl Command {
    /// Checks the command. The guest has defaults for absent fields.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub(super) fn into_start(self, default_timeout_sec: i64) -> Result<ExecStart, CommandError> {
        if self.cmd.trim().is_empty() {
            return Err(CommandError::Empty);
        }
        let has_args = self.args.is_some();
        let args = self.args.unwrap_or_default();
        if args.len() > MAX_ARGS {
            return Err(CommandError::TooManyArgs);
        }
        limits::check_argument("cmd", &self.cmd)?;
        args.iter().try_for_each(|arg| limits::check_argument("args", arg))?;
        for (field, text) in [("cwd", &self.cwd), ("user", &self.user)] {
            limits::check_argument(field, text.as_deref().unwrap_or_default())?;
        }
        self.tag.as_deref().map(check_tag).transpose()?;
        limits::check_envs(self.envs.as_ref(), environment::Scope::Command)?;
        let given = self.timeout_sec.unwrap_or(default_timeout_sec);
        let timeout_sec = u32::try_from(given).ok().filter(|_| TIMEOUT_SEC.contains(&given));
        Ok(ExecStart {
            cmd: self.cmd,
            args,
            has_args,
            envs: self.envs.unwrap_or_default().into_iter().collect(),
            cwd: self.cwd.unwrap_or_default(),
            user: self.user.unwrap_or_default(),
            timeout_sec: timeout_sec.ok_or(CommandError::Timeout { given })?,
            tag: self.tag.unwrap_or_default(),
            no_stdin: self.stdin == Some(false),
            ..ExecStart::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(json: &str) -> Command {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn args_decide_between_a_shell_and_a_program() {
        let shell = command(r#"{"cmd": "ls"}"#).into_start(30).unwrap();
        assert_eq!((shell.has_args, shell.timeout_sec), (false, 30));
        let program = command(r#"{"cmd": "ls", "args": [], "timeout_sec": 5}"#).into_start(30).unwrap();
        assert!(program.has_args && program.timeout_sec == 5);
    }

    #[test]
    fn what_no_kernel_would_take_is_refused_here() {
        for bad in [
            r#"{"cmd": ""}"#,
            r#"{"cmd": " "}"#,
            r#"{"cmd": "a\u0000"}"#,
            r#"{"cmd": "a", "args": ["\u0000"]}"#,
            r#"{"cmd": "a", "cwd": "\u0000"}"#,
            r#"{"cmd": "a", "user": "\u0000"}"#,
            r#"{"cmd": "a", "envs": {"A=": ""}}"#,
            r#"{"cmd": "a", "timeout_sec": -1}"#,
            r#"{"cmd": "a", "timeout_sec": 86401}"#,
            r#"{"cmd": "a", "tag": ""}"#,
            r#"{"cmd": "a", "tag": "12"}"#,
        ] {
            let refused = command(bad).into_start(30).unwrap_err();
            assert_eq!(refused.api_error().code, ErrorCode::InvalidRequest, "{bad}");
        }
    }

    #[test]
    fn failures_of_the_request_are_told_from_failures_of_the_guest() {
        let failed = |kind: ExecFailure| {
            CommandError::from(ExecFailed { kind: kind.into(), message: "m".repeat(1000) })
        };
        assert_eq!(failed(ExecFailure::UserUnknown).api_error().code, ErrorCode::InvalidRequest);
        assert_eq!(failed(ExecFailure::NoProcess).api_error().code, ErrorCode::NotFound);
        assert_eq!(failed(ExecFailure::TagTaken).api_error().code, ErrorCode::Conflict);
        assert_eq!(failed(ExecFailure::Internal).api_error().code, ErrorCode::AgentError);
        assert!(failed(ExecFailure::Internal).to_string().len() < 400);
    }
}
