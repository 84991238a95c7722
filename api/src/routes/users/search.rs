//! `GET /v1/users/search`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wrenn_control::user_search::{self, SearchUsersError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Query},
};

/// The beginning of an address.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchUsersQuery {
    /// Beginning of the address, in upper or lower case; at least three characters.
    #[param(min_length = 3)]
    email: String,
}

/// A user who can be added to a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserSearchResult {
    user_id: String,
    name: String,
    #[schema(format = Email)]
    email: String,
}

impl ClientError for SearchUsersError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Prefix => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Search for users by the beginning of their address
///
/// For members who can add others to their team. Shows active users with a verified address, ten at most.
#[utoipa::path(
    get, path = Action::UserSearch.path(), tag = "teams",
    params(SearchUsersQuery),
    responses(
        (status = 200, description = "The users, by address", body = [UserSearchResult]),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn search_users(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<SearchUsersQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = user_search::run(&app.control, &principal, &query.email).await?;
    let found = found.into_iter().map(|user| UserSearchResult {
        user_id: user.user_id.to_string(),
        name: user.name,
        email: user.email,
    });
    Ok(HttpResponse::Ok().json(found.collect::<Vec<_>>()))
}
