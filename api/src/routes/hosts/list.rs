//! `GET /v1/hosts`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::host_list;
use wrenn_domain::action::Action;

use super::Host;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
};

/// List hosts
///
/// Platform administrators see every host, with the names of teams, others those that their team brought.
#[utoipa::path(
    get, path = Action::HostList.path(), tag = "hosts",
    params(PageQuery),
    responses(
        (
            status = 200, description = "The hosts, oldest first", body = [Host],
            headers(("X-Next-Token" = String, description = "Token of the next page, if there is one")),
        ),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_hosts(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = host_list::run(&app.control, &principal, wanted.request()?).await?;
    Ok(page::respond(found.map(Host::from)))
}
