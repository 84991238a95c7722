//! Limits on what clients may write down, so that no row and no command line gets out of hand.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::environment;

/// vCPUs of a machine.
pub const VCPUS: RangeInclusive<i64> = 1..=32;
/// vCPUs of a machine unless its owner says otherwise.
pub const DEFAULT_VCPUS: i64 = 1;
/// Memory of a machine, in MiB.
pub const MEMORY_MB: RangeInclusive<i64> = 128..=65_536;
/// Memory of a machine unless its owner says otherwise, in MiB.
pub const DEFAULT_MEMORY_MB: i64 = 512;
/// Disk of a capsule, in MiB; its template may ask for more than the lower bound.
pub const DISK_MB: RangeInclusive<i64> = 1..=1_048_576;
/// Disk on which a template is built, in MiB: a file system needs some room to begin with.
pub const BUILD_DISK_MB: RangeInclusive<i64> = 256..=*DISK_MB.end();
/// Disk of a capsule unless its owner says otherwise, in MiB.
pub const DEFAULT_DISK_MB: i64 = 5120;
/// Idle time after which a capsule is paused, in seconds; 0 means never.
pub const TIMEOUT_SEC: RangeInclusive<i64> = 0..=31_536_000;
/// Template of a capsule or build that names none.
pub const DEFAULT_TEMPLATE: &str = "minimal";

/// Notification channels of a team.
pub const MAX_CHANNELS: u32 = 20;
/// Longest value in a notification channel's configuration, in bytes.
pub const MAX_CHANNEL_VALUE_BYTES: usize = 2048;

/// Name of a user, a team, an API key or a notification channel, in characters.
pub const NAME_CHARACTERS: RangeInclusive<usize> = 1..=100;
/// Longest email address, in bytes, as mail servers have it.
pub const MAX_EMAIL_BYTES: usize = 254;
/// Shortest password, in characters.
pub const MIN_PASSWORD_CHARACTERS: usize = 8;
/// Longest password, in bytes; more would only make hashing an expense.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// Name of a template, in characters.
pub const TEMPLATE_NAME_CHARACTERS: RangeInclusive<usize> = 1..=63;
/// Pattern of a template's name, apart from its length.
pub const TEMPLATE_NAME_PATTERN: &str = "^[a-z0-9][a-z0-9._-]*$";

/// Hosts that a team may bring.
pub const MAX_HOSTS_OF_TEAM: u32 = 100;
/// Tags of a host.
pub const MAX_HOST_TAGS: u32 = 32;
/// Tag of a host, in characters.
pub const HOST_TAG_CHARACTERS: RangeInclusive<usize> = 1..=63;
/// Pattern of a host's tag, apart from its length.
pub const HOST_TAG_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:=-]*$";
/// Machines that an agent may list. A host has 1,024 places for machines that run; the rest are paused or stopped ones, and
/// those that nobody knows.
pub const MAX_MACHINES_LISTED: usize = 16_384;
/// Templates that an agent may list, with the kept steps of builds.
pub const MAX_TEMPLATES_LISTED: usize = 16_384;
/// Longest address or architecture that a host says of itself, in bytes.
pub const MAX_HOST_FACT_BYTES: usize = 200;

/// Entries of a capsule's metadata.
pub const MAX_ENTRIES: usize = 64;
/// Length of a key of metadata, in bytes.
pub const MAX_KEY_BYTES: usize = 128;
/// Length of a value of metadata, in bytes.
pub const MAX_METADATA_BYTES: usize = 1024;
/// Characters of a wrong name that an error repeats.
pub const ECHO_CHARACTERS: usize = 80;

/// Truncates a wrong name to the length that an error repeats.
pub fn echo(name: &str) -> String {
    name.chars().take(ECHO_CHARACTERS).collect()
}

/// A value that is out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wrong}")]
pub struct LimitError {
    /// Name of the field.
    pub field: &'static str,
    /// The rule, in words.
    pub wrong: String,
}

fn refuse(field: &'static str, wrong: impl Into<String>) -> Result<(), LimitError> {
    Err(LimitError { field, wrong: wrong.into() })
}

/// Returns true if a template can have this name: 1 to 63 of `a-z0-9._-`, the first a letter or digit.
pub fn is_template_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    TEMPLATE_NAME_CHARACTERS.contains(&name.len())
        && name.bytes().all(is_inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Checks the name of a user, a team, an API key or a notification channel.
///
/// # Errors
/// If it is empty, too long, or has control characters.
pub fn check_name(field: &'static str, name: &str) -> Result<(), LimitError> {
    let has_length = NAME_CHARACTERS.contains(&name.chars().count());
    if has_length && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let (least, most) = (NAME_CHARACTERS.start(), NAME_CHARACTERS.end());
    refuse(field, format!("must have {least} to {most} characters and no control characters"))
}

/// Checks the tag of a host.
///
/// # Errors
/// If it is empty, too long, or has other characters than a tag may have.
pub fn check_host_tag(tag: &str) -> Result<(), LimitError> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._:=-".contains(&byte);
    let is_tag = HOST_TAG_CHARACTERS.contains(&tag.len())
        && tag.bytes().all(is_inner)
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_tag {
        return Ok(());
    }
    let most = HOST_TAG_CHARACTERS.end();
    let wrong = format!(
        "`{}` is no tag; use 1 to {most} letters, digits and `._:=-`, a letter or digit first",
        echo(tag)
    );
    refuse("tag", wrong)
}

