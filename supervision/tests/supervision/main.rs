//! What supervision promises, each promise as a test. Panics printed by these tests are part of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests, too")]

mod arbiters;
mod calls;
mod escalation;
mod kill;
mod lifeline;
mod probe;
mod registry;
mod restart;
mod stop;
mod watchdog;
