//! The private Postgres.
//!
//! It refuses to be root, and the data folder may lie where no other user can look. So it runs as `postgres`
//! in a mount namespace of its own, in which `/mnt` is its folder:
//!
//! ```text
//!   $WRENN_DATA/postgres          is /mnt           cluster/  the database (PG_VERSION, base/, …)
//!   /run/wrenn/up-…/postgres      is /mnt/socket    .s.PGSQL.5432
//! ```
//!
//! A postmaster that outlived its `up` is known by its working directory, which is the cluster; it is
//! stopped before a new one starts, because two on one cluster would be refused.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User},
};
use wrenn_base::Clock;

use super::socket::wait_for_socket;
use crate::{
    data::{self, DataFolder, make_folder},
    process::{Launch, Process, ProcessSpec, ProcessStack},
    progress::{self, Step},
    stopwatch::Stopwatch,
};

const USER: &str = "postgres";
const DATABASE: &str = "wrenn";
/// No port is opened; it is a part of the socket's name.
const PORT: &str = "5432";
/// Where Postgres sees its folder. Every Debian has this one, and it is empty there.
const INSIDE: &str = "/mnt";
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Survival of a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on the disk.
    Durable,
    /// Commits may be lost; for tests.
    Ephemeral,
}

/// Starts Postgres, makes the cluster and the database if they are missing, and returns its URL.
pub(super) async fn start(
    data: &DataFolder,
    durability: Durability,
    stack: &mut ProcessStack,
) -> anyhow::Result<String> {
    let clock = stack.clock().clone();
    let home = data.path("postgres");
    let cluster = home.join("cluster");
    let sockets = data.runtime().join("postgres");
    let user = User::from_name(USER)?.context("there is no user postgres; install the package postgresql")?;
    for folder in [&home, &home.join("socket"), &sockets] {
        make_folder(folder, 0o700)?;
        chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .with_context(|| format!("cannot give {} to {USER}", folder.display()))?;
    }

    let programs = programs_for(&cluster)?;
    if !cluster.exists() {
        make_cluster(&programs, &home, durability, &clock)?;
    }
    stop_leftover(data, &clock).await?;

    let mut args =
        vec!["-D".to_owned(), format!("{INSIDE}/cluster"), "-k".to_owned(), format!("{INSIDE}/socket")];
    let durable = if durability == Durability::Durable { "on" } else { "off" };
    for setting in [
        "listen_addresses=".to_owned(),
        // Names the socket; PGPORT of the environment must not.
        format!("port={PORT}"),
        "unix_socket_permissions=0700".to_owned(),
        "logging_collector=off".to_owned(),
        format!("fsync={durable}"),
        format!("synchronous_commit={durable}"),
        format!("full_page_writes={durable}"),
    ] {
        args.extend(["-c".to_owned(), setting]);
    }
    let spec = ProcessSpec {
        name: "postgres",
        launch: Launch::new(programs.join("postgres"), args)
            .user(USER)
            .bind(&home, INSIDE)
            .bind(&sockets, format!("{INSIDE}/socket"))
            // Fast shutdown: ends the sessions, writes everything out.
            .death_signal(Signal::SIGINT),
        envs: vec![("LC_ALL", "C.UTF-8".to_owned())],
        stop_signal: Signal::SIGINT,
        stop_limit: Duration::from_secs(30),
    };
    let process = stack.start(data, spec)?;
    wait_for_socket(process, &sockets.join(format!(".s.PGSQL.{PORT}")), READY_LIMIT, &clock).await?;
    make_database(&programs, &sockets, process, &clock).await?;
    Ok(format!("postgres:///{DATABASE}?host={}&port={PORT}&user={USER}", sockets.display()))
}

/// Folder of the newest Postgres programs that are installed, as Debian lays them out.
pub fn newest_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| programs(*version).join("initdb").exists())
        .max()?;
    Some(programs(newest))
}

