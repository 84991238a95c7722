//! `POST /v1/snapshots`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wrenn_control::template_create::{self, CreateTemplateError};
use wrenn_domain::{
    action::Action,
    error_code::ErrorCode,
    ids::{ParseIdError, SandboxId},
    template::OnConflict,
};

use super::{Template, TemplateType};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, Query},
    routes::limit_schemas,
};

/// The template to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSnapshotRequest {
    /// The capsule.
    sandbox_id: String,
    #[schema(schema_with = limit_schemas::snapshot_name, required = false)]
    name: Option<String>,
    /// By default `snapshot`. One of a running or stopped capsule can be `base`, its disk alone.
    #[serde(rename = "type")]
    #[schema(nullable = false, required = false)]
    kind: Option<TemplateType>,
}

/// The query of the request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreateSnapshotQuery {
    /// Replace the team's template of that name, once the new one is ready.
    #[param(nullable = false, required = false)]
    overwrite: Option<bool>,
}

/// An id in the request that cannot be that of a capsule.
#[derive(Debug, thiserror::Error)]
#[error("sandbox_id: {0}")]
struct SandboxIdError(#[from] ParseIdError);

impl ClientError for SandboxIdError {
    fn api_error(&self) -> ApiError {
        ApiError::new(ErrorCode::InvalidRequest, self.to_string())
    }
}

impl ClientError for CreateTemplateError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Name => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Operate(error) => error.api_error(),
        }
    }
}

/// Make a template of a capsule
///
/// The capsule stays what it is; one that runs stands still for a moment. Answers when the template is ready.
#[utoipa::path(
    post, path = Action::TemplateCreate.path(), tag = "snapshots",
    params(CreateSnapshotQuery),
    request_body = CreateSnapshotRequest,
    responses(
        (status = 201, description = "The template", body = Template),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = "The team's quota does not allow it (`quota_exceeded`), or you may not do this", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (
            status = 409,
            description = "The name is the team's (`template_name_taken`) or the platform's (`name_reserved`) \
                already, or the capsule's state does not allow it (`invalid_state`)",
            body = ErrorBody,
        ),
        (
            status = 502,
            description = "The host failed, or has not finished in time (`agent_error`)",
            body = ErrorBody,
        ),
        (
            status = 503,
            description = "The host is away (`host_unavailable`), or the server has too much to do (`overloaded`)",
            body = ErrorBody,
        ),
    ),
)]
pub(crate) async fn create_snapshot(
    app: Data<App>,
    AuthThen(Authorized(principal), (Query(query), Json(request))): AuthThen<
        Authorized,
        (Query<CreateSnapshotQuery>, Json<CreateSnapshotRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let sandbox = request.sandbox_id.parse::<SandboxId>().map_err(SandboxIdError::from)?;
    let kind = request.kind.unwrap_or(TemplateType::Snapshot).into();
    let on_conflict = if query.overwrite == Some(true) { OnConflict::Replace } else { OnConflict::Refuse };
    let name = request.name;
    let made = template_create::run(&app.control, &principal, sandbox, name, kind, on_conflict).await?;
    Ok(HttpResponse::Created().json(Template::from(made)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_id_and_a_wrong_name_are_the_requests_fault_and_name_their_field() {
        let id = SandboxIdError::from("nonsense".parse::<SandboxId>().unwrap_err()).api_error();
        let name = CreateTemplateError::Name.api_error();
        for (answer, field) in [(id, "sandbox_id: "), (name, "name: ")] {
            assert_eq!(answer.code, ErrorCode::InvalidRequest);
            assert!(answer.message.starts_with(field), "{}", answer.message);
        }
    }
}
