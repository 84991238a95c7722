//! `wrenn doctor`: whether this machine can run Wrenn, and the command that would fix what is in the way.
//!
//! Each check is a function that looks and never changes anything; what needs a try (a network namespace, a
//! firewall table) is tried in a namespace that ends with the try.

mod checks;
mod finding;
mod host;
mod installation;

use std::{path::PathBuf, process::ExitCode};

use wrenn_base::Clock;

use self::finding::{Status, table};
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

impl DoctorCommand {
    /// Prints the findings; fails if something that is required is missing.
    pub async fn run(self, clock: Clock) -> anyhow::Result<ExitCode> {
        let mut checks = vec![host::user()];
        checks.extend(host::acceleration(&self.data, &clock).await);
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
