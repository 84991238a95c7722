//! Helpers that test suites of several crates share. Never a dependency of the product, only of tests.
//!
//! | module | feature | content |
//! |---|---|---|
//! | [`wait`] | | waiting for a condition, with a limit and a message |
//! | [`rows`] | `rows` | new hosts and sandboxes, and the audit entries that go with them |
//! | [`server`] | `servers` | a server, or a control plane, on a thread of its own |
//! | [`host`] | `hosts` | simulated hosts, registered and attached |
//!
//! A fresh database for each test comes from `#[sqlx::test]`.

#![allow(clippy::disallowed_methods, reason = "servers and hosts of a test run in real time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

#[cfg(feature = "hosts")]
pub mod host;
#[cfg(feature = "rows")]
pub mod rows;
#[cfg(feature = "servers")]
pub mod server;
pub mod wait;
