//! The query of the audit log, and the choice between a page and an export.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use wrenn_control::audit_list::{self, AuditLog};
use wrenn_domain::{
    audit_log::AuditFilter,
    error_code::ErrorCode,
    ids::AuditId,
    limits,
    page::{PageRequest, Position},
    principal::Principal,
};

use super::{AdminAuditLogEntry, AuditLogEntry, export};
use crate::{app::App, error::ApiError, http::page};

/// Entries of a page.
const ROWS: std::ops::RangeInclusive<i64> = 1..=500;
/// Entries of a page if the client does not say how many.
const DEFAULT_ROWS: u32 = 50;
/// Longest name of an action or of a kind of resource.
const MAX_WORD_BYTES: usize = 64;

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExportFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Lines of JSON, an object on each.
    Jsonl,
}

/// Entries that are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Kind of the resource, such as `capsule`.
    #[param(nullable = false, required = false)]
    resource_type: Option<String>,
    /// Name of the action, such as `capsule.create`.
    #[param(nullable = false, required = false)]
    action: Option<String>,
    /// Id of the user, API key or host that made the change.
    #[param(nullable = false, required = false)]
    actor_id: Option<String>,
    /// Time of the oldest entry.
    #[param(nullable = false, required = false, format = DateTime)]
    since: Option<String>,
    /// Time before which the newest entry was made.
    #[param(nullable = false, required = false, format = DateTime)]
    until: Option<String>,
    /// `created_at` of the last entry of the page before.
    #[param(nullable = false, required = false, format = DateTime)]
    before: Option<String>,
    /// `id` of the last entry of the page before: of entries of one time, those behind it follow.
    #[param(nullable = false, required = false)]
    before_id: Option<String>,
    /// Token of the page, from the header `X-Next-Token` of the page before, instead of `before` and `before_id`.
    #[param(nullable = false, required = false)]
    after: Option<String>,
    /// Most entries of a page, 50 if not given. An export has no limit.
    #[param(nullable = false, required = false, minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// Export of everything that matches; the header `Accept` with `text/csv` or `application/jsonl` means the same.
    #[param(nullable = false, required = false, inline)]
    format: Option<ExportFormat>,
}

fn invalid(field: &str, wrong: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, format!("{field}: {wrong}"))
}

/// Reads a time of RFC 3339.
fn time(field: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let parsed = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let parsed = parsed.filter(|time| page::is_storable(*time));
    let wrong = || invalid(field, "must be a time of RFC 3339, such as `2026-11-30T12:00:00Z`");
    parsed.map(Some).ok_or_else(wrong)
}

/// Checks the name of an action or of a kind of resource.
fn word(field: &str, text: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let is_word = |byte: u8| byte.is_ascii_lowercase() || b"._".contains(&byte);
    if !text.is_empty() && text.len() <= MAX_WORD_BYTES && text.bytes().all(is_word) {
        return Ok(Some(text.to_owned()));
    }
    Err(invalid(field, format!("must have 1 to {MAX_WORD_BYTES} of a-z, `.` and `_`")))
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, ApiError> {
        let actor = self.actor_id.as_deref().map(str::parse).transpose();
        Ok(AuditFilter {
            resource_type: word("resource_type", self.resource_type.as_deref())?,
            action: word("action", self.action.as_deref())?,
            actor: actor.map_err(|_| {
                invalid(
                    "actor_id",
                    "must be the id of a user (`usr-…`), an API key (`key-…`) or a host (`host-…`)",
                )
            })?,
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
        })
    }

    /// Returns the place behind which the page begins.
    fn after(&self) -> Result<Option<Position>, ApiError> {
        let before = time("before", self.before.as_deref())?;
        let before_id = self.before_id.as_deref().map(str::parse::<AuditId>).transpose();
        let before_id = before_id.map_err(|error| invalid("before_id", error))?;
        match (before, before_id, self.after.as_deref()) {
            (None, None, token) => token.map(page::position_of).transpose(),
            (_, _, Some(_)) => {
                Err(invalid("after", "takes the place of `before` and `before_id`; send one of them"))
            }
            (None, Some(_), None) => Err(invalid("before_id", "needs `before`, too")),
            // Entries of that very time have no smaller id than this one.
            (Some(at), None, None) => Ok(Some(Position { at, id: Uuid::nil() })),
            (Some(at), Some(id), None) => Ok(Some(Position { at, id: id.0 })),
        }
    }

    fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.limit.map_or(Ok(DEFAULT_ROWS), |limit| limits::in_range("limit", limit, ROWS));
        limit.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))
    }

    /// Returns the form of the export that is wanted, if one is.
    fn format(&self, request: &HttpRequest) -> Option<ExportFormat> {
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let accepts = |kind: &str| accept.is_some_and(|accept| accept.contains(kind));
        self.format.or_else(|| {
            if accepts("text/csv") {
                Some(ExportFormat::Csv)
            } else if accepts("application/jsonl") || accepts("application/x-ndjson") {
                Some(ExportFormat::Jsonl)
            } else {
                None
            }
        })
    }
}

