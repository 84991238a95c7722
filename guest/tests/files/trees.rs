//! Folders: listed, made, moved and removed.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use wrenn_proto::guest::{FileFailure, FileKind, FileList, FileRemove, file_start::Request};

use crate::support::{Folder, Mount, Session, is_root, list, make_dir, names_in, remove, rename, stat, text};

/// Paths below a folder, as listed.
async fn below(folder: &Path, depth: u32) -> Vec<String> {
    let (entries, is_truncated) = list(folder, depth).await.unwrap();
    assert!(!is_truncated);
    let path = |entry: &wrenn_proto::guest::FileEntry| {
        Path::new(&entry.path).strip_prefix(folder).unwrap().to_str().unwrap().to_owned()
    };
    entries.iter().map(path).collect()
}

#[tokio::test]
async fn a_list_is_sorted_and_as_deep_as_wanted() {
    let folder = Folder::new();
    for path in ["b", "a-", "a/y/deep", "a/x", "c"] {
        fs::create_dir_all(folder.join(path)).unwrap();
    }
    symlink("a", folder.join("link")).unwrap();
    fs::write(folder.join("a/file"), "").unwrap();
    let top = ["a", "a-", "b", "c", "link"];
    assert_eq!(below(&folder.path, 1).await, top);
    assert_eq!(below(&folder.path, 0).await, top, "nothing said is the folder itself");
    let two = ["a", "a/file", "a/x", "a/y", "a-", "b", "c", "link"];
    assert_eq!(below(&folder.path, 2).await, two);
    assert_eq!(below(&folder.path, 256).await.len(), 9);
    assert_eq!(list(&folder.path, 257).await.unwrap_err().kind, FileFailure::Invalid);
    assert_eq!(below(&folder.join("b"), 1).await, Vec::<String>::new());

    let (through_link, _) = list(folder.join("link"), 1).await.unwrap();
    let paths: Vec<&str> = through_link.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["link/file", "link/x", "link/y"].map(|path| text(folder.join(path))));
}

#[tokio::test]
async fn only_a_folder_is_listed() {
    let folder = Folder::new();
    fs::write(folder.join("file"), "").unwrap();
    for (path, kind) in [
        (folder.join("file"), FileFailure::NotDirectory),
        (folder.join("file/x"), FileFailure::NotDirectory),
        (folder.join("missing"), FileFailure::NotFound),
    ] {
        let failure = list(&path, 1).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure:?}");
    }
}

#[tokio::test]
async fn a_long_list_says_that_there_is_more() {
    let folder = Folder::new();
    for name in 0..20_010 {
        fs::write(folder.join(&format!("{name:05}")), "").unwrap();
    }
    let (entries, is_truncated) = list(&folder.path, 1).await.unwrap();
    assert_eq!((entries.len(), is_truncated), (20_000, true));
    assert_eq!((entries[0].name.as_str(), entries[19_999].name.as_str()), ("00000", "19999"));

    // The room goes to what comes first, also if that is deeper.
    fs::create_dir(folder.join("0")).unwrap();
    for name in 0..100 {
        fs::write(folder.join(&format!("0/{name}")), "").unwrap();
    }
    let (entries, is_truncated) = list(&folder.path, 2).await.unwrap();
    assert_eq!((entries.len(), is_truncated), (20_000, true));
    assert_eq!((entries[1].name.as_str(), entries[100].name.as_str()), ("0", "99"));
    assert_eq!(entries[19_999].name, "19898");
}

#[tokio::test]
async fn names_that_are_not_text_are_shown_as_well_as_possible() {
    let folder = Folder::new();
    fs::write(folder.path.join(OsStr::from_bytes(b"a\xff")), "").unwrap();
    let (entries, _) = list(&folder.path, 1).await.unwrap();
    assert_eq!(entries[0].name, "a\u{fffd}");
}

#[tokio::test]
async fn a_subfolder_that_cannot_be_read_is_listed_without_what_is_in_it() {
    if !is_root() {
        return;
    }
    let folder = Folder::shared();
    for name in ["closed/secret", "open/file"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::set_permissions(folder.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let request = Request::List(FileList { path: text(&folder.path), depth: 9 });
    let events = Session::open("daemon", request).await.rest().await.unwrap();
    let wrenn_proto::guest::file_event::Event::Entries(entries) = &events[0] else { panic!("{events:?}") };
    let names: Vec<&str> = entries.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["closed", "open", "file"]);
}

#[tokio::test]
async fn folders_are_made_with_parents_and_may_be_there_already() {
    let folder = Folder::new();
    let path = folder.join("a/b/../c");
    assert_eq!(make_dir(&path).await.unwrap().kind(), FileKind::Directory);
    assert!(folder.join("a/b").is_dir() && folder.join("a/c").is_dir());
    make_dir(&path).await.unwrap();
    symlink("a", folder.join("link")).unwrap();
    assert_eq!(make_dir(folder.join("link")).await.unwrap().kind(), FileKind::Directory);
    make_dir("/").await.unwrap();

    fs::write(folder.join("file"), "").unwrap();
    assert_eq!(make_dir(folder.join("file")).await.unwrap_err().kind, FileFailure::Exists);
    assert_eq!(make_dir(folder.join("file/x")).await.unwrap_err().kind, FileFailure::NotDirectory);
    let too_long = folder.join("new").join("n".repeat(256));
    assert_eq!(make_dir(too_long).await.unwrap_err().kind, FileFailure::NameTooLong);
    assert!(!folder.join("new").exists(), "what was made for it is removed again");
}

#[tokio::test]
async fn a_tree_is_removed_and_links_are_not_followed() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("kept/inner")).unwrap();
    fs::write(folder.join("kept/file"), "").unwrap();
    fs::create_dir_all(folder.join("tree/a/b")).unwrap();
    symlink(folder.join("kept"), folder.join("tree/a/link")).unwrap();
    symlink("/", folder.join("tree/root")).unwrap();
    fs::write(folder.join("tree/a/b/file"), "").unwrap();
    remove(folder.join("tree")).await.unwrap();
    assert_eq!(folder.names(), ["kept"]);
    assert_eq!(names_in(&folder.join("kept")), ["file", "inner"]);

    symlink("kept", folder.join("link")).unwrap();
    remove(folder.join("link")).await.unwrap();
    remove(folder.join("kept/file")).await.unwrap();
    assert_eq!(names_in(&folder.join("kept")), ["inner"]);
    assert_eq!(remove(folder.join("kept/file")).await.unwrap_err().kind, FileFailure::NotFound);
}

