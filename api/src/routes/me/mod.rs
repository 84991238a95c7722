//! The signed-in user: their account, password and second factor.

pub(crate) mod activation;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod password;
pub(crate) mod password_reset;
pub(crate) mod providers;
pub(crate) mod rename;
pub(crate) mod totp;
