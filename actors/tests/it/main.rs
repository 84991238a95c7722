//! The control plane's actors on a real Postgres, with agents that do what a test tells them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

mod exec;
mod faults;
mod hosts;
mod lifecycle;
mod operations;
mod support;
mod transfer;
