//! Dashboard tokens: JWTs signed with HMAC-SHA-256.
//!
//! ```text
//!   token_keys ─▶ TokenSigner ─┬─ newest key ─▶ sign; the header names the key as `kid`
//!                              └─ key named by `kid` ─▶ verify
//! ```
//!
//! The keys are read when the server starts, again after [`READ_EVERY`], and when a token names a key that is not known,
//! which another server has learnt of first; the latter at most once per [`READ_AT_MOST_EVERY`], so that made-up tokens cost
//! the database nothing. If they cannot be read, the keys that are known stay.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use wrenn_base::{Chain, Clock};
use wrenn_proto::ids::{TeamId, UserId};
use wrenn_store::{Store, StoreError, token_keys::TokenKey};

/// Time for which a token is valid, in seconds.
pub(crate) const TTL_SEC: i64 = 6 * 60 * 60;
/// Age after which the keys are read again.
const READ_EVERY: Duration = Duration::from_secs(30);
/// Shortest time between two reads because of an unknown key.
const READ_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Id of the key whose tokens have no `kid`: the only one there was before keys had ids.
const UNNAMED: &str = "first";

/// Content of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: UserId,
    /// The team for which the user acts; an empty text for a user without a team.
    #[serde(with = "team_or_empty")]
    pub(crate) team_id: Option<TeamId>,
    /// The user's epoch: a token with another one has ended.
    #[serde(default)]
    pub(crate) epoch: i64,
    pub(crate) email: String,
    pub(crate) name: String,
    /// For the dashboard only; the server asks the database.
    pub(crate) is_admin: bool,
    /// When it was made, in seconds since 1970.
    pub(crate) iat: i64,
    /// When it ends.
    pub(crate) exp: i64,
}

/// Spelling of a team that may be missing.
pub(crate) mod team_or_empty {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use wrenn_proto::ids::TeamId;

    pub(crate) fn serialize<S: Serializer>(team: &Option<TeamId>, serializer: S) -> Result<S::Ok, S::Error> {
        match team {
            Some(team) => serializer.collect_str(team),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TeamId>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
    }
}

/// Why a text is not a token that this server accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TokenError {
    #[error("the token is not valid")]
    Invalid,
    #[error("the token has expired; sign in again")]
    Expired,
}

/// Why there are no keys to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database failed.
    #[error("the keys could not be read from the database")]
    Store(#[from] StoreError),
    /// A key cannot sign.
    #[error(
        "a key in the table token_keys is damaged; `wrenn admin rotate-token-key --end-sessions` makes a new one"
    )]
    Damaged(#[from] jsonwebtoken::errors::Error),
    /// There is no key.
    #[error("the table token_keys is empty; start the server again")]
    Missing,
}

struct Key {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// The keys of the installation; the first one signs.
struct Keys(Vec<Key>);

impl Keys {
    fn new(keys: Vec<TokenKey>) -> Result<Self, KeysError> {
        let keys = keys.into_iter().map(|TokenKey { id, secret }| {
            let encoding = EncodingKey::from_secret(&secret)?;
            Ok(Key { id, encoding, decoding: DecodingKey::from_secret(&secret)? })
        });
        let keys: Vec<Key> = keys.collect::<Result<_, KeysError>>()?;
        if keys.is_empty() { Err(KeysError::Missing) } else { Ok(Self(keys)) }
    }

    fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        // Never empty, see `new`.
        let key = self.0.first().ok_or(ErrorKind::InvalidKeyFormat)?;
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &key.encoding)
    }

    fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl Key {
    fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The crate would take the time of the machine.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let verified = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation);
        let claims = verified.map_err(|_| TokenError::Invalid)?.claims;
        if claims.exp <= now.timestamp() { Err(TokenError::Expired) } else { Ok(claims) }
    }
}

/// The keys that were read last.
#[derive(Clone)]
struct ReadKeys {
    keys: Arc<Keys>,
    at: Instant,
}

/// Signs tokens and checks them.
pub(crate) struct TokenSigner {
    store: Store,
    clock: Clock,
    read: RwLock<ReadKeys>,
    /// Held while the keys are read, so that one request reads them for all.
    reading: Mutex<()>,
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSigner")
    }
}

