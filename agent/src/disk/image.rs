//! Cloning, importing and growing images.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{SeekFrom, ioctl_ficlone, seek},
    io::Errno,
};
use wrenn_base::blocking;

use super::{
    atomic::{Durability, sync_parent},
    volume::{Volume, tool},
};

/// Block in which an import looks for zeroes, and copies.
const COPY_BLOCK: usize = 256 * 1024;
/// Images are for their VMM only.
const MODE: u32 = 0o600;

/// Why a file was not cloned, imported or grown; no half-made file is left.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct ImageError {
    /// What was being done.
    pub action: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError + use<> {
    let path = path.to_owned();
    move |source| ImageError { action, path, source }
}

impl Volume {
    /// Clones a file of the volume in constant time (after writing out what of it is not on the disk yet). `to`
    /// must not exist.
    ///
    /// # Errors
    /// [`ImageError`]; then `to` does not exist, unless it did before.
    pub async fn clone_file(&self, from: &Path, to: &Path) -> Result<(), ImageError> {
        let (source_path, target_path) = (from.to_owned(), to.to_owned());
        let clone = move || {
            let source = File::open(&source_path)?;
            let target = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&target_path)?;
            ioctl_ficlone(&target, &source).map_err(|error| {
                let _ = fs::remove_file(&target_path);
                io::Error::from(error)
            })
        };
        blocking(clone).await.map_err(failed("clone", from))
    }

    /// Copies a file from anywhere to `to` on the volume, sparse; `to` appears only when it is complete, and
    /// replaces what was there. Two imports of the same name come one after the other.
    ///
    /// # Errors
    /// [`ImageError`]; then `to` is as before.
    pub async fn import(&self, from: &Path, to: &Path) -> Result<(), ImageError> {
        let (source_path, target_path) = (from.to_owned(), to.to_owned());
        blocking(move || import(&source_path, &target_path)).await.map_err(failed("import", from))
    }

    /// Waits until a file, and its name, are on the disk.
    ///
    /// # Errors
    /// [`ImageError`]; then it may be lost with the power.
    pub async fn sync_file(&self, path: &Path) -> Result<(), ImageError> {
        let file = path.to_owned();
        let sync = move || {
            File::open(&file)?.sync_all()?;
            sync_parent(&file, Durability::Disk)
        };
        blocking(sync).await.map_err(failed("sync", path))
    }

    /// Bytes that a file occupies of the volume; those that it shares with its clones are counted for each.
    ///
    /// # Errors
    /// [`ImageError`] if there is no such file.
    pub fn occupied_bytes(&self, path: &Path) -> Result<u64, ImageError> {
        fs::metadata(path).map(|metadata| metadata.blocks() * 512).map_err(failed("examine", path))
    }

    /// Grows the file system of an ext4 image that nobody uses to `size_mb` MiB; one that is as large already
    /// stays as it is. Idempotent, also after a crash half-way.
    ///
    /// # Errors
    /// [`ImageError`]; the image may be longer then, but its file system is sound.
    pub async fn grow_ext4(&self, image: &Path, size_mb: u64) -> Result<(), ImageError> {
        let wanted = size_mb << 20;
        let path = image.to_owned();
        let grow_file = move || {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            if Ext4::read(&file)?.size_bytes >= wanted {
                return Ok(false);
            }
            if file.metadata()?.len() < wanted {
                file.set_len(wanted)?;
            }
            Ok(true)
        };
        if !blocking(grow_file).await.map_err(failed("grow", image))? {
            return Ok(());
        }
        let size = format!("{size_mb}M");
        let resize = || tool("resize2fs", [image, Path::new(&size)]);
        if resize().await.is_ok() {
            return Ok(());
        }
        // One that was not unmounted in its life must be checked first. Status 1 is "errors corrected", so what
        // counts is whether it can be resized now.
        let checked = tool("e2fsck", [Path::new("-f"), Path::new("-p"), image]).await;
        match (resize().await, checked) {
            (Ok(()), _) => Ok(()),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(failed("grow", image)(error)),
        }
    }
}

