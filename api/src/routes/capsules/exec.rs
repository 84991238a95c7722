//! `POST /v1/capsules/{id}/exec`
//!
//! Buffered: the answer is the whole output. Whatever the guest sends, at most [`output::MAX_BYTES`] of
//! each stream are kept, less while many commands print much, and the guest gets a little longer than the
//! command's own limit to end it. A client that leaves takes its command with it.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use actix_web::{
    HttpResponse,
    http::header::ContentType,
    web::{Data, block},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use wrenn_actors::{ExecSession, SessionError, SessionOpenError};
use wrenn_proto::{
    guest::{CloseStdin, ExecExited, ExecFailed, ExecFailure, ExecStart, exec_event, exec_input},
    ids::SandboxId,
};

use super::{
    limits,
    operate::{self, OperateError},
    output, session,
};
use crate::{
    app::App,
    auth::Caller,
    error::{Answer, Code, ErrorBody, answers},
    http::extract::{Json, PathId, Then},
};

const DEFAULT_TIMEOUT_SEC: i64 = 30;
/// Up to a day; 0 means no limit.
const TIMEOUT_SEC: RangeInclusive<i64> = 0..=86_400;
/// How much longer than the command's own limit its end may take to arrive.
const GRACE: Duration = Duration::from_secs(10);
/// The limit of commands without one: connections do not last for ever.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Arguments of a command.
const MAX_ARGS: usize = 4096;
/// More output than this is not made JSON of on a thread that serves requests.
const INLINE_BYTES: usize = 256 * 1024;

/// The command.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecRequest {
    /// Run by `/bin/sh -c`, or directly if there are `args`.
    #[schema(example = "uname -a")]
    cmd: String,
    #[schema(nullable = false, required = false)]
    args: Option<Vec<String>>,
    /// After it the whole process group is killed and `exit_code` is 124; 0 means no limit.
    #[schema(value_type = i32, required = false, default = 30, minimum = 0, maximum = 86400)]
    timeout_sec: Option<i64>,
    /// Not offered yet.
    #[schema(nullable = false, required = false, default = false)]
    background: Option<bool>,
    /// Name of a background process.
    #[schema(nullable = false, required = false)]
    tag: Option<String>,
    /// On top of the capsule's own.
    #[schema(nullable = false, required = false)]
    envs: Option<BTreeMap<String, String>>,
    /// By default the user's home.
    #[schema(nullable = false, required = false)]
    cwd: Option<String>,
    /// By default the capsule's `default_user`.
    #[schema(nullable = false, required = false)]
    user: Option<String>,
}

/// How `stdout` and `stderr` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum OutputEncoding {
    /// As text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Both in base64, because one of them is not UTF-8.
    #[serde(rename = "base64")]
    Base64,
}

/// What the command did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecResponse {
    sandbox_id: String,
    cmd: String,
    stdout: String,
    stderr: String,
    /// 128 and the signal's number if one killed it; 124 if `timeout_sec` did.
    exit_code: i32,
    duration_ms: u64,
    encoding: OutputEncoding,
    /// Whether one of the streams was longer than what is kept: 8 MiB, or less while the server has no room.
    truncated: bool,
}

impl ExecResponse {
    /// The JSON of the answer. Takes its time if there is much output.
    fn into_json(self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json =
            Vec::with_capacity(self.output_bytes() + self.output_bytes() / 8 + self.cmd.len() + 512);
        serde_json::to_writer(&mut json, &self)?;
        Ok(json)
    }

    fn output_bytes(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }
}

