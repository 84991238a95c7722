//! `GET /v1/capsules/stats`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wrenn_control::sandbox_stats;
use wrenn_domain::{
    action::Action,
    statistics::{Reserved, StatsRange, TeamStatistics},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Query},
};

/// Time over which statistics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub(crate) enum CapsuleStatsRange {
    /// Each sample of five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// An hour, by minutes.
    #[default]
    #[serde(rename = "1h")]
    Hour,
    /// Six hours, by five minutes.
    #[serde(rename = "6h")]
    SixHours,
    /// A day, by quarters of an hour.
    #[serde(rename = "24h")]
    Day,
    /// Thirty days, by six hours.
    #[serde(rename = "30d")]
    ThirtyDays,
}

impl From<CapsuleStatsRange> for StatsRange {
    fn from(range: CapsuleStatsRange) -> Self {
        match range {
            CapsuleStatsRange::FiveMinutes => Self::FiveMinutes,
            CapsuleStatsRange::Hour => Self::Hour,
            CapsuleStatsRange::SixHours => Self::SixHours,
            CapsuleStatsRange::Day => Self::Day,
            CapsuleStatsRange::ThirtyDays => Self::ThirtyDays,
        }
    }
}

/// Statistics that are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Time up to now; an hour if not given.
    #[serde(default)]
    #[param(required = false, inline, default = "1h")]
    range: CapsuleStatsRange,
}

/// Values now, counted for the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentStats {
    /// Capsules that have a machine: those that run, start or resume.
    running_count: u64,
    /// vCPUs of these capsules, and half of those of the paused ones together, rounded up.
    vcpus_reserved: u64,
    /// Memory in MiB, reserved likewise.
    memory_mb_reserved: u64,
    #[schema(required = true)]
    sampled_at: Option<DateTime<Utc>>,
}

/// Largest values of the last 30 days. They need not be of the same time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeakStats {
    running_count: u64,
    /// Reserved vCPUs.
    vcpus: u64,
    /// Reserved memory, in MiB.
    memory_mb: u64,
}

/// Values over the range, oldest first: each the largest of a bucket. The arrays have the same length.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatsSeries {
    /// Start of each bucket.
    labels: Vec<DateTime<Utc>>,
    /// Running capsules; 0 where nothing ran, and where no server ran that could have counted.
    running: Vec<u64>,
    /// Reserved vCPUs.
    vcpus: Vec<u64>,
    /// Reserved memory, in MiB.
    memory_mb: Vec<u64>,
}

/// Running capsules of the team and its reservations, over a range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapsuleStats {
    range: CapsuleStatsRange,
    current: CurrentStats,
    peaks: PeakStats,
    series: StatsSeries,
}

impl CapsuleStats {
    fn of(range: CapsuleStatsRange, statistics: &TeamStatistics) -> Self {
        let TeamStatistics { now, current, peaks, series } = statistics;
        let values =
            |value: fn(&Reserved) -> u64| series.iter().map(|bucket| value(&bucket.reserved)).collect();
        Self {
            range,
            current: CurrentStats {
                running_count: current.running_count,
                vcpus_reserved: current.vcpus,
                memory_mb_reserved: current.memory_mb,
                sampled_at: Some(*now),
            },
            peaks: PeakStats {
                running_count: peaks.running_count,
                vcpus: peaks.vcpus,
                memory_mb: peaks.memory_mb,
            },
            series: StatsSeries {
                labels: series.iter().map(|bucket| bucket.at).collect(),
                running: values(|reserved| reserved.running_count),
                vcpus: values(|reserved| reserved.vcpus),
                memory_mb: values(|reserved| reserved.memory_mb),
            },
        }
    }
}

/// Show how many capsules run, and what they reserve
///
/// Counts the team's capsules and those in which its builds work. Samples are taken every ten seconds and kept for 60 days.
#[utoipa::path(
    get, path = Action::SandboxStats.path(), tag = "capsules",
    params(StatsQuery),
    responses(
        (status = 200, description = "Values now, peaks of 30 days, and the course over the range", body = CapsuleStats),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn get_capsule_stats(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<StatsQuery>>,
) -> Result<HttpResponse, ApiError> {
    let statistics = sandbox_stats::run(&app.control, &principal, query.range.into()).await?;
    Ok(HttpResponse::Ok().json(CapsuleStats::of(query.range, &statistics)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_spelled_as_the_domain_spells_them() {
        for range in StatsRange::ALL {
            let read: CapsuleStatsRange = serde_json::from_value(range.as_str().into()).unwrap();
            assert_eq!(StatsRange::from(read), *range);
            assert_eq!(serde_json::to_value(read).unwrap(), range.as_str());
        }
        assert_eq!(StatsRange::from(CapsuleStatsRange::default()), StatsRange::DEFAULT);
    }
}
