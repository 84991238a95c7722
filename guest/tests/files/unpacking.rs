//! Unpacking archives.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, Instant},
};

use tar::{Builder, EntryType, Header};
use wrenn_proto::guest::{
    FileEnd, FileFailure, FileStart, FileUnpack, file_event::Event, file_input::Input, file_start::Request,
};
use wrenn_testkit::wait::{eventually, in_time};

use crate::support::{Failure, Folder, Mount, Session, is_root, names_in, text};

/// Of everything in these archives.
const MODIFIED: i64 = 1_700_000_000;

/// An archive in the making.
struct Packer(Builder<Vec<u8>>);

impl Packer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &str, mode: u32, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(MODIFIED.cast_unsigned());
        header.set_size(content.len() as u64);
        // Past the checks of the library, which packs no hostile names.
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.add(EntryType::Regular, name, mode, "", content)
    }

    fn folder(self, name: &str, mode: u32) -> Self {
        self.add(EntryType::Directory, name, mode, "", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, 0o777, target, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, 0o644, target, b"")
    }

    fn pack(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

async fn open(user: &str, folder: &Path) -> Session {
    Session::open(user, Request::Unpack(FileUnpack { path: text(folder) })).await
}

async fn unpack_as(user: &str, folder: &Path, archive: &[u8]) -> Result<(), Failure> {
    let session = open(user, folder).await;
    for chunk in archive.chunks(100_000) {
        session.send(Input::Data(chunk.to_vec().into())).await;
    }
    session.send(Input::End(FileEnd {})).await;
    let events = session.rest().await?;
    assert!(matches!(events[..], [Event::Ready(_)]), "{events:?}");
    Ok(())
}

async fn unpack(folder: &Path, packer: Packer) -> Result<(), Failure> {
    unpack_as("", folder, &packer.pack()).await
}

fn look(path: impl AsRef<Path>) -> Metadata {
    fs::symlink_metadata(path).unwrap()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    look(path).mode() & 0o7777
}

#[tokio::test]
async fn files_folders_and_links_are_made_with_their_modes_and_times() {
    let folder = Folder::new();
    let to = folder.join("made/for/it");
    let content: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let packer = Packer::new()
        .folder("./", 0o750)
        .folder("./sub/", 0o700)
        .file("./sub/run", 0o755, &content)
        .file("deep/er/file", 0o600, b"deep")
        .symlink("sub/link", "../anywhere/at all")
        .hard_link("same", "./sub/run")
        .hard_link("same-link", "sub/link")
        .folder("deep", 0o555)
        .file("empty", 0o644, b"");
    unpack(&to, packer).await.unwrap();
    assert!(fs::read(to.join("sub/run")).unwrap() == content);
    assert_eq!(fs::read(to.join("deep/er/file")).unwrap(), b"deep");
    assert_eq!(fs::read_link(to.join("sub/link")).unwrap(), Path::new("../anywhere/at all"));
    assert_eq!(look(to.join("same")).ino(), look(to.join("sub/run")).ino());
    assert_eq!(look(to.join("same-link")).ino(), look(to.join("sub/link")).ino());
    for (path, expected) in [
        ("", 0o750),
        ("sub", 0o700),
        ("sub/run", 0o755),
        ("deep", 0o555),
        ("deep/er/file", 0o600),
        ("deep/er", 0o755),
    ] {
        assert_eq!(mode(to.join(path)), expected, "{path}");
    }
    for path in ["", "sub", "sub/run", "deep", "empty"] {
        assert_eq!(look(to.join(path)).mtime(), MODIFIED, "{path}");
    }
    assert_eq!(names_in(&to), ["deep", "empty", "same", "same-link", "sub"], "no other name is left");
}

#[tokio::test]
async fn what_is_there_is_replaced_and_folders_are_kept() {
    let folder = Folder::new();
    fs::create_dir(folder.join("kept")).unwrap();
    fs::set_permissions(folder.join("kept"), fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(folder.join("kept/other"), "other").unwrap();
    fs::write(folder.join("kept/file"), "old").unwrap();
    fs::write(folder.join("target"), "target").unwrap();
    symlink("target", folder.join("link")).unwrap();
    fs::write(folder.join("was-file"), "old").unwrap();
    let before = fs::File::open(folder.join("kept/file")).unwrap();
    let packer = Packer::new()
        .folder("kept", 0o777)
        .file("kept/file", 0o640, b"new")
        .file("link", 0o644, b"no link any more")
        .symlink("was-file", "elsewhere")
        .file("twice", 0o644, b"1")
        .file("twice", 0o600, b"2")
        .hard_link("again", "twice")
        .hard_link("again", "twice");
    unpack(&folder.path, packer).await.unwrap();
    assert_eq!((mode(folder.join("kept")), mode(folder.join("kept/file"))), (0o711, 0o640));
    assert_ne!(look(folder.join("kept")).mtime(), MODIFIED);
    assert_eq!(fs::read(folder.join("kept/file")).unwrap(), b"new");
    assert_eq!(before.metadata().unwrap().len(), 3, "who has the old file open keeps it");
    assert_eq!(fs::read(folder.join("kept/other")).unwrap(), b"other");
    assert_eq!(fs::read(folder.join("target")).unwrap(), b"target");
    assert!(!folder.join("link").is_symlink() && folder.join("was-file").is_symlink());
    assert_eq!(fs::read(folder.join("twice")).unwrap(), b"2");
    assert_eq!(folder.names(), ["again", "kept", "link", "target", "twice", "was-file"]);
}

#[tokio::test]
async fn a_folder_takes_the_place_of_nothing_else_nor_the_reverse() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("folder/sub")).unwrap();
    fs::write(folder.join("file"), "old").unwrap();
    for (packer, kind, path) in [
        (Packer::new().file("folder", 0o644, b""), FileFailure::IsDirectory, "folder"),
        (Packer::new().symlink("folder", "file"), FileFailure::IsDirectory, "folder"),
        (Packer::new().file("a", 0o644, b"").hard_link("folder", "a"), FileFailure::IsDirectory, "folder"),
        (Packer::new().folder("file", 0o755), FileFailure::NotDirectory, "file"),
        (Packer::new().file("file/x", 0o644, b""), FileFailure::NotDirectory, "file"),
        (Packer::new().folder("file/x/y", 0o755), FileFailure::NotDirectory, "file"),
        (Packer::new().file(".", 0o644, b""), FileFailure::IsDirectory, ""),
    ] {
        let failure = unpack(&folder.path, packer).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.contains(text(folder.join(path)).trim_end_matches('/')), "{failure:?}");
    }
    assert_eq!(fs::read(folder.join("file")).unwrap(), b"old");
    assert!(folder.join("folder/sub").is_dir());
    assert_eq!(folder.names(), ["a", "file", "folder"], "nothing hidden is left");
    let failure = unpack(&folder.join("file"), Packer::new()).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NotDirectory);
}

