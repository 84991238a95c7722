//! Kernel settings that programs expect of a Debian server, and those that the image asks for in `sysctl.d`.
//!
//! A Debian with systemd sets them at boot; a capsule has no systemd. A setting that the kernel refuses or does not know is left as
//! it is: no capsule fails to start because of one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::files::read_text;

/// Settings of every capsule, by their paths below `/proc/sys`.
const DEFAULTS: [(&str, &str); 16] = [
    // Ordinary users may send ICMP echo requests, so that `ping` needs no capability.
    ("net/ipv4/ping_group_range", "0 2147483647"),
    // Language servers, file synchronisers and development servers watch whole trees.
    ("fs/inotify/max_user_watches", "524288"),
    ("fs/inotify/max_user_instances", "8192"),
    // Search engines and databases map many files.
    ("vm/max_map_count", "1048576"),
    // The memory of the machine is the limit.
    ("fs/file-max", "9223372036854775807"),
    // Browsers and container engines make user namespaces for their sandboxes.
    ("kernel/unprivileged_userns_clone", "1"),
    // A core file lies in the directory of its process, and names it.
    ("kernel/core_pattern", "core"),
    ("kernel/core_uses_pid", "1"),
    // The protections of systemd's own `50-default.conf`.
    ("fs/protected_hardlinks", "1"),
    ("fs/protected_symlinks", "1"),
    ("fs/protected_regular", "2"),
    ("fs/protected_fifos", "1"),
    ("net/ipv4/conf/default/rp_filter", "2"),
    ("net/ipv4/conf/all/promote_secondaries", "1"),
    ("net/ipv4/conf/default/promote_secondaries", "1"),
    ("net/core/default_qdisc", "fq_codel"),
];

/// Folders with settings of the image; a file hides one of the same name in a later folder.
const FOLDERS: [&str; 4] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
/// The oldest place, which counts last.
const LAST_FILE: &str = "/etc/sysctl.conf";

/// Applies the defaults, then the settings of the image.
pub(super) fn apply() {
    let system = Path::new("/proc/sys");
    for (key, value) in DEFAULTS {
        // This kernel does without.
        let _ = fs::write(system.join(key), value);
    }
    for path in files_by_name(&FOLDERS.map(Path::new), "conf").into_iter().chain([LAST_FILE.into()]) {
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("wrenn-guest: cannot read {}: {error}", path.display());
                continue;
            }
        };
        for Setting { key, value, may_fail } in text.lines().filter_map(parse) {
            if let Err(error) = set(system, &key, &value)
                && !may_fail
            {
                eprintln!("wrenn-guest: cannot set {key}: {error}");
            }
        }
    }
}

/// Lists the files with an extension in several folders, sorted by name; of two with one name that of the earlier folder counts.
/// An empty file, or a link to `/dev/null`, thus hides those of later folders.
pub(super) fn files_by_name(folders: &[&Path], extension: &str) -> Vec<PathBuf> {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|found| found == extension) {
                files.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    // Links to /dev/null are no regular files and are read as nothing.
    files.into_values().filter(|path| path.is_file()).collect()
}

/// A line of a `sysctl.d` file.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    value: String,
    /// True for a line that begins with `-`.
    may_fail: bool,
}

fn parse(line: &str) -> Option<Setting> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    let (may_fail, line) = match line.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    // The first separator says which one it is, so that a name with the other one in it can be written.
    let key = match key.find(['.', '/']).map(|at| key.as_bytes()[at]) {
        Some(b'.') => key.chars().map(swap_separator).collect(),
        _ => key.to_owned(),
    };
    Some(Setting { key, value: value.trim().to_owned(), may_fail })
}

fn swap_separator(character: char) -> char {
    match character {
        '.' => '/',
        '/' => '.',
        other => other,
    }
}

fn set(system: &Path, key: &str, value: &str) -> io::Result<()> {
    let key = Path::new(key);
    let is_below = key.components().all(|component| matches!(component, Component::Normal(_)));
    if !is_below {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a setting"));
    }
    fs::write(system.join(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, value: &str, may_fail: bool) -> Option<Setting> {
        Some(Setting { key: key.into(), value: value.into(), may_fail })
    }

    #[test]
    fn a_line_is_a_name_and_a_value() {
        assert_eq!(parse(" vm.swappiness = 10 "), setting("vm/swappiness", "10", false));
        assert_eq!(
            parse("-net/ipv4/conf/eth0.1/rp_filter=0"),
            setting("net/ipv4/conf/eth0.1/rp_filter", "0", true)
        );
        assert_eq!(
            parse("net.ipv4.conf.eth0/1.rp_filter=0"),
            setting("net/ipv4/conf/eth0.1/rp_filter", "0", false)
        );
        assert_eq!(
            parse("kernel.core_pattern=|/bin/a=b"),
            setting("kernel/core_pattern", "|/bin/a=b", false)
        );
        for nothing in ["", "# vm.x=1", "; vm.x=1", "no value"] {
            assert_eq!(parse(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_setting_lies_below_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("vm")).unwrap();
        set(folder.path(), "vm/swappiness", "10").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("vm/swappiness")).unwrap(), "10");
        for outside in ["../escaped", "/etc/escaped", "vm/../../escaped"] {
            assert_eq!(
                set(folder.path(), outside, "x").unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{outside}"
            );
        }
    }

    #[test]
    fn a_file_hides_those_of_the_same_name_in_later_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (etc, usr) = (folder.path().join("etc"), folder.path().join("usr"));
        for (path, text) in [(&etc, "20-b.conf"), (&usr, "10-a.conf"), (&usr, "20-b.conf"), (&usr, "README")]
        {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join(text), "").unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", etc.join("10-a.conf")).unwrap();
        assert_eq!(files_by_name(&[&etc, &usr, Path::new("/nowhere")], "conf"), [etc.join("20-b.conf")]);
    }
}
