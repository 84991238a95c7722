//! Watching files and folders.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use wrenn_proto::guest::{FileChange, FileFailure, FileWatch, file_event::Event, file_start::Request};
use wrenn_testkit::wait::eventually;

use crate::support::{Folder, Session, text, write};

struct Watch {
    session: Session,
    root: String,
}

impl Watch {
    async fn open(path: &Path, recursive: bool) -> Self {
        let watch = FileWatch { path: text(path), recursive };
        let mut session = Session::open("", Request::Watch(watch)).await;
        session.ready().await;
        Self { session, root: text(path) }
    }

    /// The next change: what, and where below what is watched, and where it was.
    async fn next(&mut self) -> (FileChange, String, String) {
        match self.session.next().await {
            Some(Event::Changed(changed)) => {
                let below = |path: &str| path.strip_prefix(&self.root).unwrap_or(path).to_owned();
                (changed.kind(), below(&changed.path), below(&changed.from))
            }
            other => panic!("expected a change, got {other:?}"),
        }
    }

    async fn expect(&mut self, kind: FileChange, path: &str) {
        assert_eq!(self.next().await, (kind, path.to_owned(), String::new()));
    }

    /// All changes up to one.
    async fn until(&mut self, kind: FileChange, path: &str) -> Vec<(FileChange, String)> {
        let mut seen = Vec::new();
        loop {
            let (changed, at, _) = self.next().await;
            if (changed, at.as_str()) == (kind, path) {
                return seen;
            }
            seen.push((changed, at));
        }
    }
}

#[tokio::test]
async fn every_kind_of_change_is_told() {
    let folder = Folder::new();
    let mut watch = Watch::open(&folder.path, false).await;
    fs::write(folder.join("file"), "content").unwrap();
    watch.expect(FileChange::Created, "/file").await;
    watch.expect(FileChange::Written, "/file").await;
    fs::set_permissions(folder.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    watch.until(FileChange::Attributes, "/file").await;
    fs::rename(folder.join("file"), folder.join("moved")).unwrap();
    assert_eq!(watch.next().await, (FileChange::Renamed, "/moved".into(), "/file".into()));
    fs::remove_file(folder.join("moved")).unwrap();
    watch.until(FileChange::Removed, "/moved").await;
    fs::create_dir(folder.join("sub")).unwrap();
    watch.expect(FileChange::Created, "/sub").await;
    fs::write(folder.join("sub/unseen"), "").unwrap();
    fs::write(folder.join("seen"), "").unwrap();
    watch.until(FileChange::Created, "/seen").await;
}

#[tokio::test]
async fn moves_out_and_in_are_removals_and_new_files() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    fs::write(folder.join("file"), "").unwrap();
    let mut watch = Watch::open(&folder.path, true).await;
    fs::rename(folder.join("file"), elsewhere.join("file")).unwrap();
    watch.expect(FileChange::Removed, "/file").await;
    fs::create_dir_all(elsewhere.join("tree/sub")).unwrap();
    fs::write(elsewhere.join("tree/sub/file"), "").unwrap();
    fs::rename(elsewhere.join("tree"), folder.join("tree")).unwrap();
    watch.expect(FileChange::Created, "/tree").await;
    watch.expect(FileChange::Created, "/tree/sub").await;
    watch.expect(FileChange::Created, "/tree/sub/file").await;
    fs::rename(folder.join("tree"), elsewhere.join("tree")).unwrap();
    watch.until(FileChange::Removed, "/tree").await;
    // What has left is not watched any more.
    fs::write(elsewhere.join("tree/sub/other"), "").unwrap();
    fs::write(folder.join("last"), "").unwrap();
    watch.expect(FileChange::Created, "/last").await;
}

#[tokio::test]
async fn new_folders_are_watched_with_what_was_made_in_them_before() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("old/deep")).unwrap();
    let mut watch = Watch::open(&folder.path, true).await;
    fs::write(folder.join("old/deep/file"), "").unwrap();
    watch.expect(FileChange::Created, "/old/deep/file").await;
    for round in 0..20 {
        let path = format!("/new{round}/a/b");
        fs::create_dir_all(folder.join(&path[1..])).unwrap();
        fs::write(folder.join(&format!("{}/file", &path[1..])), "").unwrap();
        let seen = watch.until(FileChange::Created, &format!("{path}/file")).await;
        for made in [format!("/new{round}"), format!("/new{round}/a"), path.clone()] {
            let told = seen.iter().filter(|(kind, at)| *kind == FileChange::Created && *at == made).count();
            assert_eq!(told, 1, "{made} in {seen:?}");
        }
        fs::write(folder.join(&format!("{}/later", &path[1..])), "").unwrap();
        watch.until(FileChange::Created, &format!("{path}/later")).await;
    }
}

