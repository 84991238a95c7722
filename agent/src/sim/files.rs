//! The files of a simulated machine: on its disk, by path, with nothing around them.
//!
//! As much as the control plane needs in order to be tried: files are made, read, listed, looked at, moved, removed,
//! watched and unpacked, and folders exist as soon as something is in them. As for commands, some names do something of their own:
//!
//! | path | what it does |
//! |---|---|
//! | `/full/…` | no data can be written |
//! | `/forbidden/…` | nothing is permitted |
//! | `/endless` | reading it never ends |
//! | `/shrinking` | says that it is larger than it is |
//! | `/slow/…` | takes no data after the first piece |
//! | `/babble` | ends the conversation without a last event |

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tar::EntryType;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use wrenn_proto::{
    guest::{
        FileChange, FileChanged, FileDone, FileEntries, FileEntry, FileEvent, FileFailed, FileFailure,
        FileInput, FileKind, FileReady, FileStart, file_event::Event, file_input::Input, file_start::Request,
    },
    ids::SandboxId,
};

use super::world::SimWorld;
use crate::guest::{GuestError, Inputs};

/// Content is handed over in pieces of this size, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often a session looks whether its machine is still there, and a watch whether something is new.
const POLL: Duration = Duration::from_millis(20);

/// Does what a guest would; the session ends with its machine.
pub(super) fn files(
    world: Arc<SimWorld>,
    id: SandboxId,
    inputs: Inputs<FileInput>,
) -> ReceiverStream<Result<FileEvent, GuestError>> {
    let (events, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        world.note_file_session(1);
        let files = Files { world: world.clone(), id, events: events.clone() };
        let died = async {
            while world.is_up(id) {
                sleep(POLL).await;
            }
        };
        tokio::select! {
            () = files.attend(inputs) => {}
            () = died => {}
            () = events.closed() => {}
        }
        world.note_file_session(-1);
    });
    ReceiverStream::new(receiver)
}

/// Why a session ends.
enum End {
    Failed(FileFailure, String),
    /// Without a last event.
    Silent,
}

fn failed<T>(kind: FileFailure, message: &str) -> Result<T, End> {
    Err(End::Failed(kind, message.to_owned()))
}

struct Files {
    world: Arc<SimWorld>,
    id: SandboxId,
    events: mpsc::Sender<Result<FileEvent, GuestError>>,
}

impl Files {
    async fn attend(&self, mut inputs: Inputs<FileInput>) {
        let Some(Input::Start(start)) = inputs.next().await.and_then(|input| input.input) else { return };
        let last = match self.perform(start, &mut inputs).await {
            Ok(()) => Event::Done(FileDone {}),
            Err(End::Failed(kind, message)) => Event::Failed(FileFailed { kind: kind.into(), message }),
            Err(End::Silent) => return,
        };
        let _ = self.say(last).await;
    }

    async fn perform(&self, start: FileStart, inputs: &mut Inputs<FileInput>) -> Result<(), End> {
        if start.user == "nobody-here" {
            return failed(FileFailure::UserUnknown, "no such user");
        }
        match start.request {
            Some(Request::Stat(stat)) => self.say(Event::Entry(self.find(&stat.path)?)).await,
            Some(Request::List(list)) => self.list(&list.path).await,
            Some(Request::Read(read)) => self.read(&read.path).await,
            Some(Request::Write(write)) => self.write(&write.path, inputs).await,
            Some(Request::MakeDir(folder)) => self.say(Event::Entry(entry(&folder.path, None))).await,
            Some(Request::Remove(remove)) => {
                self.find(&remove.path)?;
                self.with(|files| files.retain(|path, _| !is_within(path, &remove.path)));
                Ok(())
            }
            Some(Request::Rename(rename)) => {
                self.find(&rename.from)?;
                if !rename.overwrite && self.find(&rename.to).is_ok() {
                    return failed(FileFailure::Exists, &format!("{} exists already", rename.to));
                }
                self.with(|files| {
                    if let Some(content) = files.remove(&rename.from) {
                        files.insert(rename.to.clone(), content);
                    }
                });
                self.say(Event::Entry(self.find(&rename.to)?)).await
            }
            Some(Request::Watch(watch)) => self.watch(&watch.path).await,
            Some(Request::Unpack(unpack)) => self.unpack(&unpack.path, inputs).await,
            None => failed(FileFailure::Invalid, "nothing is wanted"),
        }
    }

    fn find(&self, path: &str) -> Result<FileEntry, End> {
        if path.is_empty() {
            return failed(FileFailure::Invalid, "path: must not be empty");
        }
        if path.starts_with("/forbidden") {
            return failed(FileFailure::NotPermitted, &format!("cannot look at {path}: permission denied"));
        }
        let content = self.with(|files| files.get(path).cloned()).flatten();
        let is_folder = || {
            path == "/" || self.with(|files| files.keys().any(|file| is_within(file, path))).unwrap_or(false)
        };
        match content {
            Some(content) => Ok(entry(path, Some(content.len()))),
            None if is_folder() => Ok(entry(path, None)),
            None => failed(FileFailure::NotFound, &format!("cannot look at {path}: there is no such file")),
        }
    }

    async fn list(&self, folder: &str) -> Result<(), End> {
        if self.find(folder)?.kind() != FileKind::Directory {
            return failed(FileFailure::NotDirectory, &format!("{folder} is not a folder"));
        }
        let inside = |files: &mut BTreeMap<String, Bytes>| -> Vec<FileEntry> {
            let inside = files.iter().filter(|(path, _)| is_within(path, folder));
            inside.map(|(path, content)| entry(path, Some(content.len()))).collect()
        };
        let entries = self.with(inside).unwrap_or_default();
        self.say(Event::Entries(FileEntries { entries, truncated: false })).await
    }

