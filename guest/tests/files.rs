//! Files through the guest's own code, on the filesystems of this machine.
//!
//! As root, other users and a full disk are tried, too.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail like tests")]
#![allow(clippy::disallowed_methods, reason = "real processes and files take real time")]

#[path = "files/reading.rs"]
mod reading;
#[path = "files/support.rs"]
mod support;
#[path = "files/trees.rs"]
mod trees;
#[path = "files/unpacking.rs"]
mod unpacking;
#[path = "files/watching.rs"]
mod watching;
#[path = "files/writing.rs"]
mod writing;
