//! Requests about files, from the first input to the last event.

use tokio::sync::mpsc;
use tokio_stream::Stream;
use wrenn_proto::guest::{
    FileDone, FileEvent, FileInput, FileStart, FileUnpack, file_event::Event, file_input::Input,
    file_start::Request,
};

use super::{
    caller::{Caller, Inputs, blocking},
    entry,
    error::FsError,
    folders, list,
    place::Place,
    read, remove, rename,
    rights::with_rights_of,
    unpack, watch, write,
};
use crate::accounts::{self, Account, Names};

/// Carries out the request in the first of `inputs`, for `default_user` if it names no other user.
pub fn serve(
    inputs: impl Stream<Item = FileInput> + Send + 'static,
    default_user: String,
) -> mpsc::Receiver<FileEvent> {
    let (caller, receiver) = Caller::new();
    let inputs = Inputs::new(inputs);
    tokio::spawn(async move {
        let last = match attend(inputs, default_user, caller.clone()).await {
            Ok(()) => Event::Done(FileDone {}),
            Err(error) => Event::Failed(error.into()),
        };
        // If nobody listens any more, nobody needs to know.
        let _ = caller.send(last).await;
    });
    receiver
}

async fn attend(mut inputs: Inputs, default_user: String, caller: Caller) -> Result<(), FsError> {
    let Some(Input::Start(start)) = inputs.first().await else {
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
