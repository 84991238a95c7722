//! Findings of checks, and the table of them.

use serde::Serialize;

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// All is well.
    Ok,
    /// Wrenn works, but not as well as it could.
    Warn,
    /// Wrenn does not work.
    Fail,
}

/// Line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// Subject of the check.
    pub(super) name: &'static str,
    /// State of the subject.
    pub(super) status: Status,
    /// Details for people.
    pub(super) found: String,
    /// A command that would fix it, or what else to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), fix: None }
    }

    pub(super) fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, found: found.into(), fix: Some(fix.into()) }
    }

    pub(super) fn fail(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, found: found.into(), fix: Some(fix.into()) }
    }
}

pub(super) fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut table = String::new();
    for Check { name, status, found, fix } in checks {
        let mark = match status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        table.push_str(&format!("{mark}  {name:width$}  {found}\n"));
        if let Some(fix) = fix {
            table.push_str(&format!("      {:width$}  → {fix}\n", ""));
        }
    }
    let count = |wanted| checks.iter().filter(|check| check.status == wanted).count();
    let summary = match (count(Status::Fail), count(Status::Warn)) {
        (0, 0) => "Everything is as it should be.".to_owned(),
        (0, warnings) => format!("Wrenn runs here; {warnings} thing(s) could be better."),
        (failures, _) => format!("Wrenn does not run here: {failures} thing(s) are missing."),
    };
    table + "\n" + &summary + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_fix_of_what_is_missing() {
        let checks = [
            Check::ok("user", "root"),
            Check::fail("redis", "redis-server is not installed", "apt-get install redis-server"),
        ];
        let table = table(&checks);
        assert!(table.contains("ok    user   root"), "{table}");
        assert!(table.contains("FAIL  redis  redis-server is not installed"), "{table}");
        assert!(table.contains("→ apt-get install redis-server"), "{table}");
        assert!(table.contains("1 thing(s) are missing"), "{table}");
    }
}
