//! Archives, good and hostile.

use std::io::{Cursor, Write as _};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tar::{EntryType, Header};
use wrenn_domain::archive::{Entry, Format, Kind};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

/// A tar archive, entry by entry; names and links are written as they are, however wrong.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: EntryType, name: &[u8], link: &[u8], data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link);
        header.set_mode(if name.ends_with(b".sh") { 0o755 } else { 0o644 });
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, data: &str) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", data.as_bytes())
    }

    fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name.as_bytes(), b"", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zip archive of these files.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(data.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn zip_symlink(name: &str, target: &str) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A zip archive in which `from` stands as `to`, of the same length, wherever it stands.
fn forged(archive: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut archive = archive;
    let mut at = 0;
    while let Some(index) = archive[at..].windows(from.len()).position(|window| window == from) {
        archive[at + index..at + index + to.len()].copy_from_slice(to);
        at += index + to.len();
    }
    archive
}

fn checked(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    check(Cursor::new(bytes))
}

fn file(path: &str, size_bytes: u64, is_executable: bool) -> Entry {
    Entry { path: path.to_owned(), kind: Kind::File { size_bytes, is_executable } }
}

#[test]
fn each_kind_of_archive_is_read() {
    let tar = Tar::default()
        .dir("./")
        .dir("./src/")
        .file("./src/run.sh", "#!/bin/sh")
        .symlink("src/link", "../README")
        .hardlink("copy", "./src/run.sh")
        .file("README", "")
        .end();
    let expected = vec![
        Entry { path: "src".into(), kind: Kind::Directory },
        file("src/run.sh", 9, true),
        Entry { path: "src/link".into(), kind: Kind::Symlink { target: "../README".into() } },
        Entry { path: "copy".into(), kind: Kind::Hardlink { target: "src/run.sh".into() } },
        file("README", 0, false),
    ];
    let contents = checked(&tar).unwrap();
    assert_eq!(contents, Contents { format: Format::Tar, entries: expected.clone(), unpacked_bytes: 9 });
    let contents = checked(&gzip(&tar)).unwrap();
    assert_eq!((contents.format, contents.entries), (Format::TarGz, expected));

    let contents = checked(&zip(&[("a/b.txt", "hello"), ("c", "")])).unwrap();
    assert_eq!((contents.format, contents.unpacked_bytes), (Format::Zip, 5));
    assert_eq!(contents.entries, [file("a/b.txt", 5, false), file("c", 0, false)]);
    let link = checked(&zip_symlink("a/link", "../b")).unwrap();
    assert_eq!(
        link.entries,
        [Entry { path: "a/link".into(), kind: Kind::Symlink { target: "../b".into() } }]
    );

    // Nothing at all is an archive, too.
    assert_eq!(checked(&Tar::default().end()).unwrap().entries, []);
    assert_eq!(checked(&zip(&[])).unwrap().entries, []);
}

#[test]
fn names_of_any_length_that_linux_takes_are_read() {
    let name = format!("{}/{}", "d".repeat(200), "f".repeat(255));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, &name, &b"x"[..]).unwrap();
    let contents = checked(&builder.into_inner().unwrap()).unwrap();
    assert_eq!(contents.entries, [file(&name, 1, false)]);
}

