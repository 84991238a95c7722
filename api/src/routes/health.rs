//! `GET /health`

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use wrenn_domain::host::HostStatus;

use crate::{app::App, error::Chain};

/// How long a database may take to answer, also when all connections to it are in use.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthStatus {
    /// Everything works.
    Ok,
    /// The server works; something that it needs for some requests does not.
    Degraded,
    /// Nothing works.
    Down,
}

/// One thing that the server needs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthCheck {
    status: HealthStatus,
    /// What is wrong and what it means, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    message: Option<&'static str>,
}

impl HealthCheck {
    const OK: Self = Self { status: HealthStatus::Ok, message: None };

    fn wrong(status: HealthStatus, message: &'static str) -> Self {
        Self { status, message: Some(message) }
    }
}

/// The machines that run capsules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostsHealth {
    #[serde(flatten)]
    check: HealthCheck,
    online: usize,
    total: usize,
}

/// How the server is, and what is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: HealthStatus,
    version: &'static str,
    database: HealthCheck,
    redis: HealthCheck,
    hosts: HostsHealth,
}

/// Say what works and what does not
///
/// 503 when nothing can work. A server without Redis or without hosts answers 200 and `degraded`.
#[utoipa::path(
    get, path = "/health", tag = "operation", security(()),
    responses(
        (status = 200, description = "The server works", body = Health),
        (status = 503, description = "The server does not work", body = Health),
    ),
)]
pub(crate) async fn health(app: Data<App>) -> HttpResponse {
    let (database, redis) = tokio::join!(database(&app), redis(&app));
    let hosts = hosts(&app);
    let checks = [database.status, redis.status, hosts.check.status];
    let status = if database.status == HealthStatus::Down {
        HealthStatus::Down
    } else if checks.iter().all(|check| *check == HealthStatus::Ok) {
        HealthStatus::Ok
    } else {
        HealthStatus::Degraded
    };
    let code = if status == HealthStatus::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let version = env!("CARGO_PKG_VERSION");
    HttpResponse::build(code).json(Health { status, version, database, redis, hosts })
}

async fn database(app: &App) -> HealthCheck {
    match timeout(PING_WITHIN, app.store.ping()).await {
        Ok(Ok(())) => return HealthCheck::OK,
        Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "postgres does not answer"),
        Err(_) => tracing::warn!("postgres does not answer in time"),
    }
    HealthCheck::wrong(HealthStatus::Down, "Postgres does not answer; nothing works without it")
}

async fn redis(app: &App) -> HealthCheck {
    match app.control_plane.queue_ping().await {
        Ok(()) => HealthCheck::OK,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "redis does not answer");
            HealthCheck::wrong(HealthStatus::Down, "Redis does not answer; queued work waits for it")
        }
    }
}

fn hosts(app: &App) -> HostsHealth {
    let known = app.control_plane.hosts_snapshot();
    let online = known.iter().filter(|host| host.status == HostStatus::Online).count();
    let check = match online {
        0 => HealthCheck::wrong(HealthStatus::Down, "no host is online, so no capsule can be created"),
        _ => HealthCheck::OK,
    };
    HostsHealth { check, online, total: known.len() }
}
