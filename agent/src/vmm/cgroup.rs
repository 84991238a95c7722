//! Control groups: one per machine, under one parent per installation.
//!
//! ```text
//!   <hierarchy>/wrenn-3/                 the installation
//!   <hierarchy>/wrenn-3/cl-…/            one machine: memory and pids limited, cpu weighted
//! ```
//!
//! Hosts have version 1 (a hierarchy per controller), version 2 (one for all) or both at once (hybrid), so
//! every controller is looked up on its own: a hierarchy of version 1 if one is mounted, else version 2 if
//! it offers the controller. A machine's cgroup is then one folder per hierarchy in use. Where a controller
//! cannot be used its limit is missing; where none can, machines run without, and that is said once.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wrenn_proto::ids::SandboxId;

use super::{ProcessIdentity, process::send_kill};

/// Tries, and rest between them, until the processes of a cgroup are gone after a kill: 10 s in all.
const REMOVE_TRIES: u32 = 1000;
const REMOVE_INTERVAL: Duration = Duration::from_millis(10);
/// Processes and threads of one machine: virtual CPUs, I/O workers and the main loop need far fewer.
const MAX_TASKS: u32 = 512;

/// What one machine may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the guest and of the VMM around it, in MiB.
    pub memory_mb: u64,
    /// Virtual CPUs; a machine's share of a busy host is proportional to it.
    pub vcpus: u32,
}

/// Why a machine's cgroup could not be made. None of it is left.
#[derive(Debug, thiserror::Error)]
#[error("make cgroup {path}")]
pub struct CreateCgroupError {
    /// The folder or file that could not be made or written.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Why a cgroup could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("remove cgroup {path}")]
pub struct RemoveCgroupError {
    /// The folder that is still there.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A resource controller that Wrenn uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Controller {
    Cpu,
    Memory,
    Pids,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Pids];

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// One mounted hierarchy and the controllers that are used through it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    version: Version,
    controllers: BTreeSet<Controller>,
}

/// The cgroups of one installation.
#[derive(Debug, Clone)]
pub struct Cgroups {
    /// Folder name of the installation's parent.
    parent: String,
    hierarchies: Vec<Hierarchy>,
}

/// The cgroup of one machine: a folder in each hierarchy in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineCgroup {
    folders: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds what this host offers, and makes the installation's parent in it.
    ///
    /// Never fails: hierarchies that cannot be written are left out, and missing controllers are logged.
    pub fn open(parent: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let cgroups = Self::open_in(parent, &mounts);
        let used: BTreeSet<_> = cgroups.hierarchies.iter().flat_map(|it| &it.controllers).copied().collect();
        for controller in Controller::ALL.iter().filter(|controller| !used.contains(controller)) {
            tracing::warn!(
                controller = controller.name(),
                "cgroup controller unusable, machines run without its limit"
            );
        }
        cgroups
    }

    fn open_in(parent: &str, mountinfo: &str) -> Self {
        let mut hierarchies = detect(mountinfo);
        hierarchies.retain_mut(|hierarchy| match prepare_parent(hierarchy, parent) {
            Ok(()) => !hierarchy.controllers.is_empty(),
            Err(error) => {
                tracing::debug!(mount = %hierarchy.mount.display(), %error, "cgroup hierarchy not writable");
                false
            }
        });
        Self { parent: parent.to_owned(), hierarchies }
    }

    /// Which limits machines get, for people.
    pub fn description(&self) -> String {
        let controllers = |hierarchy: &Hierarchy| {
            let names: Vec<_> = hierarchy.controllers.iter().map(|controller| controller.name()).collect();
            let version = if hierarchy.version == Version::V1 { "v1" } else { "v2" };
            format!("{} ({version})", names.join(", "))
        };
        match self.hierarchies.as_slice() {
            [] => "none".to_owned(),
            all => all.iter().map(controllers).collect::<Vec<_>>().join(", "),
        }
    }

    /// Makes the cgroup of a machine; `None` if the host offers no cgroups. One left from before is reused.
    ///
    /// # Errors
    /// [`CreateCgroupError`]; then none of it is left.
    pub fn create(&self, id: SandboxId, limits: Limits) -> Result<Option<MachineCgroup>, CreateCgroupError> {
        let cgroup = self.machine(id);
        for (hierarchy, folder) in self.hierarchies.iter().zip(&cgroup.folders) {
            if let Err(error) = make_machine_folder(hierarchy, folder, limits) {
                for folder in &cgroup.folders {
                    let _ = fs::remove_dir(folder);
                }
                return Err(error);
            }
        }
        Ok(if cgroup.folders.is_empty() { None } else { Some(cgroup) })
    }

    /// The cgroup of a machine, whether it exists or not.
    pub fn machine(&self, id: SandboxId) -> MachineCgroup {
        let name = id.to_string();
        MachineCgroup { folders: self.parents().map(|parent| parent.join(&name)).collect() }
    }

    /// Folders of the installation's parent, one for each hierarchy in use.
    pub fn parents(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.hierarchies.iter().map(|hierarchy| hierarchy.mount.join(&self.parent))
    }

    /// Kills whatever is left in any cgroup of this installation, and removes them all with the parent.
    ///
    /// # Errors
    /// [`RemoveCgroupError`] names the first folder that would not go.
    pub async fn teardown(&self) -> Result<(), RemoveCgroupError> {
        for parent in self.parents().collect::<Vec<_>>() {
            for child in child_folders(&parent) {
                remove_folder(&child).await?;
            }
            remove_folder(&parent).await?;
        }
        Ok(())
    }
}