#[tokio::test]
async fn hostile_names_are_refused() {
    let folder = Folder::new();
    let to = folder.join("to");
    let outside = folder.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(to.join("image"), "of the image").unwrap();
    let through = |packer: Packer| packer.file("link/file", 0o644, b"").folder("link/sub", 0o755);
    for packer in [
        Packer::new().file("../file", 0o644, b""),
        Packer::new().file("/file", 0o644, b""),
        Packer::new().file("a/../../file", 0o644, b""),
        Packer::new().folder("..", 0o755),
        Packer::new().symlink("../link", "x"),
        Packer::new().hard_link("hard", "../outside"),
        Packer::new().hard_link("hard", "image"),
        Packer::new().hard_link("hard", "missing"),
        Packer::new().file("later", 0o644, b"").hard_link("/hard", "later"),
        Packer::new().add(EntryType::Fifo, "pipe", 0o644, "", b""),
        Packer::new().add(EntryType::Char, "device", 0o644, "", b""),
        Packer::new().add(EntryType::Block, "device", 0o644, "", b""),
    ] {
        let failure = unpack(&to, packer).await.unwrap_err();
        assert_eq!(failure.kind, FileFailure::Invalid, "{failure:?}");
    }
    for target in ["../outside", ".", text(&outside).as_str()] {
        let failure = unpack(&to, through(Packer::new().symlink("link", target))).await.unwrap_err();
        assert_eq!(failure.kind, FileFailure::NotDirectory, "{failure:?}");
        fs::remove_file(to.join("link")).unwrap();
    }
    // By the way of a link that was there before.
    symlink("link", to.join("alias")).unwrap();
    let packer = Packer::new().symlink("link", "../outside").file("alias/file", 0o644, b"");
    assert_eq!(unpack(&to, packer).await.unwrap_err().kind, FileFailure::NotDirectory);
    assert_eq!(names_in(&outside), Vec::<String>::new());
    assert_eq!(folder.names(), ["outside", "to"]);
    assert_eq!(fs::read(to.join("image")).unwrap(), b"of the image");
}

