//! What an installation has on its host: everything that must be gone after `wrenn down`.
//!
//! All of it is found by name or by path, from the kernel's own lists, so nothing needs to be remembered: after
//! any crash a scan shows what is there, and [`Leftovers::clean`] removes it.
//!
//! | thing | found by |
//! |---|---|
//! | VMMs | their network namespace is one of ours, or QEMU has a file of the data folder on its command line |
//! | namespaces, interfaces, table, cgroups | the installation's number in their names |
//! | mounts, loop devices | the data folder in their paths |
//! | sockets | `/run/wrenn/<number>` |

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use wrenn_base::{Chain, blocking};

use crate::{
    disk::{self, Volume},
    net::{self, existing, namespace},
    vmm::{ProcessIdentity, cgroup},
};

/// Everything of one installation that was found on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// VMMs, and whatever else runs in a namespace of ours.
    pub processes: Vec<ProcessIdentity>,
    /// Names of network namespaces.
    pub namespaces: Vec<String>,
    /// Names of interfaces in the host's namespace.
    pub interfaces: Vec<String>,
    /// Names of firewall tables.
    pub tables: Vec<String>,
    /// Cgroups, children before parents.
    pub cgroups: Vec<PathBuf>,
    /// Mount points in the data folder, the last mounted first.
    pub mounts: Vec<PathBuf>,
    /// Loop devices over files of the data folder.
    pub loops: Vec<PathBuf>,
    /// The installation's folder under `/run/wrenn`.
    pub runtime_dirs: Vec<PathBuf>,
}

/// Why something could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("remove {what}")]
pub struct CleanError {
    /// The thing.
    pub what: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Leftovers {
    /// Looks for everything of the installation of a data folder. Blocks for some milliseconds.
    ///
    /// The data folder is the one that [`Instance::claim`](crate::net::Instance::claim) got; machines keep their
    /// files below `Instance::data_dir`, by which their processes are found.
    pub fn scan(data_dir: &Path) -> Self {
        let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        Self::of_installation(net::number_of(&data_dir), &data_dir)
    }

    fn of_installation(number: Option<u8>, data_dir: &Path) -> Self {
        let mut found = number.map(Self::of_number).unwrap_or_default();
        let namespaces = number.map(namespace_inodes).unwrap_or_default();
        found.processes = processes(&namespaces, Some(data_dir));
        found.loops = disk::loops_over(data_dir);
        // The loop device of a removed file still knows where that was.
        if disk::is_loopback(data_dir) || !found.loops.is_empty() {
            found.mounts = mounts_below(data_dir);
        }
        found.runtime_dirs.extend(number.map(net::runtime_dir).filter(|folder| folder.exists()));
        found
    }

    /// What is named after an installation's number, without processes and files.
    fn of_number(number: u8) -> Self {
        let (namespaces, interfaces) = (existing::namespaces(number), existing::interfaces(number));
        let tables = existing::tables(number);
        let mut cgroups = Vec::new();
        for parent in cgroup::existing(&net::cgroup_name(number)) {
            cgroups.extend(cgroup::child_folders(&parent));
            cgroups.push(parent);
        }
        Self { namespaces, interfaces, tables, cgroups, ..Self::default() }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Kills and removes all of it, machines first, mounts last. Never touches the files of the data folder.
    ///
    /// # Errors
    /// A [`CleanError`] for each thing that is still there; the rest is gone.
    pub async fn clean(&self) -> Result<(), Vec<CleanError>> {
        let mut errors = Vec::new();
        let mut note = |what: String, outcome: io::Result<()>| {
            errors.extend(outcome.err().map(|source| CleanError { what, source }));
        };
        for process in &self.processes {
            note(format!("process {}", process.pid), process.kill().await.map_err(io::Error::other));
        }
        let names = self.clone();
        note("network".to_owned(), blocking(move || names.remove_network()).await);
        for cgroup in &self.cgroups {
            let removed = cgroup::remove_folder(cgroup).await;
            note(format!("cgroup {}", cgroup.display()), removed.map_err(|error| error.source));
        }
        for mount in &self.mounts {
            note(format!("mount {}", mount.display()), Volume::unmount_path(mount).await);
        }
        for device in &self.loops {
            note(format!("loop device {}", device.display()), Volume::detach(device).await);
        }
        for folder in &self.runtime_dirs {
            note(format!("folder {}", folder.display()), fs::remove_dir_all(folder));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn remove_network(&self) -> io::Result<()> {
        let mut text = String::new();
        for interface in &self.interfaces {
            text += &format!("link delete {interface}\n");
        }
        for name in &self.namespaces {
            text += &format!("netns delete {name}\n");
        }
        if !text.is_empty() {
            // Fails for what went with something else; what counts is what is there afterwards.
            let outcome = namespace::run("ip", &["-force", "-batch", "-"], &text);
            let left = self.interfaces.iter().any(|name| existing::has_interface(name))
                || self.namespaces.iter().any(|name| namespace::path_of(name).exists());
            if left {
                outcome?;
            }
        }
        let text: String = self
            .tables
            .iter()
            .map(|table| format!("table inet {table} {{}}\ndelete table inet {table}\n"))
            .collect();
        if text.is_empty() { Ok(()) } else { namespace::run("nft", &["-f", "-"], &text) }
    }
}

impl fmt::Display for Leftovers {
    /// One line for each thing, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = |kind: &'static str, paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| format!("{kind} {}", path.display())).collect()
        };
        let names = |kind: &'static str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{kind} {name}")).collect()
        };
        let lines = [
            self.processes.iter().map(|process| format!("process {}", process.pid)).collect(),
            names("network namespace", &self.namespaces),
            names("interface", &self.interfaces),
            names("firewall table inet", &self.tables),
            paths("cgroup", &self.cgroups),
            paths("mount", &self.mounts),
            paths("loop device", &self.loops),
            paths("folder", &self.runtime_dirs),
        ];
        f.write_str(&lines.concat().join("\n"))
    }
}

/// Removes everything of installations whose data folder was removed and that have no agent. What cannot be removed is
/// logged; its number is then not used.
pub async fn clean_abandoned() {
    let abandoned = match blocking(|| net::abandoned().map_err(io::Error::other)).await {
        Ok(abandoned) => abandoned,
        Err(error) => {
            return tracing::warn!(error = %Chain(&error), "cannot look for abandoned installations");
        }
    };
    for (number, owner) in abandoned.owners.clone() {
        tracing::warn!(number, data_dir = %owner.display(), "removing what an installation left whose data folder is gone");
        let found = blocking(move || io::Result::Ok(Leftovers::of_installation(Some(number), &owner))).await;
        if let Err(errors) = found.unwrap_or_default().clean().await {
            for error in errors {
                tracing::warn!(number, error = %Chain(&error), "not removed");
            }
        }
    }
}

/// What identifies the namespaces of an installation, also to a process inside.
fn namespace_inodes(number: u8) -> BTreeSet<(u64, u64)> {
    existing::namespaces(number)
        .iter()
        .filter_map(|name| fs::metadata(namespace::path_of(name)).ok())
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .collect()
}

fn processes(namespaces: &BTreeSet<(u64, u64)>, data_dir: Option<&Path>) -> Vec<ProcessIdentity> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_ours = |pid: &u32| {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let inside = fs::metadata(proc.join("ns/net"))
            .is_ok_and(|metadata| namespaces.contains(&(metadata.dev(), metadata.ino())));
        let is_vmm = || {
            let command = fs::read(proc.join("cmdline")).unwrap_or_default();
            data_dir.is_some_and(|data_dir| is_vmm_of(&command, data_dir))
        };
        inside || is_vmm()
    };
    pids.filter(is_ours).filter_map(|pid| ProcessIdentity::of_pid(pid).ok()).collect()
}

