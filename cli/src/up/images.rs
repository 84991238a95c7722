//! The images that an installation boots from: its own, from the start of one `up` to the next.
//!
//! Several checkouts share one folder of built images. A capsule must not boot the kernel and guest of another
//! checkout because somebody built that one meanwhile, so `up` takes copies. The base image, which holds nothing
//! of Wrenn's, is large, and is imported by the agent; a link to it is enough.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// What a machine boots; small, and made for one version of the agent.
const BOOT_FILES: [&str; 4] = ["vmlinux", "modules.img", "initramfs.cpio", "manifest.json"];

/// Makes `target` hold copies of the boot files of `source` and links to its base images.
///
/// What is missing in `source` is left out: whoever needs it says so by name. Each file appears as a whole.
pub(super) fn install(source: &Path, target: &Path) -> anyhow::Result<()> {
    let failed = |path: &Path| format!("cannot take the image {}", path.display());
    fs::create_dir_all(target).with_context(|| failed(target))?;
    for name in BOOT_FILES {
        let from = source.join(name);
        if from.exists() {
            replace(&target.join(name), |draft| copy_dated(&from, draft)).with_context(|| failed(&from))?;
        }
    }
    for entry in fs::read_dir(source).with_context(|| failed(source))? {
        let from = entry.with_context(|| failed(source))?.path();
        if from.extension().is_some_and(|extension| extension == "ext4")
            && let Some(name) = from.file_name()
        {
            replace(&target.join(name), |draft| symlink(&from, draft)).with_context(|| failed(&from))?;
        }
    }
    Ok(())
}

/// Copies a file and its date. By that the agent knows what it booted machines with before.
fn copy_dated(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    fs::File::options().write(true).open(to)?.set_modified(modified)
}

/// Writes beside the place and renames.
fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(&draft)?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_build_does_later_does_not_reach_an_installation() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("built"), folder.path().join("own"));
        fs::create_dir(&source).unwrap();
        for name in ["vmlinux", "initramfs.cpio", "minimal.ext4"] {
            fs::write(source.join(name), "first").unwrap();
        }
        install(&source, &target).unwrap();
        let date = |folder: &Path| fs::metadata(folder.join("vmlinux")).unwrap().modified().unwrap();
        assert_eq!(date(&target), date(&source));
        fs::write(source.join("initramfs.cpio"), "second").unwrap();
        assert_eq!(fs::read_to_string(target.join("initramfs.cpio")).unwrap(), "first");
        assert_eq!(fs::read_to_string(target.join("minimal.ext4")).unwrap(), "first");

        install(&source, &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("initramfs.cpio")).unwrap(), "second");
        assert!(!target.join("manifest.json").exists());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = install(&folder.path().join("none"), &folder.path().join("own")).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
