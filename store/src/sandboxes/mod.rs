//! Sandboxes: one row each, from its creation until long after its end.
//!
//! Reads are here, and for everybody. [`changes`] has the writes; [`Store::sandbox_transition`] is for the sandbox's actor
//! alone: it repeats the generation and the operation that the actor knew, so a writer that was overtaken changes nothing.

mod changes;
mod retire;
mod rows;

use std::collections::BTreeMap;

use sqlx::types::Json;
use uuid::Uuid;
use wrenn_domain::{
    ids::{HostId, SandboxId, ServerId, TeamId},
    lifecycle::SandboxStatus,
    page::{Page, PageRequest},
    sandbox::{Sandbox, SandboxReservation},
};

pub use self::changes::{InsertError, TransitionError};
pub(crate) use self::changes::{end_with_host, lock_of_host};
use self::rows::{Row, domain, position, rows};
use crate::{Store, StoreError};

impl Store {
    /// Returns a team's sandbox, also one that is gone; none if the team has no such sandbox, or a build works in it.
    pub async fn sandbox_fetch(&self, team: TeamId, id: SandboxId) -> Result<Option<Sandbox>, StoreError> {
        rows!(
            "SELECT",
            "FROM sandboxes WHERE id = $1 AND team_id = $2 AND build_attempt IS NULL",
            id.0,
            team.0
        )
        .fetch_optional(&self.pool)
        .await?
        .map(Sandbox::try_from)
        .transpose()
    }

    /// Returns a sandbox whosoever it is, also one that is gone.
    pub async fn sandbox_load(&self, id: SandboxId) -> Result<Option<Sandbox>, StoreError> {
        rows!("SELECT", "FROM sandboxes WHERE id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Sandbox::try_from)
            .transpose()
    }

    /// Returns those of these sandboxes that there are, also those that are gone.
    pub async fn sandboxes_load(&self, ids: &[SandboxId]) -> Result<Vec<Sandbox>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = rows!("SELECT", "FROM sandboxes WHERE id = ANY($1)", &ids);
        domain(rows.fetch_all(&self.pool).await?)
    }

    /// Returns a team's sandboxes that are not gone, without those in which builds work, newest first.
    pub async fn sandbox_list(&self, team: TeamId, page: PageRequest) -> Result<Page<Sandbox>, StoreError> {
        let (at, id) = page.bounds();
        let rows = rows!(
            "SELECT",
            "FROM sandboxes WHERE team_id = $1 AND destroyed_at IS NULL AND build_attempt IS NULL
                AND (created_at, id) < (COALESCE($2::timestamptz, 'infinity'),
                    COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY created_at DESC, id DESC LIMIT $4",
            team.0,
            at,
            id,
            page.rows_to_read(),
        );
        Ok(Page::of(domain(rows.fetch_all(&self.pool).await?)?, page, position))
    }

    /// Returns every team's sandboxes that are not gone, newest first; those of one team, and with one status, if these are
    /// given.
    pub async fn sandbox_list_all(
        &self,
        team: Option<TeamId>,
        status: Option<SandboxStatus>,
        page: PageRequest,
    ) -> Result<Page<Sandbox>, StoreError> {
        let (at, id) = page.bounds();
        let rows = rows!(
            "SELECT",
            "FROM sandboxes WHERE destroyed_at IS NULL AND ($1::uuid IS NULL OR team_id = $1)
                AND ($2::text IS NULL OR status = $2)
                AND (created_at, id) < (COALESCE($3::timestamptz, 'infinity'),
                    COALESCE($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             ORDER BY created_at DESC, id DESC LIMIT $5",
            team.map(|team| team.0),
            status.map(|status| status.as_str()),
            at,
            id,
            page.rows_to_read(),
        );
        Ok(Page::of(domain(rows.fetch_all(&self.pool).await?)?, page, position))
    }

    /// Returns all sandboxes of a host that are not gone.
    pub async fn sandboxes_of_host(&self, host: HostId) -> Result<Vec<Sandbox>, StoreError> {
        let rows =
            rows!("SELECT", "FROM sandboxes WHERE host_id = $1 AND destroyed_at IS NULL ORDER BY id", host.0);
        domain(rows.fetch_all(&self.pool).await?)
    }

    /// Returns the sandboxes that ended with their host, if it is deleted.
    pub async fn sandboxes_ended_with_host(&self, host: HostId) -> Result<Vec<Sandbox>, StoreError> {
        let rows = rows!(
            "SELECT",
            "FROM sandboxes WHERE host_id = $1
                AND destroyed_at = (SELECT deleted_at FROM hosts WHERE hosts.id = $1) ORDER BY id",
            host.0
        );
        domain(rows.fetch_all(&self.pool).await?)
    }

    /// Returns the sandboxes on a server's hosts that have an operation in flight.
    pub async fn sandboxes_in_flight(&self, server: ServerId) -> Result<Vec<SandboxId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sandboxes
             WHERE operation IS NOT NULL AND host_id IN (SELECT id FROM hosts WHERE attached_to = $1) ORDER BY id",
            server.0
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(SandboxId).collect())
    }

    /// Returns the sandboxes on a server's hosts that run and were not used, as far as is written, for as long as their
    /// timeout.
    pub async fn sandboxes_idle(&self, server: ServerId) -> Result<Vec<SandboxId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM sandboxes
             WHERE status = 'running' AND operation IS NULL AND timeout_sec > 0 AND destroyed_at IS NULL
                AND last_active_at <= now() - make_interval(secs => timeout_sec)
                AND host_id IN (SELECT id FROM hosts WHERE attached_to = $1 AND status = 'online'
                    AND attached_at <= now() - make_interval(secs => LEAST(timeout_sec, 10)))
             ORDER BY last_active_at",
            server.0
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(SandboxId).collect())
    }

    /// Returns what every sandbox on a server's hosts that is not gone may take from its host, and how much it has.
    pub async fn sandbox_reservations(
        &self,
        server: ServerId,
    ) -> Result<Vec<SandboxReservation>, StoreError> {
        let rows = rows!(
            "SELECT",
            "FROM sandboxes WHERE destroyed_at IS NULL AND host_id IN (SELECT id FROM hosts WHERE attached_to = $1)",
            server.0
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let reservation = |row: Row| {
            let row = Sandbox::try_from(row)?;
            let hold = row.lifecycle.hold();
            let Sandbox { id, host_id, vcpus, memory_mb, disk_size_mb, .. } = row;
            Ok(SandboxReservation { id, host_id, vcpus, memory_mb, disk_size_mb, hold })
        };
        rows.into_iter().map(reservation).collect()
    }

    /// Returns true if nobody has used a sandbox that runs for as long as its timeout, as far as is written.
    pub async fn sandbox_is_idle(&self, id: SandboxId) -> Result<bool, StoreError> {
        let is_idle = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM sandboxes
                WHERE id = $1 AND status = 'running' AND operation IS NULL AND timeout_sec > 0 AND destroyed_at IS NULL
                    AND last_active_at <= now() - make_interval(secs => timeout_sec)) AS "is_idle!""#,
            id.0
        );
        Ok(is_idle.fetch_one(&self.pool).await?)
    }
}
