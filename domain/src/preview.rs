//! Access to the ports of a sandbox.
//!
//! ```text
//!   secret of the sandbox ─┐
//!   who is shown the token ┴─ HMAC ─▶ usr-….3.9f0c…, or key-….9f0c…
//! ```
//!
//! Each principal is shown a token of its own, which names it. So a token, and every link that was made with it, ends with
//! its holder's place in the team, key, or tokens. A new secret ends the tokens of all.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    action::Action,
    ids::{ApiKeyId, UserId},
    permission::permit,
    principal::Principal,
    word::words,
};

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

/// The ports of a sandbox, as the database has them when a visitor comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Visitors that are let in.
    pub access: PreviewAccess,
    /// Secret of the sandbox, of which tokens are made.
    pub secret: String,
    /// The holder of the visitor's token as a principal of the sandbox's team; `None` if it is none, or none any more.
    pub holder: Option<Principal>,
}

/// The action that a principal must be permitted, so that it is shown a token and the token stays valid.
pub const ACTION: Action = Action::SandboxPreview;

/// The principal to which a token was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewHolder {
    /// A user, until the tokens of the account end.
    User {
        /// The account.
        id: UserId,
        /// The account's epoch.
        epoch: i64,
    },
    /// An API key.
    ApiKey {
        /// The key's record.
        id: ApiKeyId,
    },
}

/// Token with which a visitor reaches the ports of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewToken {
    holder: PreviewHolder,
    code: [u8; CODE_BYTES],
}

/// Bytes of the code: as many as a UUID has.
const CODE_BYTES: usize = 16;

/// A text that is no token of a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token of a preview")]
pub struct ParsePreviewTokenError;

impl PreviewToken {
    /// Makes the token that `principal` is shown; `None` if it may not use the sandbox's ports.
    pub fn issue(secret: &str, principal: &Principal) -> Option<Self> {
        permit(principal, ACTION).ok()?;
        let holder = match *principal {
            Principal::User { id, epoch, .. } => PreviewHolder::User { id, epoch },
            Principal::ApiKey { id, .. } => PreviewHolder::ApiKey { id },
            Principal::Anonymous | Principal::Host { .. } | Principal::System { .. } => return None,
        };
        let mut code = [0; CODE_BYTES];
        code.copy_from_slice(&mac(secret, holder)?.finalize().into_bytes()[..CODE_BYTES]);
        Some(Self { holder, code })
    }

    /// Returns the principal to which the token was shown, if it is genuine.
    pub fn holder(&self) -> PreviewHolder {
        self.holder
    }

    /// Returns true if the token was made of this secret; takes the same time for every wrong one.
    pub fn is_of(&self, secret: &str) -> bool {
        mac(secret, self.holder).is_some_and(|mac| mac.verify_truncated_left(&self.code).is_ok())
    }
}

/// Returns the code of a holder, which is not finished; `None` never happens, as HMAC takes keys of any length.
fn mac(secret: &str, holder: PreviewHolder) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    Some(mac.chain_update(holder.to_string()))
}

impl fmt::Display for PreviewHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { id, epoch } => write!(f, "{id}.{epoch}"),
            Self::ApiKey { id } => write!(f, "{id}"),
        }
    }
}

impl fmt::Display for PreviewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:032x}", self.holder, u128::from_be_bytes(self.code))
    }
}

impl FromStr for PreviewToken {
    type Err = ParsePreviewTokenError;

    fn from_str(text: &str) -> Result<Self, ParsePreviewTokenError> {
        let parse = || {
            let (holder, code) = text.rsplit_once('.')?;
            let is_code =
                code.len() == 2 * CODE_BYTES && code.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let code = is_code.then(|| u128::from_str_radix(code, 16).ok()).flatten()?.to_be_bytes();
            let holder = match holder.split_once('.') {
                Some((id, epoch)) => PreviewHolder::User { id: id.parse().ok()?, epoch: epoch.parse().ok()? },
                None => PreviewHolder::ApiKey { id: holder.parse().ok()? },
            };
            Some(Self { holder, code })
        };
        parse().ok_or(ParsePreviewTokenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::TeamId,
        principal::Membership,
        scope::{Scope, Scopes},
        team::Role,
    };

    fn user(epoch: i64) -> Principal {
        let membership = Some(Membership { team: TeamId::new(), role: Role::Member });
        Principal::User { id: UserId::new(), membership, is_admin: false, epoch }
    }

    fn key(scope: Scope) -> Principal {
        let (id, team, created_by) = (ApiKeyId::new(), TeamId::new(), UserId::new());
        Principal::ApiKey { id, team, created_by, scopes: Scopes::of(&[scope]) }
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_is_of_one_secret_and_one_holder() {
        for principal in [user(0), user(7), key(Scope::Capsules)] {
            let token = PreviewToken::issue("secret", &principal).unwrap();
            let read: PreviewToken = token.to_string().parse().unwrap();
            assert_eq!(read, token);
            assert!(read.is_of("secret") && !read.is_of("other"), "{read}");
        }
        let (mut token, other) = (
            PreviewToken::issue("secret", &user(1)).unwrap(),
            PreviewToken::issue("secret", &user(1)).unwrap(),
        );
        assert_ne!(token, other);
        token.holder = other.holder;
        assert!(!token.is_of("secret"), "nobody passes for somebody else");
    }

    #[test]
    fn who_may_not_use_ports_is_shown_no_token() {
        let anonymous = [Principal::Anonymous, key(Scope::Read), key(Scope::Builds)];
        assert!(anonymous.iter().all(|principal| PreviewToken::issue("secret", principal).is_none()));
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let token = PreviewToken::issue("secret", &user(1)).unwrap().to_string();
        for bad in [
            String::new(),
            "secret".into(),
            ".".into(),
            format!("{token}0"),
            token.to_uppercase(),
            token.replacen("usr-", "key-", 1),
            token.replace(".1.", ".x."),
            format!("{}.+{}", token.rsplit_once('.').unwrap().0, "f".repeat(31)),
        ] {
            assert_eq!(bad.parse::<PreviewToken>(), Err(ParsePreviewTokenError), "{bad}");
        }
    }
}
