//! Exports of the audit log: everything that matches, page by page, as fast as the client reads.
//!
//! A page is read when the one before has been taken, so an export needs no more memory than one page, and holds no
//! connection to the database while the client does not read. Entries that appear meanwhile are newer than those that
//! follow, and not part of it. A failure in the middle cuts the answer off, and so does the end of the permission.

use actix_web::{HttpResponse, http::header, web::Data};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use wrenn_control::audit_list::{self, AuditLog};
use wrenn_domain::{
    audit_log::{AuditEntry, AuditFilter},
    page::{Page, PageRequest, Position},
    principal::Principal,
};

use super::{AdminAuditLogEntry, AuditLogEntry, query::ExportFormat};
use crate::{app::App, error::ApiError};

/// Entries that are read at once.
const PAGE_ROWS: u32 = 500;
/// Columns of a team's log as CSV; that of the platform has two more.
const COLUMNS: [&str; 13] = [
    "id",
    "created_at",
    "settled_at",
    "actor_type",
    "actor_id",
    "actor_name",
    "action",
    "resource_type",
    "resource_id",
    "scope",
    "status",
    "error",
    "metadata",
];
const TEAM_COLUMNS: [&str; 2] = ["team_id", "team_name"];

/// An export that is wanted.
#[derive(Clone)]
pub(super) struct Export {
    pub(super) app: Data<App>,
    pub(super) principal: Principal,
    pub(super) log: AuditLog,
    pub(super) filter: AuditFilter,
    pub(super) format: ExportFormat,
}

/// Progress of an export.
enum Progress {
    First(Page<AuditEntry>),
    After(Position),
    End,
}

impl Export {
    /// Answers with all entries behind a place in the log.
    pub(super) async fn respond(self, after: Option<Position>) -> Result<HttpResponse, ApiError> {
        let (kind, name) = match self.format {
            ExportFormat::Csv => ("text/csv; charset=utf-8", "audit-log.csv"),
            ExportFormat::Jsonl => ("application/jsonl", "audit-log.jsonl"),
        };
        // Whatever is wrong with the request is answered before the export begins.
        let first = self.read(after).await?;
        let grant = audit_list::hold(&self.app.control, &self.principal, self.log);
        let pages = stream::try_unfold(Progress::First(first), move |progress| {
            let (export, grant) = (self.clone(), grant.clone());
            async move {
                if grant.is_revoked() {
                    return Err(std::io::Error::other(ApiError::revoked().message));
                }
                export.step(progress).await.map_err(|error| std::io::Error::other(error.message))
            }
        });
        Ok(HttpResponse::Ok()
            .content_type(kind)
            .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
            .streaming(pages))
    }

    async fn read(&self, after: Option<Position>) -> Result<Page<AuditEntry>, ApiError> {
        let page = PageRequest { limit: PAGE_ROWS, after };
        Ok(audit_list::run(&self.app.control, &self.principal, self.log, &self.filter, page).await?)
    }

    /// Returns the next piece of the answer.
    async fn step(&self, progress: Progress) -> Result<Option<(Bytes, Progress)>, ApiError> {
        let (page, head) = match progress {
            Progress::First(page) => (page, self.head()),
            Progress::After(position) => (self.read(Some(position)).await?, None),
            Progress::End => return Ok(None),
        };
        let next = page.next.map_or(Progress::End, Progress::After);
        let piece = match self.format {
            ExportFormat::Csv => csv(head, page.items, self.log),
            ExportFormat::Jsonl => match self.log {
                AuditLog::OfTeam => lines(page.items.into_iter().map(AuditLogEntry::from)),
                AuditLog::OfPlatform => lines(page.items.into_iter().map(AdminAuditLogEntry::from)),
            },
        };
        let piece = piece.ok_or_else(ApiError::internal)?;
        // An empty piece would end the answer.
        Ok((!piece.is_empty()).then_some((piece, next)))
    }

    fn head(&self) -> Option<Vec<&'static str>> {
        let of_teams = if self.log == AuditLog::OfPlatform { &TEAM_COLUMNS[..] } else { &[] };
        Some([&COLUMNS[..], of_teams].concat())
    }
}

/// Writes entries as lines of JSON.
fn lines(entries: impl Iterator<Item = impl Serialize>) -> Option<Bytes> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, &entry).ok()?;
        lines.push(b'\n');
    }
    Some(lines.into())
}

/// Writes entries as CSV, below a header if there is one.
fn csv(head: Option<Vec<&'static str>>, entries: Vec<AuditEntry>, log: AuditLog) -> Option<Bytes> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if let Some(head) = head {
        writer.write_record(head).ok()?;
    }
    for entry in entries {
        let AdminAuditLogEntry { entry, team_id, team_name } = entry.into();
        let settled_at = entry.settled_at.map(|at| at.to_rfc3339()).unwrap_or_default();
        let status = serde_json::to_value(entry.status).ok()?;
        let mut cells = vec![
            entry.id,
            entry.created_at.to_rfc3339(),
            settled_at,
            entry.actor_type,
            entry.actor_id.unwrap_or_default(),
            entry.actor_name.unwrap_or_default(),
            entry.action,
            entry.resource_type,
            entry.resource_id.unwrap_or_default(),
            entry.scope,
            status.as_str().unwrap_or_default().to_owned(),
            entry.error.unwrap_or_default(),
            entry.metadata.to_string(),
        ];
        if log == AuditLog::OfPlatform {
            cells.extend([team_id.unwrap_or_default(), team_name.unwrap_or_default()]);
        }
        writer.write_record(cells.into_iter().map(harmless)).ok()?;
    }
    writer.into_inner().ok().map(Bytes::from)
}

/// Keeps a spreadsheet from taking a cell for a formula.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_a_spreadsheet_would_calculate_are_texts() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell.to_owned()), shown);
        }
    }
}
