//! Reading small files that belong to the capsule, whatever it has put in their place.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Longest file that is read, in bytes.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Reads a text file; empty if there is none. What is not UTF-8 in it is replaced.
///
/// A link is followed, but only to a regular file: a pipe would never end, a device might do anything.
///
/// # Errors
/// `InvalidInput` for what is not a regular file, `FileTooLarge` above [`MAX_TEXT_BYTES`]; otherwise what the
/// filesystem says.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    // Without this, opening a pipe waits for somebody to write into it.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        symlink("pipe", path("link")).unwrap();
        for name in ["pipe", "zero", "link", "."] {
            assert_eq!(read_text(&path(name)).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        fs::File::create(path("large")).unwrap().set_len(MAX_TEXT_BYTES + 1).unwrap();
        assert_eq!(read_text(&path("large")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_is_read_also_through_a_link_and_a_missing_one_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"a\xffb").unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        assert_eq!(read_text(&folder.path().join("link")).unwrap(), "a\u{fffd}b");
        assert_eq!(read_text(&folder.path().join("missing")).unwrap(), "");
    }
}
