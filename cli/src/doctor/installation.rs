//! What scripts/up has made, and whether it runs.

use std::path::Path;

use super::finding::Check;
use crate::{
    client::Client,
    up::{
        dev_env::{self, DevEnv},
        ready::what_is_wrong,
    },
};

/// Files that the agent needs before it can start a capsule.
const IMAGES: [&str; 4] = ["vmlinux", "modules.img", "initramfs.cpio", "minimal.ext4"];

pub(super) fn images(folder: &Path) -> Check {
    let missing: Vec<&str> = IMAGES.into_iter().filter(|name| !folder.join(name).is_file()).collect();
    if missing.is_empty() {
        Check::ok("images", format!("kernel, modules, initramfs and base image in {}", folder.display()))
    } else {
        let found = format!("{} without {}", folder.display(), missing.join(", "));
        Check::fail("images", found, "./scripts/image")
    }
}

/// A server that does not run is no fault: this command is also for the time before the first start.
pub(super) async fn server(data: &Path) -> Check {
    const NAME: &str = "server";
    const FIX: &str = "./scripts/up";
    let file = data.join(dev_env::FILE_NAME);
    let env = match DevEnv::read(&file) {
        Ok(Some(env)) => env,
        Ok(None) => return Check::warn(NAME, format!("never started: no {}", file.display()), FIX),
        Err(error) => return Check::warn(NAME, format!("{error:#}"), FIX),
    };
    let health = match Client::local(&env.base_url) {
        Ok(client) => client.get("/health").await,
        Err(error) => Err(error),
    };
    match health {
        Ok(answer) if answer.text("/status") == "ok" => {
            Check::ok(NAME, format!("{} is well, version {}", env.base_url, answer.text("/version")))
        }
        Ok(answer) => {
            let found = format!("{} is not well: {}", env.base_url, what_is_wrong(&answer.body));
            Check::warn(NAME, found, format!("look into {}", data.join("logs").display()))
        }
        Err(_) => Check::warn(NAME, format!("{} does not answer", env.base_url), FIX),
    }
}
