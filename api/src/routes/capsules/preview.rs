//! `PUT /v1/capsules/{id}/preview`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use wrenn_domain::preview::PreviewAccess;
use wrenn_proto::ids::SandboxId;
use wrenn_store::StoreError;

use super::{Capsule, operate::OperateError};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json, PathId},
};

/// Who may reach the ports of a capsule through its preview addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CapsulePreviewAccess {
    /// Everybody who knows the address.
    Public,
    /// Those who know `preview_token`.
    Token,
}

impl From<PreviewAccess> for CapsulePreviewAccess {
    fn from(access: PreviewAccess) -> Self {
        match access {
            PreviewAccess::Public => Self::Public,
            PreviewAccess::Token => Self::Token,
        }
    }
}

impl From<CapsulePreviewAccess> for PreviewAccess {
    fn from(access: CapsulePreviewAccess) -> Self {
        match access {
            CapsulePreviewAccess::Public => Self::Public,
            CapsulePreviewAccess::Token => Self::Token,
        }
    }
}

/// What shall change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPreviewRequest {
    /// As before if it is left out.
    #[schema(nullable = false, required = false)]
    access: Option<CapsulePreviewAccess>,
    /// Makes a new token; links with the old one lead nowhere any more.
    #[schema(nullable = false, required = false, default = false)]
    rotate_token: Option<bool>,
}

/// Why nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetPreviewError {
    #[error("the capsule cannot be changed")]
    Find(#[from] OperateError),
    #[error("the capsule could not be changed")]
    Store(#[from] StoreError),
}

impl SetPreviewError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Find(error) => error.api_error(),
            Self::Store(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(SetPreviewError);

/// Say who may reach the ports of a capsule
///
/// The programs in a capsule are reached at `preview_url`, with a port in place of `{port}`. Unless access is `public`, a
/// visitor needs the token: as `?wrenn_token=` in the address (a browser keeps it in a cookie), or in the header
/// `x-wrenn-token`.
#[utoipa::path(
    put, path = "/v1/capsules/{id}/preview", tag = "capsules",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = SetPreviewRequest,
    responses(
        (status = 200, description = "The capsule as it is now", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
    ),
)]
pub(crate) async fn set_capsule_preview(
    app: Data<App>,
    AuthThen(caller, (PathId(id), Json(request))): AuthThen<
        Caller,
        (PathId<SandboxId>, Json<SetPreviewRequest>),
    >,
) -> Result<HttpResponse, SetPreviewError> {
    let token = (request.rotate_token == Some(true)).then(|| Uuid::new_v4().simple().to_string());
    let access = request.access.map(Into::into);
    let changed = app.store.sandbox_preview_set(caller.team_id, id, access, token.as_deref()).await?;
    let sandbox = changed.ok_or(OperateError::NotFound(id))?;
    tracing::info!(sandbox_id = %id, ?access, new_token = token.is_some(), "preview access changed");
    Ok(HttpResponse::Ok().json(Capsule::of(&app, sandbox)))
}
