//! Rules for the environment of a capsule, set by a client or by a recipe for the capsules of its template.

use std::collections::BTreeMap;

/// Variables.
pub const MAX_VARIABLES: usize = 64;
/// Length of a name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Length of all names and values together, in bytes; a kernel takes more.
pub const MAX_BYTES: usize = 64 * 1024;

/// Fault of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// There are too many variables.
    #[error("must have at most {MAX_VARIABLES} entries")]
    TooMany,
    /// A name is empty or too long.
    #[error("a name must have 1 to {MAX_NAME_BYTES} bytes")]
    Name,
    /// A name that would end where it does not.
    #[error("a name must not contain `=`, as `{0}` does")]
    Equals(String),
    /// A zero byte, with which a text would end.
    #[error("must not contain a zero byte")]
    Zero,
    /// All together is too long.
    #[error("names and values must have at most {MAX_BYTES} bytes together")]
    TooLong,
}

/// Checks an environment as a whole.
///
/// # Errors
/// See [`EnvironmentError`].
pub fn check(environment: &BTreeMap<String, String>) -> Result<(), EnvironmentError> {
    if environment.len() > MAX_VARIABLES {
        return Err(EnvironmentError::TooMany);
    }
    if environment.keys().any(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
        return Err(EnvironmentError::Name);
    }
    if let Some(name) = environment.keys().find(|name| name.contains('=')) {
        return Err(EnvironmentError::Equals(name.clone()));
    }
    if environment.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(EnvironmentError::Zero);
    }
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_BYTES { Err(EnvironmentError::TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_bounded_in_every_direction() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let many = (0..=MAX_VARIABLES).map(|number| (number.to_string(), String::new())).collect();
        for (bad, expected) in [
            (one("", ""), EnvironmentError::Name),
            (one(&"k".repeat(MAX_NAME_BYTES + 1), ""), EnvironmentError::Name),
            (one("A=B", ""), EnvironmentError::Equals("A=B".to_owned())),
            (one("k", "\0"), EnvironmentError::Zero),
            (one("k\0", ""), EnvironmentError::Zero),
            (one("k", &"v".repeat(MAX_BYTES)), EnvironmentError::TooLong),
            (many, EnvironmentError::TooMany),
        ] {
            assert_eq!(check(&bad), Err(expected), "{bad:?}");
        }
        assert_eq!(check(&BTreeMap::new()), Ok(()));
        assert_eq!(check(&one("k", &"v".repeat(MAX_BYTES - 1))), Ok(()));
    }
}
