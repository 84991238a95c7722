//! The control plane's actors on a real Postgres, with agents that do what a test tells them.

mod exec;
mod faults;
mod hosts;
mod lifecycle;
mod support;
