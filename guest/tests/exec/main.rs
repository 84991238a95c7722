//! The exec engine behind the real service, in an ordinary process: everything but being PID 1.
//!
//! Run as root the commands are also put into cgroups (where the machine has version 2) and switch users.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail like tests")]

mod commands;
mod garbage;
mod processes;
mod support;
mod terminals;
mod together;