/// Checks a text that a host says of itself.
///
/// # Errors
/// If it is too long, or has control characters.
pub fn check_host_fact(field: &'static str, text: &str) -> Result<(), LimitError> {
    if text.len() <= MAX_HOST_FACT_BYTES && !text.chars().any(char::is_control) {
        return Ok(());
    }
    refuse(field, format!("must have at most {MAX_HOST_FACT_BYTES} bytes and no control characters"))
}

/// Checks a new password.
///
/// # Errors
/// If it is too short or too long.
pub fn check_password(password: &str) -> Result<(), LimitError> {
    const FIELD: &str = "password";
    if password.chars().count() < MIN_PASSWORD_CHARACTERS {
        return refuse(FIELD, format!("must have at least {MIN_PASSWORD_CHARACTERS} characters"));
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return refuse(FIELD, format!("must have at most {MAX_PASSWORD_BYTES} bytes"));
    }
    Ok(())
}

/// Checks the environment of a command or a capsule.
///
/// # Errors
/// If it is too large, or has a variable that is not possible.
pub fn check_envs(
    envs: Option<&BTreeMap<String, String>>,
    scope: environment::Scope,
) -> Result<(), LimitError> {
    let checked = envs.map_or(Ok(()), |envs| environment::check(envs, scope));
    checked.map_err(|error| LimitError { field: "envs", wrong: error.to_string() })
}

/// Checks that a number is within its range.
///
/// # Errors
/// If it is not; the error names the range and the number.
pub fn in_range(field: &'static str, given: i64, allowed: RangeInclusive<i64>) -> Result<u32, LimitError> {
    match u32::try_from(given) {
        Ok(value) if allowed.contains(&given) => Ok(value),
        _ => {
            let wrong = format!("must be from {} to {}, not {given}", allowed.start(), allowed.end());
            Err(LimitError { field, wrong })
        }
    }
}

/// Checks a capsule's metadata.
///
/// # Errors
/// If it is too large, or has a key or value that is not possible.
pub fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), LimitError> {
    const FIELD: &str = "metadata";
    let Some(metadata) = metadata else { return Ok(()) };
    check_map(FIELD, metadata)?;
    if metadata.values().any(|value| value.len() > MAX_METADATA_BYTES) {
        return refuse(FIELD, format!("a value must have at most {MAX_METADATA_BYTES} bytes"));
    }
    Ok(())
}

/// Checks a text that becomes part of a command line.
///
/// # Errors
/// If it has a zero byte, or is longer than the kernel takes.
pub fn check_argument(field: &'static str, text: &str) -> Result<(), LimitError> {
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
            assert!(check_metadata(Some(&bad)).is_err(), "{bad:?}");
        }
        assert!(check_envs(Some(&one("A=B", "c")), environment::Scope::Command).is_err());
        assert!(check_metadata(Some(&one("A=B", "c"))).is_ok());
        assert!(check_metadata(Some(&one("A", &"v".repeat(MAX_METADATA_BYTES + 1)))).is_err());
        assert!(check_envs(None, environment::Scope::Stored).is_ok());
    }

    #[test]
    fn names_and_passwords_have_a_least_and_a_largest_length() {
        for (name, is_good) in [("Ada", true), ("", false), ("a\nb", false), (&*"ß".repeat(100), true)] {
            assert_eq!(check_name("name", name).is_ok(), is_good, "{name:?}");
        }
        assert!(check_name("name", &"a".repeat(101)).unwrap_err().to_string().contains("1 to 100"));
        for (password, is_good) in [("1234567", false), ("ßßßßßßßß", true), (&*"a".repeat(1025), false)]
        {
            assert_eq!(check_password(password).is_ok(), is_good, "{password:?}");
        }
    }

    #[test]
    fn tags_of_hosts_have_a_pattern_and_a_length() {
        for good in ["gpu", "zone=eu-1", "A", "0.1:x_y", &"a".repeat(63)] {
            assert_eq!(check_host_tag(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a b", "a/b", "..", "ä", "a\0", &"a".repeat(64)] {
            assert!(check_host_tag(bad).is_err(), "{bad:?}");
        }
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
