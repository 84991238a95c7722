//! `GET /v1/builds/{id}`

use actix_web::web::{self, Data};
use wrenn_control::build_get::{self, BuildLog, GetBuildError};
use wrenn_domain::{action::Action, build::LogStream, ids::BuildId};

use super::{Build, LogEntry};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody, impl_lookup_error},
    http::extract::{AuthThen, PathId},
};

impl_lookup_error!(GetBuildError);

/// Get a build of the team with its logs
#[utoipa::path(
    get, path = Action::BuildGet.path(), tag = "builds",
    params(("id" = String, Path, description = "The build")),
    responses(
        (status = 200, description = "The build", body = Build),
        (status = 404, description = "The team has no such build", body = ErrorBody),
    ),
)]
pub(crate) async fn get_team_build(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<BuildId>>,
) -> Result<web::Json<Build>, ApiError> {
    let log = build_get::run(&app.control, &principal, id).await?;
    Ok(web::Json(log.into()))
}

impl From<BuildLog> for Build {
    fn from(BuildLog { build, steps, lines }: BuildLog) -> Self {
        let mut logs: Vec<LogEntry> = steps.into_iter().map(Into::into).collect();
        for line in &lines {
            // A step that began after the steps were read is part of the next response.
            let Some(entry) = logs.iter_mut().find(|entry| entry.step == line.step) else { continue };
            let text = match line.stream {
                LogStream::Stdout => &mut entry.stdout,
                LogStream::Stderr => &mut entry.stderr,
            };
            text.push_str(&line.line);
            text.push('\n');
        }
        Self { logs, ..build.into() }
    }
}
