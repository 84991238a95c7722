//! The control plane's actors on a real Postgres, with agents that do what a test tells them.

#![allow(clippy::disallowed_methods, reason = "servers and agents of a test run in real time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

mod events;
mod exec;
mod faults;
mod hostile;
mod hosts;
mod lifecycle;
mod metrics;
mod operations;
mod resume;
mod servers;
mod support;
mod transfer;
