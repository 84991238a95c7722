//! The secrets that a host shows: made here, sent to the host once, kept as hashes.

use std::fmt;

use wrenn_base::Rng;
use wrenn_store::host_tokens::CredentialHashes;

use super::secret;

/// Tokens of a host that has registered, or has renewed them.
pub struct HostCredentials {
    /// Token for every call.
    pub host_token: String,
    /// Token that renews both.
    pub refresh_token: String,
}

impl HostCredentials {
    pub(crate) fn generate(rng: &Rng) -> Self {
        let random = || secret::token(rng);
        Self { host_token: format!("hst_{}", random()), refresh_token: format!("rfr_{}", random()) }
    }

    pub(crate) fn hashes(&self) -> CredentialHashes {
        CredentialHashes { host: secret::hash(&self.host_token), refresh: secret::hash(&self.refresh_token) }
    }
}

impl fmt::Debug for HostCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCredentials").finish_non_exhaustive()
    }
}
