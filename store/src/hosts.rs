//! Hosts: the machines that run sandboxes.
//!
//! Who a host is, is written when it is made and when it registers; how it is doing is written by its
//! HostConnection actor alone.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use wrenn_domain::{
    host::{Host, HostCapacity, HostStatus, NewHost},
    ids::{HostId, TeamId, UserId},
};

use crate::{Store, StoreError};

struct Row {
    id: Uuid,
    team_id: Option<Uuid>,
    provider: Option<String>,
    availability_zone: Option<String>,
    arch: Option<String>,
    cpu_cores: Option<i32>,
    memory_mb: Option<i64>,
    disk_mb: Option<i64>,
    address: Option<String>,
    status: String,
    last_heartbeat_at: Option<DateTime<Utc>>,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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
            last_heartbeat_at: row.last_heartbeat_at,
            created_by: row.created_by.map(UserId),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Store {
    /// Makes the record of a host, which then can register.
    pub async fn host_create(&self, new: &NewHost) -> Result<Host, StoreError> {
        let kind = if new.team_id.is_some() { "byoc" } else { "regular" };
        sqlx::query_as!(
            Row,
            "INSERT INTO hosts (id, type, team_id, provider, availability_zone, created_by)
             VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING id, team_id, provider, availability_zone, arch, cpu_cores, memory_mb, disk_mb,
                address, status, last_heartbeat_at, created_by, created_at, updated_at",
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

    /// Returns one host.
    pub async fn host_fetch(&self, id: HostId) -> Result<Option<Host>, StoreError> {
        sqlx::query_as!(
            Row,
            "SELECT id, team_id, provider, availability_zone, arch, cpu_cores, memory_mb, disk_mb,
                address, status, last_heartbeat_at, created_by, created_at, updated_at
             FROM hosts WHERE id = $1",
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .map(Host::try_from)
        .transpose()
    }

    /// Returns all hosts, oldest first.
    pub async fn host_list(&self) -> Result<Vec<Host>, StoreError> {
        sqlx::query_as!(
            Row,
            "SELECT id, team_id, provider, availability_zone, arch, cpu_cores, memory_mb, disk_mb,
                address, status, last_heartbeat_at, created_by, created_at, updated_at
             FROM hosts ORDER BY created_at, id",
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(Host::try_from)
        .collect()
    }

    /// Returns the hosts that a team brought, oldest first.
    pub async fn host_list_of_team(&self, team: TeamId) -> Result<Vec<Host>, StoreError> {
        sqlx::query_as!(
            Row,
            "SELECT id, team_id, provider, availability_zone, arch, cpu_cores, memory_mb, disk_mb,
                address, status, last_heartbeat_at, created_by, created_at, updated_at
             FROM hosts WHERE team_id = $1 ORDER BY created_at, id",
            team.0,
        )
        .fetch_all(&self.pool)
        .await?
        .into_iter()
        .map(Host::try_from)
        .collect()
    }

    /// Writes that the host's agent attached, and what it offers. Returns false if there is no such host.
    pub async fn host_attached(&self, id: HostId, capacity: HostCapacity) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE hosts SET status = 'online', last_heartbeat_at = now(), updated_at = now(),
                cpu_cores = NULLIF($2, 0), memory_mb = NULLIF($3::bigint, 0), disk_mb = $4
             WHERE id = $1",
            id.0,
            capacity.cpu_cores.cast_signed(),
            capacity.memory_mb.cast_signed(),
            capacity.disk_mb.cast_signed(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes that the host was heard of just now. Returns false if there is no such host.
    pub async fn host_heartbeat(&self, id: HostId) -> Result<bool, StoreError> {
        let done = sqlx::query!("UPDATE hosts SET last_heartbeat_at = now() WHERE id = $1", id.0)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes how the host is doing. Returns false if there is no such host.
    pub async fn host_set_status(&self, id: HostId, status: HostStatus) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE hosts SET status = $2, updated_at = now() WHERE id = $1",
            id.0,
            status.as_str()
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
