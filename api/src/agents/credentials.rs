//! The secrets that hosts show: made here, shown to the host once, kept as hashes.

use rand::distr::{Alphanumeric, SampleString as _};
use sha2::{Digest as _, Sha256};
use tonic::{Status, metadata::MetadataMap};
use wrenn_store::host_tokens::{CredentialHashes, TokenHash};

/// Random characters of a token; 62⁴⁸ is more than 2²⁸⁵.
const TOKEN_CHARACTERS: usize = 48;

/// What a host gets when it registers or renews.
pub(super) struct Credentials {
    pub(super) host_token: String,
    pub(super) refresh_token: String,
}

impl Credentials {
    pub(super) fn generate() -> Self {
        let random = || Alphanumeric.sample_string(&mut rand::rng(), TOKEN_CHARACTERS);
        Self { host_token: format!("hst_{}", random()), refresh_token: format!("rfr_{}", random()) }
    }

    pub(super) fn hashes(&self) -> CredentialHashes {
        CredentialHashes { host: hash(&self.host_token), refresh: hash(&self.refresh_token) }
    }
}

/// What a token is stored and looked up as.
pub(super) fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Takes the host token out of a call's metadata.
pub(super) fn bearer(metadata: &MetadataMap) -> Result<&str, Status> {
    metadata
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Status::unauthenticated("`authorization: Bearer <host token>` is missing"))
}
