//! A caller of the guest's files.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wrenn_guest::fs::serve;
use wrenn_proto::guest::{
    FileEnd, FileEntry, FileEvent, FileFailure, FileInput, FileList, FileMakeDir, FileRead, FileRemove,
    FileRename, FileStart, FileStat, FileWrite, file_event::Event, file_input::Input, file_start::Request,
};
use wrenn_testkit::wait::in_time;

/// A request under way.
pub(crate) struct Session {
    pub(crate) inputs: mpsc::Sender<FileInput>,
    pub(crate) events: mpsc::Receiver<FileEvent>,
}

impl Session {
    /// Wants something as a user; the empty one is whoever runs the test.
    pub(crate) async fn open(user: &str, request: Request) -> Self {
        let (inputs, fed) = mpsc::channel(4);
        let events = serve(ReceiverStream::new(fed), nix::unistd::geteuid().to_string());
        let start = FileStart { user: user.to_owned(), request: Some(request) };
        inputs.send(Input::Start(start).into()).await.unwrap();
        Self { inputs, events }
    }

    pub(crate) async fn next(&mut self) -> Option<Event> {
        let event = in_time("an event, or the end of them", self.events.recv()).await;
        event.map(|event| event.event.unwrap())
    }

    pub(crate) async fn ready(&mut self) {
        match self.next().await {
            Some(Event::Ready(_)) => {}
            other => panic!("expected to be ready, got {other:?}"),
        }
    }

    pub(crate) async fn send(&self, input: Input) {
        // One that has failed meanwhile says so in its events.
        let _ = self.inputs.send(input.into()).await;
    }

    /// All events up to the last one, or how it failed.
    pub(crate) async fn rest(mut self) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        loop {
            match self.next().await.expect("a last event") {
                Event::Done(_) => break,
                Event::Failed(failed) => {
                    return Err(Failure { kind: failed.kind(), message: failed.message });
                }
                event => events.push(event),
            }
        }
        assert!(self.next().await.is_none(), "nothing follows the last event");
        Ok(events)
    }
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FileFailure,
    pub(crate) message: String,
}

/// Does something as whoever runs the test.
pub(crate) async fn perform(request: Request) -> Result<Vec<Event>, Failure> {
    Session::open("", request).await.rest().await
}

fn the_entry(mut events: Vec<Event>) -> FileEntry {
    match (events.pop(), events.is_empty()) {
        (Some(Event::Entry(entry)), true) => entry,
        (event, _) => panic!("expected one entry, got {event:?} after {events:?}"),
    }
}

pub(crate) fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

pub(crate) async fn stat(path: impl AsRef<Path>) -> Result<FileEntry, Failure> {
    perform(Request::Stat(FileStat { path: text(path) })).await.map(the_entry)
}

pub(crate) async fn make_dir(path: impl AsRef<Path>) -> Result<FileEntry, Failure> {
    perform(Request::MakeDir(FileMakeDir { path: text(path) })).await.map(the_entry)
}

pub(crate) async fn remove(path: impl AsRef<Path>) -> Result<(), Failure> {
    perform(Request::Remove(FileRemove { path: text(path) })).await.map(drop)
}

pub(crate) async fn rename(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    overwrite: bool,
) -> Result<FileEntry, Failure> {
    let rename = FileRename { from: text(from), to: text(to), overwrite };
    perform(Request::Rename(rename)).await.map(the_entry)
}

/// A file's content, after checking what is told of it before.
pub(crate) async fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Failure> {
    let mut events = perform(Request::Read(FileRead { path: text(path) })).await?.into_iter();
    assert!(matches!(events.next(), Some(Event::Entry(_))), "an entry comes first");
    let mut content = Vec::new();
    for event in events {
        match event {
            Event::Data(data) => content.extend_from_slice(&data),
            other => panic!("expected data, got {other:?}"),
        }
    }
    Ok(content)
}

pub(crate) async fn open_write(user: &str, path: impl AsRef<Path>) -> Session {
    Session::open(user, Request::Write(FileWrite { path: text(path) })).await
}

pub(crate) async fn write_as(
    user: &str,
    path: impl AsRef<Path>,
    content: &[u8],
) -> Result<FileEntry, Failure> {
    let session = open_write(user, path).await;
    for chunk in content.chunks(100_000) {
        session.send(Input::Data(chunk.to_vec().into())).await;
    }
    session.send(Input::End(FileEnd {})).await;
    let mut events = session.rest().await?;
    assert!(matches!(events.remove(0), Event::Ready(_)), "it says that it is ready first");
    Ok(the_entry(events))
}

pub(crate) async fn write(path: impl AsRef<Path>, content: &[u8]) -> Result<FileEntry, Failure> {
    write_as("", path, content).await
}

/// The entries of a folder, and whether there are more.
pub(crate) async fn list(path: impl AsRef<Path>, depth: u32) -> Result<(Vec<FileEntry>, bool), Failure> {
    let events = perform(Request::List(FileList { path: text(path), depth })).await?;
    let (mut all, mut is_truncated) = (Vec::new(), false);
    for event in events {
        let Event::Entries(entries) = event else { panic!("expected entries, got {event:?}") };
        assert!(!is_truncated, "only the last entries say that there are more");
        all.extend(entries.entries);
        is_truncated = entries.truncated;
    }
    Ok((all, is_truncated))
}

/// A folder whose path is as the guest shows it.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().canonicalize().unwrap(), _dir: dir }
    }

    /// One in which everybody may make files.
    pub(crate) fn shared() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Self::new();
        std::fs::set_permissions(&folder.path, std::fs::Permissions::from_mode(0o777)).unwrap();
        folder
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Names of what is in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(&self.path)
    }
}

pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Whether the test can act for others; says so if not.
pub(crate) fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}

/// A small filesystem of its own.
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
    _folder: Folder,
}

impl Mount {
    pub(crate) fn tmpfs(options: &str) -> Self {
        use nix::mount::{MsFlags, mount};
        let folder = Folder::new();
        let path = folder.join("mount");
        std::fs::create_dir(&path).unwrap();
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        Self { path, _folder: folder }
    }

    pub(crate) fn make_read_only(&self) {
        use nix::mount::{MsFlags, mount};
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &self.path, None::<&str>, flags, None::<&str>).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        nix::mount::umount2(&self.path, nix::mount::MntFlags::MNT_DETACH).unwrap();
    }
}
