//! Who is asking.
//!
//! ```text
//!  X-API-Key: wrn_…            ─▶ hash ─▶ api_keys ─▶ Principal::ApiKey
//!  Authorization: Bearer <JWT> ─▶ signature, time ─▶ users, team_members ─▶ Principal::User
//!  X-Host-Token: hst_…         ─▶ hash ─▶ host_tokens ─▶ Principal::Host, where the table of actions says so
//! ```
//!
//! A token says who its bearer was when it was made. The database says on each request whether the account is active, a
//! member of the team, an administrator; the table of actions says what such a principal may do.

mod extract;
pub(crate) mod token;

pub(crate) use extract::{
    AuthError, Authorized, HOST_TOKEN, OptionallyAuthorized, ResourceActions, of_api_key, of_token,
};
