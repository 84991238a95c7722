//! Bytes on the volume by purpose: what lies below each of its folders.
//!
//! Clones share blocks, and each counts what it holds; so the purposes together may exceed what is used.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Folders of the volume and the purposes that they serve.
const PURPOSES: [(&str, &str); 4] =
    [("machines", "machines"), ("templates", "templates"), ("boot", "boot_snapshots"), ("images", "images")];
/// Size of a block in `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// Returns the allocated bytes for each purpose. Blocks for as long as listing the folders takes; what vanishes meanwhile,
/// or cannot be read, counts as nothing.
pub(super) fn bytes_by_purpose(volume: &Path) -> [(&'static str, u64); PURPOSES.len()] {
    PURPOSES.map(|(folder, purpose)| (purpose, allocated(&volume.join(folder))))
}

fn allocated(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => allocated(&entry.path()),
        Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn holes_take_no_room_and_missing_folders_are_empty() {
        let volume = tempfile::tempdir().unwrap();
        let machine = volume.path().join("machines/cl-1");
        fs::create_dir_all(&machine).unwrap();
        fs::write(machine.join("state"), vec![1; 64 * 1024]).unwrap();
        File::create(machine.join("disk.ext4")).unwrap().set_len(1 << 40).unwrap();
        let found = bytes_by_purpose(volume.path());
        let of = |purpose| found.iter().find(|(name, _)| *name == purpose).unwrap().1;
        assert!((64 * 1024..1 << 20).contains(&of("machines")), "{found:?}");
        assert_eq!(of("templates"), 0);
    }
}