/// Answers with a page of a log, or with all of it that matches.
pub(crate) async fn respond(
    app: Data<App>,
    request: &HttpRequest,
    principal: Principal,
    log: AuditLog,
    query: &AuditQuery,
) -> Result<HttpResponse, ApiError> {
    let (filter, after, limit) = (query.filter()?, query.after()?, query.limit()?);
    if let Some(format) = query.format(request) {
        return export::Export { app, principal, log, filter, format }.respond(after).await;
    }
    let found = audit_list::run(&app.control, &principal, log, &filter, PageRequest { limit, after }).await?;
    Ok(match log {
        AuditLog::OfTeam => page::respond(found.map(AuditLogEntry::from)),
        AuditLog::OfPlatform => page::respond(found.map(AdminAuditLogEntry::from)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_log_is_a_time_and_perhaps_an_id_or_a_token() {
        let at = "2026-11-30T12:00:00.123456Z";
        let id = AuditId::new();
        let query = |before: Option<&str>, before_id: Option<String>, after: Option<String>| AuditQuery {
            before: before.map(str::to_owned),
            before_id,
            after,
            ..AuditQuery::default()
        };
        let place = query(Some(at), Some(id.to_string()), None).after().unwrap().unwrap();
        assert_eq!(
            (place.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).as_str(), place.id),
            (at, id.0)
        );
        assert_eq!(query(None, None, Some(page::token_of(place))).after().unwrap(), Some(place));
        assert_eq!(query(Some(at), None, None).after().unwrap().unwrap().id, Uuid::nil());
        assert_eq!(query(None, None, None).after().unwrap(), None);
        for (bad, field) in [
            (query(None, Some(id.to_string()), None), "before_id"),
            (query(Some(at), Some("usr-1".into()), None), "before_id"),
            (query(Some("yesterday"), None, None), "before"),
            (query(Some(at), None, Some(page::token_of(place))), "after"),
        ] {
            assert!(bad.after().unwrap_err().message.starts_with(&format!("{field}: ")), "{bad:?}");
        }
    }

    #[test]
    fn filters_are_words_ids_and_times() {
        let good = AuditQuery {
            resource_type: Some("api_key".into()),
            action: Some("capsule.create".into()),
            since: Some("2026-11-30T12:00:00+01:00".into()),
            ..AuditQuery::default()
        };
        assert_eq!(good.filter().unwrap().action.as_deref(), Some("capsule.create"));
        for (bad, field) in [
            (AuditQuery { action: Some("a\0".into()), ..AuditQuery::default() }, "action"),
            (AuditQuery { resource_type: Some(String::new()), ..AuditQuery::default() }, "resource_type"),
            (AuditQuery { actor_id: Some("cl-1".into()), ..AuditQuery::default() }, "actor_id"),
            (AuditQuery { until: Some("+262000-01-01T00:00:00Z".into()), ..AuditQuery::default() }, "until"),
        ] {
            assert!(bad.filter().unwrap_err().message.starts_with(&format!("{field}: ")), "{bad:?}");
        }
    }
}
