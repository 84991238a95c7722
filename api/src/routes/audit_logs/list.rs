//! `GET /v1/audit-logs`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use wrenn_control::audit_list::AuditLog;
use wrenn_domain::action::Action;

use super::{AuditLogEntry, AuditQuery, respond};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Query},
};

/// Read the team's audit log
///
/// For owners and admins, and for keys that they made. Entries are kept for 400 days. With `format`, answers with
/// everything that matches.
#[utoipa::path(
    get, path = Action::AuditList.path(), tag = "teams",
    params(AuditQuery),
    responses(
        (
            status = 200,
            description = "The entries, newest first",
            content(
                (Vec<AuditLogEntry> = "application/json"),
                (String = "text/csv"),
                (String = "application/jsonl"),
            ),
            headers(("X-Next-Token" = String, description = "Token of the next page, if there is one")),
        ),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_audit_logs(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<AuditQuery>>,
) -> Result<HttpResponse, ApiError> {
    respond(app, &request, principal, AuditLog::OfTeam, &query).await
}