    async fn read(&self, path: &str) -> Result<(), End> {
        if path == "/endless" {
            self.say(Event::Entry(entry(path, Some(0)))).await?;
            loop {
                self.say(Event::Data(Bytes::from_static(&[b'x'; CHUNK_BYTES]))).await?;
            }
        }
        let found = self.find(path)?;
        if found.kind() == FileKind::Directory {
            return failed(FileFailure::IsDirectory, &format!("{path} is a folder; a file is expected"));
        }
        let mut content = self.with(|files| files.get(path).cloned()).flatten().unwrap_or_default();
        let promised = if path == "/shrinking" { found.size + 1 } else { found.size };
        self.say(Event::Entry(FileEntry { size: promised, ..found })).await?;
        while !content.is_empty() {
            let piece = content.split_to(content.len().min(CHUNK_BYTES));
            self.say(Event::Data(piece)).await?;
        }
        Ok(())
    }

    async fn write(&self, path: &str, inputs: &mut Inputs<FileInput>) -> Result<(), End> {
        if path.ends_with('/') || self.find(path).is_ok_and(|found| found.kind() == FileKind::Directory) {
            return failed(FileFailure::IsDirectory, &format!("{path} is a folder; a file is expected"));
        }
        if path == "/babble" {
            return Err(End::Silent);
        }
        if path.starts_with("/forbidden") {
            return failed(FileFailure::NotPermitted, &format!("cannot write {path}: permission denied"));
        }
        self.say(Event::Ready(FileReady {})).await?;
        let mut content = Vec::new();
        loop {
            match inputs.next().await.and_then(|input| input.input) {
                Some(Input::Data(_)) if path.starts_with("/full") => {
                    return failed(FileFailure::NoSpace, &format!("cannot write {path}: the disk is full"));
                }
                Some(Input::Data(data)) => content.extend_from_slice(&data),
                Some(Input::End(_)) => break,
                _ => return Err(End::Silent),
            }
            if path.starts_with("/slow") {
                std::future::pending::<()>().await;
            }
        }
        self.with(|files| files.insert(path.to_owned(), content.into()));
        self.say(Event::Entry(self.find(path)?)).await
    }

    /// Keeps the contents of an archive's files; folders and symbolic links leave nothing.
    async fn unpack(&self, folder: &str, inputs: &mut Inputs<FileInput>) -> Result<(), End> {
        if folder.starts_with("/forbidden") {
            return failed(FileFailure::NotPermitted, &format!("cannot open {folder}: permission denied"));
        }
        self.say(Event::Ready(FileReady {})).await?;
        let mut archive = Vec::new();
        loop {
            match inputs.next().await.and_then(|input| input.input) {
                Some(Input::Data(_)) if folder.starts_with("/full") => {
                    return failed(FileFailure::NoSpace, &format!("cannot write {folder}: the disk is full"));
                }
                Some(Input::Data(data)) => archive.extend_from_slice(&data),
                Some(Input::End(_)) => break,
                _ => return failed(FileFailure::Invalid, "the archive broke off before its end"),
            }
            if folder.starts_with("/slow") {
                std::future::pending::<()>().await;
            }
        }
        let unpacked = self.with(|files| unpack(&archive, folder, files)).unwrap_or(Ok(()));
        unpacked
            .or_else(|error| failed(FileFailure::Invalid, &format!("the archive cannot be read: {error}")))
    }

    async fn watch(&self, path: &str) -> Result<(), End> {
        self.find(path)?;
        let look = || self.with(|files| files.clone()).unwrap_or_default();
        let mut before = look();
        self.say(Event::Ready(FileReady {})).await?;
        loop {
            sleep(POLL).await;
            let now = look();
            for (file, content) in now.iter().filter(|(file, _)| is_within(file, path)) {
                let kind = match before.get(file) {
                    None => FileChange::Created,
                    Some(old) if old != content => FileChange::Written,
                    Some(_) => continue,
                };
                let changed = FileChanged { kind: kind.into(), path: file.clone(), from: String::new() };
                self.say(Event::Changed(changed)).await?;
            }
            before = now;
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Bytes>) -> T) -> Option<T> {
        self.world.disk_of(self.id, |disk| look(&mut disk.contents))
    }

    async fn say(&self, event: Event) -> Result<(), End> {
        let bytes = if let Event::Data(data) = &event { data.len() } else { 0 };
        self.events.send(Ok(event.into())).await.map_err(|_| End::Silent)?;
        self.world.note_file_bytes_told(bytes);
        Ok(())
    }
}

fn unpack(archive: &[u8], folder: &str, files: &mut BTreeMap<String, Bytes>) -> io::Result<()> {
    let place = |name: Cow<'_, Path>| {
        let name = name.to_string_lossy();
        format!("{}/{}", folder.trim_end_matches('/'), name.trim_start_matches("./"))
    };
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = place(entry.path()?);
        let content = match entry.header().entry_type() {
            EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                Some(content.into())
            }
            EntryType::Link => entry.link_name()?.and_then(|target| files.get(&place(target)).cloned()),
            _ => None,
        };
        if let Some(content) = content {
            files.insert(path, content);
        }
    }
    Ok(())
}

/// Whether a path is that of a folder or of something in it.
fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An entry of a file with a size, or of a folder.
fn entry(path: &str, size: Option<usize>) -> FileEntry {
    let (kind, mode) = if size.is_some() { (FileKind::File, 0o644) } else { (FileKind::Directory, 0o755) };
    FileEntry {
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        path: path.to_owned(),
        kind: kind.into(),
        size: size.unwrap_or(4096) as u64,
        mode,
        owner: "root".into(),
        group: "root".into(),
        modified_at: 1_750_000_000,
        symlink_target: String::new(),
    }
}
