//! The text of API keys: `wrn_` and 40 random characters.

use wrenn_base::Rng;
use wrenn_domain::api_key::KeyHash;

use super::secret;

/// Prefix of every key.
pub(crate) const PREFIX: &str = "wrn_";
/// Random characters after the prefix; 62⁴⁰ is more than 2²³⁸.
const RANDOM_CHARACTERS: usize = 40;
/// Leading characters that are stored in the clear, so that users recognise a key.
const KEPT_CHARACTERS: usize = 12;

/// A new key. Its text is shown once and never stored.
pub(crate) struct ApiKeyText(String);

impl ApiKeyText {
    pub(crate) fn generate(rng: &Rng) -> Self {
        Self(format!("{PREFIX}{}", rng.alphanumeric(RANDOM_CHARACTERS)))
    }

    /// Returns the leading characters, which are stored in the clear.
    pub(crate) fn kept_prefix(&self) -> &str {
        &self.0[..KEPT_CHARACTERS]
    }

    pub(crate) fn hash(&self) -> KeyHash {
        secret::hash(&self.0)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_shape_of_the_contract_and_differ() {
        let rng = Rng::seeded(1);
        let key = ApiKeyText::generate(&rng).into_text();
        let random = key.strip_prefix(PREFIX).unwrap();
        assert!(random.len() >= 32 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(key, ApiKeyText::generate(&rng).into_text());
    }
}
