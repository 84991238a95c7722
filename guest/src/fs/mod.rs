//! Files of the capsule: looked at, read, written, moved, removed and watched for a caller.
//!
//! ```text
//!   FileStart ──▶ user looked up ──▶ a thread with the user's rights ──▶ read, write, list, …
//!      data   ──────────────────────────▶ │ bounded                        │
//!   events  ◀──────────────────────────── bounded channel ◀───────────────┘
//! ```
//!
//! Each request works on a thread of its own, as its files may be on a filesystem that hangs, and only it is to wait.
//! The thread has the rights of the user, so what may be done is the kernel's decision, made at the moment in which it
//! is done, and what is made belongs to the user. Content goes through in pieces, and no faster than both ends take it. Only an
//! archive is unpacked with the daemon's own rights, and what is made then given to the user.
//!
//! What happens on failure: one [`FsError`], which names the path, as the last event. A caller that goes away ends its
//! request; of a file that was being written then, nothing is left.

mod entry;
mod error;
mod folders;
mod list;
mod place;
mod read;
mod remove;
mod rename;
mod rights;
mod staged;
mod unpack;
mod watch;
mod write;

use std::{
    ffi::{CStr, OsStr},
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    pin::pin,
};

use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::{Stream, StreamExt as _};
use wrenn_proto::guest::{
    FileDone, FileEvent, FileInput, FileStart, FileUnpack, file_event::Event, file_input::Input,
    file_start::Request,
};

pub use self::error::FsError;
use self::{place::Place, rights::with_rights_of};
use crate::accounts::{self, Account, Names};

/// Events that wait for a slow reader.
const EVENT_QUEUE: usize = 4;
/// Inputs that wait for a slow disk.
const INPUT_QUEUE: usize = 4;

/// Does what the first of `inputs` says; `default_user` is who does it when that says nothing else.
pub fn serve(
    inputs: impl Stream<Item = FileInput> + Send + 'static,
    default_user: String,
) -> mpsc::Receiver<FileEvent> {
    let (events, receiver) = mpsc::channel(EVENT_QUEUE);
    let caller = Caller { events };
    let inputs = Inputs { queue: queue(inputs) };
    tokio::spawn(async move {
        let last = match attend(inputs, default_user, caller.clone()).await {
            Ok(()) => Event::Done(FileDone {}),
            Err(error) => Event::Failed(error.into()),
        };
        // If nobody listens any more, nobody needs to know.
        let _ = caller.events.send(last.into()).await;
    });
    receiver
}

async fn attend(mut inputs: Inputs, default_user: String, caller: Caller) -> Result<(), FsError> {
    let Some(Some(Input::Start(start))) = inputs.queue.recv().await.map(|input| input.input) else {
        return Err(FsError::NoStart);
    };
    let FileStart { user, request } = start;
    let request = request.ok_or(FsError::NoStart)?;
    let names = [user, default_user, "root".to_owned()];
    let user = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    match request {
        Request::Watch(watch) => watch::run(user, watch, caller).await,
        Request::Unpack(FileUnpack { path }) => {
            blocking(move || {
                let account = accounts::lookup(&user)?;
                unpack::run(&Place::new(&account.home, "path", &path)?, &account, inputs, &caller)
            })
            .await
        }
        request => {
            blocking(move || {
                let account = accounts::lookup(&user)?;
                let names = Names::read();
                with_rights_of(&account, || perform(request, &account, &names, inputs, &caller))
            })
            .await
        }
    }
}

/// Does what is wanted, on a thread that may wait.
fn perform(
    request: Request,
    account: &Account,
    names: &Names,
    mut inputs: Inputs,
    caller: &Caller,
) -> Result<(), FsError> {
    let place = |field, text: &str| Place::new(&account.home, field, text);
    match request {
        Request::Stat(stat) => caller.tell(Event::Entry(entry::stat(&place("path", &stat.path)?, names)?)),
        Request::List(list) => list::run(&place("path", &list.path)?, &list, names, caller),
        Request::MakeDir(folder) => {
            caller.tell(Event::Entry(folders::make(&place("path", &folder.path)?, names)?))
        }
        Request::Remove(remove) => remove::run(&place("path", &remove.path)?.named()?, caller),
        Request::Rename(rename) => {
            let from = place("from", &rename.from)?.named()?;
            let to = place("to", &rename.to)?.named()?;
            caller.tell(Event::Entry(rename::run(&from, &to, rename.overwrite, names)?))
        }
        Request::Read(read) => read::run(&place("path", &read.path)?, names, caller),
        Request::Write(write) => write::run(&place("path", &write.path)?, names, &mut inputs, caller),
        // One waits for ever, and so not on a thread; the other one needs more rights than the user's.
        Request::Watch(_) | Request::Unpack(_) => Err(FsError::NoStart),
    }
}

/// Works on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FsError> + Send + 'static,
) -> Result<T, FsError> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(FsError::Lost(io::Error::other(panic))))
}

/// Whoever wanted something.
#[derive(Debug, Clone)]
struct Caller {
    events: mpsc::Sender<FileEvent>,
}

impl Caller {
    /// Tells something, and waits while the caller does not listen. Not for threads of the runtime.
    fn tell(&self, event: Event) -> Result<(), FsError> {
        self.events.blocking_send(event.into()).map_err(|_| FsError::CallerGone)
    }

    fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

/// What the caller says.
struct Inputs {
    queue: mpsc::Receiver<FileInput>,
}

impl Inputs {
    /// Waits for the next input; none if the caller says nothing more. Not for threads of the runtime.
    fn next(&mut self) -> Option<Input> {
        self.queue.blocking_recv().and_then(|input| input.input)
    }
}

/// Puts whole inputs into a queue until nobody takes them any more. They come in parts, and a thread that waited for
/// them itself would be woken for each.
fn queue(inputs: impl Stream<Item = FileInput> + Send + 'static) -> mpsc::Receiver<FileInput> {
    let (waiting, queue) = mpsc::channel(INPUT_QUEUE);
    tokio::spawn(async move {
        let mut inputs = pin!(inputs);
        loop {
            let input = tokio::select! {
                input = inputs.next() => input,
                () = waiting.closed() => return,
            };
            let Some(input) = input else { return };
            if waiting.send(input).await.is_err() {
                return;
            }
        }
    });
    queue
}

/// A name, as the kernel says it.
fn path_of(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}
