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
mod ws;

pub use crate::{
    config::ServerConfig,
    server::{RunError, Server, run},
};

pub use preview::{PreviewUrl, PreviewUrlError};
pub use wrenn_actors::{FaultInjection, objects::ObjectsLocation};
pub use wrenn_control::bootstrap;

/// The OpenAPI document of this version.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}