#[tokio::test]
async fn the_root_is_not_removed_whatever_its_name() {
    for path in ["/", "//", "/.", "/..", "/usr/..", "/proc/self/root/."] {
        assert_eq!(remove(path).await.unwrap_err().kind, FileFailure::Invalid, "{path}");
    }
    assert!(Path::new("/usr").exists());
}

#[tokio::test]
async fn a_tree_may_be_deeper_than_a_path_and_than_files_may_be_open() {
    let folder = Folder::new();
    fs::create_dir(folder.join("deep")).unwrap();
    // Made from the inside, as no path reaches that far.
    let top = folder.join("deep");
    tokio::task::spawn_blocking(move || make_deep(&top, 3000)).await.unwrap();
    fs::create_dir(folder.join("wide")).unwrap();
    for name in 0..3000 {
        fs::create_dir(folder.join(&format!("wide/{name}"))).unwrap();
        fs::write(folder.join(&format!("wide/{name}/file")), "").unwrap();
    }
    remove(folder.join("deep")).await.unwrap();
    remove(folder.join("wide")).await.unwrap();
    assert_eq!(folder.names(), Vec::<String>::new());
}

fn make_deep(top: &Path, levels: usize) {
    use nix::{
        fcntl::{OFlag, open, openat},
        sys::stat::{Mode, mkdirat},
    };
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY;
    let mut folder = open(top, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        mkdirat(&folder, "level", Mode::S_IRWXU).unwrap();
        folder = openat(&folder, "level", flags, Mode::empty()).unwrap();
    }
}

#[tokio::test]
async fn what_may_not_be_removed_stays() {
    if !is_root() {
        return;
    }
    let folder = Folder::shared();
    fs::create_dir(folder.join("roots")).unwrap();
    fs::write(folder.join("roots/file"), "").unwrap();
    let request = Request::Remove(FileRemove { path: text(folder.join("roots")) });
    let failure = Session::open("daemon", request).await.rest().await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NotPermitted);
    assert!(failure.message.contains("roots/file"), "{failure:?}");

    let mount = Mount::tmpfs("size=1m");
    fs::write(mount.path.join("file"), "").unwrap();
    let outer = mount.path.parent().unwrap();
    assert_eq!(remove(outer).await.unwrap_err().kind, FileFailure::CrossDevice);
    assert!(mount.path.join("file").exists());
}

#[tokio::test]
async fn files_and_folders_are_moved() {
    let folder = Folder::new();
    let at = |name: &str| -> PathBuf { folder.join(name) };
    fs::create_dir(at("dir")).unwrap();
    fs::write(at("dir/file"), "content").unwrap();
    let entry = rename(at("dir"), at("new/parents/dir"), false).await.unwrap();
    assert_eq!((entry.path, entry.kind), (text(at("new/parents/dir")), FileKind::Directory.into()));
    assert_eq!(fs::read(at("new/parents/dir/file")).unwrap(), b"content");
    assert_eq!(folder.names(), ["new"]);

    fs::write(at("a"), "a").unwrap();
    fs::write(at("b"), "b").unwrap();
    assert_eq!(rename(at("a"), at("b"), false).await.unwrap_err().kind, FileFailure::Exists);
    assert_eq!(fs::read(at("b")).unwrap(), b"b");
    rename(at("a"), at("b"), true).await.unwrap();
    assert_eq!(fs::read(at("b")).unwrap(), b"a");

    symlink("b", at("link")).unwrap();
    assert_eq!(rename(at("link"), at("moved"), false).await.unwrap().kind(), FileKind::Symlink);

    for (from, to, overwrite, kind) in [
        ("missing", "parents/of/it", false, FileFailure::NotFound),
        ("new", "new/inside/itself", false, FileFailure::Invalid),
        ("new", "new/inside/itself", true, FileFailure::Invalid),
        ("b", "new", false, FileFailure::Exists),
        ("b", "new", true, FileFailure::IsDirectory),
        ("new", "b", true, FileFailure::NotDirectory),
        ("new/parents", "new", true, FileFailure::Exists),
        ("b", "b/x", false, FileFailure::NotDirectory),
    ] {
        let failure = rename(at(from), at(to), overwrite).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{from} to {to}: {failure:?}");
    }
    assert_eq!(folder.names(), ["b", "moved", "new"], "nothing was made for what failed");
    assert!(stat(at("new/inside")).await.is_err());
}

#[tokio::test]
async fn a_move_to_another_filesystem_is_refused() {
    if !is_root() {
        return;
    }
    let (folder, mount) = (Folder::new(), Mount::tmpfs("size=1m"));
    fs::write(folder.join("file"), "").unwrap();
    let failure = rename(folder.join("file"), mount.path.join("made/file"), false).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::CrossDevice);
    assert_eq!(names_in(&mount.path), Vec::<String>::new());
}