fn import(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let (Some(folder), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let unfinished = folder.join(format!(".{}.new", name.to_string_lossy()));
    let target = open_locked(&unfinished)?;
    let copy = || {
        target.set_len(0)?;
        if ioctl_ficlone(&target, &source).is_err() {
            copy_sparse(&source, &target)?;
        }
        target.sync_all()?;
        fs::rename(&unfinished, to)?;
        File::open(folder)?.sync_all()
    };
    let outcome = copy();
    if outcome.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    outcome
}

/// Opens a file under construction for this builder alone; one that a crash left is taken over.
fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(path)?;
        file.lock()?;
        // The builder before may have finished, and renamed what this descriptor still means.
        match fs::metadata(path) {
            Ok(now) if now.ino() == file.metadata()?.ino() => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Copies what is data and not zero, so that the copy is at least as sparse as the original.
fn copy_sparse(from: &File, to: &File) -> io::Result<()> {
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut block = vec![0; COPY_BLOCK];
    let mut end = 0;
    while end < length {
        let start = match seek(from, SeekFrom::Data(end)) {
            Ok(start) => start,
            // No data from here to the end.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        end = seek(from, SeekFrom::Hole(start))?;
        let mut at = start;
        while at < end {
            let wanted = COPY_BLOCK.min(usize::try_from(end - at).unwrap_or(COPY_BLOCK));
            let read = from.read_at(&mut block[..wanted], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if block[..read].iter().any(|&byte| byte != 0) {
                to.write_all_at(&block[..read], at)?;
            }
            at += read as u64;
        }
    }
    Ok(())
}

/// What an ext4 file system says of itself.
pub(super) struct Ext4 {
    /// How large it is, in bytes.
    pub(super) size_bytes: u64,
    /// How large its blocks are, in bytes.
    pub(super) block_bytes: u64,
}

impl Ext4 {
    /// Reads the superblock.
    pub(super) fn read(image: &File) -> io::Result<Self> {
        const SUPERBLOCK: u64 = 1024;
        const MAGIC: u16 = 0xef53;
        const HAS_64_BIT: u32 = 0x80;
        let mut superblock = [0; 1024];
        image.read_exact_at(&mut superblock, SUPERBLOCK)?;
        let word = |at: usize| {
            u32::from_le_bytes([superblock[at], superblock[at + 1], superblock[at + 2], superblock[at + 3]])
        };
        if u16::from_le_bytes([superblock[0x38], superblock[0x39]]) != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an ext4 file system"));
        }
        let high = if word(0x60) & HAS_64_BIT != 0 { word(0x150) } else { 0 };
        let blocks = u64::from(high) << 32 | u64::from(word(0x4));
        let unsound = || io::Error::new(io::ErrorKind::InvalidData, "not a sound ext4 file system");
        let block_bytes = 1024_u64.checked_shl(word(0x18)).filter(|size| *size <= 64 * 1024);
        let block_bytes = block_bytes.ok_or_else(unsound)?;
        let size_bytes = block_bytes.checked_mul(blocks).ok_or_else(unsound)?;
        Ok(Self { size_bytes, block_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_equal_and_as_sparse() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let original = File::create(&from).expect("create");
        original.set_len(64 << 20).expect("length");
        original.write_all_at(b"begin", 0).expect("write");
        original.write_all_at(&[0; 1 << 20], 8 << 20).expect("zeroes");
        original.write_all_at(b"end", (64 << 20) - 3).expect("write");
        import(&from, &to).expect("import");
        assert!(fs::read(&from).expect("read") == fs::read(&to).expect("read"), "copies differ");
        assert!(fs::metadata(&to).expect("metadata").blocks() * 512 < 1 << 20, "zeroes must not be stored");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 2, "nothing else may be left");
    }

    #[test]
    fn imports_of_one_name_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, vec![7; 3 << 20]).expect("write");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| import(&from, &to).expect("import"));
            }
        });
        assert!(fs::read(&from).expect("read") == fs::read(&to).expect("read"), "copies differ");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 2, "nothing else may be left");
    }

    #[test]
    fn a_failed_import_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let to = folder.path().join("to");
        fs::write(&to, "before").expect("write");
        assert!(import(&folder.path().join("missing"), &to).is_err());
        assert_eq!(fs::read(&to).expect("read"), b"before");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn what_is_no_ext4_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let image = folder.path().join("image");
        for content in [vec![], vec![0; 4096], vec![0xff; 4096]] {
            fs::write(&image, content).expect("write");
            assert!(Ext4::read(&File::open(&image).expect("open")).is_err());
        }
    }
}
