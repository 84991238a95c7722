//! Kernel modules: those that a boot needs, from the initramfs, are loaded; all others, from a disk that the capsules of a host
//! share, can be loaded by whoever needs them.
//!
//! The kernel loads a module by itself when something asks for what is in it: a filesystem, a protocol, a rule of netfilter. For
//! that it runs `/sbin/modprobe` of the image. A device that is in a module has a node before the module is loaded, as udev would
//! make it: opening it loads the module.

use std::{
    ffi::CStr,
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::{
        stat::{Mode, SFlag, makedev, mknod},
        utsname::uname,
    },
};

use super::{BootError, Warnings};

/// Where the image step puts them, named so that the order of names is the order of loading.
const FOLDER: &str = "/modules";

/// Loads every module of the initramfs, then frees the memory that the files take.
pub(super) fn load_all() -> Result<(), BootError> {
    let folder = Path::new(FOLDER);
    let mut paths = match list(folder) {
        Ok(paths) => paths,
        // A kernel with everything built in needs none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(BootError::File { what: "list", path: folder.to_owned(), source }),
    };
    paths.sort();
    for path in paths {
        load(&path).map_err(|source| BootError::File { what: "load", path, source })?;
    }
    // Only memory is lost where this fails.
    let _ = fs::remove_dir_all(folder);
    Ok(())
}

/// The disk of modules, and where the kernel looks for them.
const DISK: &str = "/dev/vdb";
const MODULES: &str = "/lib/modules";
/// Nodes that everybody may open, as udev's own rules have it (`50-udev-default.rules`).
const FOR_EVERYBODY: [&str; 2] = ["fuse", "net/tun"];

/// Makes the modules on the shared disk available to the programs of the capsule.
pub(super) fn offer(warnings: &mut Warnings) {
    let release = uname().map(|system| system.release().to_string_lossy().into_owned());
    let offered = release.map_err(|error| io::Error::from(error).to_string()).and_then(|release| {
        let folder = Path::new(MODULES).join(release);
        mount_disk(&folder).map_err(|error| error.to_string())?;
        let devices = fs::read_to_string(folder.join("modules.devname"));
        make_nodes(&devices.map_err(|error| error.to_string())?, Path::new("/dev"));
        Ok(())
    });
    if let Err(error) = offered {
        warnings.add(format_args!("kernel modules cannot be loaded: {error}"));
    }
}

fn mount_disk(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some(DISK), folder, Some("ext4"), flags, None::<&str>)?)
}

/// Makes the nodes that `modules.devname` lists. One that cannot be made is there already, or will be missed by one program.
fn make_nodes(devices: &str, folder: &Path) {
    for Node { name, kind, number } in devices.lines().filter_map(parse_node) {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            let _ = fs::create_dir_all(parent);
        }
        let mode = if FOR_EVERYBODY.contains(&name) { 0o666 } else { 0o600 };
        let _ = mknod(&path, kind, Mode::from_bits_truncate(0), makedev(number.0, number.1));
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
    }
}

/// A node of a device whose module is not loaded yet.
#[derive(Debug, PartialEq, Eq)]
struct Node<'a> {
    name: &'a str,
    kind: SFlag,
    number: (u64, u64),
}

/// Reads a line of `modules.devname` (kmod, `depmod`): module, name, and `c` or `b` with the numbers, as `fuse fuse c10:229`.
fn parse_node(line: &str) -> Option<Node<'_>> {
    let mut words = line.split_ascii_whitespace();
    let (module, name, device) = (words.next()?, words.next()?, words.next()?);
    let kind = match device.as_bytes().first()? {
        b'c' => SFlag::S_IFCHR,
        b'b' => SFlag::S_IFBLK,
        _ => return None,
    };
    let (major, minor) = device[1..].split_once(':')?;
    let is_comment = module.starts_with('#');
    let is_plain = name.split('/').all(|part| !part.is_empty() && part != "..");
    (!is_comment && is_plain).then_some(())?;
    Some(Node { name, kind, number: (major.parse().ok()?, minor.parse().ok()?) })
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn load(path: &Path) -> io::Result<()> {
    match finit_module(File::open(path)?, <&CStr>::default(), ModuleInitFlags::empty()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_as_depmod_writes_them() {
        let node = |name, kind, number| Some(Node { name, kind, number });
        assert_eq!(parse_node("fuse fuse c10:229"), node("fuse", SFlag::S_IFCHR, (10, 229)));
        assert_eq!(parse_node("tun net/tun c10:200"), node("net/tun", SFlag::S_IFCHR, (10, 200)));
        assert_eq!(parse_node("x blocks/x b259:1"), node("blocks/x", SFlag::S_IFBLK, (259, 1)));
        for line in [
            "",
            "# Device nodes to trigger on-demand module loading.",
            "fuse",
            "fuse fuse",
            "fuse fuse d1:2",
            "a ../b c1:2",
            "a /b c1:2",
            "a b c1",
            "a b cx:y",
        ] {
            assert_eq!(parse_node(line), None, "{line}");
        }
    }
}