/// Whether a command line (words end with a zero byte) is that of a VMM whose memory is in the data folder.
fn is_vmm_of(command: &[u8], data_dir: &Path) -> bool {
    let command = String::from_utf8_lossy(command);
    let program = command.split('\0').next().unwrap_or_default();
    let folder = format!("mem-path={}/", data_dir.to_string_lossy().replace(',', ",,"));
    program.rsplit('/').next().is_some_and(|name| name.starts_with("qemu-system-"))
        && command.contains(&folder)
}

fn mounts_below(data_dir: &Path) -> Vec<PathBuf> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts: Vec<PathBuf> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(disk::unescape_mount))
        .filter(|mount| mount != data_dir && mount.starts_with(data_dir))
        .collect();
    mounts.reverse();
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thing_has_a_line() {
        let found = Leftovers {
            interfaces: vec!["wrn3-7".into()],
            tables: vec!["wrenn3".into()],
            loops: vec!["/dev/loop0".into()],
            ..Leftovers::default()
        };
        assert_eq!(found.to_string(), "interface wrn3-7\nfirewall table inet wrenn3\nloop device /dev/loop0");
        assert_eq!(Leftovers::default().to_string(), "");
    }

    #[test]
    fn a_vmm_is_known_by_its_program_and_its_memory() {
        let command =
            b"/usr/bin/qemu-system-x86_64\0-object\0memory-backend-file,mem-path=/data/one/volume/memory\0";
        assert!(is_vmm_of(command, Path::new("/data/one")));
        assert!(!is_vmm_of(command, Path::new("/data/on")), "only a prefix of its path");
        assert!(!is_vmm_of(command, Path::new("/data/two")));
        assert!(!is_vmm_of(b"grep\0mem-path=/data/one/\0", Path::new("/data/one")));
    }
}
