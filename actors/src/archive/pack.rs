//! Takes entries out of an archive that was checked, and packs them anew as plain tar, under other names.
//!
//! ```text
//!   tar, tar.gz, zip ─ walk ─┬─▶ digests: what each entry holds
//!                            └─▶ pack: the chosen ones, under the names that they get
//! ```
//!
//! What goes to a guest is made here and is plain; the guest never sees the archive as it was sent. Permissions of the
//! owner, the group and others are kept, and the time; whose it was is not.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, BufReader, Read, Seek, Write},
};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use wrenn_domain::archive::{Contents, EntryDigest, Format, Kind};
use zip::ZipArchive;

use super::rules::normal;

/// Permission bits of owner, group and others.
const PERMISSIONS: u32 = 0o777;
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// Why entries could not be taken out of an archive.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The archive cannot be read any more, although it could when it was checked; or nobody takes what is packed.
    #[error("the archive cannot be unpacked")]
    Io(#[from] io::Error),
    /// A hard link is chosen, and the file that it is another name of is not.
    #[error("`{path}` is a hard link to `{target}`, which is not copied with it")]
    Hardlink {
        /// The link.
        path: String,
        /// The file.
        target: String,
    },
}

/// An entry on the way out of its archive.
struct Found<'a> {
    path: &'a str,
    kind: &'a Kind,
    mode: u32,
    /// Seconds since the Unix epoch.
    modified_at: u64,
}

/// Returns what each entry holds, by its path.
///
/// # Errors
/// See [`PackError`].
pub fn digests(
    archive: impl Read + Seek,
    contents: &Contents,
) -> Result<HashMap<String, EntryDigest>, PackError> {
    let mut digests = HashMap::new();
    walk(archive, contents, &mut |found, content| {
        let mut hash = Sha256::new();
        hash.update(found.mode.to_le_bytes());
        match found.kind {
            Kind::File { .. } => {
                hash.update(b"file");
                feed(&mut hash, content)?;
            }
            Kind::Directory => hash.update(b"folder"),
            Kind::Symlink { target } => hash.update(format!("symlink {target}")),
            Kind::Hardlink { target } => hash.update(format!("hardlink {target}")),
        }
        digests.insert(found.path.to_owned(), hash.finalize().into());
        Ok(())
    })?;
    Ok(digests)
}

fn feed(hash: &mut Sha256, content: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a tar archive with the entries that `names` has, each under the name that it gives.
///
/// # Errors
/// See [`PackError`].
pub fn pack(
    archive: impl Read + Seek,
    contents: &Contents,
    names: &BTreeMap<String, String>,
    to: impl Write,
) -> Result<(), PackError> {
    let mut tar = tar::Builder::new(to);
    walk(archive, contents, &mut |found, content| {
        let Some(name) = names.get(found.path) else { return Ok(()) };
        let mut header = Header::new_gnu();
        header.set_mode(found.mode);
        header.set_mtime(found.modified_at);
        match found.kind {
            Kind::File { size_bytes, .. } => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(*size_bytes);
                tar.append_data(&mut header, name, content.take(*size_bytes))?;
            }
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                tar.append_data(&mut header, name, io::empty())?;
            }
            Kind::Symlink { target } => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target)?;
            }
            Kind::Hardlink { target } => {
                let target = names.get(target).ok_or_else(|| PackError::Hardlink {
                    path: found.path.to_owned(),
                    target: target.clone(),
                })?;
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                tar.append_link(&mut header, name, target)?;
            }
        }
        Ok(())
    })?;
    tar.into_inner()?.flush()?;
    Ok(())
}

type Visit<'a> = &'a mut dyn FnMut(Found<'_>, &mut dyn Read) -> Result<(), PackError>;

/// Visits all entries in the order of the archive.
fn walk(mut archive: impl Read + Seek, contents: &Contents, visit: Visit<'_>) -> Result<(), PackError> {
    archive.rewind()?;
    let kinds: HashMap<&str, &Kind> =
        contents.entries.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
    let archive = BufReader::new(archive);
    match contents.format {
        Format::Tar => walk_tar(archive, &kinds, visit),
        Format::TarGz => walk_tar(BufReader::new(MultiGzDecoder::new(archive)), &kinds, visit),
        Format::Zip => walk_zip(archive, &kinds, visit),
    }
}

fn walk_tar(archive: impl Read, kinds: &HashMap<&str, &Kind>, visit: Visit<'_>) -> Result<(), PackError> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some((path, kind)) = known(&entry.path_bytes(), kinds) else { continue };
        let (mode, modified_at) = (entry.header().mode()? & PERMISSIONS, entry.header().mtime().unwrap_or(0));
        visit(Found { path: &path, kind, mode, modified_at }, &mut entry)?;
    }
    Ok(())
}

