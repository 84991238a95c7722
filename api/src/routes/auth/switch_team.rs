//! `POST /v1/auth/switch-team`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::team_switch::{self, SwitchTeamError};
use wrenn_domain::{action::Action, ids::TeamId};

use super::AuthResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody, impl_lookup_error},
    http::extract::{AuthThen, Json},
};

/// The team to act for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SwitchTeamRequest {
    #[schema(value_type = String, example = "team-01jx3m8k2vdqg5z7c9h4f6t8r")]
    team_id: TeamId,
}

impl_lookup_error!(SwitchTeamError);

/// Switch to another of your teams
///
/// Answers with a new token. The old one stays valid.
#[utoipa::path(
    post, path = Action::TeamSwitch.path(), tag = "auth",
    request_body = SwitchTeamRequest,
    responses(
        (status = 200, description = "A token for the team", body = AuthResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You belong to no such team", body = ErrorBody),
    ),
)]
pub(crate) async fn switch_team(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(SwitchTeamRequest { team_id })): AuthThen<
        Authorized,
        Json<SwitchTeamRequest>,
    >,
) -> Result<HttpResponse, ApiError> {
    let user = team_switch::run(&app.control, &principal, team_id).await?;
    Ok(HttpResponse::Ok().json(AuthResponse::sign(&app, user, Some(team_id)).await?))
}
