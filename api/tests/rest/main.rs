//! The server as its clients see it: bound to a port, on a database and a Redis that are real.
//!
//! Needs `DATABASE_URL` (of a server on which databases can be made) and `REDIS_URL`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod auth;
mod builds;
mod capsules;
mod files;
mod lifecycle;
mod openapi;
mod overload;
mod previews;
mod processes;
mod requests;
mod snapshots;
mod sockets;
mod support;
mod timeouts;