fn walk_zip(
    archive: impl Read + Seek,
    kinds: &HashMap<&str, &Kind>,
    visit: Visit<'_>,
) -> Result<(), PackError> {
    let mut archive = ZipArchive::new(archive).map_err(io::Error::other)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(io::Error::other)?;
        let Some((path, kind)) = known(entry.name_raw(), kinds) else { continue };
        // Archives made on other systems say nothing of permissions.
        let said = entry.unix_mode().map(|mode| mode & PERMISSIONS).filter(|mode| *mode != 0);
        let usual = if *kind == Kind::Directory { FOLDER_MODE } else { FILE_MODE };
        let modified_at = entry.last_modified().map_or(0, zip_time);
        visit(Found { path: &path, kind, mode: said.unwrap_or(usual), modified_at }, &mut entry)?;
    }
    Ok(())
}

fn known<'k>(name: &[u8], kinds: &HashMap<&str, &'k Kind>) -> Option<(String, &'k Kind)> {
    let path = normal(std::str::from_utf8(name).ok()?).ok()?;
    let kind = kinds.get(path.as_str())?;
    Some((path, kind))
}

/// Zip archives tell the time of some place that they do not name; it is taken for universal time.
fn zip_time(time: zip::DateTime) -> u64 {
    let (year, month, day) = (time.year().into(), time.month().into(), time.day().into());
    let (hour, minute, second) = (time.hour().into(), time.minute().into(), time.second().into());
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day);
    let time = date.and_then(|date| date.and_hms_opt(hour, minute, second));
    time.map_or(0, |time| u64::try_from(time.and_utc().timestamp()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::archive::check;

    fn tar_of(entries: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content, mode) in entries {
            let mut header = Header::new_gnu();
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            header.set_mtime(1_000_000_000);
            if name.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
            }
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn zip_of(entries: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content, mode) in entries {
            let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
            if name.ends_with('/') {
                zip.add_directory(*name, options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    fn packed(archive: &[u8], names: &[(&str, &str)]) -> Vec<(String, u32, String)> {
        let contents = check(Cursor::new(archive)).unwrap();
        let names = names.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let mut tar = Vec::new();
        pack(Cursor::new(archive), &contents, &names, &mut tar).unwrap();
        let mut read = tar::Archive::new(tar.as_slice());
        let entries = read.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), text)
        });
        entries.collect()
    }

    const ENTRIES: &[(&str, &str, u32)] =
        &[("./app/", "", 0o755), ("./app/run.sh", "#!/bin/sh", 0o4755), ("./read me", "hello", 0o640)];

    #[test]
    fn every_format_gives_the_same_without_special_bits() {
        let tar = tar_of(ENTRIES);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        for archive in [tar, gz.finish().unwrap(), zip_of(ENTRIES)] {
            let all =
                packed(&archive, &[("app", "opt"), ("app/run.sh", "opt/run.sh"), ("read me", "README")]);
            assert_eq!(
                all.iter()
                    .map(|(name, mode, text)| (name.as_str(), *mode, text.as_str()))
                    .collect::<Vec<_>>(),
                [("opt", 0o755, ""), ("opt/run.sh", 0o755, "#!/bin/sh"), ("README", 0o640, "hello")]
            );
            assert_eq!(packed(&archive, &[]), []);
        }
    }

    #[test]
    fn a_digest_changes_with_the_content_and_the_permissions_and_with_nothing_else() {
        let digest = |entries: &[(&str, &str, u32)]| {
            let archive = tar_of(entries);
            let contents = check(Cursor::new(&archive)).unwrap();
            digests(Cursor::new(&archive), &contents).unwrap()["a"]
        };
        let first = digest(&[("a", "x", 0o644), ("b", "1", 0o644)]);
        assert_eq!(first, digest(&[("b", "2", 0o644), ("a", "x", 0o644)]));
        assert_ne!(first, digest(&[("a", "y", 0o644)]));
        assert_ne!(first, digest(&[("a", "x", 0o755)]));
    }

    #[test]
    fn a_hard_link_is_copied_with_its_file_only() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(1);
        archive.append_data(&mut header, "a", b"x".as_slice()).unwrap();
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Link);
        link.set_size(0);
        link.set_mode(0o644);
        archive.append_link(&mut link, "b", "a").unwrap();
        let archive = archive.into_inner().unwrap();
        let contents = check(Cursor::new(&archive)).unwrap();
        let names = BTreeMap::from([("b".to_owned(), "d".to_owned())]);
        let error = pack(Cursor::new(&archive), &contents, &names, io::sink()).unwrap_err();
        assert!(error.to_string().contains("`a`"), "{error}");
        assert_eq!(packed(&archive, &[("a", "c"), ("b", "d")]).len(), 2);
    }
}
