//! Registration tokens, with which hosts register once.

use wrenn_base::Rng;
use wrenn_pki::{Fingerprint, JoinToken};
use wrenn_store::host_tokens::TokenHash;

use super::secret;

/// A new token. Its text is shown once and never stored.
pub(crate) struct RegistrationToken(String);

impl RegistrationToken {
    /// Makes a token that leads to the control plane at an address, which proves itself by the authority. The address is empty
    /// if the host is told by other means.
    pub(crate) fn generate(rng: &Rng, authority: Fingerprint, address: &str) -> Self {
        let token = JoinToken { secret: secret::token(rng), authority, address: address.to_owned() };
        Self(token.to_string())
    }

    pub(crate) fn hash(&self) -> TokenHash {
        hash(&self.0)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// Returns the hash under which the token in a text is looked up.
pub(crate) fn hash(text: &str) -> TokenHash {
    secret::hash(text)
}
