//! Passwords and API keys, and the limits on guessing them.

pub(crate) mod api_key_text;
pub(crate) mod hash_limit;
pub(crate) mod login_throttle;
pub(crate) mod password;
