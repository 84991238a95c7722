//! `wrenn doctor`: whether this machine can run Wrenn, and the command that would fix what is in the way.
//!
//! Each check is a function that looks and never changes anything; what needs a try (a network namespace, a
//! firewall table) is tried in a namespace that ends with the try.

mod checks;
mod host;
mod installation;

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;

use crate::{progress::note, up::default_images};

/// `wrenn doctor`: checks everything that Wrenn needs.
#[derive(Debug, clap::Args)]
pub struct DoctorCommand {
    /// Data folder; it need not exist.
    #[arg(long, env = "WRENN_DATA", default_value = ".wrenn")]
    data: PathBuf,
    /// Folder with kernel, initramfs and base images.
    #[arg(long, env = "WRENN_IMAGES", default_value_os_t = default_images())]
    images: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What a check found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// Wrenn works, but not as well as it could.
    Warn,
    /// Wrenn does not work.
    Fail,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// A command that would fix it, or what else to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), fix: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, found: found.into(), fix: Some(fix.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, found: found.into(), fix: Some(fix.into()) }
    }
}

impl DoctorCommand {
    /// Prints the findings; fails if something that is required is missing.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut checks = vec![host::user(), host::acceleration(&self.data).await];
        checks.extend(checks::programs());
        checks.extend(host::kernel());
        checks.extend(host::room(&self.data));
        checks.push(installation::images(&self.images));
        checks.push(installation::server(&self.data).await);

        if self.json {
            note(serde_json::to_string_pretty(&checks)?);
        } else {
            note(table(&checks).trim_end());
        }
        let failed = checks.iter().any(|check| check.status == Status::Fail);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn table(checks: &[Check]) -> String {
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
