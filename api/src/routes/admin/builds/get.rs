//! `GET /v1/admin/builds/{id}`

use actix_web::web::{self, Data};
use wrenn_domain::{build::LogStream, error_code::ErrorCode};
use wrenn_proto::ids::BuildId;
use wrenn_store::StoreError;

use super::{Build, LogEntry};
use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// So many lines are read at once.
const LINES: u32 = 5000;

/// Why the build was not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetBuildError {
    #[error("there is no build {0}")]
    NotFound(BuildId),
    #[error("the build could not be read")]
    Store(#[from] StoreError),
}

impl GetBuildError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Store(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(GetBuildError);

/// Get a build with its logs
#[utoipa::path(
    get, path = "/v1/admin/builds/{id}", tag = "administration", security(("bearerAuth" = [])),
    params(("id" = String, Path, description = "The build")),
    responses(
        (status = 200, description = "The build", body = Build),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
        (status = 404, description = "There is no such build", body = ErrorBody),
    ),
)]
pub(crate) async fn get_build(
    app: Data<App>,
    AuthThen(_admin, PathId(id)): AuthThen<Admin, PathId<BuildId>>,
) -> Result<web::Json<Build>, GetBuildError> {
    let build = app.store.build_fetch(id).await?.ok_or(GetBuildError::NotFound(id))?;
    let logs = logs(&app, id).await?;
    Ok(web::Json(Build { logs, ..build.into() }))
}

async fn logs(app: &App, id: BuildId) -> Result<Vec<LogEntry>, StoreError> {
    let steps = app.store.build_steps(id).await?;
    let mut entries: Vec<LogEntry> = steps.into_iter().map(Into::into).collect();
    let mut after = 0;
    loop {
        let lines = app.store.build_lines(id, after, LINES).await?;
        let Some(last) = lines.last() else { return Ok(entries) };
        after = last.seq;
        for line in &lines {
            // One that has begun since the steps were read is there next time.
            let Some(entry) = entries.iter_mut().find(|entry| entry.step == line.step) else { continue };
            let text = match line.stream {
                LogStream::Stdout => &mut entry.stdout,
                LogStream::Stderr => &mut entry.stderr,
            };
            text.push_str(&line.line);
            text.push('\n');
        }
    }
}
