//! Typed ids: a UUID inside, `<prefix>-` and 25 lower-case base-36 characters outside.
//!
//! 36²⁵ > 2¹²⁸, so 25 characters hold every UUID; the text is padded with zeros and has exactly one
//! spelling, which is why parsing refuses everything else.
//!
//! A fresh id takes time and chance from the process, and not from a `Clock` and an `Rng` that are handed in, as all
//! other code does: nothing decides by the time in an id, and no two may ever be the same, also those of tests with
//! the same seed on one database.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Number of base-36 characters that hold 128 bits.
const DIGITS: usize = 25;
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `{prefix}-` and 25 characters of 0-9 and a-z")]
pub struct ParseIdError {
    prefix: &'static str,
}

fn encode(value: Uuid, f: &mut fmt::Formatter<'_>, prefix: &str) -> fmt::Result {
    let mut digits = [b'0'; DIGITS];
    let mut rest = value.as_u128();
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 36) as usize];
        rest /= 36;
    }
    f.write_str(prefix)?;
    f.write_str("-")?;
    digits.iter().try_for_each(|&digit| fmt::Write::write_char(f, digit as char))
}

fn decode(text: &str, prefix: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('-')?;
    if digits.len() != DIGITS {
        return None;
    }
    let value = digits.bytes().try_fold(0_u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        value.checked_mul(36)?.checked_add(u128::from(digit))
    })?;
    Some(Uuid::from_u128(value))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Prefix of the id's text, before the dash.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id; ids made later sort later.
            #[expect(clippy::disallowed_methods, reason = "the one place that makes ids, see the module")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode(self.0, f, Self::PREFIX)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode(text, Self::PREFIX).map(Self).ok_or(ParseIdError { prefix: Self::PREFIX })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/** A capsule (internally: sandbox). */ SandboxId, "cl");
id!(/** A machine that runs capsules. */ HostId, "host");
id!(/** A running server. */ ServerId, "srv");
id!(/** A team. */ TeamId, "team");
id!(/** A user. */ UserId, "usr");
id!(/** An API key's record; not the key itself. */ ApiKeyId, "key");
id!(/** An invitation to a team. */ InvitationId, "inv");
id!(/** A template build. */ BuildId, "bld");
id!(/** A template. */ TemplateId, "tpl");
id!(/** One tunnel between control plane and agent. */ TunnelId, "tun");
id!(/** An entry of the audit log. */ AuditId, "aud");
id!(/** A template on its way from a host to the control plane. */ TransferId, "trf");
id!(/** A notification channel. */ ChannelId, "ch");
id!(/** An event that channels get; the same for all of them. */ EventId, "evt");
id!(/** A delivery of an event to a channel. */ DeliveryId, "dlv");
id!(/** A change of a capsule that nobody requested. */ IncidentId, "inc");

impl TeamId {
    /// The platform team: owns the templates that every team sees.
    pub const PLATFORM: Self = Self(Uuid::nil());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_uuid_survives_the_round_trip(value: u128) {
            let id = SandboxId(Uuid::from_u128(value));
            let text = id.to_string();
            prop_assert_eq!(text.len(), 3 + DIGITS);
            prop_assert_eq!(text.parse::<SandboxId>(), Ok(id));
        }

        #[test]
        fn whatever_parses_has_exactly_that_spelling(text in "cl-[0-9a-z]{25}") {
            if let Ok(id) = text.parse::<SandboxId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let good = SandboxId::new().to_string();
        for bad in [
            String::new(),
            "cl-".into(),
            good[..27].into(),
            format!("{good}0"),
            good.to_uppercase(),
            good.replace("cl-", "host-"),
            format!("cl-{}", "z".repeat(25)),
            format!("cl-{}", "é".repeat(12) + "a"),
        ] {
            assert!(bad.parse::<SandboxId>().is_err(), "{bad:?} must not parse");
        }
    }
}
