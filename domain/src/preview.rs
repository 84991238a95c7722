//! Access to the ports of a sandbox.

use crate::word::words;

words! {
    /// Visitors that may reach the ports of a sandbox.
    PreviewAccess, "preview access" {
        /// Everybody who knows the address.
        Public = "public",
        /// Visitors that know the token.
        Token = "token",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro that declares the enum has no place for a default")]
impl Default for PreviewAccess {
    fn default() -> Self {
        Self::Token
    }
}

/// The ports of a sandbox, as whoever calls at them is let in or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Visitors that are let in.
    pub access: PreviewAccess,
    /// The token.
    pub token: String,
}
