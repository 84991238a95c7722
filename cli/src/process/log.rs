//! Log files of bounded size: when one is full it becomes `<name>.1`, and the one before is dropped.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Size at which a log is put aside: two of these per process is all that logs may take.
const LIMIT_BYTES: u64 = 8 * 1024 * 1024;

/// One process's log.
#[derive(Debug)]
pub struct RotatedLog {
    path: PathBuf,
    file: File,
    written_bytes: u64,
    limit_bytes: u64,
}

impl RotatedLog {
    /// Opens the log and appends to what is there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let written_bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, written_bytes, limit_bytes: LIMIT_BYTES })
    }

    /// Appends; the parts of one call stay in one file.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written_bytes > 0 && self.written_bytes + bytes.len() as u64 > self.limit_bytes {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *self = Self { limit_bytes: self.limit_bytes, ..Self::open(&self.path)? };
        }
        self.file.write_all(bytes)?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// The last lines of a log, for an error message; empty if it cannot be read.
pub fn last_lines(path: &Path, count: usize) -> String {
    let content = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let mut lines: Vec<&str> = text.lines().rev().take(count).collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_never_takes_more_than_twice_its_limit() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("server.log");
        let mut log = RotatedLog { limit_bytes: 100, ..RotatedLog::open(&path).expect("log") };
        for number in 0..50 {
            log.append(format!("line number {number:03}\n").as_bytes()).expect("append");
        }
        let size = |path: &Path| fs::metadata(path).expect("metadata").len();
        assert!(size(&path) <= 100);
        assert!(size(&path.with_extension("log.1")) <= 100);
        assert!(last_lines(&path, 1).contains("049"));
    }
}