/// Why the command did not run, or how it ended is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error("the capsule cannot be used")]
    Find(#[from] OperateError),
    #[error("cmd: must not be empty")]
    EmptyCommand,
    #[error("args: must have at most {MAX_ARGS} entries")]
    TooManyArgs,
    #[error("timeout_sec: must be from {} to {}, not {given}", TIMEOUT_SEC.start(), TIMEOUT_SEC.end())]
    Timeout { given: i64 },
    #[error("background: is not offered by this version")]
    Background,
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    /// The guest refused the command because of what the client asked for.
    #[error("{field}: {message}")]
    Refused { field: &'static str, message: String },
    #[error(transparent)]
    Open(#[from] SessionOpenError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the capsule could not start the command: {0}")]
    GuestFailed(String),
    #[error("the capsule did not say how the command ended")]
    NoEnd,
    #[error("the capsule did not end the command in time")]
    Late,
    #[error("the output could not be made JSON of")]
    Json(#[from] serde_json::Error),
    #[error("the thread that makes JSON was lost")]
    Lost(#[from] actix_web::error::BlockingError),
}

impl ExecError {
    fn answer(&self) -> Answer {
        let code = match self {
            Self::Find(error) => return error.answer(),
            Self::Open(error) => return session::open_answer(error),
            Self::EmptyCommand
            | Self::TooManyArgs
            | Self::Timeout { .. }
            | Self::Background
            | Self::Limit(_)
            | Self::Refused { .. } => Code::InvalidRequest,
            Self::Session(error) => return session::broken_answer(error),
            Self::GuestFailed(_) | Self::NoEnd | Self::Late => Code::AgentError,
            Self::Json(_) | Self::Lost(_) => return Answer::internal(),
        };
        Answer::new(code, self.to_string())
    }
}
answers!(ExecError);

/// Run a command and wait for its end
#[utoipa::path(
    post, path = "/v1/capsules/{id}/exec", tag = "capsules",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = ExecRequest,
    responses(
        (status = 200, description = "The command ended, or was killed by its timeout", body = ExecResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn exec(
    app: Data<App>,
    Then(caller, (PathId(id), Json(request))): Then<Caller, (PathId<SandboxId>, Json<ExecRequest>)>,
) -> Result<HttpResponse, ExecError> {
    let cmd = request.cmd.clone();
    let start = request.into_start()?;
    operate::find(&app, caller, id).await?;
    let patience = match start.timeout_sec {
        0 => LONGEST,
        limit => Duration::from_secs(limit.into()) + GRACE,
    };
    let session = app.control_plane.session_open(id, exec_input::Input::Start(start)).await?;
    let ended = timeout_at(Instant::now() + patience, collect(session, &app.output))
        .await
        .map_err(|_| ExecError::Late)??;
    let output::Text { stdout, stderr, encoding, truncated, room } = output::text(ended.stdout, ended.stderr);
    let response = ExecResponse {
        sandbox_id: id.to_string(),
        cmd,
        stdout,
        stderr,
        exit_code: ended.exited.exit_code,
        duration_ms: ended.exited.duration_ms,
        encoding,
        truncated,
    };
    let (json, room) = if response.output_bytes() > INLINE_BYTES {
        block(move || (response.into_json(), room)).await?
    } else {
        (response.into_json(), room)
    };
    let body = output::OutputBody::new(json?, room);
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}

impl ExecRequest {
    fn into_start(self) -> Result<ExecStart, ExecError> {
        if self.background == Some(true) {
            return Err(ExecError::Background);
        }
        if self.cmd.trim().is_empty() {
            return Err(ExecError::EmptyCommand);
        }
        let has_args = self.args.is_some();
        let args = self.args.unwrap_or_default();
        if args.len() > MAX_ARGS {
            return Err(ExecError::TooManyArgs);
        }
        limits::check_argument("cmd", &self.cmd)?;
        args.iter().try_for_each(|arg| limits::check_argument("args", arg))?;
        for (field, text) in [("cwd", &self.cwd), ("user", &self.user), ("tag", &self.tag)] {
            limits::check_argument(field, text.as_deref().unwrap_or_default())?;
        }
        limits::check_envs(self.envs.as_ref())?;
        let given = self.timeout_sec.unwrap_or(DEFAULT_TIMEOUT_SEC);
        let timeout_sec = u32::try_from(given).ok().filter(|_| TIMEOUT_SEC.contains(&given));
        Ok(ExecStart {
            cmd: self.cmd,
            args,
            has_args,
            envs: self.envs.unwrap_or_default().into_iter().collect(),
            cwd: self.cwd.unwrap_or_default(),
            user: self.user.unwrap_or_default(),
            timeout_sec: timeout_sec.ok_or(ExecError::Timeout { given })?,
            tag: self.tag.unwrap_or_default(),
            ..ExecStart::default()
        })
    }
}

/// A command that ended, and what it printed.
struct Ended {
    stdout: output::Bounded,
    stderr: output::Bounded,
    exited: ExecExited,
}

/// Reads until the command has ended. Dropping this future ends the command.
async fn collect(session: ExecSession, budget: &output::OutputBudget) -> Result<Ended, ExecError> {
    let ExecSession { input, mut events } = session;
    // Nobody will type anything. A session that has ended already says so in its events.
    let _ = input.send(exec_input::Input::CloseStdin(CloseStdin {})).await;
    let mut stdout = budget.stream();
    let mut stderr = budget.stream();
    while let Some(event) = events.recv().await {
        match event?.event {
            Some(exec_event::Event::Stdout(bytes)) => stdout.push(&bytes),
            Some(exec_event::Event::Stderr(bytes)) => stderr.push(&bytes),
            Some(exec_event::Event::Exited(exited)) => return Ok(Ended { stdout, stderr, exited }),
            Some(exec_event::Event::Failed(failed)) => return Err(failure(failed)),
            Some(_) | None => {}
        }
    }
    Err(ExecError::NoEnd)
}

/// What a failure to start means to the client.
fn failure(failed: ExecFailed) -> ExecError {
    let message = session::quote(&failed.message);
    let field = match failed.kind() {
        ExecFailure::Invalid | ExecFailure::NotFound | ExecFailure::NotPermitted => "cmd",
        ExecFailure::UserUnknown => "user",
        ExecFailure::CwdMissing => "cwd",
        _ => return ExecError::GuestFailed(message),
    };
    ExecError::Refused { field, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> ExecRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn args_decide_between_a_shell_and_a_program() {
        let shell = request(r#"{"cmd": "ls"}"#).into_start().unwrap();
        assert_eq!((shell.has_args, shell.timeout_sec), (false, 30));
        let program = request(r#"{"cmd": "ls", "args": []}"#).into_start().unwrap();
        assert!(program.has_args);
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
            r#"{"cmd": "a", "background": true}"#,
        ] {
            let refused = request(bad).into_start().unwrap_err();
            assert_eq!(refused.answer().code, Code::InvalidRequest, "{bad}");
        }
    }

    #[test]
    fn failures_of_the_request_are_told_from_failures_of_the_guest() {
        let failed = |kind: ExecFailure| failure(ExecFailed { kind: kind.into(), message: "m".repeat(1000) });
        assert_eq!(failed(ExecFailure::UserUnknown).answer().code, Code::InvalidRequest);
        assert_eq!(failed(ExecFailure::Internal).answer().code, Code::AgentError);
        assert!(failed(ExecFailure::Internal).to_string().len() < 400);
    }
}
