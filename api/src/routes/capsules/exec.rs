//! `POST /v1/capsules/{id}/exec`
//!
//! Buffered: the answer is the whole output. Whatever the guest sends, at most [`output::MAX_BYTES`] of
//! each stream are kept, less while many commands print much, and the guest gets a little longer than the
//! command's own limit to end it. A client that leaves takes its command with it.
//!
//! In the background: the answer says which process runs, and that one outlives the request.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{
    HttpResponse,
    http::header::ContentType,
    web::{Data, block},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;
use wrenn_actors::{ExecSession, SessionError, SessionOpenError};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::{
    guest::{CloseStdin, ExecExited, ExecStart, ExecStarted, Lifetime, exec_event, exec_input},
    ids::SandboxId,
};

use super::{
    command::{Command, CommandError},
    operate::{self, OperateError},
    output, session,
};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json, PathId},
};

const DEFAULT_TIMEOUT_SEC: i64 = 30;
/// How much longer than the command's own limit its end may take to arrive.
const GRACE: Duration = Duration::from_secs(10);
/// How long a background process may take to be started.
const START_WITHIN: Duration = Duration::from_secs(30);
/// The limit of commands without one: connections do not last for ever.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
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
    /// After it the whole process group is killed and `exit_code` is 124; 0 means no limit, which is also the default
    /// of background processes.
    #[schema(value_type = i32, required = false, default = 30, minimum = 0, maximum = 86400)]
    timeout_sec: Option<i64>,
    /// Answers as soon as the process runs. Its output is kept, up to a limit, for whoever follows its stream.
    #[schema(nullable = false, required = false, default = false)]
    background: Option<bool>,
    /// Name by which the process can be found; no two that run have the same. Made up if there is none.
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

/// Which process runs in the background.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackgroundResponse {
    sandbox_id: String,
    cmd: String,
    pid: u32,
    tag: String,
}

/// Why the command did not run, or how it ended is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error("the capsule cannot be used")]
    Find(#[from] OperateError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Open(#[from] SessionOpenError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("the capsule did not say how the command ended")]
    NoEnd,
    #[error("the capsule did not end the command in time")]
    Late,
    #[error("the capsule did not start the command in time")]
    NotStarted,
    #[error("the output could not be made JSON of")]
    Json(#[from] serde_json::Error),
    #[error("the thread that makes JSON was lost")]
    Lost(#[from] actix_web::error::BlockingError),
}

impl ExecError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Find(error) => error.api_error(),
            Self::Command(error) => error.api_error(),
            Self::Open(error) => session::open_answer(error),
            Self::Session(error) => session::broken_answer(error),
            Self::NoEnd | Self::Late | Self::NotStarted => {
                ApiError::new(ErrorCode::AgentError, self.to_string())
            }
            Self::Json(_) | Self::Lost(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(ExecError);

/// Run a command and wait for its end, or start one in the background
#[utoipa::path(
    post, path = "/v1/capsules/{id}/exec", tag = "capsules",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = ExecRequest,
    responses(
        (status = 200, description = "The command ended, or was killed by its timeout", body = ExecResponse),
        (status = 202, description = "It runs in the background", body = BackgroundResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (
            status = 409,
            description = "The capsule is not running (`invalid_state`), or another process has the tag (`conflict`)",
            body = ErrorBody,
        ),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn exec(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<Caller, (PathId<SandboxId>, Json<ExecRequest>)>,
) -> Result<HttpResponse, ExecError> {
    let cmd = request.cmd.clone();
    let in_background = request.background == Some(true);
    let start = request.into_start()?;
    operate::find(&app, caller, id).await?;
    if in_background {
        let ExecStarted { pid, tag } = start_in_background(&app, id, start).await?;
        let response = BackgroundResponse { sandbox_id: id.to_string(), cmd, pid, tag: session::quote(&tag) };
        return Ok(HttpResponse::Accepted().json(response));
    }
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
    fn into_start(self) -> Result<ExecStart, CommandError> {
        let Self { cmd, args, timeout_sec, background, tag, envs, cwd, user } = self;
        let command = Command { cmd, args, timeout_sec, tag, envs, cwd, user };
        if background == Some(true) {
            Ok(ExecStart { lifetime: Lifetime::Background.into(), ..command.into_start(0)? })
        } else {
            command.into_start(DEFAULT_TIMEOUT_SEC)
        }
    }
}

/// Starts a process that outlives this request.
async fn start_in_background(app: &App, id: SandboxId, start: ExecStart) -> Result<ExecStarted, ExecError> {
    let mut session: ExecSession =
        app.control_plane.session_open(id, exec_input::Input::Start(start)).await?;
    let started = async {
        let mut started = None;
        while let Some(event) = session.events.recv().await {
            match event?.event {
                Some(exec_event::Event::Started(told)) => started = Some(told),
                Some(exec_event::Event::Detached(_)) => break,
                Some(exec_event::Event::Failed(failed)) => return Err(CommandError::from(failed).into()),
                Some(_) | None => {}
            }
        }
        started.ok_or(ExecError::NotStarted)
    };
    timeout(START_WITHIN, started).await.map_err(|_| ExecError::NotStarted)?
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
            Some(exec_event::Event::Failed(failed)) => return Err(CommandError::from(failed).into()),
            Some(_) | None => {}
        }
    }
    Err(ExecError::NoEnd)
}