impl MachineCgroup {
    /// Files into which a process writes `0` to join.
    pub fn procs_files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.folders.iter().map(|folder| folder.join("cgroup.procs"))
    }

    /// How often the memory limit has killed something in here; 0 if that cannot be read.
    pub fn oom_kills(&self) -> u64 {
        let in_folder = |folder: &PathBuf| {
            // Version 2, then version 1; both have a line `oom_kill <count>`.
            let text = fs::read_to_string(folder.join("memory.events"))
                .or_else(|_| fs::read_to_string(folder.join("memory.oom_control")))
                .ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        self.folders.iter().filter_map(in_folder).sum()
    }

    /// Kills whatever is left inside, and removes it. Idempotent.
    ///
    /// # Errors
    /// [`RemoveCgroupError`] if a process in it does not end.
    pub async fn remove(&self) -> Result<(), RemoveCgroupError> {
        for folder in &self.folders {
            remove_folder(folder).await?;
        }
        Ok(())
    }
}

/// Finds the hierarchies that offer a controller of ours in the text of a `mountinfo` file.
fn detect(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    let mut unclaimed: BTreeSet<_> = Controller::ALL.into();
    for version in [Version::V1, Version::V2] {
        for line in mountinfo.lines() {
            // `id parent dev root mount-point options… - type source super-options`
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let (mut after, mount) = (after.split(' '), before.split(' ').nth(4));
            let (Some(kind), Some(mount)) = (after.next(), mount) else { continue };
            let mount = PathBuf::from(mount);
            let offered: Vec<String> = match (version, kind) {
                (Version::V1, "cgroup") => {
                    after.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect()
                }
                (Version::V2, "cgroup2") => fs::read_to_string(mount.join("cgroup.controllers"))
                    .unwrap_or_default()
                    .split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect(),
                _ => continue,
            };
            let controllers: BTreeSet<_> = Controller::ALL
                .into_iter()
                .filter(|controller| offered.iter().any(|name| name == controller.name()))
                .filter(|controller| unclaimed.remove(controller))
                .collect();
            if !controllers.is_empty() {
                found.push(Hierarchy { mount, version, controllers });
            }
        }
    }
    found
}

/// Makes the parent; in version 2 keeps only the controllers that can be handed down to its children.
fn prepare_parent(hierarchy: &mut Hierarchy, parent: &str) -> io::Result<()> {
    let folder = hierarchy.mount.join(parent);
    create_folder(&folder)?;
    if hierarchy.version == Version::V2 {
        let mount = hierarchy.mount.clone();
        hierarchy.controllers.retain(|controller| {
            let enable = format!("+{}", controller.name());
            [&mount, &folder]
                .into_iter()
                .all(|at| fs::write(at.join("cgroup.subtree_control"), &enable).is_ok())
        });
    }
    Ok(())
}

fn make_machine_folder(
    hierarchy: &Hierarchy,
    folder: &Path,
    limits: Limits,
) -> Result<(), CreateCgroupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CreateCgroupError { path, source }
    };
    create_folder(folder).map_err(failed(folder))?;
    for (file, value) in limit_files(hierarchy, limits) {
        let path = folder.join(file);
        fs::write(&path, value).map_err(failed(&path))?;
    }
    Ok(())
}

/// Which files of a machine's folder get which value.
fn limit_files(hierarchy: &Hierarchy, limits: Limits) -> Vec<(&'static str, String)> {
    let memory_bytes = limits.memory_mb.saturating_mul(1 << 20).to_string();
    let vcpus = u64::from(limits.vcpus.max(1));
    hierarchy
        .controllers
        .iter()
        .map(|controller| match (controller, hierarchy.version) {
            (Controller::Memory, Version::V1) => ("memory.limit_in_bytes", memory_bytes.clone()),
            (Controller::Memory, Version::V2) => ("memory.max", memory_bytes.clone()),
            (Controller::Pids, _) => ("pids.max", MAX_TASKS.to_string()),
            // Both defaults (1024 and 100) stand for one CPU; both have a highest value.
            (Controller::Cpu, Version::V1) => ("cpu.shares", (vcpus * 1024).min(262_144).to_string()),
            (Controller::Cpu, Version::V2) => ("cpu.weight", (vcpus * 100).min(10_000).to_string()),
        })
        .collect()
}

