//! Writing files: complete, or not at all.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use wrenn_proto::guest::{FileEnd, FileFailure, FileStart, file_event::Event, file_input::Input};
use wrenn_testkit::wait::{eventually, in_time};

use crate::support::{Folder, Mount, is_root, make_dir, names_in, open_write, stat, text, write, write_as};

#[tokio::test]
async fn a_file_is_made_with_its_parents_and_replaced() {
    let folder = Folder::new();
    let path = folder.join("a/b/c/file");
    let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let entry = write(&path, &content).await.unwrap();
    assert_eq!((entry.size, entry.mode), (4_000_000, 0o644));
    assert!(fs::read(&path).unwrap() == content);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    let entry = write(&path, b"short").await.unwrap();
    assert_eq!((entry.size, entry.mode), (5, 0o750), "it keeps its mode");
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(write(&path, b"").await.unwrap().size, 0);
    assert_eq!(names_in(path.parent().unwrap()), ["file"], "no other name is left");
}

#[tokio::test]
async fn a_link_stays_and_what_it_leads_to_is_replaced() {
    let folder = Folder::new();
    fs::create_dir(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/file"), "old").unwrap();
    symlink("sub/file", folder.join("link")).unwrap();
    symlink(folder.join("link"), folder.join("again")).unwrap();
    write(folder.join("again"), b"new").await.unwrap();
    assert_eq!(fs::read(folder.join("sub/file")).unwrap(), b"new");
    assert!(folder.join("link").is_symlink() && folder.join("again").is_symlink());

    symlink("made/later", folder.join("dangling")).unwrap();
    write(folder.join("dangling"), b"there").await.unwrap();
    assert_eq!(fs::read(folder.join("made/later")).unwrap(), b"there");

    symlink("loop", folder.join("loop")).unwrap();
    assert_eq!(write(folder.join("loop"), b"").await.unwrap_err().kind, FileFailure::Loop);
}

#[tokio::test]
async fn what_is_no_file_is_refused_before_data_is_taken() {
    let folder = Folder::new();
    mkfifo(&folder.join("pipe"), Mode::S_IRWXU).unwrap();
    fs::write(folder.join("file"), "").unwrap();
    for (path, kind) in [
        (folder.path.clone(), FileFailure::IsDirectory),
        ("/".into(), FileFailure::IsDirectory),
        (folder.join("new/"), FileFailure::IsDirectory),
        (folder.join("pipe"), FileFailure::NotRegular),
        ("/dev/null".into(), FileFailure::NotRegular),
        (folder.join("file/x"), FileFailure::NotDirectory),
        (folder.join("file/x/y"), FileFailure::NotDirectory),
    ] {
        let mut session = open_write("", &path).await;
        match session.next().await {
            Some(Event::Failed(failed)) => assert_eq!(failed.kind(), kind, "{path:?}: {failed:?}"),
            other => panic!("{path:?}: expected a failure, got {other:?}"),
        }
    }
    assert_eq!(folder.names(), ["file", "pipe"]);
}

#[tokio::test]
async fn a_cut_upload_leaves_nothing_behind() {
    let folder = Folder::new();
    let path = folder.join("made/for/it");
    let mut session = open_write("", &path).await;
    session.ready().await;
    session.send(Input::Data(vec![1; 1_000_000].into())).await;
    assert_eq!(names_in(&folder.join("made/for")), Vec::<String>::new(), "nothing is seen before its end");
    drop(session);
    eventually("all is removed again", async || folder.names().is_empty()).await;

    fs::write(folder.join("old"), "old").unwrap();
    let mut session = open_write("", folder.join("old")).await;
    session.ready().await;
    session.send(Input::Data("new".into())).await;
    // The inputs end; the caller is still there and is told.
    let (closed, _) = tokio::sync::mpsc::channel(1);
    session.inputs = closed;
    let failure = session.rest().await.unwrap_err();
    assert!(failure.message.contains("nothing was written"), "{failure:?}");
    assert_eq!(fs::read(folder.join("old")).unwrap(), b"old");

    let mut session = open_write("", folder.join("old")).await;
    session.ready().await;
    session.send(Input::Start(FileStart::default())).await;
    assert_eq!(session.rest().await.unwrap_err().kind, FileFailure::Invalid);
    assert_eq!(folder.names(), ["old"]);
}

#[tokio::test]
async fn a_parent_that_somebody_uses_meanwhile_stays() {
    let folder = Folder::new();
    let mut session = open_write("", folder.join("a/b/file")).await;
    session.ready().await;
    fs::write(folder.join("a/other"), "").unwrap();
    drop(session);
    eventually("what is not used is removed", async || !folder.join("a/b").exists()).await;
    assert_eq!(names_in(&folder.join("a")), ["other"]);
}

#[tokio::test]
async fn of_two_uploads_at_once_one_is_whole() {
    let folder = Folder::new();
    let path = folder.join("file");
    let (mut first, mut second) = (open_write("", &path).await, open_write("", &path).await);
    first.ready().await;
    second.ready().await;
    for _ in 0..10 {
        first.send(Input::Data(vec![1; 10_000].into())).await;
        second.send(Input::Data(vec![2; 10_000].into())).await;
    }
    first.send(Input::End(FileEnd {})).await;
    first.rest().await.unwrap();
    assert!(fs::read(&path).unwrap() == vec![1; 100_000]);
    second.send(Input::End(FileEnd {})).await;
    second.rest().await.unwrap();
    assert!(fs::read(&path).unwrap() == vec![2; 100_000]);
    assert_eq!(folder.names(), ["file"]);
}

#[tokio::test]
async fn a_full_disk_shows_while_writing_and_nothing_is_left() {
    if !is_root() {
        return;
    }
    let mount = Mount::tmpfs("size=1m");
    let failure = write(mount.path.join("new/large"), &vec![0; 4_000_000]).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NoSpace);
    assert!(failure.message.contains("the disk is full"), "{failure:?}");
    assert_eq!(names_in(&mount.path), Vec::<String>::new());
    write(mount.path.join("small"), &vec![0; 900_000]).await.unwrap();
}

