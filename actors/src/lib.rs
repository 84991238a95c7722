//! The actors of the control plane.
//!
//! ```text
//!   use cases ▶ ControlPlane ▶ Placement ──▶ SandboxActor ⇄ HostConnection ⇄ agent's stream
//!                  │              (one)        (one each)     (one each)
//!                  └──▶ TunnelDesk ◀── agent's tunnels
//! ```
//!
//! | part | what it owns |
//! |---|---|
//! | [`sandbox`] | the one writer of each sandbox's lifecycle; the state machine is in `wrenn-domain` |
//! | [`host`] | what is known of each host, and the way to it |
//! | [`placement`] | what is promised of each host |
//! | [`tunnel`] | sessions between clients and machines |
//! | [`transfer`] | templates on their way from host to host |
//! | `notify` | events on their way to notification channels |
//! | `events` | events on their way to clients that follow them |
//! | `build`, [`archive`] | recipes that become templates, and the archives that come with them |
//!
//! Reads go straight to the store; everything that changes a sandbox goes through [`ControlPlane`].
//!
//! All truth is in Postgres: every actor can be thrown away at any moment and made again from its row. So a
//! panic, a restart of the server and the return of a host are the same thing seen from here, see
//! [`sandbox`]. An operation belongs to the sandbox's actor and not to the request that asked for it: a client
//! that leaves changes nothing.
//!
//! Actors run on arbiters of their own (threads with one event loop each), apart from those that serve HTTP.
//! A connection to Postgres is driven by the event loop on which it was opened, whoever borrows it from the
//! pool later; arbiters live as long as the process, and one that hangs is reported by the watchdog.

mod activity;
pub mod archive;
mod build;
pub mod config;
mod control_plane;
mod deleted_teams;
mod directory;
mod errors;
mod events;
mod grants;
pub mod host;
mod host_deletion;
mod idle;
mod instruments;
mod measurements;
mod membership;
mod metrics_sampler;
mod notify;
pub mod objects;
mod operations;
pub mod placement;
mod reconcile;
mod retention;
mod retry;
mod runtime;
pub mod sandbox;
mod sessions;
mod traces;
pub mod transfer;
pub mod tunnel;

pub use activity::ActivityGuard;
pub use build::QueueError;
pub use config::{BuildConfig, Config, FaultInjection, NotifyConfig, RetentionConfig};
pub use control_plane::{ControlPlane, Metrics, Victim};
pub use errors::{
    AttachError, CreateError, DeleteTemplateError, DestroyError, InjectError, InventoryTooLarge,
    OperationError, SessionError, SessionOpenError, StartError, WaitError,
};
pub use events::{EventStream, FollowedEvent, StreamItem};
pub use grants::Grant;
pub use host::MetricsReport;
pub use host_deletion::DeleteHostError;
pub use measurements::MetricsError;
pub use notify::SendError;
pub use sandbox::{TemplateDefaults, TemplateOrder, Until};
pub use tunnel::{
    ConnectSession, ExecSession, FileSession, Session, SessionEvents, SessionInput, TunnelAcceptor,
};
