//! Passwords, API keys, secrets of links, second factors, and the limits on guessing them.

pub(crate) mod api_key_text;
pub(crate) mod host_credentials;
pub(crate) mod invitation_text;
pub(crate) mod known_keys;
pub(crate) mod login_throttle;
pub(crate) mod password;
pub(crate) mod rate_limit;
pub(crate) mod registration_token;
pub(crate) mod second_factor;
pub(crate) mod secret;
