//! `POST /v1/capsules/{id}/exec`
//!
//! Buffered: the answer is the whole output. At most [`output::MAX_BYTES`] of each stream are kept, less while many
//! commands print much, and the guest gets a little longer than the command's own limit to end it. A client that
//! disconnects ends its command.
//!
//! In the background: the answer names the process, which outlives the request.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, http::header::ContentType, web::Data};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{ToSchema, openapi::Object};
use wrenn_actors::ExecSession;
use wrenn_base::blocking;
use wrenn_control::session_open;
use wrenn_domain::{action::Action, environment, error_code::ErrorCode, ids::SandboxId};
use wrenn_proto::guest::{CloseStdin, ExecExited, ExecStart, ExecStarted, Lifetime, exec_event, exec_input};

use super::{
    command::{Command, CommandError, TIMEOUT_SEC},
    output, session,
};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::limit_schemas,
};

const DEFAULT_TIMEOUT_SEC: i64 = 30;
/// Additional time, on top of the command's own limit, in which its end may arrive.
const GRACE: Duration = Duration::from_secs(10);
/// Time limit for the start of a background process.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Time limit of commands without one: connections do not last for ever.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Most output that is serialized on a thread that serves requests.
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
    #[schema(required = false, schema_with = timeout_sec)]
    timeout_sec: Option<i64>,
    /// Answers as soon as the process runs. Its output is kept, up to a limit, for clients that follow its stream.
    #[schema(nullable = false, required = false, default = false)]
    background: Option<bool>,
    /// Name of the process, unique among those that run. Generated if absent.
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

/// Returns the schema of the time limit.
fn timeout_sec() -> Object {
    let description = "After it the whole process group is killed and `exit_code` is 124; 0 means no limit, which is also \
                       the default of background processes.";
    let schema = limit_schemas::integer(&TIMEOUT_SEC).default(Some(DEFAULT_TIMEOUT_SEC.into()));
    schema.description(Some(description)).build()
}

/// Largest body: what a kernel takes as arguments and environment, twice, since JSON escapes some of it.
const MAX_BODY_BYTES: usize = 2 * environment::MAX_COMMAND_BYTES;

/// Outcome of a command that ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecResponse {
    sandbox_id: String,
    cmd: String,
    stdout: String,
    stderr: String,
    /// 128 and the signal's number if one killed it; 124 if `timeout_sec` did.
    exit_code: i32,
    duration_ms: u64,
    encoding: output::OutputEncoding,
    /// True if one of the streams was longer than the kept part: 8 MiB, or less while the server has no room.
    truncated: bool,
}

impl ExecResponse {
    /// Serializes the answer, which takes a while if there is much output.
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

/// The process that runs in the background.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackgroundResponse {
    sandbox_id: String,
    cmd: String,
    pid: u32,
    tag: String,
}

/// The reason for which a command did not run, or its end is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Broken(#[from] wrenn_actors::SessionError),
    #[error("the capsule did not say how the command ended")]
    NoEnd,
    #[error("the capsule did not end the command in time")]
    Late,
    #[error("the capsule did not start the command in time")]
    NotStarted,
    #[error("the output could not be made JSON of")]
    Json(#[from] serde_json::Error),
    #[error("the thread that makes JSON was lost")]
    Lost(#[source] std::io::Error),
}

impl ClientError for ExecError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Command(error) => error.api_error(),
            Self::Broken(error) => session::broken_error(error),
            Self::NoEnd | Self::Late | Self::NotStarted => {
                ApiError::new(ErrorCode::AgentError, self.to_string())
            }
            Self::Json(_) | Self::Lost(_) => ApiError::internal(),
        }
    }
}

/// Run a command and wait for its end, or start one in the background
#[utoipa::path(
    post, path = Action::Exec.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    request_body = ExecRequest,
    responses(
        (status = 200, description = "The command ended, or was killed by its timeout", body = ExecResponse),
        (status = 202, description = "It runs in the background", body = BackgroundResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (
            status = 409,
            description = "The capsule is not running (`invalid_state`), or another process has the tag (`conflict`)",
            body = ErrorBody,
        ),
        (status = 502, description = "Host or capsule failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = session::UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn exec(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<ExecRequest, MAX_BODY_BYTES>),
    >,
) -> Result<HttpResponse, ApiError> {
    let cmd = request.cmd.clone();
    let in_background = request.background == Some(true);
    let start = request.into_start()?;
    let patience = match start.timeout_sec {
        0 => LONGEST,
        limit => Duration::from_secs(limit.into()) + GRACE,
    };
    let opening = exec_input::Input::Start(start);
    let session = session_open::run(&app.control, &principal, Action::Exec, id, opening).await?;
    if in_background {
        let ExecStarted { pid, tag } = wait_for_start(session).await?;
        let response = BackgroundResponse { sandbox_id: id.to_string(), cmd, pid, tag: session::quote(&tag) };
        return Ok(HttpResponse::Accepted().json(response));
    }
    let ended = app.clock.timeout(patience, collect(session, &app.output)).await;
    let ended = ended.map_err(|_| ExecError::Late)??;
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
        blocking(move || Ok((response.into_json(), room))).await.map_err(ExecError::Lost)?
    } else {
        (response.into_json(), room)
    };
    let body = output::OutputBody::new(json.map_err(ExecError::Json)?, room);
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}

impl ExecRequest {
    fn into_start(self) -> Result<ExecStart, CommandError> {
        let Self { cmd, args, timeout_sec, background, tag, envs, cwd, user } = self;
        // Programs that search a pipe rather than a folder would wait for input that no client can send.
        let stdin = Some(false);
        let command = Command { cmd, args, timeout_sec, tag, envs, cwd, user, stdin };
        if background == Some(true) {
            Ok(ExecStart { lifetime: Lifetime::Background.into(), ..command.into_start(0)? })
        } else {
            command.into_start(DEFAULT_TIMEOUT_SEC)
        }
    }
}

/// Waits until a process that outlives its session has been started.
async fn wait_for_start(mut session: ExecSession) -> Result<ExecStarted, ExecError> {
    let started = async {
        let mut started = None;
        while let Some(event) = session.events.recv().await {
            match event?.event {
                Some(exec_event::Event::Started(process)) => started = Some(process),
                Some(exec_event::Event::Detached(_)) => break,
                Some(exec_event::Event::Failed(failed)) => return Err(CommandError::from(failed).into()),
                Some(_) | None => {}
            }
        }
        started.ok_or(ExecError::NotStarted)
    };
    timeout(START_WITHIN, started).await.map_err(|_| ExecError::NotStarted)?
}

/// A command that ended, with its output.
struct Ended {
    stdout: output::Bounded,
    stderr: output::Bounded,
    exited: ExecExited,
}

/// Reads until the command has ended. Dropping this future ends the command.
async fn collect(session: ExecSession, budget: &output::OutputBudget) -> Result<Ended, ExecError> {
    let ExecSession { input, mut events } = session;
    // A guest of an older version gives the command a pipe. A session that has ended already reports that in its events.
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
