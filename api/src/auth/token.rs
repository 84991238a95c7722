//! Dashboard tokens: JWTs signed with HMAC-SHA-256.
//!
//! Only one header is ever made and accepted, so there is no algorithm to be talked into.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wrenn_proto::ids::{TeamId, UserId};

/// How long a token is good for.
pub(crate) const TTL_SEC: i64 = 6 * 60 * 60;
/// Bytes of the signing key.
pub(crate) const KEY_BYTES: usize = 32;

/// `{"alg":"HS256","typ":"JWT"}` in base64.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: UserId,
    /// The team that the user acts in.
    pub(crate) team_id: TeamId,
    pub(crate) email: String,
    pub(crate) name: String,
    /// For the dashboard only; the server asks the database.
    pub(crate) is_admin: bool,
    /// When it was made, in seconds since 1970.
    pub(crate) iat: i64,
    /// When it ends.
    pub(crate) exp: i64,
}

/// Why a text is not a token that this server accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TokenError {
    #[error("the token is not valid")]
    Invalid,
    #[error("the token has expired; sign in again")]
    Expired,
}

/// Signs tokens and checks them.
#[derive(Clone)]
pub(crate) struct TokenSigner {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSigner")
    }
}

impl TokenSigner {
    /// A signer with this key; none if the key is shorter than it must be.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        if key.len() < KEY_BYTES {
            return None;
        }
        Hmac::new_from_slice(key).ok().map(|mac| Self { mac })
    }

    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let payload = BASE64.encode(serde_json::to_vec(claims)?);
        let signature = BASE64.encode(self.mac_of(&payload).finalize().into_bytes());
        Ok(format!("{HEADER}.{payload}.{signature}"))
    }

    pub(crate) fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let mut parts = token.split('.');
        let (Some(HEADER), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Invalid);
        };
        let signature = BASE64.decode(signature).map_err(|_| TokenError::Invalid)?;
        self.mac_of(payload).verify_slice(&signature).map_err(|_| TokenError::Invalid)?;
        let claims = BASE64.decode(payload).map_err(|_| TokenError::Invalid)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TokenError::Invalid)?;
        if claims.exp <= now.timestamp() {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    fn mac_of(&self, payload: &str) -> Hmac<Sha256> {
        self.mac.clone().chain_update(HEADER).chain_update(".").chain_update(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> TokenSigner {
        TokenSigner::new(&[7; KEY_BYTES]).unwrap()
    }

    fn claims(exp: i64) -> Claims {
        Claims {
            sub: UserId::new(),
            team_id: TeamId::new(),
            email: "ada@example.org".into(),
            name: "Ada".into(),
            is_admin: false,
            iat: 0,
            exp,
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_header_is_what_it_claims_to_be() {
        assert_eq!(BASE64.decode(HEADER).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn a_token_is_good_until_its_end() {
        let claims = claims(100);
        let token = signer().sign(&claims).unwrap();
        assert_eq!(signer().verify(&token, at(99)), Ok(claims));
        assert_eq!(signer().verify(&token, at(100)), Err(TokenError::Expired));
    }

    #[test]
    fn whatever_was_touched_is_refused() {
        let token = signer().sign(&claims(100)).unwrap();
        let none = BASE64.encode(br#"{"alg":"none","typ":"JWT"}"#);
        let payload = token.split('.').nth(1).unwrap();
        let other_key = TokenSigner::new(&[8; KEY_BYTES]).unwrap();
        for bad in [
            String::new(),
            "a.b.c".into(),
            format!("{token}.x"),
            format!("{none}.{payload}."),
            format!("{HEADER}.{payload}."),
            other_key.sign(&claims(100)).unwrap(),
            token.replace(payload, &BASE64.encode(b"{}")),
        ] {
            assert_eq!(signer().verify(&bad, at(0)), Err(TokenError::Invalid), "{bad}");
        }
    }
}
