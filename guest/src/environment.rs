//! The environment that a command sees.
//!
//! Three layers, the later one wins: what a login would set, the capsule's defaults (from `Init`), the
//! request's own variables. A command in a terminal sees the same, so that text beyond ASCII is counted alike everywhere.

use std::collections::{BTreeMap, HashMap};

use wrenn_proto::environment::{DEFAULT_LANG, DEFAULT_PATH};

use crate::accounts::Account;

/// Variables that say something about letters.
const LOCALE_VARIABLES: [&str; 3] = ["LC_ALL", "LC_CTYPE", "LANG"];

/// A variable that no process can be given.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name:?} is not valid: {reason}")]
pub struct BadVariable {
    name: String,
    reason: &'static str,
}

/// Puts the three layers on top of each other.
///
/// # Errors
/// [`BadVariable`] for a name that is empty or contains `=`, or a zero byte anywhere.
pub fn compose(
    account: &Account,
    defaults: &HashMap<String, String>,
    request: &HashMap<String, String>,
) -> Result<BTreeMap<String, String>, BadVariable> {
    let mut environment = BTreeMap::from([
        ("HOME".to_owned(), account.home.to_string_lossy().into_owned()),
        ("USER".to_owned(), account.name.clone()),
        ("LOGNAME".to_owned(), account.name.clone()),
        ("SHELL".to_owned(), account.shell.clone()),
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
    ]);
    for (name, value) in defaults.iter().chain(request) {
        check(name, value)?;
        environment.insert(name.clone(), value.clone());
    }
    if !LOCALE_VARIABLES.iter().any(|&name| environment.contains_key(name)) {
        environment.insert("LANG".to_owned(), DEFAULT_LANG.to_owned());
    }
    Ok(environment)
}

/// Says whether a process can be given this variable.
///
/// # Errors
/// As for [`compose`].
pub fn check(name: &str, value: &str) -> Result<(), BadVariable> {
    let reason = if name.is_empty() {
        "its name is empty"
    } else if name.contains('=') {
        "its name contains '='"
    } else if name.contains('\0') || value.contains('\0') {
        "it contains a zero byte"
    } else {
        return Ok(());
    };
    Err(BadVariable { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev() -> Account {
        crate::accounts::find("dev", "dev:x:1000:1000::/home/dev:/bin/bash", "").unwrap()
    }

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_login_environment_is_the_base() {
        let environment = compose(&dev(), &map(&[]), &map(&[])).unwrap();
        let pairs: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("HOME", "/home/dev"),
                ("LANG", DEFAULT_LANG),
                ("LOGNAME", "dev"),
                ("PATH", DEFAULT_PATH),
                ("SHELL", "/bin/bash"),
                ("USER", "dev")
            ]
        );
    }

    #[test]
    fn the_request_wins_over_the_defaults_and_both_over_the_login() {
        let defaults = map(&[("PATH", "/opt/bin"), ("A", "default"), ("B", "default")]);
        let environment = compose(&dev(), &defaults, &map(&[("B", "request"), ("C", "")])).unwrap();
        assert_eq!(environment["PATH"], "/opt/bin");
        assert_eq!(environment["A"], "default");
        assert_eq!(environment["B"], "request");
        assert_eq!(environment["C"], "");
    }

    #[test]
    fn programs_take_utf8_unless_a_layer_says_something_about_letters() {
        for name in LOCALE_VARIABLES {
            let environment = compose(&dev(), &map(&[]), &map(&[(name, "C")])).unwrap();
            assert_eq!(environment[name], "C");
            assert_eq!(environment.contains_key("LANG"), name == "LANG");
        }
    }

    #[test]
    fn impossible_variables_are_refused() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
            assert!(compose(&dev(), &map(&[]), &map(&[(name, value)])).is_err(), "{name:?}");
        }
        assert_eq!(
            check("", "x").unwrap_err().to_string(),
            "environment variable \"\" is not valid: its name is empty"
        );
    }
}