#[tokio::test]
async fn a_filesystem_that_is_read_only_is_told() {
    if !is_root() {
        return;
    }
    let mount = Mount::tmpfs("size=1m");
    mount.make_read_only();
    assert_eq!(write(mount.path.join("file"), b"").await.unwrap_err().kind, FileFailure::ReadOnly);
    assert_eq!(make_dir(mount.path.join("folder")).await.unwrap_err().kind, FileFailure::ReadOnly);
}

#[tokio::test]
async fn what_is_made_belongs_to_the_user_and_what_is_replaced_keeps_its_owner() {
    if !is_root() {
        return;
    }
    let folder = Folder::shared();
    let path = folder.join("sub/file");
    let entry = write_as("daemon", &path, b"daemon's").await.unwrap();
    assert_eq!((entry.owner.as_str(), entry.group.as_str()), ("daemon", "daemon"));
    assert_eq!(stat(folder.join("sub")).await.unwrap().owner, "daemon");
    let entry = write(&path, b"root's").await.unwrap();
    assert_eq!(entry.owner, "daemon");

    fs::write(folder.join("roots"), "root's").unwrap();
    let failure = write_as("daemon", folder.join("roots"), b"").await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NotPermitted, "to replace it is not to get around its mode");
    fs::set_permissions(folder.join("roots"), fs::Permissions::from_mode(0o666)).unwrap();
    let entry = write_as("daemon", folder.join("roots"), b"new").await.unwrap();
    assert_eq!(entry.mode, 0o666);

    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["new", "new/folder/file"] {
        let mut session = open_write("daemon", folder.join(name)).await;
        match session.next().await {
            Some(Event::Failed(failed)) => assert_eq!(failed.kind(), FileFailure::NotPermitted, "{failed:?}"),
            other => panic!("expected a failure before data is taken, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn groups_of_the_user_count() {
    if !is_root() {
        return;
    }
    let Ok(account) = wrenn_guest::accounts::lookup("daemon") else { return };
    let folder = Folder::new();
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o775)).unwrap();
    nix::unistd::chown(&folder.path, None, Some(account.gid.into())).unwrap();
    write_as("daemon", folder.join("file"), b"").await.unwrap();
    // Root's own groups do not.
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o770)).unwrap();
    nix::unistd::chown(&folder.path, None, Some(0.into())).unwrap();
    let failure = write_as("daemon", folder.join("other"), b"").await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NotPermitted);
}

#[tokio::test]
async fn relative_paths_are_meant_from_home() {
    let home = wrenn_guest::accounts::lookup(&nix::unistd::geteuid().to_string()).unwrap().home;
    let name = format!(".wrenn-test-{}", std::process::id());
    let entry = write(&name, b"home").await.unwrap();
    assert_eq!(entry.path, text(home.join(&name)));
    fs::remove_file(home.join(&name)).unwrap();
}

#[tokio::test]
async fn a_slow_filesystem_slows_the_caller() {
    let folder = Folder::new();
    let mut session = open_write("", folder.join("file")).await;
    session.ready().await;
    // As much as the queues take is taken; what follows waits for the disk, so far less than all is under way.
    for _ in 0..64 {
        let sent = session.inputs.send(Input::Data(vec![7; 256 * 1024].into()).into());
        in_time("it is written on", sent).await.unwrap();
        assert!(session.inputs.max_capacity() - session.inputs.capacity() <= 4);
    }
    session.send(Input::End(FileEnd {})).await;
    session.rest().await.unwrap();
    assert_eq!(fs::metadata(folder.join("file")).unwrap().size(), 16 * 1024 * 1024);
}
