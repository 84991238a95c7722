//! `GET /v1/snapshots`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::IntoParams;
use wrenn_store::StoreError;

use super::{Template, TemplateType};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Query},
};

/// The query of the request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSnapshotsQuery {
    /// Leave out the others.
    #[serde(rename = "type")]
    #[param(nullable = false, required = false)]
    kind: Option<TemplateType>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("the templates could not be listed")]
pub(crate) struct ListSnapshotsError(#[from] StoreError);

impl ListSnapshotsError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}
impl_response_error!(ListSnapshotsError);

/// List the templates that capsules can be made from
///
/// The team's own and the platform's.
#[utoipa::path(
    get, path = "/v1/snapshots", tag = "snapshots", security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(ListSnapshotsQuery),
    responses(
        (status = 200, description = "The templates, newest first", body = [Template]),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn list_snapshots(
    app: Data<App>,
    AuthThen(caller, Query(query)): AuthThen<Caller, Query<ListSnapshotsQuery>>,
) -> Result<HttpResponse, ListSnapshotsError> {
    let templates = app.store.template_list(caller.team_id, query.kind.map(Into::into)).await?;
    Ok(HttpResponse::Ok().json(templates.into_iter().map(Template::from).collect::<Vec<_>>()))
}
