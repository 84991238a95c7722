//! Reads the formats.

use std::{
    collections::HashSet,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use wrenn_domain::archive::{Contents, Format, Kind};
use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{
    ArchiveError, Fault, MAX_BYTES, MAX_ENTRIES,
    rules::{Judge, normal, text},
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// Before each entry of a zip archive's directory.
const CENTRAL_HEADER: &[u8; 4] = b"PK\x01\x02";
/// Where `ustar` stands in the first header of a tar archive.
const USTAR: std::ops::Range<usize> = 257..262;
const TAR_BLOCK: usize = 512;
/// Longest name or link of a zip entry that is a symbolic link, in bytes.
const MAX_LINK_BYTES: u64 = 4096;
/// Unix file types, as zip archives carry them.
const S_IFMT: u32 = 0o170_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;

pub(super) fn read(archive: &mut (impl Read + Seek)) -> Result<Contents, ArchiveError> {
    let whole = ArchiveError::whole;
    let damaged = |error| whole(Fault::Damaged(error));
    let packed_bytes = archive.seek(SeekFrom::End(0)).map_err(damaged)?;
    if packed_bytes > MAX_BYTES {
        return Err(whole(Fault::TooLarge));
    }
    archive.rewind().map_err(damaged)?;
    let mut head = Vec::new();
    archive.by_ref().take(TAR_BLOCK as u64).read_to_end(&mut head).map_err(damaged)?;
    archive.rewind().map_err(damaged)?;

    let mut judge = Judge::new(packed_bytes);
    let format = format_of(&head).ok_or_else(|| whole(Fault::Format))?;
    match format {
        Format::Tar => read_tar(BufReader::new(archive), format, &mut judge)?,
        Format::TarGz => {
            read_tar(BufReader::new(MultiGzDecoder::new(BufReader::new(archive))), format, &mut judge)?
        }
        Format::Zip => read_zip(BufReader::new(archive), &mut judge)?,
    }
    let (entries, unpacked_bytes) = judge.finish();
    Ok(Contents { format, entries, unpacked_bytes })
}

fn format_of(head: &[u8]) -> Option<Format> {
    if head.starts_with(GZIP) {
        Some(Format::TarGz)
    } else if ZIP.iter().any(|magic| head.starts_with(magic)) {
        Some(Format::Zip)
    } else if head.get(USTAR) == Some(b"ustar") || is_empty_tar(head) {
        Some(Format::Tar)
    } else {
        None
    }
}

/// The end of an archive, with nothing before it.
fn is_empty_tar(head: &[u8]) -> bool {
    head.len() == TAR_BLOCK && head.iter().all(|byte| *byte == 0)
}

fn read_tar(reader: impl Read, format: Format, judge: &mut Judge) -> Result<(), ArchiveError> {
    let mut archive = tar::Archive::new(reader);
    let mut is_first = true;
    for entry in archive.entries().map_err(tar_damage)? {
        let mut entry = entry.map_err(|error| {
            // Gzip around something that is no tar.
            if is_first && format == Format::TarGz && error.kind() == io::ErrorKind::Other {
                ArchiveError::whole(Fault::Format)
            } else {
                tar_damage(error)
            }
        })?;
        is_first = false;
        let name = entry.path_bytes().into_owned();
        let of = |fault| ArchiveError::of(&name, fault);
        judge.has_room().map_err(of)?;
        let special = |what| Err(of(Fault::Special(what)));
        let kind = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let is_executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
                Kind::File { size_bytes: 0, is_executable }
            }
            EntryType::Directory => Kind::Directory,
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let link = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = text(&link).map_err(of)?;
                if kind == EntryType::Link {
                    let inside = normal(target).map_err(|_| of(Fault::LinkLeaves(target.to_owned())))?;
                    Kind::Hardlink { target: inside }
                } else {
                    Kind::Symlink { target: target.to_owned() }
                }
            }
            EntryType::Char => return special("a character device"),
            EntryType::Block => return special("a block device"),
            EntryType::Fifo => return special("a pipe"),
            EntryType::GNUSparse => return special("a sparse file"),
            // What applies to all that follows: comments, times.
            EntryType::XGlobalHeader => {
                drain(&mut entry, judge).map_err(of)?;
                continue;
            }
            _ => return special("of a kind that is not known"),
        };
        let size_bytes = drain(&mut entry, judge).map_err(of)?;
        let kind = match kind {
            Kind::File { is_executable, .. } => Kind::File { size_bytes, is_executable },
            other => other,
        };
        judge.accept(&name, kind)?;
    }
    // What stands behind the end must still be whole: a gzip archive has its checksum there.
    let mut rest = archive.into_inner();
    drain(&mut rest, judge).map_err(ArchiveError::whole)?;
    Ok(())
}

