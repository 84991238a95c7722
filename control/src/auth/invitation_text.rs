//! The text of invitations' tokens: `inv_` and 40 random characters.

use wrenn_base::Rng;
use wrenn_domain::team::InvitationHash;

use super::secret;

/// Prefix of every token.
const PREFIX: &str = "inv_";
/// Random characters after the prefix; 62⁴⁰ is more than 2²³⁸.
const RANDOM_CHARACTERS: usize = 40;

/// A new token. Its text is shown or mailed once and never stored.
pub(crate) struct InvitationText(String);

impl InvitationText {
    pub(crate) fn generate(rng: &Rng) -> Self {
        Self(format!("{PREFIX}{}", rng.alphanumeric(RANDOM_CHARACTERS)))
    }

    pub(crate) fn hash(&self) -> InvitationHash {
        secret::hash(&self.0)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}
