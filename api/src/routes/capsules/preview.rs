//! `PUT /v1/capsules/{id}/preview`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::sandbox_preview_set::{self, PreviewToken};
use wrenn_domain::{action::Action, ids::SandboxId};

use super::{Capsule, CapsulePreviewAccess};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
};

/// Changes to the access to a capsule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPreviewRequest {
    /// Unchanged if it is left out.
    #[schema(nullable = false, required = false)]
    access: Option<CapsulePreviewAccess>,
    /// Makes a new token; links with the old one stop working.
    #[schema(nullable = false, required = false, default = false)]
    rotate_token: Option<bool>,
}

/// Say who may reach the ports of a capsule
///
/// The programs in a capsule are reached at `preview_url`, with a port in place of `{port}`. Unless access is `public`, a
/// visitor needs the token: as `?wrenn_token=` in the address (a browser keeps it in a cookie), or in the header
/// `x-wrenn-token`.
#[utoipa::path(
    put, path = Action::SandboxPreview.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    request_body = SetPreviewRequest,
    responses(
        (status = 200, description = "The capsule as it is now", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
    ),
)]
pub(crate) async fn set_capsule_preview(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<SetPreviewRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let access = request.access.map(Into::into);
    let token = if request.rotate_token == Some(true) { PreviewToken::Rotate } else { PreviewToken::Keep };
    let changed = sandbox_preview_set::run(&app.control, &principal, id, access, token).await?;
    Ok(HttpResponse::Ok().json(Capsule::of(&app, &principal, changed)))
}
