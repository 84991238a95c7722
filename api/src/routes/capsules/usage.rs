//! `GET /v1/capsules/usage`

use actix_web::{HttpResponse, web::Data};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wrenn_control::sandbox_usage::{self, UsageError};
use wrenn_domain::{
    action::Action,
    error_code::ErrorCode,
    statistics::{UsageDay, minutes},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Query},
};

/// Days that are wanted, in UTC.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// First day, such as `2026-11-01`; 30 days up to `to` if not given.
    #[param(nullable = false, required = false, format = Date)]
    from: Option<String>,
    /// Last day; today if not given. A period has at most 366 days.
    #[param(nullable = false, required = false, format = Date)]
    to: Option<String>,
}

/// Usage of a day, in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsagePoint {
    date: NaiveDate,
    /// Reserved vCPUs times minutes.
    cpu_minutes: f64,
    /// Reserved memory in MiB times minutes.
    ram_mb_minutes: f64,
    /// Disks of all capsules in MiB times minutes, also of those that are paused or stopped.
    disk_mb_minutes: f64,
    /// Templates in MiB times minutes.
    template_mb_minutes: f64,
}

impl From<UsageDay> for UsagePoint {
    fn from(UsageDay { date, totals }: UsageDay) -> Self {
        Self {
            date,
            cpu_minutes: minutes(totals.vcpu_seconds),
            ram_mb_minutes: minutes(totals.memory_mb_seconds),
            disk_mb_minutes: minutes(totals.disk_mb_seconds),
            template_mb_minutes: minutes(totals.template_mb_seconds),
        }
    }
}

/// Usage of the team by day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageResponse {
    from: NaiveDate,
    to: NaiveDate,
    /// Each day that has begun, oldest first. The values of today grow; those of other days are final.
    points: Vec<UsagePoint>,
}

impl ClientError for UsageError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Limit(error) => ApiError::new(ErrorCode::InvalidRequest, error.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Show the team's usage by day
///
/// Reserved vCPUs and memory count as in the statistics: paused capsules by half. Kept for 400 days.
#[utoipa::path(
    get, path = Action::SandboxUsage.path(), tag = "capsules",
    params(UsageQuery),
    responses(
        (status = 200, description = "The usage of each day", body = UsageResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn get_capsule_usage(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<UsageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (from, to) = (query.from.as_deref(), query.to.as_deref());
    let (period, points) = sandbox_usage::run(&app.control, &principal, from, to).await?;
    Ok(HttpResponse::Ok().json(UsageResponse {
        from: period.from(),
        to: period.to(),
        points: points.into_iter().map(Into::into).collect(),
    }))
}
