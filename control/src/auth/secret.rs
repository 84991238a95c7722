//! Secrets that are given to one person: API keys, tokens of links and invitations, and recovery codes. The database keeps
//! their hashes.

use sha2::{Digest as _, Sha256};
use wrenn_base::Rng;
use wrenn_domain::user::SecretHash;

/// Random characters of a token; 62⁴⁸ is more than 2²⁸⁵.
const TOKEN_CHARACTERS: usize = 48;

/// Makes the token of a link.
pub(crate) fn token(rng: &Rng) -> String {
    rng.alphanumeric(TOKEN_CHARACTERS)
}

/// Returns the hash under which a secret is stored and looked up.
///
/// Secrets have enough entropy for a fast hash, and the timing of a lookup by hash reveals nothing about a secret.
pub(crate) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}
