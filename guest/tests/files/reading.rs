//! Looking at files, and reading them.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use wrenn_proto::guest::{
    FileFailure, FileKind, FileRead, FileStart, file_event::Event, file_start::Request,
};
use wrenn_testkit::wait::eventually;

use crate::support::{Folder, Session, is_root, list, read, stat, text};

#[tokio::test]
async fn an_entry_tells_all_about_a_file() {
    let folder = Folder::new();
    let path = folder.join("file");
    fs::write(&path, "12345").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4750)).unwrap();
    let entry = stat(&path).await.unwrap();
    assert_eq!((entry.name.as_str(), entry.path.as_str()), ("file", text(&path).as_str()));
    assert_eq!((entry.kind(), entry.size, entry.mode), (FileKind::File, 5, 0o4750));
    if is_root() {
        assert_eq!((entry.owner.as_str(), entry.group.as_str()), ("root", "root"));
        nix::unistd::chown(&path, Some(54321.into()), Some(54322.into())).unwrap();
        let entry = stat(&path).await.unwrap();
        assert_eq!(
            (entry.owner.as_str(), entry.group.as_str()),
            ("54321", "54322"),
            "numbers without a name"
        );
    }
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(entry.modified_at, i64::try_from(seconds).unwrap());

    assert_eq!(stat("/").await.unwrap().name, "/");
    assert_eq!(stat("/dev/null").await.unwrap().kind(), FileKind::CharDevice);
}

#[tokio::test]
async fn a_link_is_told_as_itself_and_read_as_what_it_leads_to() {
    let folder = Folder::new();
    fs::write(folder.join("file"), "content").unwrap();
    symlink("file", folder.join("link")).unwrap();
    symlink("nothing here", folder.join("dangling")).unwrap();
    let link = stat(folder.join("link")).await.unwrap();
    assert_eq!((link.kind(), link.symlink_target.as_str()), (FileKind::Symlink, "file"));
    assert_eq!(read(folder.join("link")).await.unwrap(), b"content");
    assert_eq!(stat(folder.join("dangling")).await.unwrap().symlink_target, "nothing here");
    assert_eq!(read(folder.join("dangling")).await.unwrap_err().kind, FileFailure::NotFound);

    symlink("b", folder.join("a")).unwrap();
    symlink("a", folder.join("b")).unwrap();
    assert_eq!(read(folder.join("a")).await.unwrap_err().kind, FileFailure::Loop);
    assert_eq!(stat(folder.join("a/x")).await.unwrap_err().kind, FileFailure::Loop);
    assert_eq!(stat(folder.join("a")).await.unwrap().symlink_target, "b");
}