impl TokenSigner {
    /// Reads the keys; records `proposal` if there are none.
    pub(crate) async fn load(store: Store, proposal: &TokenKey, clock: Clock) -> Result<Self, KeysError> {
        store.token_key_ensure(proposal).await?;
        let keys = Arc::new(Keys::new(store.token_keys().await?)?);
        let read = RwLock::new(ReadKeys { keys, at: clock.now() });
        Ok(Self { store, clock, read, reading: Mutex::new(()) })
    }

    /// Signs a token with the newest key.
    pub(crate) async fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        self.keys(READ_EVERY).await.sign(claims)
    }

    /// Returns the claims of a token that was signed by one of the keys and whose time is not over.
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let id = header.kid.as_deref().unwrap_or(UNNAMED);
        let now = self.clock.utc();
        if let Some(key) = self.keys(READ_EVERY).await.find(id) {
            return key.verify(token, now);
        }
        let keys = self.keys(READ_AT_MOST_EVERY).await;
        keys.find(id).ok_or(TokenError::Invalid)?.verify(token, now)
    }

    /// Returns the keys, which are read again if they are older than `age`.
    async fn keys(&self, age: Duration) -> Arc<Keys> {
        let fresh = || Some(self.read.read().clone()).filter(|read| self.clock.since(read.at) < age);
        if let Some(read) = fresh() {
            return read.keys;
        }
        let _reading = self.reading.lock().await;
        if let Some(read) = fresh() {
            return read.keys;
        }
        let read = match self.store.token_keys().await {
            Ok(keys) => Keys::new(keys),
            Err(error) => Err(error.into()),
        };
        let mut known = self.read.write();
        // Also after a failure: the next request shall not wait for the database, too.
        known.at = self.clock.now();
        match read {
            Ok(keys) => known.keys = Arc::new(keys),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "token keys not read, keeping the known ones")
            }
        }
        known.keys.clone()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};

    use super::*;

    fn keys(secrets: &[(&str, u8)]) -> Keys {
        let key = |(id, byte): &(&str, u8)| TokenKey { id: (*id).to_owned(), secret: vec![*byte; 32] };
        Keys::new(secrets.iter().map(key).collect()).unwrap()
    }

    fn claims(exp: i64) -> Claims {
        Claims {
            sub: UserId::new(),
            team_id: Some(TeamId::new()),
            epoch: 3,
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
    fn a_token_names_its_key_and_is_good_until_its_end() {
        let keys = keys(&[("new", 7), ("old", 8)]);
        let claims = claims(100);
        let token = keys.sign(&claims).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some("new"));
        let key = keys.find("new").unwrap();
        assert_eq!(key.verify(&token, at(99)), Ok(claims));
        assert_eq!(key.verify(&token, at(100)), Err(TokenError::Expired));
        assert_eq!(keys.find("old").unwrap().verify(&token, at(99)), Err(TokenError::Invalid));
    }

    #[test]
    fn a_user_without_a_team_has_an_empty_one() {
        let claims = Claims { team_id: None, ..claims(100) };
        assert_eq!(serde_json::to_value(&claims).unwrap()["team_id"], "");
        let keys = keys(&[("new", 7)]);
        let token = keys.sign(&claims).unwrap();
        assert_eq!(keys.find("new").unwrap().verify(&token, at(99)), Ok(claims));
    }

    #[test]
    fn whatever_was_touched_is_refused() {
        let keys = keys(&[("new", 7)]);
        let key = keys.find("new").unwrap();
        let token = keys.sign(&claims(100)).unwrap();
        let (header, payload) = (token.split('.').next().unwrap(), token.split('.').nth(1).unwrap());
        let of = |header: &str| BASE64.encode(header);
        let none = of(r#"{"alg":"none","typ":"JWT","kid":"new"}"#);
        let stronger = Header { kid: Some("new".into()), ..Header::new(Algorithm::HS512) };
        for bad in [
            String::new(),
            "a.b.c".into(),
            format!("{token}.x"),
            format!("{none}.{payload}."),
            format!("{header}.{payload}."),
            jsonwebtoken::encode(&stronger, &claims(100), &key.encoding).unwrap(),
            token.replace(payload, &of("{}")),
        ] {
            assert_eq!(key.verify(&bad, at(0)), Err(TokenError::Invalid), "{bad}");
        }
    }
}