#[test]
fn hostile_archives_are_refused_by_the_name_of_the_entry() {
    let plain = || Tar::default().file("ok", "fine");
    let one = |name: &str| plain().file(name, "x").end();
    let special = |kind| plain().entry(kind, b"thing", b"", b"").end();
    let long_part = format!("{}/x", "n".repeat(256));
    let long_path = "d/".repeat(600) + "x";
    let good = plain().end();
    let good_gz = gzip(&good);
    let good_zip = zip(&[("ok", "fine fine fine fine fine fine fine")]);
    let mut flipped_gz = good_gz.clone();
    let middle = flipped_gz.len() / 2;
    flipped_gz[middle] ^= 0xff;
    let mut bad_checksum = good.clone();
    bad_checksum[148] = b'9';
    let zeros = vec![0; 40 << 20];
    let bomb_tar = gzip(&Tar::default().entry(EntryType::Regular, b"zeros", b"", &zeros).end());
    let bomb_zip = {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("zeros", SimpleFileOptions::default()).unwrap();
        writer.write_all(&zeros).unwrap();
        writer.finish().unwrap().into_inner()
    };
    // The size that is announced is not the one that comes out.
    let lying_zip = forged(good_zip.clone(), &34_u32.to_le_bytes(), &1_u32.to_le_bytes());
    let encrypted_zip = {
        let mut bytes = zip(&[("secret", "x")]);
        // General purpose flag, bit 0, in the local and in the central header.
        bytes[6] |= 1;
        let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[central + 8] |= 1;
        bytes
    };
    let odd_method_zip = {
        let mut bytes = zip(&[("odd", "x")]);
        bytes[8] = 99;
        let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[central + 10] = 99;
        bytes
    };
    let stored = |name: &str| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(name, options).unwrap();
        writer.write_all(b"x").unwrap();
        writer.finish().unwrap().into_inner()
    };

    for (what, bytes, entry, word) in [
        // Names that lead elsewhere.
        ("parent", one("../evil"), Some("../evil"), "leaves the archive"),
        ("parent inside", one("a/../../evil"), Some("a/../../evil"), "leaves the archive"),
        ("parent that comes back", one("a/../b"), Some("a/../b"), "leaves the archive"),
        ("only parent", one(".."), Some(".."), "leaves the archive"),
        ("absolute", one("/etc/passwd"), Some("/etc/passwd"), "absolute"),
        ("backslash", one("..\\evil"), Some("..\\evil"), "backslash"),
        ("drive", one("C:\\evil"), Some("C:\\evil"), "backslash"),
        ("root as a file", one("./"), Some("./"), "no name"),
        ("empty", one(""), Some(""), "no name"),
        ("control character", one("a\u{1b}[31m"), Some("a\u{fffd}[31m"), "control character"),
        ("newline", one("a\nb"), Some("a\u{fffd}b"), "control character"),
        (
            "no text",
            plain().entry(EntryType::Regular, b"\xff\xfe", b"", b"x").end(),
            Some("\u{fffd}\u{fffd}"),
            "UTF-8",
        ),
        ("zip parent", forged(stored("aa/evil"), b"aa/evil", b"../evil"), Some("../evil"), "leaves"),
        ("zip absolute", forged(stored("aetc/x"), b"aetc/x", b"/etc/x"), Some("/etc/x"), "absolute"),
        ("zip backslash", forged(stored("a_evil"), b"a_evil", b"a\\evil"), Some("a\\evil"), "backslash"),
        // Names that are taken.
        ("twice", plain().file("a", "1").file("a", "2").end(), Some("a"), "two entries"),
        (
            "twice, written otherwise",
            plain().file("a/b", "1").file("./a//b", "2").end(),
            Some("./a//b"),
            "two entries",
        ),
        ("folder, then file", plain().dir("a").file("a", "").end(), Some("a"), "two entries"),
        (
            "folder of another, then file",
            plain().file("a/b", "").file("a", "").end(),
            Some("a"),
            "two entries",
        ),
        ("below a file", plain().file("a", "").file("a/b", "").end(), Some("a/b"), "nothing can lie below"),
        (
            "below a link",
            plain().symlink("a", "ok").file("a/b", "").end(),
            Some("a/b"),
            "nothing can lie below",
        ),
        (
            "below a link, deeper",
            plain().symlink("a", ".").file("a/b/c", "").end(),
            Some("a/b/c"),
            "`a` is a file or a link",
        ),
        ("link, then file", plain().symlink("a", "ok").file("a", "").end(), Some("a"), "two entries"),
        ("zip twice", forged(zip(&[("aa", "1"), ("ab", "2")]), b"ab", b"aa"), Some("aa"), "two entries"),
        // Links.
        (
            "link to the root",
            plain().symlink("l", "/etc/passwd").end(),
            Some("l"),
            "`/etc/passwd`, which leaves",
        ),
        ("link upwards", plain().symlink("a/l", "../../x").end(), Some("a/l"), "which leaves"),
        ("link that goes and comes", plain().symlink("l", "a/../../x").end(), Some("l"), "which leaves"),
        ("empty link", plain().symlink("l", "").end(), Some("l"), "which leaves"),
        ("zip link to the root", zip_symlink("l", "/etc"), Some("l"), "which leaves"),
        ("hard link outside", plain().hardlink("l", "../x").end(), Some("l"), "which leaves"),
        ("hard link to the root", plain().hardlink("l", "/etc/shadow").end(), Some("l"), "which leaves"),
        ("hard link to nothing", plain().hardlink("l", "x").end(), Some("l"), "no file before it"),
        (
            "hard link to a link",
            plain().symlink("s", "ok").hardlink("l", "s").end(),
            Some("l"),
            "no file before it",
        ),
        (
            "hard link to what comes later",
            plain().hardlink("l", "x").file("x", "").end(),
            Some("l"),
            "no file before it",
        ),
        // What is no file.
        ("character device", special(EntryType::Char), Some("thing"), "a character device"),
        ("block device", special(EntryType::Block), Some("thing"), "a block device"),
        ("pipe", special(EntryType::Fifo), Some("thing"), "a pipe"),
        ("sparse", special(EntryType::GNUSparse), None, ""),
        ("unknown kind", special(EntryType::new(b'Z')), Some("thing"), "not known"),
        // Sizes.
        (
            "long part",
            {
                let mut b = tar::Builder::new(Vec::new());
                let mut h = Header::new_gnu();
                h.set_size(0);
                h.set_cksum();
                b.append_data(&mut h, &long_part, &b""[..]).unwrap();
                b.into_inner().unwrap()
            },
            Some(&long_part[..200]),
            "longer than",
        ),
        (
            "long path",
            {
                let mut b = tar::Builder::new(Vec::new());
                let mut h = Header::new_gnu();
                h.set_size(0);
                h.set_cksum();
                b.append_data(&mut h, &long_path, &b""[..]).unwrap();
                b.into_inner().unwrap()
            },
            Some(&long_path[..200]),
            "longer than",
        ),
        ("bomb", bomb_tar, Some("zeros"), "100 times"),
        ("zip bomb", bomb_zip, Some("zeros"), "100 times"),
        ("lying zip", lying_zip, None, ""),
        // What is no archive, or not a whole one.
        ("nothing", vec![], None, "neither a tar"),
        ("text", b"hello world, this is no archive".repeat(40), None, "neither a tar"),
        ("png", b"\x89PNG\r\n\x1a\n".repeat(100), None, "neither a tar"),
        ("only the magic of gzip", b"\x1f\x8b".to_vec(), None, "damaged or cut off"),
        ("only the magic of zip", b"PK\x03\x04".to_vec(), None, "damaged or cut off"),
        ("gzip of text", gzip(&b"this is no tar ".repeat(100)), None, "neither a tar"),
        ("tar cut in a header", good[..700].to_vec(), None, "damaged or cut off"),
        (
            "tar cut in a file",
            plain().entry(EntryType::Regular, b"big", b"", &[1; 4000]).end()[..3000].to_vec(),
            None,
            "damaged or cut off",
        ),
        ("tar with a wrong checksum", bad_checksum, None, "damaged or cut off"),
        ("gzip cut off", good_gz[..good_gz.len() - 10].to_vec(), None, "damaged or cut off"),
        ("gzip with a wrong bit", flipped_gz, None, "damaged or cut off"),
        ("zip cut off", good_zip[..good_zip.len() - 30].to_vec(), None, "damaged or cut off"),
        ("zip without its files", good_zip[20..].to_vec(), None, "neither a tar"),
        ("encrypted zip", encrypted_zip, Some("secret"), "encrypted"),
        ("zip of another compression", odd_method_zip, Some("odd"), "deflate"),
    ] {
        let error = checked(&bytes).expect_err(what);
        let message = error.to_string();
        if let Some(entry) = entry {
            assert_eq!(error.entry.as_deref(), Some(entry), "{what}: {message}");
        }
        assert!(message.contains(word), "{what}: {message}");
    }
}

