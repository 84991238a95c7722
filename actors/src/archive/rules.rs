//! What names, links and sizes must be like. No input or output.

use std::collections::HashMap;

use wrenn_domain::archive::{Entry, Kind};

use super::{
    ArchiveError, Fault, MAX_ENTRIES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_RATIO, MAX_UNPACKED_BYTES,
    RATIO_FREE_BYTES,
};

/// What a path is taken by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    File,
    Directory,
    /// A folder that no entry names, but that others lie in.
    Parent,
    Symlink,
}

/// Judges entries, one after the other.
#[derive(Debug)]
pub(super) struct Judge {
    packed_bytes: u64,
    unpacked_bytes: u64,
    entries: Vec<Entry>,
    /// With the root, which is a folder.
    taken: HashMap<String, Taken>,
}

impl Judge {
    pub(super) fn new(packed_bytes: u64) -> Self {
        Self { packed_bytes, unpacked_bytes: 0, entries: Vec::new(), taken: HashMap::new() }
    }

    /// Counts what came out, whatever it belongs to.
    pub(super) fn count(&mut self, bytes: u64) -> Result<(), Fault> {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        if self.unpacked_bytes > MAX_UNPACKED_BYTES {
            return Err(Fault::Bomb);
        }
        let allowed = self.packed_bytes.saturating_mul(MAX_RATIO).max(RATIO_FREE_BYTES);
        if self.unpacked_bytes > allowed { Err(Fault::Ratio) } else { Ok(()) }
    }

    /// Says whether there may be another entry.
    pub(super) fn has_room(&self) -> Result<(), Fault> {
        if self.taken.len() < MAX_ENTRIES { Ok(()) } else { Err(Fault::TooMany) }
    }

    /// Takes an entry under its normal name. The root itself is fine as a folder, and no entry.
    pub(super) fn accept(&mut self, name: &[u8], kind: Kind) -> Result<(), ArchiveError> {
        let judged = self.judge(name, kind).map_err(|fault| ArchiveError::of(name, fault))?;
        self.entries.extend(judged);
        Ok(())
    }

    fn judge(&mut self, name: &[u8], kind: Kind) -> Result<Option<Entry>, Fault> {
        let path = normal(text(name)?)?;
        if path.is_empty() {
            return if kind == Kind::Directory { Ok(None) } else { Err(Fault::NoName) };
        }
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            match self.taken.get(parent) {
                Some(Taken::Directory | Taken::Parent) => {}
                Some(Taken::File | Taken::Symlink) => return Err(Fault::BelowFile(parent.to_owned())),
                None => {
                    self.has_room()?;
                    self.taken.insert(parent.to_owned(), Taken::Parent);
                }
            }
        }
        let taken = match &kind {
            Kind::File { .. } => Taken::File,
            Kind::Directory => Taken::Directory,
            Kind::Symlink { target } => {
                stays_within(&path, target)?;
                Taken::Symlink
            }
            Kind::Hardlink { target } if self.taken.get(target) == Some(&Taken::File) => Taken::File,
            Kind::Hardlink { target } => return Err(Fault::HardlinkTarget(target.clone())),
        };
        match self.taken.get(&path) {
            Some(Taken::Parent) if taken == Taken::Directory => {}
            Some(_) => return Err(Fault::Duplicate),
            None => self.has_room()?,
        }
        self.taken.insert(path.clone(), taken);
        Ok(Some(Entry { path, kind }))
    }

    /// The entries, and what their files take.
    pub(super) fn finish(self) -> (Vec<Entry>, u64) {
        let sizes = self.entries.iter().map(|entry| match entry.kind {
            Kind::File { size_bytes, .. } => size_bytes,
            _ => 0,
        });
        let total = sizes.sum();
        (self.entries, total)
    }
}

/// A name as text.
pub(super) fn text(name: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(name).map_err(|_| Fault::NotText)?;
    if text.chars().any(char::is_control) { Err(Fault::NotText) } else { Ok(text) }
}

/// A path without what means nothing; empty for the root.
pub(super) fn normal(name: &str) -> Result<String, Fault> {
    if name.is_empty() {
        return Err(Fault::NoName);
    }
    if name.starts_with('/') {
        return Err(Fault::Absolute);
    }
    if name.contains('\\') {
        return Err(Fault::Backslash);
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Fault::Traversal),
            part if part.len() > MAX_NAME_BYTES => return Err(Fault::LongName),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.len() > MAX_PATH_BYTES { Err(Fault::LongName) } else { Ok(path) }
}

/// Whether a link from `path` leads to something within the archive.
fn stays_within(path: &str, target: &str) -> Result<(), Fault> {
    let leaves = || Fault::LinkLeaves(target.to_owned());
    if target.is_empty() || target.starts_with('/') || target.contains('\\') || target.len() > MAX_PATH_BYTES
    {
        return Err(leaves());
    }
    // How deep the link's own folder lies.
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.checked_sub(1).ok_or_else(leaves)?,
            _ => depth += 1,
        }
    }
    Ok(())
}
