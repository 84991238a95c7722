//! The control plane's outside: REST, the dashboard, and the endpoint that agents dial.
//!
//! ```text
//!  browser, client ──▶ http/ (ids, errors, limits) ──▶ auth/ (who asks) ──▶ routes/ (one file per operation)
//!                                                                              │
//!                                                  wrenn-control (use cases) ◀─┘
//! ```
//!
//! Handlers hold no state: what must survive lives in Postgres, what must be ordered lives in an actor.
//! A client that goes away takes its request with it and nothing else. Every failure is answered in the
//! contract's shape (`error`); a panic costs one request (`http::observe`).

pub mod agents;
mod app;
mod auth;
mod config;
mod dashboard;
mod error;
mod http;
pub mod memory;
mod metrics;
mod preview;
mod routes;
mod server;
pub mod tls;
mod ws;

pub use crate::{
    auth::token::KeysError,
    config::ServerConfig,
    server::{RunError, Server, run},
    tls::TlsConfig,
};

pub use preview::{PreviewUrl, PreviewUrlError};
pub use wrenn_actors::{FaultInjection, NotifyConfig, RetentionConfig, objects::ObjectsLocation};
pub use wrenn_control::{
    AccountsConfig, Control, agent_authority, bootstrap,
    mail::{MailConfig, MailConfigError},
    operator,
    provider::{ClientSecret, GITHUB, GitHubConfig, OidcConfig, ProvidersConfig},
    public_url::{PublicUrl, PublicUrlError},
};
pub use wrenn_domain::{channel::address::Receivers, user::SignUpPolicy};

/// The OpenAPI document of this version.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}