#[test]
fn folders_that_no_entry_names_count_as_entries() {
    const DEPTH: usize = 25;
    let deep = "d/".repeat(DEPTH - 1);
    let with = |count: usize| {
        let tar = (0..count).fold(Tar::default(), |tar, number| tar.file(&format!("{number}/{deep}x"), ""));
        checked(&tar.end())
    };
    let fits = MAX_ENTRIES / (DEPTH + 1);
    assert_eq!(with(fits).unwrap().entries.len(), fits);
    let error = with(fits + 1).unwrap_err();
    assert!(error.to_string().contains("more than 100000 entries"), "{error}");
}

#[test]
fn an_archive_that_is_too_large_is_refused_unread() {
    let file = tempfile();
    file.set_len(MAX_BYTES + 1).unwrap();
    let error = check(file).unwrap_err();
    assert!(error.to_string().contains("larger than 100 MB"), "{error}");
}

fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("wrenn-archive-{}", std::process::id()));
    let options = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
    std::fs::remove_file(&path).unwrap();
    options.unwrap()
}

/// Whatever is accepted keeps what the check promises.
fn assert_promises(contents: &Contents) {
    let mut seen = std::collections::HashSet::new();
    for entry in &contents.entries {
        assert!(!entry.path.is_empty() && !entry.path.starts_with('/'), "{entry:?}");
        assert!(entry.path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{entry:?}");
        assert!(seen.insert(&entry.path), "{entry:?} is there twice");
    }
}

proptest! {
    /// Any bytes have an answer.
    #[test]
    fn any_bytes_have_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(contents) = checked(&bytes) {
            assert_promises(&contents);
        }
    }

    /// Archives with a few bytes changed have an answer, and what is accepted of them is harmless.
    #[test]
    fn damaged_archives_are_harmless(
        which in 0..3_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<proptest::sample::Index>(),
    ) {
        let tar = Tar::default().dir("d").file("d/f", "data").symlink("d/l", "f").hardlink("h", "d/f").end();
        let mut bytes = match which {
            0 => tar,
            1 => gzip(&tar),
            _ => zip(&[("d/f", "data"), ("g", "more")]),
        };
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 16);
        if let Ok(contents) = checked(&bytes) {
            assert_promises(&contents);
        }
    }
}
