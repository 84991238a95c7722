//! Registration tokens: all that a new host has to be told.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::Fingerprint;

const PREFIX: &str = "reg_";
/// Longest address in a token.
const ADDRESS_MAX_BYTES: usize = 300;

/// A token that registers one host, once: `reg_<secret>.<fingerprint>.<address in base64>`. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The secret, of letters and digits.
    pub secret: String,
    /// The authority whose servers the host may trust.
    pub authority: Fingerprint,
    /// Address of the control plane, as agents take it; may be empty if the host is told by other means.
    pub address: String,
}

/// The text is no registration token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a registration token; copy the whole of `registration_token`, which begins with `{PREFIX}`")]
pub struct JoinTokenError;

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, authority, address } = self;
        write!(f, "{PREFIX}{secret}.{authority}.{}", URL_SAFE_NO_PAD.encode(address))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({} at {:?})", self.authority, self.address)
    }
}

impl FromStr for JoinToken {
    type Err = JoinTokenError;

    fn from_str(text: &str) -> Result<Self, JoinTokenError> {
        let mut parts = text.strip_prefix(PREFIX).ok_or(JoinTokenError)?.split('.');
        let (secret, authority, address) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(secret), Some(authority), Some(address), None) => (secret, authority, address),
            _ => return Err(JoinTokenError),
        };
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(JoinTokenError);
        }
        let authority = authority.parse().map_err(|_| JoinTokenError)?;
        let address = URL_SAFE_NO_PAD.decode(address).map_err(|_| JoinTokenError)?;
        if address.len() > ADDRESS_MAX_BYTES {
            return Err(JoinTokenError);
        }
        let address = String::from_utf8(address).map_err(|_| JoinTokenError)?;
        Ok(Self { secret: secret.to_owned(), authority, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for address in ["wrenn.example.com:8001", "unix:/run/wrenn/agents.sock", "[2001:db8::1]:8001", ""] {
            let token = JoinToken {
                secret: "abcXYZ019".into(),
                authority: Fingerprint([7; 32]),
                address: address.into(),
            };
            assert_eq!(token.to_string().parse(), Ok(token.clone()), "{token}");
            assert!(!format!("{token:?}").contains("abcXYZ019"));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let good = JoinToken { secret: "a".into(), authority: Fingerprint([7; 32]), address: "h:1".into() }
            .to_string();
        for bad in [
            "",
            "reg_",
            "reg_a",
            &good[1..],
            &format!("{good}."),
            &format!("{good}.x"),
            &good.replace("reg_a", "reg_"),
            &good.replace("reg_a", "reg_a-"),
            &format!(" {good}"),
        ] {
            assert_eq!(bad.parse::<JoinToken>(), Err(JoinTokenError), "{bad}");
        }
    }
}
