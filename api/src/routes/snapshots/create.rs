//! `POST /v1/snapshots`

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wrenn_actors::TemplateOrder;
use wrenn_domain::{
    error_code::ErrorCode,
    limits,
    template::{OnConflict, TemplateKind},
};
use wrenn_proto::ids::{ParseIdError, SandboxId, TemplateId};

use super::{Template, TemplateType};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json, Query},
    routes::capsules::operate::{self, OperateError},
};

/// How long the client waits. Copies are references, but a disk is checked and made small, which takes its time.
const WITHIN: Duration = Duration::from_secs(600);
/// How much of its id makes a name unique.
const SUFFIX_CHARACTERS: usize = 8;

/// What the template shall be made of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSnapshotRequest {
    /// The capsule.
    sandbox_id: String,
    /// Up to 63 lower-case letters, digits, `.`, `_` and `-`, the first a letter or digit. By default one is made up.
    #[schema(nullable = false, required = false)]
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

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateSnapshotError {
    #[error("sandbox_id: {0}")]
    Id(#[from] ParseIdError),
    #[error(
        "name: must have 1 to 63 lower-case letters, digits, `.`, `_` or `-`, and begin with a letter or digit"
    )]
    Name,
    #[error("no template was made of the capsule")]
    Operate(#[source] OperateError),
}

impl From<OperateError> for CreateSnapshotError {
    fn from(error: OperateError) -> Self {
        Self::Operate(error)
    }
}

impl CreateSnapshotError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Id(_) | Self::Name => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Operate(error) => error.api_error(),
        }
    }
}
impl_response_error!(CreateSnapshotError);

/// Make a template of a capsule
///
/// The capsule stays what it is; one that runs stands still for a moment. Answers when the template is ready.
#[utoipa::path(
    post, path = "/v1/snapshots", tag = "snapshots", security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(CreateSnapshotQuery),
    request_body = CreateSnapshotRequest,
    responses(
        (status = 201, description = "The template", body = Template),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
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
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_snapshot(
    app: Data<App>,
    AuthThen(caller, (Query(query), Json(request))): AuthThen<
        Caller,
        (Query<CreateSnapshotQuery>, Json<CreateSnapshotRequest>),
    >,
) -> Result<HttpResponse, CreateSnapshotError> {
    let sandbox = request.sandbox_id.parse::<SandboxId>()?;
    let order = request.into_order(query.overwrite.unwrap_or(false))?;
    operate::find(&app, caller, sandbox).await?;
    let made = app.control_plane.template_make(sandbox, order, WITHIN).await.map_err(OperateError::from)?;
    tracing::info!(
        template_id = %made.id, sandbox_id = %sandbox, team_id = %caller.team_id, "template made of a capsule"
    );
    Ok(HttpResponse::Created().json(Template::from(made)))
}

impl CreateSnapshotRequest {
    fn into_order(self, overwrite: bool) -> Result<TemplateOrder, CreateSnapshotError> {
        let id = TemplateId::new();
        let name = self.name.unwrap_or_else(|| default_name(id));
        if !limits::is_template_name(&name) {
            return Err(CreateSnapshotError::Name);
        }
        let source = TemplateKind::from(self.kind.unwrap_or(TemplateType::Snapshot)).into();
        let on_conflict = if overwrite { OnConflict::Replace } else { OnConflict::Refuse };
        Ok(TemplateOrder::of_client(id, name, source, on_conflict))
    }
}

/// A name that nobody has: the end of an id is random.
fn default_name(id: TemplateId) -> String {
    let id = id.to_string();
    let suffix = id.len().saturating_sub(SUFFIX_CHARACTERS);
    format!("snapshot-{}", &id[suffix..])
}

#[cfg(test)]
mod tests {
    use wrenn_domain::template::TemplateSource;

    use super::*;

    fn request(json: &str) -> CreateSnapshotRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_name_that_is_made_up_is_valid_and_not_made_up_twice() {
        let order = || request(r#"{"sandbox_id": ""}"#).into_order(false).unwrap();
        let (one, other) = (order(), order());
        assert!(limits::is_template_name(&one.name), "{}", one.name);
        assert_ne!(one.name, other.name);
        assert_eq!((one.source, one.on_conflict), (TemplateSource::Snapshot, OnConflict::Refuse));
    }

    #[test]
    fn a_name_that_no_template_may_have_is_refused() {
        for name in ["", "Upper", "-a", "a/b", "ä"] {
            let request = CreateSnapshotRequest {
                sandbox_id: String::new(),
                name: Some(name.to_owned()),
                kind: Some(TemplateType::Base),
            };
            assert_eq!(
                request.into_order(true).unwrap_err().api_error().code,
                ErrorCode::InvalidRequest,
                "{name}"
            );
        }
    }
}