fn programs(version: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"))
}

/// A cluster can be opened by the major version that made it only.
fn programs_for(cluster: &Path) -> anyhow::Result<PathBuf> {
    let Ok(version) = fs::read_to_string(cluster.join("PG_VERSION")) else {
        return newest_programs().context("Postgres is not installed; install the package postgresql");
    };
    let version = version.trim();
    let folder = programs(version.parse().with_context(|| format!("unknown cluster version {version:?}"))?);
    if !folder.join("postgres").exists() {
        bail!(
            "{} was made by Postgres {version}, which is not installed: install postgresql-{version}, or dump \
             the database there and load it into a newer one (docs/operations.md)",
            cluster.display()
        );
    }
    Ok(folder)
}

/// Makes the cluster under another name first: half of one must never look like a whole.
fn make_cluster(programs: &Path, home: &Path, durability: Durability, clock: &Clock) -> anyhow::Result<()> {
    let step = Step::begin(clock, "making the database cluster");
    let draft = home.join("cluster.new");
    data::remove(&draft).with_context(|| format!("cannot remove {}", draft.display()))?;
    let inside = format!("{INSIDE}/cluster.new");
    let sync = if durability == Durability::Ephemeral { "--no-sync" } else { "--data-checksums" };
    let args = ["-D", &inside, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-U", USER, sync];
    let output = Launch::new(programs.join("initdb"), args)
        .user(USER)
        .bind(home, INSIDE)
        .command()
        .output()
        .context("cannot run initdb")?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&draft, home.join("cluster")).context("cannot put the new cluster in place")?;
    step.done();
    Ok(())
}

/// Ends a postmaster of this cluster that an earlier `up` could not end, and forgets a stale pid file.
pub async fn stop_leftover(data: &DataFolder, clock: &Clock) -> anyhow::Result<()> {
    let cluster = &data.path("postgres").join("cluster");
    let pid_file = cluster.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let postmaster = content.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
    let begun = Stopwatch::start(clock);
    let mut asked = false;
    loop {
        let users = processes_in(cluster)?;
        if users.is_empty() {
            break;
        }
        if !asked {
            progress::note("  an earlier postgres still runs; ending it");
            // Without its postmaster the rest ends by itself.
            if let Some(pid) = postmaster.filter(|pid| users.contains(pid)) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            }
            asked = true;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("an earlier postgres does not end: pids {users:?} use {}", cluster.display());
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    // The pid in it may be another process's by now, which would make Postgres refuse to start.
    data::remove(&pid_file).with_context(|| format!("cannot remove {}", pid_file.display()))
}

/// Processes of Postgres whose working directory is `folder`, however they name it.
fn processes_in(folder: &Path) -> anyhow::Result<Vec<i32>> {
    let wanted = fs::metadata(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let pids = fs::read_dir("/proc")
        .context("cannot read /proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let uses = |pid: &i32| {
        fs::metadata(format!("/proc/{pid}/cwd"))
            .is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (wanted.dev(), wanted.ino()))
            // Not the shell of somebody who looks around.
            && fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == wanted.uid())
    };
    Ok(pids.filter(uses).collect())
}

/// Makes the database; it answers only once recovery is over, so this also waits for that.
async fn make_database(
    programs: &Path,
    sockets: &Path,
    process: &Process,
    clock: &Clock,
) -> anyhow::Result<()> {
    let begun = Stopwatch::start(clock);
    loop {
        let output = Command::new(programs.join("createdb"))
            .args(["-U", USER, "-h"])
            .arg(sockets)
            .args(["-p", PORT])
            .arg(DATABASE)
            .env("LC_ALL", "C")
            .output()
            .context("cannot run createdb")?;
        let message = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || message.contains("already exists") {
            return Ok(());
        }
        if begun.elapsed() > READY_LIMIT {
            bail!("cannot make the database: {}\n{}", message.trim(), process.last_output());
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
}
