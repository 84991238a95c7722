//! What supervision promises, each promise as a test. Panics printed by these tests are part of them.
#![allow(clippy::disallowed_methods, reason = "the tests watch real actors, in real time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests, too")]

mod arbiters;
mod calls;
mod escalation;
mod kill;
mod lifeline;
mod periodic;
mod probe;
mod registry;
mod restart;
mod stop;
mod watchdog;
