//! The exec engine behind the real service, in an ordinary process: everything but being PID 1.
//!
//! Run as root the commands are also put into cgroups (where the machine has version 2) and switch users.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![allow(clippy::disallowed_methods, reason = "real processes and files take real time")]

mod commands;
mod garbage;
mod processes;
mod support;
mod terminals;
mod together;