fn tar_damage(error: io::Error) -> ArchiveError {
    ArchiveError::whole(Fault::Damaged(error))
}

fn read_zip(mut reader: impl Read + Seek, judge: &mut Judge) -> Result<(), ArchiveError> {
    let whole = |error| ArchiveError::whole(zip_fault(error));
    let archive = ZipArchive::new(&mut reader).map_err(whole)?;
    let (start, length) = (archive.central_directory_start(), archive.len());
    refuse_hidden(&mut reader, start, length)?;
    let mut archive = ZipArchive::new(reader).map_err(whole)?;
    if archive.has_overlapping_files().map_err(whole)? {
        return Err(ArchiveError::whole(Fault::Overlap));
    }
    for index in 0..archive.len() {
        // Raw first: what cannot be unpacked still has a name.
        let (name, is_encrypted, method) = {
            let raw = archive.by_index_raw(index).map_err(|error| ArchiveError::whole(zip_fault(error)))?;
            (raw.name_raw().to_vec(), raw.encrypted(), raw.compression())
        };
        let of = |fault| ArchiveError::of(&name, fault);
        judge.has_room().map_err(of)?;
        if is_encrypted {
            return Err(of(Fault::Encrypted));
        }
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(of(Fault::Compression));
        }
        let mut file = archive.by_index(index).map_err(|error| of(zip_fault(error)))?;
        let mode = file.unix_mode().unwrap_or(0);
        let kind = match mode & S_IFMT {
            S_IFLNK => {
                let mut link = Vec::new();
                file.by_ref()
                    .take(MAX_LINK_BYTES + 1)
                    .read_to_end(&mut link)
                    .map_err(|error| of(Fault::Damaged(error)))?;
                judge.count(link.len() as u64).map_err(of)?;
                let target = text(&link).map_err(of)?.to_owned();
                if link.len() as u64 > MAX_LINK_BYTES {
                    return Err(of(Fault::LinkLeaves(target.chars().take(100).collect())));
                }
                Kind::Symlink { target }
            }
            S_IFDIR => Kind::Directory,
            0 | S_IFREG if name.ends_with(b"/") => Kind::Directory,
            0 | S_IFREG => {
                let size_bytes = drain(&mut file, judge).map_err(of)?;
                Kind::File { size_bytes, is_executable: mode & 0o100 != 0 }
            }
            _ => return Err(of(Fault::Special("a device or a pipe"))),
        };
        judge.accept(&name, kind)?;
    }
    Ok(())
}

/// Refuses an archive with two entries of one name: the library knows the last of them only, while others that unpack it
/// may take the first.
fn refuse_hidden(reader: &mut (impl Read + Seek), start: u64, known: usize) -> Result<(), ArchiveError> {
    /// Without its signature.
    const HEADER_BYTES: usize = 42;
    let damaged = |error| ArchiveError::whole(Fault::Damaged(error));
    reader.seek(SeekFrom::Start(start)).map_err(damaged)?;
    let mut names = HashSet::new();
    loop {
        let mut signature = [0; 4];
        match reader.read_exact(&mut signature) {
            Ok(()) if signature == *CENTRAL_HEADER => {}
            // What follows the last entry is not looked at here.
            _ => break,
        }
        let mut header = [0; HEADER_BYTES];
        reader.read_exact(&mut header).map_err(damaged)?;
        let length_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let (name, rest) = (length_at(24), i64::from(length_at(26)) + i64::from(length_at(28)));
        let mut text = vec![0; name.into()];
        reader.read_exact(&mut text).map_err(damaged)?;
        reader.seek(SeekFrom::Current(rest)).map_err(damaged)?;
        if names.len() == MAX_ENTRIES {
            return Err(ArchiveError::of(&text, Fault::TooMany));
        }
        if let Some(text) = names.replace(text) {
            return Err(ArchiveError::of(&text, Fault::Duplicate));
        }
    }
    if names.len() == known {
        Ok(())
    } else {
        Err(damaged(io::Error::other("its directory does not list all entries")))
    }
}

fn zip_fault(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) => Fault::Damaged(error),
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Fault::Encrypted,
        other => Fault::Damaged(io::Error::other(other)),
    }
}

/// Reads to the end and counts what comes out.
fn drain(reader: &mut impl Read, judge: &mut Judge) -> Result<u64, Fault> {
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        let length = match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(length) => length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Fault::Damaged(error)),
        };
        total += length;
        judge.count(length)?;
    }
}
