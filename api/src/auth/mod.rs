//! Who is asking.
//!
//! ```text
//!  X-API-Key: wrn_…            ─▶ hash ─▶ api_keys ─▶ Caller (a team)
//!  Authorization: Bearer <JWT> ─▶ signature, time ─▶ users, team_members ─▶ Session (a user in a team)
//! ```
//!
//! A token says who its bearer was when it was made. What the bearer may do now (whether the account
//! is active, a member of the team, an administrator) is asked of the database on each request.

pub(crate) mod api_key;
pub(crate) mod bucket;
mod extract;
pub(crate) mod password;
pub(crate) mod throttle;
pub(crate) mod token;

pub(crate) use extract::{Admin, AuthError, Caller, OptionalCaller, Session};