#[tokio::test]
async fn links_that_were_there_before_are_followed_to_folders() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("usr/bin")).unwrap();
    symlink("usr/bin", folder.join("bin")).unwrap();
    symlink(folder.join("bin"), folder.join("absolute")).unwrap();
    symlink("../usr/../bin", folder.join("usr/up")).unwrap();
    let packer = Packer::new()
        .folder("bin", 0o700)
        .file("bin/a", 0o755, b"a")
        .file("absolute/b", 0o755, b"b")
        .file("usr/up/new/c", 0o755, b"c");
    unpack(&folder.path, packer).await.unwrap();
    assert_eq!(names_in(&folder.join("usr/bin")), ["a", "b", "new"]);
    assert!(folder.join("bin").is_symlink());
    assert_eq!(mode(folder.join("usr/bin")), 0o755);

    symlink("loop", folder.join("loop")).unwrap();
    symlink("nowhere", folder.join("dangling")).unwrap();
    for (name, kind) in [("loop/x", FileFailure::Loop), ("dangling/x", FileFailure::NotFound)] {
        let failure = unpack(&folder.path, Packer::new().file(name, 0o644, b"")).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
    }
    // Also where the folder itself is.
    unpack(&folder.join("bin/to"), Packer::new().file("d", 0o644, b"d")).await.unwrap();
    assert_eq!(fs::read(folder.join("usr/bin/to/d")).unwrap(), b"d");
}

#[tokio::test]
async fn an_archive_that_is_cut_off_is_an_error_and_what_was_whole_stays() {
    let folder = Folder::new();
    let packer = || Packer::new().file("first", 0o644, b"first").file("second", 0o644, &[7; 300_000]);
    let archive = packer().pack();
    // Within a header, within a file, before the end of the archive, within it; and none at all.
    for length in [512 + 700, 100_000, archive.len() - 1024, archive.len() - 512, 0] {
        let failure = unpack_as("", &folder.path, &archive[..length]).await.unwrap_err();
        assert_eq!(failure.kind, FileFailure::Invalid, "{length}: {failure:?}");
        assert!(failure.message.contains("broke off"), "{length}: {failure:?}");
    }
    assert_eq!(fs::read(folder.join("first")).unwrap(), b"first");
    fs::remove_file(folder.join("second")).unwrap();

    let failure = unpack_as("", &folder.path, &vec![b'x'; 5000]).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::Invalid, "{failure:?}");

    let mut session = open("", &folder.path).await;
    session.ready().await;
    session.send(Input::Data(archive[..100_000].to_vec().into())).await;
    session.send(Input::Start(FileStart::default())).await;
    assert_eq!(session.rest().await.unwrap_err().kind, FileFailure::Invalid);

    let mut session = open("", &folder.path).await;
    session.ready().await;
    session.send(Input::Data(archive[..100_000].to_vec().into())).await;
    let (closed, _) = tokio::sync::mpsc::channel(1);
    session.inputs = closed;
    assert!(session.rest().await.unwrap_err().message.contains("broke off"));

    // The caller goes away.
    let mut session = open("", &folder.path).await;
    session.ready().await;
    let events = session.events;
    session.inputs.send(Input::Data(archive[..100_000].to_vec().into()).into()).await.unwrap();
    drop(events);
    let inputs = session.inputs;
    eventually("nobody takes more", async || {
        let _ = inputs.try_send(Input::Data(archive[100_000..].to_vec().into()).into());
        inputs.is_closed()
    })
    .await;
    assert!(
        folder.names().iter().all(|name| ["first", "second"].contains(&name.as_str())),
        "{:?}",
        folder.names()
    );
}

