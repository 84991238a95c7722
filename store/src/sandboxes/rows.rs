//! Rows of sandboxes, as statements read them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;
use wrenn_domain::{
    ids::{AuditId, HostId, SandboxId, TeamId, TemplateId},
    lifecycle::{End, Generation, Lifecycle},
    page::Position,
    sandbox::{Creator, Sandbox},
};

use crate::StoreError;

/// A whole row.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) team_id: Uuid,
    pub(super) template_id: Option<Uuid>,
    pub(super) template_name: String,
    pub(super) template_image: Option<String>,
    pub(super) host_id: Uuid,
    pub(super) vcpus: i32,
    pub(super) memory_mb: i32,
    pub(super) disk_size_mb: i32,
    pub(super) timeout_sec: i32,
    pub(super) auto_resume: bool,
    pub(super) default_user: String,
    pub(super) envs: Json<BTreeMap<String, String>>,
    pub(super) metadata: Json<BTreeMap<String, String>>,
    pub(super) preview_access: String,
    pub(super) preview_token: String,
    pub(super) status: String,
    pub(super) operation: Option<String>,
    pub(super) operation_template_id: Option<Uuid>,
    pub(super) making: Option<String>,
    pub(super) generation: i64,
    pub(super) last_error: Option<String>,
    pub(super) stop_reason: Option<String>,
    pub(super) guest_ip: Option<String>,
    pub(super) host_ip: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) last_active_at: Option<DateTime<Utc>>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) destroy_requested_at: Option<DateTime<Utc>>,
    pub(super) destroyed_at: Option<DateTime<Utc>>,
    pub(super) audit_id: Option<Uuid>,
    pub(super) created_by_type: Option<String>,
    pub(super) created_by_id: Option<Uuid>,
    pub(super) created_by_name: Option<String>,
}

impl TryFrom<Row> for Sandbox {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let end = match (row.destroy_requested_at, row.destroyed_at) {
            (None, None) => End::NotRequested,
            (Some(_), None) => End::Requested,
            (_, Some(_)) => End::Reached,
        };
        Ok(Self {
            id: SandboxId(row.id),
            team_id: TeamId(row.team_id),
            template_id: row.template_id.map(TemplateId),
            template_name: row.template_name,
            template_image: row.template_image,
            host_id: HostId(row.host_id),
            // CHECK constraints keep the numbers from being negative.
            vcpus: row.vcpus.unsigned_abs(),
            memory_mb: row.memory_mb.unsigned_abs(),
            disk_size_mb: row.disk_size_mb.unsigned_abs(),
            timeout_sec: row.timeout_sec.unsigned_abs(),
            auto_resume: row.auto_resume,
            default_user: row.default_user,
            envs: row.envs.0,
            metadata: row.metadata.0,
            preview_access: row.preview_access.parse()?,
            preview_secret: row.preview_token,
            lifecycle: Lifecycle {
                status: row.status.parse()?,
                operation: row.operation.as_deref().map(str::parse).transpose()?,
                generation: Generation(row.generation.unsigned_abs()),
                end,
                template: row.operation_template_id.map(TemplateId),
                last_error: row.last_error,
                stop_reason: row.stop_reason,
                guest_ip: row.guest_ip,
                host_ip: row.host_ip,
                warnings: row.warnings,
            },
            making: row.making.as_deref().map(str::parse).transpose()?,
            created_at: row.created_at,
            started_at: row.started_at,
            last_active_at: row.last_active_at,
            updated_at: row.updated_at,
            destroyed_at: row.destroyed_at,
            audit_id: row.audit_id.map(AuditId),
            created_by: match row.created_by_type {
                None => None,
                Some(kind) => {
                    Some(Creator { kind: kind.parse()?, id: row.created_by_id, name: row.created_by_name })
                }
            },
        })
    }
}

/// `query_as!` for whole rows: `$head`, the columns, `$tail`.
macro_rules! rows {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + r#" id, team_id, template_id, template_name, template_image, host_id, vcpus, memory_mb,
                disk_size_mb, timeout_sec, auto_resume, default_user, envs AS "envs: Json<BTreeMap<String, String>>",
                metadata AS "metadata: Json<BTreeMap<String, String>>", preview_access, preview_token, status, operation,
                operation_template_id, generation, last_error, stop_reason, guest_ip, host_ip, warnings, created_at, started_at, last_active_at,
                updated_at, destroy_requested_at, destroyed_at, audit_id, created_by_type, created_by_id,
                created_by_name, (
                    SELECT CASE WHEN as_it_is THEN 'as_it_is' ELSE type END FROM templates
                    WHERE templates.id = operation_template_id
                ) AS making "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use rows;

/// Returns the place of a sandbox in a list, newest first.
pub(super) fn position(sandbox: &Sandbox) -> Position {
    Position { at: sandbox.created_at, id: sandbox.id.0 }
}

/// Converts rows.
pub(super) fn domain(rows: Vec<Row>) -> Result<Vec<Sandbox>, StoreError> {
    rows.into_iter().map(Sandbox::try_from).collect()
}
