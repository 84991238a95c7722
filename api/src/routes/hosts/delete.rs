//! `DELETE /v1/hosts/{id}`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::IntoParams;
use wrenn_control::host_delete;
use wrenn_domain::{action::Action, host::HostDeletion, ids::HostId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId, Query},
};

/// Manner of the deletion.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteHostQuery {
    /// True to delete a host that has capsules, which end with it.
    #[param(nullable = false, required = false)]
    force: Option<bool>,
}

/// Delete a host
///
/// Its agent destroys all machines and forgets its credentials. Templates that only the host has are deleted, too.
#[utoipa::path(
    delete, path = Action::HostDelete.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host"), DeleteHostQuery),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You see no such host", body = ErrorBody),
        (status = 409, description = "The host has capsules (`host_has_capsules`)", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_host(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Query(query))): AuthThen<
        Authorized,
        (PathId<HostId>, Query<DeleteHostQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    let is_forced = query.force.unwrap_or(false);
    let deletion = if is_forced { HostDeletion::Forced } else { HostDeletion::IfEmpty };
    host_delete::run(&app.control, &principal, id, deletion).await?;
    Ok(HttpResponse::NoContent().finish())
}