fn create_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Folders of a top-level cgroup, in whatever hierarchies it exists.
pub(crate) fn existing(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_cgroup = |line: &&str| line.contains(" - cgroup ") || line.contains(" - cgroup2 ");
    let folders = mounts.lines().filter(is_cgroup).filter_map(|line| line.split(' ').nth(4));
    folders.map(|mount| Path::new(mount).join(name)).filter(|folder| folder.is_dir()).collect()
}

/// Cgroups directly inside a cgroup.
pub(crate) fn child_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Kills what is inside one cgroup folder and removes it; waits until the kernel has let go of the processes.
pub(crate) async fn remove_folder(folder: &Path) -> Result<(), RemoveCgroupError> {
    let failed = |source| RemoveCgroupError { path: folder.to_owned(), source };
    let mut tries = REMOVE_TRIES;
    loop {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::ResourceBusy => return Err(failed(error)),
            Err(error) if tries == 0 => return Err(failed(error)),
            Err(_) => tries -= 1,
        }
        let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for identity in pids.lines().filter_map(|pid| ProcessIdentity::of_pid(pid.parse().ok()?).ok()) {
            if let Ok(Some(pidfd)) = identity.open() {
                send_kill(&pidfd).map_err(failed)?;
            }
        }
        tokio::time::sleep(REMOVE_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory_mb: 768, vcpus: 2 };

    fn mount_line(mount: &Path, kind: &str, options: &str) -> String {
        format!("35 34 0:30 / {} rw,nosuid shared:9 - {kind} cgroup rw,{options}\n", mount.display())
    }

    fn values(hierarchies: &[Hierarchy]) -> Vec<(&'static str, String)> {
        hierarchies.iter().flat_map(|hierarchy| limit_files(hierarchy, LIMITS)).collect()
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let text =
            [("cpu,cpuacct", "cpu,cpuacct"), ("memory", "memory"), ("pids", "pids"), ("freezer", "freezer")]
                .map(|(mount, options)| {
                    mount_line(&Path::new("/sys/fs/cgroup").join(mount), "cgroup", options)
                })
                .concat();
        let found = detect(&text);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|hierarchy| hierarchy.version == Version::V1));
        assert_eq!(
            values(&found),
            [
                ("cpu.shares", "2048".into()),
                ("memory.limit_in_bytes", (768_u64 << 20).to_string()),
                ("pids.max", MAX_TASKS.to_string())
            ]
        );
    }

    #[test]
    fn version_2_has_one_for_all() {
        let root = tempfile::tempdir().expect("temporary folder");
        fs::write(root.path().join("cgroup.controllers"), "cpuset cpu io memory pids\n").expect("fixture");
        let found = detect(&mount_line(root.path(), "cgroup2", "nsdelegate"));
        assert_eq!(found.len(), 1);
        assert_eq!(
            values(&found),
            [
                ("cpu.weight", "200".into()),
                ("memory.max", (768_u64 << 20).to_string()),
                ("pids.max", MAX_TASKS.to_string())
            ]
        );
    }

    #[test]
    fn a_hybrid_takes_from_version_2_only_what_version_1_lacks() {
        let root = tempfile::tempdir().expect("temporary folder");
        fs::write(root.path().join("cgroup.controllers"), "pids memory\n").expect("fixture");
        let text = mount_line(root.path(), "cgroup2", "rw")
            + &mount_line(Path::new("/sys/fs/cgroup/memory"), "cgroup", "memory");
        let found: Vec<_> = detect(&text).into_iter().map(|it| (it.version, it.controllers)).collect();
        assert_eq!(
            found,
            [(Version::V1, [Controller::Memory].into()), (Version::V2, [Controller::Pids].into())]
        );
    }

    #[test]
    fn without_a_writable_hierarchy_there_is_no_cgroup() {
        let gone = mount_line(Path::new("/nonexistent/cgroup"), "cgroup", "memory");
        for text in ["", "nonsense", &gone] {
            let cgroups = Cgroups::open_in("wrenn-test", text);
            assert_eq!(cgroups.description(), "none");
            assert_eq!(cgroups.create(SandboxId::new(), LIMITS).expect("no error"), None);
        }
    }
}
