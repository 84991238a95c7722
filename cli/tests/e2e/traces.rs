//! What an installation has on its host, by a look of our own: the agent's idea of it may be wrong.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde_json::Value;

use crate::installation::Installation;

/// How often each kind of thing is there. Slots are numbered as they come, so their numbers do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traces(BTreeMap<String, usize>);

impl Traces {
    /// Everything that belongs to the installation, files of its agent included.
    pub(crate) fn of(installation: &Installation) -> anyhow::Result<Self> {
        let data = installation.data().canonicalize()?;
        let mut traces = Self::on_host(&data, number(&data)?)?;
        let agent = data.join("agent");
        for file in files_below(&agent) {
            // Written anew for each change: it is there or not there at any moment.
            if file.extension().is_none_or(|extension| extension != "new" && extension != "tmp") {
                traces.add("file", &file.strip_prefix(&agent)?.display().to_string());
            }
        }
        Ok(traces)
    }

    /// What there is outside of the data folder, which may be gone.
    pub(crate) fn on_host(data: &Path, number: u64) -> anyhow::Result<Self> {
        let mut traces = Self(BTreeMap::new());
        let text = data.display().to_string();
        for (_, arguments) in processes() {
            if arguments.contains("qemu") && arguments.contains(&text) {
                traces.add("machine", "");
            }
        }
        let (namespace, interface, table) =
            (format!("wrenn{number}-"), format!("wrn{number}-"), format!("wrenn{number}"));
        for name in names_in("/run/netns").into_iter().filter(|name| name.starts_with(&namespace)) {
            traces.add("namespace", &name);
        }
        for name in names_in("/sys/class/net").into_iter().filter(|name| name.starts_with(&interface)) {
            traces.add("interface", &name);
        }
        let tables = Command::new("nft").args(["list", "tables"]).output().context("nft")?;
        for line in String::from_utf8_lossy(&tables.stdout).lines() {
            if line.split_whitespace().last() == Some(&table) {
                traces.add("table", line);
            }
        }
        for line in fs::read_to_string("/proc/self/mounts")?.lines() {
            let place = line.split_whitespace().nth(1).unwrap_or_default();
            if place.starts_with(&text) || place.starts_with(&format!("/run/netns/{namespace}")) {
                traces.add("mount", place);
            }
        }
        for device in names_in("/sys/block") {
            let file =
                fs::read_to_string(format!("/sys/block/{device}/loop/backing_file")).unwrap_or_default();
            if file.starts_with(&text) {
                traces.add("loop device", file.trim());
            }
        }
        let cgroup = format!("wrenn-{number}");
        for folder in cgroups(Path::new("/sys/fs/cgroup"), &cgroup) {
            traces.add("cgroup", &folder.display().to_string());
        }
        let runtime = PathBuf::from(format!("/run/wrenn/{number}"));
        for file in files_below(&runtime) {
            traces.add("runtime file", &file.display().to_string());
        }
        Ok(traces)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is more or less than in `other`, for a message.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let mut lines = Vec::new();
        for (what, count) in &self.0 {
            let before = other.0.get(what).copied().unwrap_or_default();
            if *count > before {
                lines.push(format!("{} more: {what}", count - before));
            }
        }
        for (what, count) in &other.0 {
            let now = self.0.get(what).copied().unwrap_or_default();
            if *count > now {
                lines.push(format!("{} fewer: {what}", count - now));
            }
        }
        lines.join("\n")
    }

    fn add(&mut self, kind: &str, name: &str) {
        *self.0.entry(format!("{kind} {}", without_slot_number(name))).or_default() += 1;
    }
}

/// Number that the agent of a data folder has claimed; it is in the names of what it makes.
pub(crate) fn number(data: &Path) -> anyhow::Result<u64> {
    let path = data.join("agent/instance.json");
    let kept: Value = serde_json::from_slice(&fs::read(&path).with_context(|| path.display().to_string())?)?;
    kept["number"].as_u64().context("the number of the installation")
}

/// Pids of the virtual machines that use a data folder, and the command line of each.
pub(crate) fn machines(data: &Path) -> anyhow::Result<Vec<(i32, String)>> {
    let text = data.canonicalize()?.display().to_string();
    Ok(processes()
        .into_iter()
        .filter(|(_, arguments)| arguments.contains("qemu") && arguments.contains(&text))
        .collect())
}

fn processes() -> Vec<(i32, String)> {
    names_in("/proc")
        .into_iter()
        .filter_map(|name| {
            let pid = name.parse().ok()?;
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&arguments).replace('\0', " ")))
        })
        .collect()
}

fn without_slot_number(name: &str) -> String {
    let cut = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if cut.ends_with('-') { format!("{cut}#") } else { name.to_owned() }
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_below(&path));
        }
        found.push(path);
    }
    found
}

fn cgroups(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if path.components().any(|part| part.as_os_str() == name) {
                found.push(path.clone());
            }
            found.extend(cgroups(&path, name));
        }
    }
    found
}
