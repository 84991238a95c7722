//! Time, chance, threads for blocking work, one line for an error, pages of metrics: the ground that every process of Wrenn stands on.
//!
//! ```text
//!   main ─▶ Clock::process(), Rng::process() ─▶ everything else is given them
//!   test ─▶ Clock::manual(), Rng::seeded()   ─▶ the same code, with time that stands until it is advanced
//! ```
//!
//! | module | use |
//! |---|---|
//! | [`clock`] | the time of the process; rows are stamped by Postgres' clock, never by this one |
//! | [`rng`] | secrets, and the jitter of waits |
//! | [`backoff`] | the wait before the next try |
//! | [`blocking`] | work that blocks its thread, from async code |
//! | [`error_chain`] | an error and what caused it, in one line |
//! | [`openmetrics`] | pages of metrics for Prometheus |
//! | [`trace`] | the context of a trace, as it crosses processes |
//!
//! `clippy.toml` forbids the ambient counterparts everywhere else. This crate depends on none of the others.

pub mod backoff;
pub mod blocking;
pub mod clock;
pub mod error_chain;
pub mod openmetrics;
pub mod rng;
pub mod trace;

pub use backoff::Backoff;
pub use blocking::blocking;
pub use clock::{Clock, ManualClock};
pub use error_chain::Chain;
pub use rng::Rng;
