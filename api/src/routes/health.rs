//! `GET /health`

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::server_health::{self, ServerHealth};
use wrenn_domain::action::Action;

use crate::app::App;

/// Status of the server, or of a component that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthStatus {
    /// Everything works.
    Ok,
    /// The server works; a component that it needs for some requests does not.
    Degraded,
    /// No request succeeds.
    Down,
}

/// Status of a component that the server needs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthCheck {
    status: HealthStatus,
    /// The problem and its consequence; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    message: Option<&'static str>,
}

impl HealthCheck {
    fn of(works: bool, problem: &'static str) -> Self {
        if works {
            Self { status: HealthStatus::Ok, message: None }
        } else {
            Self { status: HealthStatus::Down, message: Some(problem) }
        }
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

/// Status of the server and of its components.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    status: HealthStatus,
    version: &'static str,
    database: HealthCheck,
    redis: HealthCheck,
    hosts: HostsHealth,
}

impl From<ServerHealth> for Health {
    fn from(health: ServerHealth) -> Self {
        let ServerHealth { database_answers, queue_answers, hosts_online, hosts_total } = health;
        let status = if !database_answers {
            HealthStatus::Down
        } else if queue_answers && hosts_online > 0 {
            HealthStatus::Ok
        } else {
            HealthStatus::Degraded
        };
        Self {
            status,
            version: env!("CARGO_PKG_VERSION"),
            database: HealthCheck::of(database_answers, "Postgres does not answer; nothing works without it"),
            redis: HealthCheck::of(queue_answers, "Redis does not answer; queued work waits for it"),
            hosts: HostsHealth {
                check: HealthCheck::of(hosts_online > 0, "no host is online, so no capsule can be created"),
                online: hosts_online,
                total: hosts_total,
            },
        }
    }
}

/// Say what works and what does not
///
/// 503 when nothing can work. A server without Redis or without hosts answers 200 and `degraded`.
#[utoipa::path(
    get, path = Action::Health.path(), tag = "operation",
    responses(
        (status = 200, description = "The server works", body = Health),
        (status = 503, description = "The server does not work", body = Health),
    ),
)]
pub(crate) async fn health(app: Data<App>) -> HttpResponse {
    let health = Health::from(server_health::run(&app.control).await);
    let code = match health.status {
        HealthStatus::Ok | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    HttpResponse::build(code).json(health)
}
