//! The use cases of Wrenn: everything that somebody can ask of the platform, one file each.
//!
//! ```text
//!   REST, dashboard, CLI ─▶ use case: enter (permit, admit) ─▶ validate ─▶ do ─▶ actors, store
//!                              │                                            └─ AuditIntent ─▶ in the same transaction
//!                              └─ refused afterwards ─▶ audit log
//! ```
//!
//! A use case is a function `run(&Control, &Principal, …) -> Result<…, …Error>`. It begins with [`Control::enter`], which
//! asks the table of actions for permission and waits for the team's turn, and passes an [`AuditIntent`] on with whatever
//! it changes. An interface above it decodes, calls and encodes.
//!
//! | part | what it owns |
//! |---|---|
//! | [`enter`] | permission, admission, and the audit entry of what is refused |
//! | [`admission`] | the order and the share in which teams are served |
//! | [`authenticate`] | who a token or a key stands for |
//! | `auth`, [`account`] | passwords, keys, throttles; what accounts are made of |
//! | [`bootstrap`] | the administrator and the host of a new installation |
//! | the other modules | one use case each |
//!
//! **Failure.** A use case whose caller leaves changes nothing that is half done: what is ordered lives in an actor, and
//! goes on there.
//!
//! [`AuditIntent`]: wrenn_domain::audit::AuditIntent

pub mod account;
pub mod account_create;
pub mod account_log_in;
pub mod admission;
pub mod api_key_create;
pub mod api_key_delete;
pub mod api_key_list;
mod auth;
pub mod authenticate;
pub mod bootstrap;
pub mod build_cancel;
pub mod build_create;
pub mod build_follow;
pub mod build_get;
pub mod build_list;
pub mod enter;
pub mod fault_inject;
pub mod host_list;
pub mod preview_open;
pub mod read_error;
pub mod sandbox_create;
pub mod sandbox_destroy;
mod sandbox_find;
pub mod sandbox_get;
pub mod sandbox_list;
pub mod sandbox_operate;
pub mod sandbox_pause;
pub mod sandbox_ping;
pub mod sandbox_preview_set;
pub mod sandbox_resume;
pub mod sandbox_timeout_set;
pub mod server_health;
pub mod server_metrics;
pub mod session_open;
pub mod team_list;
pub mod template_create;
pub mod template_delete;
pub mod template_list;
pub mod template_list_all;
pub mod user_get;

use std::sync::Arc;

use wrenn_actors::ControlPlane;
use wrenn_store::Store;

use self::{
    admission::Admission,
    auth::{hash_limit::HashLimit, login_throttle::LoginThrottle, password::Passwords},
    authenticate::KnownKeys,
};
pub use self::{
    auth::password::PasswordError,
    enter::{EnterError, Pass},
};

/// Handle to all use cases; clones share it.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    actors: ControlPlane,
    admission: Admission,
    /// Lookups of credentials, which come before the team's turn.
    lookups: Admission,
    known_keys: KnownKeys,
    passwords: Passwords,
    hash_limit: HashLimit,
    login_throttle: LoginThrottle,
}

impl Control {
    /// Makes the use cases over running actors. `database_connections` is the size of the pool, on which the number of
    /// requests that are carried out at once depends.
    ///
    /// # Errors
    /// If passwords cannot be hashed on this machine.
    pub fn new(actors: ControlPlane, database_connections: u32) -> Result<Self, PasswordError> {
        Ok(Self {
            shared: Arc::new(Shared {
                store: actors.store().clone(),
                actors,
                admission: Admission::new(database_connections),
                lookups: Admission::new(database_connections),
                known_keys: KnownKeys::default(),
                passwords: Passwords::new()?,
                hash_limit: HashLimit::default(),
                login_throttle: LoginThrottle::default(),
            }),
        })
    }

    /// Returns the running actors, for the parts of the server that serve hosts and streams.
    pub fn actors(&self) -> &ControlPlane {
        &self.shared.actors
    }

    fn store(&self) -> &Store {
        &self.shared.store
    }
}
