//! The rules of Wrenn: types, and pure functions over them.
//!
//! ```text
//!   api ─▶ control ─▶ actors ─▶ store ─▶ domain ◀─ proto ◀─ agent, guest
//! ```
//!
//! | module | rules |
//! |---|---|
//! | [`lifecycle`], [`sandbox`] | the states of a sandbox, [`sandbox::step()`], its invariants |
//! | [`placement`] | the choice of a host |
//! | [`recipe`], [`build`], [`archive`] | the grammar of recipes, the plan of a build |
//! | [`environment`], [`limits`] | names, limits and defaults |
//! | [`principal`], [`action`], [`permission`], [`admission`] | who may do what, and when |
//! | [`audit`] | what is written of a change, and how it ended |
//! | [`event`], [`history`] | what clients follow, and what happened to a capsule |
//! | [`channel`] | notification channels: their configuration, their messages, the addresses that may be asked |
//! | [`quota`] | how much a team may use at once |
//! | [`metrics`] | measurements of capsules: tiers, means, ranges, their encoding |
//! | [`statistics`] | reservations and usage of a team over time |
//! | [`error_code`] | the codes that clients see |
//! | [`ids`], [`word`] | typed ids, and the spelling of enums |
//! | the other modules | the nouns, as every layer above sees them |
//!
//! No I/O, no clock and no randomness but that of new ids: each function here is a function of its arguments, and its
//! tests run in seconds and without a database. Every other crate may depend on this one; it depends on none of them.

pub mod action;
pub mod administration;
pub mod admission;
pub mod api_key;
pub mod archive;
pub mod audit;
pub mod audit_log;
pub mod build;
pub mod channel;
pub mod environment;
pub mod error_code;
pub mod event;
pub mod history;
pub mod host;
pub mod ids;
pub mod lifecycle;
pub mod limits;
pub mod metrics;
pub mod page;
pub mod permission;
pub mod placement;
pub mod preview;
pub mod principal;
pub mod quota;
pub mod recipe;
pub mod sandbox;
pub mod scope;
pub mod statistics;
pub mod team;
pub mod template;
pub mod user;
pub mod word;
