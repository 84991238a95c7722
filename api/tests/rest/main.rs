//! The server as its clients see it: bound to a port, on a database and a Redis that are real.
//!
//! Needs `DATABASE_URL` (of a server on which databases can be made) and `REDIS_URL`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "servers and hosts of a test run in real time")]

mod accounts;
mod acme;
mod admin;
mod api_keys;
mod audit;
mod audit_log;
mod auth;
mod authorisation;
mod builds;
mod capsule_history;
mod capsules;
mod channels;
mod event_streams;
mod events;
mod files;
mod host_agents;
mod host_deletion;
mod hosts;
mod lifecycle;
mod mail;
mod members;
mod metrics;
mod monitoring;
mod notifications;
mod openapi;
mod overload;
mod paging;
mod previews;
mod processes;
mod providers;
mod quota;
mod requests;
mod revocation;
mod servers;
mod snapshots;
mod sockets;
mod statistics;
mod support;
mod team_builds;
mod teams;
mod timeouts;
mod tls;
mod tokens;
mod totp;
mod user_search;
