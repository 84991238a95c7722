//! `GET /v1/snapshots`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::IntoParams;
use wrenn_control::template_list;
use wrenn_domain::action::Action;

use super::{Template, TemplateType};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
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

/// List the templates that capsules can be made from
///
/// The team's own and the platform's.
#[utoipa::path(
    get, path = Action::TemplateList.path(), tag = "snapshots",
    params(ListSnapshotsQuery, PageQuery),
    responses(
        (status = 200, description = "The templates, newest first", body = [Template], headers(("X-Next-Token" = String, description = "Token of the next page, if there is one"))),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_snapshots(
    app: Data<App>,
    AuthThen(Authorized(principal), (Query(query), Query(wanted))): AuthThen<
        Authorized,
        (Query<ListSnapshotsQuery>, Query<PageQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    let kind = query.kind.map(Into::into);
    let found = template_list::run(&app.control, &principal, kind, wanted.request()?).await?;
    Ok(page::respond(found.map(Template::from)))
}