#[tokio::test]
async fn an_empty_archive_makes_the_folder_and_what_follows_the_end_is_left_out() {
    let folder = Folder::new();
    let mut archive = Packer::new().folder("./", 0o710).pack();
    archive.resize(archive.len() + 500_000, 0);
    unpack_as("", &folder.join("new"), &archive).await.unwrap();
    assert_eq!((names_in(&folder.join("new")).len(), mode(folder.join("new"))), (0, 0o710));
}

#[tokio::test]
async fn everything_belongs_to_the_user_wherever_that_user_may_write() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(folder.join("there")).unwrap();
    let archive = Packer::new()
        .file("there/file", 0o6755, b"run")
        .folder("sub", 0o7700)
        .symlink("sub/link", "/etc/shadow")
        .file("implied/file", 0o644, b"")
        .pack();
    unpack_as("daemon", &folder.path, &archive).await.unwrap();
    unpack_as("daemon", &folder.join("parent/of/it"), &archive).await.unwrap();
    let daemon = wrenn_guest::accounts::lookup("daemon").unwrap();
    let paths =
        ["there/file", "sub", "sub/link", "implied", "implied/file", "parent", "parent/of", "parent/of/it"];
    for path in paths {
        let found = look(folder.join(path));
        assert_eq!((found.uid(), found.gid()), (daemon.uid, daemon.gid), "{path}");
        assert!(found.is_symlink() || found.mode() & 0o7000 == 0, "{path}: {:o}", found.mode());
    }
    assert_eq!(look(folder.join("there")).uid(), 0, "a folder that is there keeps its owner");
    let failure = unpack_as("nobody-here", &folder.path, &archive).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::UserUnknown);
}

#[tokio::test]
async fn a_full_disk_names_the_file() {
    if !is_root() {
        return;
    }
    let mount = Mount::tmpfs("size=1m");
    let packer = Packer::new().file("small", 0o644, b"small").file("large", 0o644, &vec![1; 3_000_000]);
    let failure = unpack(&mount.path, packer).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NoSpace, "{failure:?}");
    assert!(failure.message.contains(&text(mount.path.join("large"))), "{failure:?}");
    assert_eq!(names_in(&mount.path), ["small"]);
}

#[tokio::test]
async fn many_small_files_do_not_take_long() {
    let folder = Folder::new();
    let mut packer = Packer::new();
    for number in 0..5000 {
        packer = packer.file(&format!("d{}/e/f{number}", number % 50), 0o644, format!("{number}").as_bytes());
    }
    let archive = packer.pack();
    let begun = Instant::now();
    unpack_as("", &folder.path, &archive).await.unwrap();
    let took = begun.elapsed();
    eprintln!("5,000 files of an archive: {took:?}");
    assert_eq!(fs::read_to_string(folder.join("d49/e/f4999")).unwrap(), "4999");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_slow_filesystem_slows_the_caller() {
    let folder = Folder::new();
    let archive = Packer::new().file("large", 0o644, &vec![7; 16 << 20]).pack();
    let mut session = open("", &folder.path).await;
    session.ready().await;
    for chunk in archive.chunks(256 * 1024) {
        let sent = session.inputs.send(Input::Data(chunk.to_vec().into()).into());
        in_time("it is written on", sent).await.unwrap();
        assert!(session.inputs.max_capacity() - session.inputs.capacity() <= 4);
    }
    session.send(Input::End(FileEnd {})).await;
    session.rest().await.unwrap();
    assert_eq!(look(folder.join("large")).len(), 16 << 20);
}
