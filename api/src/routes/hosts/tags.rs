//! `GET` and `POST /v1/hosts/{id}/tags`, `DELETE /v1/hosts/{id}/tags/{tag}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{host_tag_add, host_tag_list, host_tag_remove};
use wrenn_domain::{action::Action, ids::HostId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::limit_schemas,
};

/// The id and the tag in a path.
type HostAndTag = Path<(String, String)>;

/// A tag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddTagRequest {
    #[schema(schema_with = limit_schemas::host_tag)]
    tag: String,
}

/// List the tags of a host
#[utoipa::path(
    get, path = Action::HostTagList.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    responses(
        (status = 200, description = "The tags, sorted", body = [String]),
        (status = 404, description = "You see no such host", body = ErrorBody),
    ),
)]
pub(crate) async fn list_host_tags(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<HostId>>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(host_tag_list::run(&app.control, &principal, id).await?))
}

/// Give a host a tag
///
/// A tag that it has already stays.
#[utoipa::path(
    post, path = Action::HostTagAdd.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    request_body = AddTagRequest,
    responses(
        (status = 204, description = "The host has the tag"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You see no such host", body = ErrorBody),
        (status = 409, description = "The host has as many tags as it may (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn add_host_tag(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<HostId>, Json<AddTagRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    host_tag_add::run(&app.control, &principal, id, &request.tag).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Take a tag from a host
#[utoipa::path(
    delete, path = Action::HostTagRemove.path(), tag = "hosts",
    params(
        ("id" = String, Path, description = "Id of the host"),
        ("tag" = String, Path, description = "The tag"),
    ),
    responses(
        (status = 204, description = "The host does not have the tag any more"),
        (status = 404, description = "You see no such host, or it has no such tag", body = ErrorBody),
    ),
)]
pub(crate) async fn remove_host_tag(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), path)): AuthThen<Authorized, (PathId<HostId>, HostAndTag)>,
) -> Result<HttpResponse, ApiError> {
    host_tag_remove::run(&app.control, &principal, id, &path.1).await?;
    Ok(HttpResponse::NoContent().finish())
}
