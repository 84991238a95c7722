//! Hosts: the machines that run sandboxes.
//!
//! Who a host is, is written when it is made and when it registers; how it is doing is written by its
//! HostConnection actor alone.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    host::{Attachment, Epoch, Host, HostCapacity, HostPool, HostStatus, Intake, NewHost},
    ids::{HostId, ServerId, TeamId, TemplateId, UserId},
    page::{Page, PageRequest, Position},
};

use crate::{Store, StoreError};

pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) team_id: Option<Uuid>,
    pub(crate) provider: Option<String>,
    pub(crate) availability_zone: Option<String>,
    pub(crate) arch: Option<String>,
    pub(crate) cpu_cores: Option<i32>,
    pub(crate) memory_mb: Option<i64>,
    pub(crate) disk_mb: Option<i64>,
    pub(crate) address: Option<String>,
    pub(crate) status: String,
    pub(crate) is_draining: bool,
    pub(crate) attached_to: Option<Uuid>,
    pub(crate) attachment_epoch: i64,
    pub(crate) last_heartbeat_at: Option<DateTime<Utc>>,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Host {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let capacity = match (row.cpu_cores, row.memory_mb, row.disk_mb) {
            // CHECK constraints keep the numbers from being negative.
            (Some(cores), Some(memory_mb), Some(disk_mb)) => Some(HostCapacity {
                cpu_cores: cores.unsigned_abs(),
                memory_mb: memory_mb.unsigned_abs(),
                disk_mb: disk_mb.unsigned_abs(),
            }),
            _ => None,
        };
        Ok(Self {
            id: HostId(row.id),
            team_id: row.team_id.map(TeamId),
            provider: row.provider,
            availability_zone: row.availability_zone,
            arch: row.arch,
            capacity,
            address: row.address,
            status: row.status.parse()?,
            intake: if row.is_draining { Intake::Closed } else { Intake::Open },
            attachment: row.attached_to.map(|server| Attachment {
                host: HostId(row.id),
                server: ServerId(server),
                epoch: Epoch(row.attachment_epoch.cast_unsigned()),
            }),
            last_heartbeat_at: row.last_heartbeat_at,
            created_by: row.created_by.map(UserId),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// `query_as!` for whole hosts: `$head`, the columns, `$tail`.
macro_rules! rows {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::hosts::Row,
            $head + " id, team_id, provider, availability_zone, arch, cpu_cores, memory_mb, disk_mb, address, status, is_draining,
                attached_to, attachment_epoch, last_heartbeat_at, created_by, created_at, updated_at " + $tail
            $(, $argument)*
        )
    };
}
pub(crate) use rows;

impl Store {
    /// Makes the record of a host, which then can register.
    ///
    /// # Errors
    /// Also if the host is for a team that is deleted.
    pub async fn host_create(&self, new: &NewHost) -> Result<Host, StoreError> {
        let kind = if new.team_id.is_some() { "byoc" } else { "regular" };
        rows!(
            "INSERT INTO hosts (id, type, team_id, provider, availability_zone, created_by)
             SELECT $1, $2, $3, $4, $5, $6
             WHERE $3::uuid IS NULL OR EXISTS (SELECT FROM teams WHERE id = $3 AND deleted_at IS NULL)
             RETURNING",
            "",
            HostId::new().0,
            kind,
            new.team_id.map(|team| team.0),
            new.provider,
            new.availability_zone,
            new.created_by.map(|user| user.0),
        )
        .fetch_one(&self.pool)
        .await?
        .try_into()
    }

    /// Returns one host; `None` also if it is deleted.
    pub async fn host_fetch(&self, id: HostId) -> Result<Option<Host>, StoreError> {
        rows!("SELECT", "FROM hosts WHERE id = $1 AND deleted_at IS NULL", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Host::try_from)
            .transpose()
    }

    /// Returns all hosts that are not deleted, oldest first.
    pub async fn host_list(&self) -> Result<Vec<Host>, StoreError> {
        rows!("SELECT", "FROM hosts WHERE deleted_at IS NULL ORDER BY created_at, id")
            .fetch_all(&self.pool)
            .await?
            .into_iter()
            .map(Host::try_from)
            .collect()
    }

    /// Returns the hosts that a team brought, or all hosts, oldest first, page by page.
    pub async fn host_page(&self, team: Option<TeamId>, page: PageRequest) -> Result<Page<Host>, StoreError> {
        let (at, id) = page.bounds();
        let rows = rows!(
            "SELECT",
            "FROM hosts
             WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR team_id = $1) AND (created_at, id) > (COALESCE($2::timestamptz, '-infinity'),
                COALESCE($3::uuid, '00000000-0000-0000-0000-000000000000'))
             ORDER BY created_at, id LIMIT $4",
            team.map(|team| team.0),
            at,
            id,
            page.rows_to_read(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let hosts = rows.map(Host::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(hosts, page, |host| Position { at: host.created_at, id: host.id.0 }))
    }

    /// Writes that the host's agent attached to `server`, and what it offers. Returns the attachment, which is as before if
    /// the server held the host already; `None` if there is no such host.
    pub async fn host_attached(
        &self,
        host: HostId,
        server: ServerId,
        capacity: HostCapacity,
    ) -> Result<Option<Attachment>, StoreError> {
        let epoch = sqlx::query_scalar!(
            "UPDATE hosts SET status = 'online', last_heartbeat_at = now(), updated_at = now(),
                cpu_cores = NULLIF($2, 0), memory_mb = NULLIF($3::bigint, 0), disk_mb = $4, attached_to = $5,
                attachment_epoch = attachment_epoch + CASE WHEN attached_to = $5 THEN 0 ELSE 1 END,
                attached_at = CASE WHEN attached_to = $5 THEN attached_at ELSE now() END
             WHERE id = $1 AND deleted_at IS NULL
             RETURNING attachment_epoch",
            host.0,
            capacity.cpu_cores.cast_signed(),
            capacity.memory_mb.cast_signed(),
            capacity.disk_mb.cast_signed(),
            server.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(epoch.map(|epoch| Attachment { host, server, epoch: Epoch(epoch.cast_unsigned()) }))
    }

    /// Writes that the host was heard of just now. Returns false if it is not attached so.
    pub async fn host_heartbeat(&self, attachment: Attachment) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE hosts SET last_heartbeat_at = now()
             WHERE id = $1 AND attached_to = $2 AND attachment_epoch = $3",
            attachment.host.0,
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes how the host is doing. Returns false if it is not attached so.
    pub async fn host_set_status(
        &self,
        attachment: Attachment,
        status: HostStatus,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE hosts SET status = $2, updated_at = now()
             WHERE id = $1 AND attached_to = $3 AND attachment_epoch = $4",
            attachment.host.0,
            status.as_str(),
            attachment.server.0,
            attachment.epoch.0.cast_signed(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes that a host said over REST that it lives. Returns false if there is no such host.
    pub async fn host_seen(&self, host: HostId) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE hosts SET last_heartbeat_at = now() WHERE id = $1 AND deleted_at IS NULL",
            host.0,
        );
        Ok(done.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Returns the hosts on which a team's sandboxes run, and the team on whose own hosts alone a template runs, if there is
    /// one.
    pub async fn host_pool(
        &self,
        team: TeamId,
        template: TemplateId,
    ) -> Result<(HostPool, Option<TeamId>), StoreError> {
        let row = sqlx::query!(
            r#"SELECT is_byoc, (SELECT origin_host_team FROM templates WHERE templates.id = $2) AS origin
               FROM teams WHERE id = $1"#,
            team.0,
            template.0,
        );
        let row = row.fetch_optional(&self.pool).await?;
        let pool = if row.as_ref().is_some_and(|row| row.is_byoc) {
            HostPool::OwnHosts(team)
        } else {
            HostPool::Platform
        };
        Ok((pool, row.and_then(|row| row.origin).map(TeamId)))
    }
}
