//! Limits on what clients may write down, so that no row and no command line gets out of hand.

use std::{collections::BTreeMap, ops::RangeInclusive};

use wrenn_domain::environment;

/// Processors of a machine.
pub(crate) const VCPUS: RangeInclusive<i64> = 1..=32;
/// What a machine has that asks for nothing.
pub(crate) const DEFAULT_VCPUS: i64 = 1;
/// Memory of a machine.
pub(crate) const MEMORY_MB: RangeInclusive<i64> = 128..=65_536;
/// What a machine has that asks for nothing.
pub(crate) const DEFAULT_MEMORY_MB: i64 = 512;
/// Largest disk of a machine.
pub(crate) const MAX_DISK_MB: i64 = 1_048_576;
/// What a machine has that asks for nothing.
pub(crate) const DEFAULT_DISK_MB: i64 = wrenn_proto::DEFAULT_DISK_MB as i64;

/// Entries of a map.
const MAX_ENTRIES: usize = 64;
/// Length of a key.
const MAX_KEY_BYTES: usize = 128;
/// Length of a value of metadata.
const MAX_METADATA_BYTES: usize = 1024;
/// How much of a wrong name is repeated in an error.
pub(crate) const ECHO_CHARACTERS: usize = 80;

/// What is too much, or not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wrong}")]
pub(crate) struct LimitError {
    field: &'static str,
    wrong: String,
}

fn refuse(field: &'static str, wrong: impl Into<String>) -> Result<(), LimitError> {
    Err(LimitError { field, wrong: wrong.into() })
}

/// Whether a template could have this name.
pub(crate) fn is_template_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Checks environment variables.
pub(crate) fn check_envs(envs: Option<&BTreeMap<String, String>>) -> Result<(), LimitError> {
    let checked = envs.map_or(Ok(()), environment::check);
    checked.map_err(|error| LimitError { field: "envs", wrong: error.to_string() })
}

/// Checks that a number is within its range.
pub(crate) fn in_range(
    field: &'static str,
    given: i64,
    allowed: RangeInclusive<i64>,
) -> Result<u32, LimitError> {
    match u32::try_from(given) {
        Ok(value) if allowed.contains(&given) => Ok(value),
        _ => {
            let wrong = format!("must be from {} to {}, not {given}", allowed.start(), allowed.end());
            Err(LimitError { field, wrong })
        }
    }
}

/// Checks a capsule's metadata.
pub(crate) fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), LimitError> {
    const FIELD: &str = "metadata";
    let Some(metadata) = metadata else { return Ok(()) };
    check_map(FIELD, metadata)?;
    if metadata.values().any(|value| value.len() > MAX_METADATA_BYTES) {
        return refuse(FIELD, format!("a value must have at most {MAX_METADATA_BYTES} bytes"));
    }
    Ok(())
}

/// Checks a text that becomes part of a command line.
pub(crate) fn check_argument(field: &'static str, text: &str) -> Result<(), LimitError> {
    // The kernel's limit for a single argument.
    const MAX_BYTES: usize = 128 * 1024 - 1;
    if text.contains('\0') {
        return refuse(field, "must not contain a zero byte");
    }
    if text.len() > MAX_BYTES {
        return refuse(field, format!("must have at most {MAX_BYTES} bytes"));
    }
    Ok(())
}

fn check_map(field: &'static str, map: &BTreeMap<String, String>) -> Result<(), LimitError> {
    if map.len() > MAX_ENTRIES {
        return refuse(field, format!("must have at most {MAX_ENTRIES} entries"));
    }
    if map.keys().any(|key| key.is_empty() || key.len() > MAX_KEY_BYTES) {
        return refuse(field, format!("a name must have 1 to {MAX_KEY_BYTES} bytes"));
    }
    if map.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) {
        return refuse(field, "must not contain a zero byte");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
        entries.into_iter().collect()
    }

    #[test]
    fn maps_are_bounded_in_every_direction() {
        let one = |key: &str, value: &str| map([(key.to_owned(), value.to_owned())]);
        let many = map((0..=MAX_ENTRIES).map(|n| (n.to_string(), String::new())));
        for bad in [one("", ""), one(&"k".repeat(129), ""), one("k", "\0"), one("k\0", ""), many] {
            assert!(check_envs(Some(&bad)).is_err(), "{bad:?}");
            assert!(check_metadata(Some(&bad)).is_err(), "{bad:?}");
        }
        assert!(check_envs(Some(&one("A=B", "c"))).is_err());
        assert!(check_metadata(Some(&one("A=B", "c"))).is_ok());
        assert!(check_metadata(Some(&one("A", &"v".repeat(MAX_METADATA_BYTES + 1)))).is_err());
        assert!(check_envs(None).is_ok());
    }

    #[test]
    fn template_names_are_those_that_the_database_takes() {
        for good in ["minimal", "a", "python-3.12_x", "0"] {
            assert!(is_template_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "A", "a b", "ä", "a\0", &"a".repeat(64)] {
            assert!(!is_template_name(bad), "{bad:?}");
        }
    }
}