#[tokio::test]
async fn only_regular_files_are_read() {
    let folder = Folder::new();
    mkfifo(&folder.join("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    for (path, kind) in [
        (folder.path.clone(), FileFailure::IsDirectory),
        (folder.join("pipe"), FileFailure::NotRegular),
        (folder.join("socket"), FileFailure::NotRegular),
        ("/dev/zero".into(), FileFailure::NotRegular),
        (folder.join("missing"), FileFailure::NotFound),
        (folder.join("pipe/x"), FileFailure::NotDirectory),
    ] {
        let failure = read(&path).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{path:?}: {failure:?}");
        assert!(failure.message.contains(&text(&path)), "it names the path: {failure:?}");
    }
}

#[tokio::test]
async fn files_of_the_kernel_are_read_although_they_have_no_size() {
    let mut events = crate::support::perform(Request::Read(FileRead { path: "/proc/self/status".into() }))
        .await
        .unwrap()
        .into_iter();
    let Some(Event::Entry(entry)) = events.next() else { panic!("an entry comes first") };
    assert_eq!(entry.size, 0);
    let status = read("/proc/self/status").await.unwrap();
    assert!(status.starts_with(b"Name:"), "{}", String::from_utf8_lossy(&status));
    // Longer than a page.
    assert!(read("/proc/kallsyms").await.unwrap().len() > 100_000);
}

#[tokio::test]
async fn sparse_and_large_files_are_read_as_they_are() {
    let folder = Folder::new();
    let path = folder.join("sparse");
    let mut file = File::create(&path).unwrap();
    file.set_len(10_000_000).unwrap();
    file.write_all(b"begin").unwrap();
    nix::sys::uio::pwrite(&file, b"end", 9_999_997).unwrap();
    let content = read(&path).await.unwrap();
    assert_eq!(content.len(), 10_000_000);
    assert!(content.starts_with(b"begin\0") && content.ends_with(b"\0end"));
    assert!(content == fs::read(&path).unwrap());
    File::create(folder.join("empty")).unwrap();
    assert_eq!(read(folder.join("empty")).await.unwrap(), b"");
}

#[tokio::test]
async fn a_slow_reader_slows_the_file_down() {
    let folder = Folder::new();
    let path = folder.join("large");
    File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let mut session = Session::open("", Request::Read(FileRead { path: text(&path) })).await;
    assert!(matches!(session.next().await, Some(Event::Entry(_))));
    // It stands still when its queue is full, which holds a thousandth of the file.
    eventually("the queue is full", async || session.events.len() == session.events.max_capacity()).await;
    let mut bytes = 0;
    for _ in 0..3 {
        let Some(Event::Data(data)) = session.next().await else { panic!("expected data") };
        bytes += data.len();
    }
    assert!(bytes <= 3 * 128 * 1024, "{bytes}");
    // Leaving ends it: the file could be removed from a filesystem that is unmounted then.
    drop(session);
}

#[tokio::test]
async fn names_of_any_kind_can_be_used() {
    let folder = Folder::new();
    let long = "n".repeat(255);
    let umlaut = "ü".repeat(127);
    for name in
        ["with space", "new\nline", "tab\t\u{1b}[31m", "雪だるま☃", "-rf", "a\\b\"'$`*?", &long, &umlaut]
    {
        let path = folder.join(name);
        let entry = crate::support::write(&path, name.as_bytes()).await.unwrap();
        assert_eq!((entry.name.as_str(), entry.path), (name, text(&path)));
        // A second time, as replacing one needs another name meanwhile.
        crate::support::write(&path, name.as_bytes()).await.unwrap();
        assert_eq!(read(&path).await.unwrap(), name.as_bytes());
        assert_eq!(stat(&path).await.unwrap().name, name);
        assert!(list(&folder.path, 1).await.unwrap().0.iter().any(|entry| entry.name == name));
        crate::support::remove(&path).await.unwrap();
    }
    assert_eq!(folder.names(), Vec::<String>::new());
    let failure = crate::support::write(folder.join(&"n".repeat(256)), b"").await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NameTooLong);
    let failure = stat(Path::new("/").join("a/".repeat(3000))).await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NameTooLong);
}

#[tokio::test]
async fn what_is_not_a_path_or_a_request_is_refused() {
    for path in ["", "a\0b"] {
        assert_eq!(stat(path).await.unwrap_err().kind, FileFailure::Invalid, "{path:?}");
        assert_eq!(
            crate::support::write(path, b"").await.unwrap_err().kind,
            FileFailure::Invalid,
            "{path:?}"
        );
    }
    let session = Session::open("nobody-here", Request::Read(FileRead { path: "/etc/passwd".into() })).await;
    assert_eq!(session.rest().await.unwrap_err().kind, FileFailure::UserUnknown);

    let empty = FileStart { user: String::new(), request: None };
    for first in [
        wrenn_proto::guest::file_input::Input::Start(empty),
        wrenn_proto::guest::file_input::Input::Data("data".into()),
    ] {
        let inputs = tokio_stream::once(first.into());
        let mut events = wrenn_guest::fs::serve(inputs, String::new());
        let last = events.recv().await.and_then(|event| event.event);
        assert!(matches!(last, Some(Event::Failed(failed)) if failed.kind() == FileFailure::Invalid));
    }
    let mut events = wrenn_guest::fs::serve(tokio_stream::empty(), String::new());
    assert!(matches!(events.recv().await.and_then(|event| event.event), Some(Event::Failed(_))));
}

#[tokio::test]
async fn a_user_reads_what_the_user_may_read() {
    if !is_root() {
        return;
    }
    let folder = Folder::shared();
    let path = folder.join("secret");
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let as_daemon = Session::open("daemon", Request::Read(FileRead { path: text(&path) })).await;
    let failure = as_daemon.rest().await.unwrap_err();
    assert_eq!(failure.kind, FileFailure::NotPermitted);
    assert!(failure.message.contains("permission denied"), "{failure:?}");
    // The thread that served it has its own rights again.
    for _ in 0..20 {
        assert_eq!(read(&path).await.unwrap(), b"secret");
    }
}
