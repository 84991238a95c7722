//! Rules for the environment of a capsule, set by a client or by a recipe for the capsules of its template.

use std::{borrow::Cow, collections::BTreeMap};

/// Folders of programs, for every user alike, where nothing else is set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Language of programs where nothing else is set: without one, text beyond ASCII is counted in bytes.
pub const DEFAULT_LANG: &str = "C.UTF-8";
/// Longest variable, in bytes, as `name=value`: a kernel takes texts below 128 KiB, the zero byte at their end included.
pub const MAX_VARIABLE_BYTES: usize = 128 * 1024 - 2;
/// Longest environment of a command, in bytes: a kernel takes 2 MiB, which the arguments share.
pub const MAX_COMMAND_BYTES: usize = 2 * 1024 * 1024;
/// Longest environment that is stored, with a capsule or a template, in bytes.
pub const MAX_STORED_BYTES: usize = 128 * 1024;

/// The use of an environment, which bounds its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The environment of one command.
    Command,
    /// The environment of all commands of a capsule, or of the capsules of a template.
    Stored,
}

impl Scope {
    /// Returns the most bytes that all variables may have together.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Command => MAX_COMMAND_BYTES,
            Self::Stored => MAX_STORED_BYTES,
        }
    }
}

/// Returns the value of a variable that every command of a user has without anybody setting it; `None` for other variables.
///
/// Home and shell are those that `useradd` of Debian gives, as the machine's list of accounts is not known here.
pub fn initial_value<'a>(user: &'a str, name: &str) -> Option<Cow<'a, str>> {
    Some(match name {
        "PATH" => DEFAULT_PATH.into(),
        "LANG" => DEFAULT_LANG.into(),
        "SHELL" => "/bin/bash".into(),
        "USER" | "LOGNAME" => user.into(),
        "HOME" if user == "root" => "/root".into(),
        "HOME" => format!("/home/{user}").into(),
        _ => return None,
    })
}

/// Fault of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A name is empty.
    #[error("a name must not be empty")]
    Name,
    /// A name that would end where it does not.
    #[error("a name must not contain `=`, as `{0}` does")]
    Equals(String),
    /// A zero byte, with which a text would end.
    #[error("must not contain a zero byte")]
    Zero,
    /// A variable that no kernel takes.
    #[error("`{0}` must have at most {MAX_VARIABLE_BYTES} bytes, name and value together")]
    VariableTooLong(String),
    /// All together is too long.
    #[error("names and values must have at most {} bytes together, not {bytes}", scope.max_bytes())]
    TooLong {
        /// The use of the environment.
        scope: Scope,
        /// Its size.
        bytes: usize,
    },
}

/// Longest part of a name that an error repeats, in characters.
const SHOWN_CHARS: usize = 64;

/// Checks an environment as a whole.
///
/// # Errors
/// See [`EnvironmentError`].
pub fn check(environment: &BTreeMap<String, String>, scope: Scope) -> Result<(), EnvironmentError> {
    let shown = |name: &str| name.chars().take(SHOWN_CHARS).collect::<String>();
    if environment.contains_key("") {
        return Err(EnvironmentError::Name);
    }
    if let Some(name) = environment.keys().find(|name| name.contains('=')) {
        return Err(EnvironmentError::Equals(shown(name)));
    }
    if environment.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(EnvironmentError::Zero);
    }
    if let Some((name, _)) =
        environment.iter().find(|(name, value)| name.len() + value.len() > MAX_VARIABLE_BYTES)
    {
        return Err(EnvironmentError::VariableTooLong(shown(name)));
    }
    // With `=` and the zero byte, as a kernel counts.
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if bytes > scope.max_bytes() { Err(EnvironmentError::TooLong { scope, bytes }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_bounded_in_every_direction() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        for (bad, expected) in [
            (one("", ""), EnvironmentError::Name),
            (one("A=B", ""), EnvironmentError::Equals("A=B".to_owned())),
            (one("k", "\0"), EnvironmentError::Zero),
            (one("k\0", ""), EnvironmentError::Zero),
            (one("k", &"v".repeat(MAX_VARIABLE_BYTES)), EnvironmentError::VariableTooLong("k".to_owned())),
        ] {
            for scope in [Scope::Command, Scope::Stored] {
                assert_eq!(check(&bad, scope), Err(expected.clone()), "{bad:?}");
            }
        }
        assert_eq!(check(&BTreeMap::new(), Scope::Stored), Ok(()));
        assert_eq!(check(&one("k", &"v".repeat(MAX_VARIABLE_BYTES - 1)), Scope::Stored), Ok(()));
    }

    #[test]
    fn a_command_takes_more_than_is_stored() {
        let many: BTreeMap<_, _> = (0..65).map(|number| (format!("V{number}"), "v".repeat(2048))).collect();
        assert_eq!(check(&many, Scope::Command), Ok(()));
        let error = check(&many, Scope::Stored).unwrap_err();
        assert_eq!(error.to_string(), "names and values must have at most 131072 bytes together, not 133435");
        let too_many: BTreeMap<_, _> = (0..20).map(|n| (n.to_string(), "v".repeat(128 * 1000))).collect();
        assert!(matches!(check(&too_many, Scope::Command), Err(EnvironmentError::TooLong { .. })));
    }
}
