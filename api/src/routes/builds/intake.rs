//! Request body of a new build: JSON, or a form with the same JSON and an archive.
//!
//! ```text
//!   part `archive` ─┬─▶ a file without a name ─▶ checked as a whole
//!                   └─▶ object storage        ─▶ complete once the check has passed
//! ```
//!
//! If the request is refused or its client disconnects, no part of it is kept.

use std::{fs::File, io::Write as _};

use actix_multipart::Field;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, http::header, web::Payload};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use wrenn_actors::{
    archive::{self, ArchiveError},
    objects::{ObjectError, ObjectWriter},
};
use wrenn_base::{Chain, blocking};
use wrenn_control::build_create::{BuildCreateError, BuildRequest};
use wrenn_domain::{archive::Contents, build, error_code::ErrorCode};

use super::{Build, request::CreateBuildRequest};
use crate::{
    app::App,
    error::{ApiError, ClientError},
    http::{
        extract::{self, Json, JsonError},
        form::{Form, FormError, STALLED, text},
    },
};

/// Parts that the form takes.
const PARTS: &str = "`config` and `archive`";
/// Random characters of an archive's name; 62²⁴ is more than 2¹⁴².
const NAME_CHARACTERS: usize = 24;
/// Largest `config`.
const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// An archive that was accepted.
struct Archive {
    /// Name in object storage.
    name: String,
    contents: Contents,
}

/// The reason for which a body was not accepted.
#[derive(Debug, thiserror::Error)]
enum IntakeError {
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("config: {0}")]
    Config(#[source] JsonError),
    #[error("archive: is larger than {} MB", archive::MAX_BYTES / 1024 / 1024)]
    TooLarge,
    #[error("archive: {0}")]
    Archive(#[source] ArchiveError),
    #[error("the archive could not be written")]
    Spool(#[source] std::io::Error),
    #[error("the archive could not be stored")]
    Store(#[from] ObjectError),
    #[error("the check of the archive was interrupted")]
    Interrupted(#[source] std::io::Error),
}

impl ClientError for IntakeError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Json(error) => return error.api_error(),
            Self::Form(error) => return error.api_error(),
            Self::Config(_) | Self::Archive(_) => ErrorCode::InvalidRequest,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::Spool(_) | Self::Store(_) | Self::Interrupted(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Receives a build and takes it in, with its archive, which is removed if the build is refused.
pub(in crate::routes) async fn create(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
    take_in: impl AsyncFnOnce(BuildRequest, Option<(String, Contents)>) -> Result<build::Build, BuildCreateError>,
) -> Result<HttpResponse, ApiError> {
    let (config, archive) = receive(app, request, payload).await?;
    let object = archive.as_ref().map(|archive| archive.name.clone());
    let archive = archive.map(|Archive { name, contents }| (name, contents));
    let created = take_in(config.into(), archive).await;
    if let (Err(_), Some(object)) = (&created, object) {
        remove(app, &object).await;
    }
    Ok(HttpResponse::Created().json(Build::from(created?)))
}

/// Receives the body of a request; an archive is stored then.
async fn receive(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(CreateBuildRequest, Option<Archive>), IntakeError> {
    if is_form(request) {
        form(app, request, payload).await
    } else {
        let Json(config) = <Json<_>>::from_request(request, &mut payload.into_inner()).await?;
        Ok((config, None))
    }
}

fn is_form(request: &HttpRequest) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("multipart/"))
}

async fn form(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(CreateBuildRequest, Option<Archive>), IntakeError> {
    let mut form = Form::new(request.headers(), payload);
    let mut archive = None;
    let taken = parts(app, &mut form, &mut archive).await;
    match taken {
        Ok(config) => Ok((config, archive)),
        Err(error) => {
            if let Some(archive) = archive {
                remove(app, &archive.name).await;
            }
            form.discard().await;
            Err(error)
        }
    }
}

/// Removes an archive that is not needed; a failure to remove it does no harm.
async fn remove(app: &App, name: &str) {
    if let Err(error) = app.control.actors().objects().delete(name).await {
        tracing::warn!(error = %Chain(&error), name, "removing unneeded archive failed");
    }
}

async fn parts(
    app: &App,
    form: &mut Form,
    archive: &mut Option<Archive>,
) -> Result<CreateBuildRequest, IntakeError> {
    let mut config = None;
    while let Some(mut part) = form.next().await? {
        match part.name().unwrap_or_default() {
            "config" => text(&mut part, "config", MAX_CONFIG_BYTES, &mut config).await?,
            "archive" if archive.is_some() => return Err(FormError::Twice { part: "archive" }.into()),
            "archive" => *archive = Some(take(app, part).await?),
            other => return Err(FormError::unknown(PARTS, other).into()),
        }
    }
    let config = config.ok_or(FormError::Missing { part: "config" })?;
    extract::parse(config.as_bytes()).map_err(IntakeError::Config)
}

/// Stores an archive, and checks it.
async fn take(app: &App, part: Field) -> Result<Archive, IntakeError> {
    let name = format!("archives/{}", app.rng.alphanumeric(NAME_CHARACTERS));
    let mut writer = app.control.actors().objects().create(&name).await?;
    let checked = match spool(part, &mut writer).await {
        Ok(file) => check(file).await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(contents) => {
            writer.finish().await?;
            Ok(Archive { name, contents })
        }
        Err(error) => {
            if let Err(error) = writer.abort().await {
                tracing::warn!(error = %Chain(&error), "aborting upload of refused archive failed");
            }
            Err(error)
        }
    }
}

async fn spool(mut part: Field, writer: &mut ObjectWriter) -> Result<File, IntakeError> {
    let mut file = tempfile::tempfile().map_err(IntakeError::Spool)?;
    let mut length = 0;
    loop {
        let piece = timeout(STALLED, part.next()).await.map_err(|_| FormError::Stalled)?;
        let Some(piece) = piece.transpose().map_err(FormError::from)? else { return Ok(file) };
        length += piece.len() as u64;
        if length > archive::MAX_BYTES {
            return Err(IntakeError::TooLarge);
        }
        file.write_all(&piece).map_err(IntakeError::Spool)?;
        writer.write(piece).await?;
    }
}

async fn check(file: File) -> Result<Contents, IntakeError> {
    let checked = blocking(move || Ok(archive::check(&file)));
    checked.await.map_err(IntakeError::Interrupted)?.map_err(IntakeError::Archive)
}
