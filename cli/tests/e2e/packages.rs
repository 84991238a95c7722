//! Debian's packages in capsules: each case in `cli/tests/packages/` is a script that uses those that its first line names.
//!
//! They run only if `WRENN_E2E_PACKAGES` names a folder with an archive of packages for each case, as `scripts/test --only packages`
//! makes it: a capsule then needs no network, and no package is downloaded twice.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::{
    installation::{Capsule, Installation},
    wait::until,
};

/// Time for installing the packages of a case: unpacking hundreds of megabytes under emulation.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(1800);
/// Time for using them.
const USE_TIMEOUT: Duration = Duration::from_secs(900);
const MEMORY_MB: u32 = 2048;
const DISK_MB: u32 = 12_000;

const INSTALL: &str = "mkdir /packages && tar -C /packages -xf /packages.tar && rm /packages.tar\n\
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /packages/*.deb\n\
    rm -rf /packages";

/// A script, and the archive of the packages that it uses.
pub(crate) struct Case {
    /// Name of the script, without its ending.
    pub(crate) name: String,
    script: PathBuf,
    archive: PathBuf,
}

/// The cases that were asked for; none if nobody has made archives for them.
pub(crate) fn cases() -> Vec<Case> {
    let Some(archives) = env::var_os("WRENN_E2E_PACKAGES").map(PathBuf::from) else { return Vec::new() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages");
    let scripts = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut cases: Vec<_> = scripts
        .filter_map(|script| {
            let name = script.file_stem()?.to_str()?.to_owned();
            Some(Case { archive: archives.join(format!("{name}.tar")), script, name })
        })
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// Installs the packages of a case in a new capsule, and uses them.
pub(crate) async fn are_used(case: Case, installation: &Installation) -> anyhow::Result<()> {
    let size = json!({ "vcpus": 2, "memory_mb": MEMORY_MB, "disk_size_mb": DISK_MB });
    let capsule = installation.capsule_with(size).await?;
    let used = install_and_use(&case, &capsule).await;
    // A host has room for a few of them only.
    used.and(capsule.delete().await)
}

async fn install_and_use(case: &Case, capsule: &Capsule<'_>) -> anyhow::Result<()> {
    let archive = fs::read(&case.archive).with_context(|| format!("no {}", case.archive.display()))?;
    let script = fs::read_to_string(&case.script)?;
    let write = format!("{}/files/stream/write", capsule.path());
    capsule.installation.client()?.upload(&write, "/packages.tar", archive).await?.success()?;
    run(capsule, "installed", INSTALL, INSTALL_TIMEOUT).await?;
    run(capsule, "used", &script, USE_TIMEOUT).await
}

/// Runs a script that may take longer than a client waits for an answer; its first command that fails ends it.
async fn run(capsule: &Capsule<'_>, what: &str, script: &str, limit: Duration) -> anyhow::Result<()> {
    let write = format!("{}/files/write", capsule.path());
    let file = format!("/{what}.sh");
    capsule.installation.client()?.upload(&write, &file, script.to_owned()).await?.success()?;
    let begin = format!("{{ bash -euxo pipefail {file} >/log 2>&1; echo $? >/{what}; }} >/dev/null 2>&1 &");
    capsule.exec(json!({ "cmd": begin })).await?;
    let status = until("the script ends", limit, async || {
        let read = capsule.exec(json!({ "cmd": format!("cat /{what}") })).await?;
        Ok(read["stdout"].as_str().filter(|status| !status.is_empty()).map(str::to_owned))
    })
    .await?;
    ensure!(status == "0\n", "not {what}: {}", capsule.shell("tail -n 60 /log").await?);
    Ok(())
}
