//! Everything that Wrenn keeps in Postgres; the only crate that holds SQL.
//!
//! ```text
//!  api, actors ──▶ Store ──▶ Postgres       .sqlx/ holds what the statements were checked against
//!                    └─ migrations/         embedded, run at start
//! ```
//!
//! One file per noun: a private row struct, its conversion into the domain type, then methods named
//! noun_verb. Every write looks at the number of rows it touched; a state transition repeats the
//! state it expects in its `WHERE`. A lost connection is an error of the one call; the pool
//! reconnects by itself.
//!
//! Rows are turned into the types of `wrenn-domain`; this crate owns none of its own but errors.

pub mod acme;
pub mod administration;
pub mod api_keys;
pub mod audit;
pub mod audit_log;
pub mod build_cache;
pub mod build_log;
pub mod builds;
pub mod capsule_metrics;
pub mod channel_deliveries;
pub mod channels;
pub mod host_certificates;
pub mod host_changes;
pub mod host_deletion;
pub mod host_tokens;
pub mod hosts;
pub mod identities;
pub mod invitations;
pub mod members;
pub mod membership;
pub mod outbox;
pub mod previews;
pub mod principals;
pub mod quotas;
pub mod sandbox_history;
pub mod sandboxes;
pub mod second_factors;
pub mod servers;
pub mod settings;
pub mod statistics;
pub mod team_leftovers;
pub mod team_samples;
pub mod team_statistics;
pub mod teams;
pub mod template_hosts;
pub mod templates;
pub mod token_keys;
pub mod user_links;
pub mod user_search;
pub mod users;

use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use wrenn_domain::word::UnknownWord;

/// Why a statement did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be asked, or answered with an error.
    #[error("the database did not answer as expected")]
    Database(#[from] sqlx::Error),
    /// A row holds a word that this version does not know, such as a status of a newer version.
    #[error("the database holds an unknown word")]
    UnknownWord(#[from] UnknownWord),
}

impl StoreError {
    /// Returns true if the statement certainly changed nothing: the database refused it, or never got it.
    pub fn changed_nothing(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(_) | sqlx::Error::PoolTimedOut))
    }

    /// Returns true if no connection was free in time, so that the statement was not even sent.
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
    }

    /// Returns true if the database refused what the statement says, and will do so again: a value that no text
    /// or number can hold, or a broken constraint.
    pub fn is_refusal(&self) -> bool {
        /// Classes of SQLSTATE: data exceptions, and violations of integrity.
        const REFUSALS: [&str; 2] = ["22", "23"];
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| REFUSALS.iter().any(|class| code.starts_with(class)))
    }
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No connection could be made.
    #[error("cannot connect to Postgres; is DATABASE_URL right and the server up?")]
    Connect(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// The migrations of this version, in order.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// Handle to the database; clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects and brings the schema up to date; several servers may do so at once.
    pub async fn open(url: &str, max_connections: u32) -> Result<Self, OpenError> {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .connect(url)
            .await
            .map_err(OpenError::Connect)?;
        MIGRATIONS.run(&pool).await.map_err(OpenError::Migrate)?;
        Ok(Self { pool })
    }

    /// Wraps a pool whose database is already migrated, as `#[sqlx::test]` hands out.
    pub fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Succeeds when the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!("SELECT 1 AS \"one!\"").fetch_one(&self.pool).await?;
        Ok(())
    }
}