#[tokio::test]
async fn a_folder_that_was_renamed_is_watched_under_its_new_name() {
    let folder = Folder::new();
    fs::create_dir_all(folder.join("a/b")).unwrap();
    let mut watch = Watch::open(&folder.path, true).await;
    fs::rename(folder.join("a"), folder.join("c")).unwrap();
    assert_eq!(watch.next().await, (FileChange::Renamed, "/c".into(), "/a".into()));
    fs::write(folder.join("c/b/file"), "").unwrap();
    watch.until(FileChange::Created, "/c/b/file").await;
}

#[tokio::test]
async fn an_upload_is_told_as_what_it_is() {
    let folder = Folder::new();
    let mut watch = Watch::open(&folder.path, false).await;
    write(folder.join("file"), b"new").await.unwrap();
    watch.expect(FileChange::Created, "/file").await;
    write(folder.join("file"), b"again").await.unwrap();
    watch.until(FileChange::Written, "/file").await;
    fs::write(folder.join("last"), "").unwrap();
    let between = watch.until(FileChange::Created, "/last").await;
    assert!(between.iter().all(|(_, path)| path == "/file"), "no other name is told: {between:?}");
}

#[tokio::test]
async fn a_single_file_is_watched_also_when_it_is_replaced() {
    let folder = Folder::new();
    fs::write(folder.join("file"), "").unwrap();
    let mut watch = Watch::open(&folder.join("file"), false).await;
    fs::write(folder.join("other"), "").unwrap();
    fs::write(folder.join("new"), "").unwrap();
    fs::rename(folder.join("new"), folder.join("file")).unwrap();
    assert_eq!(watch.next().await, (FileChange::Renamed, String::new(), text(folder.join("new"))));
    fs::write(folder.join("file"), "content").unwrap();
    watch.until(FileChange::Written, "").await;
    fs::remove_file(folder.join("file")).unwrap();
    watch.until(FileChange::Removed, "").await;
    fs::write(folder.join("file"), "again").unwrap();
    watch.until(FileChange::Created, "").await;
}

#[tokio::test]
async fn the_end_of_what_is_watched_is_told() {
    let folder = Folder::new();
    fs::create_dir(folder.join("watched")).unwrap();
    let mut watch = Watch::open(&folder.join("watched"), true).await;
    fs::remove_dir(folder.join("watched")).unwrap();
    watch.until(FileChange::Removed, "").await;
    assert_eq!(watch.session.rest().await.unwrap_err().kind, FileFailure::NotFound);

    let missing = FileWatch { path: text(folder.join("missing")), recursive: false };
    let session = Session::open("", Request::Watch(missing)).await;
    assert_eq!(session.rest().await.unwrap_err().kind, FileFailure::NotFound);
}

#[tokio::test]
async fn changes_that_were_lost_are_told_as_such() {
    let folder = Folder::new();
    let mut watch = Watch::open(&folder.path, true).await;
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    // Nobody reads: the queue here is full after a few of them, and then that of the kernel.
    let path = folder.path.clone();
    let flood = move || {
        for number in 0..limit + 2000 {
            let path = path.join(number.to_string());
            fs::write(&path, "").unwrap();
            fs::remove_file(&path).unwrap();
        }
    };
    tokio::task::spawn_blocking(flood).await.unwrap();
    watch.until(FileChange::Overflow, "").await;
    fs::create_dir(folder.join("sub")).unwrap();
    watch.until(FileChange::Created, "/sub").await;
    fs::write(folder.join("sub/file"), "").unwrap();
    watch.until(FileChange::Created, "/sub/file").await;
}

#[tokio::test]
async fn a_watch_ends_when_its_caller_leaves() {
    let open = || {
        let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
        links
            .filter(|link| fs::read_link(link.path()).is_ok_and(|to| to.ends_with("anon_inode:inotify")))
            .count()
    };
    let folder = Folder::new();
    let watches = [Watch::open(&folder.path, true).await, Watch::open(&folder.path, false).await];
    assert!(open() >= 2);
    let before = open();
    drop(watches);
    eventually("their descriptors are closed", async || open() < before).await;
}
