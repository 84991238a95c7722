//! Asking the guest for something about files.

use wrenn_actors::{FileSession, SessionEvents};
use wrenn_domain::limits;
use wrenn_proto::{
    guest::{self, FileInput, FileStart, file_event::Event, file_input::Input, file_start::Request},
    ids::SandboxId,
};

use super::FileError;
use crate::{app::App, auth::Caller, routes::capsules::operate};

/// Opens a session about files in a capsule of the caller.
pub(super) async fn open(
    app: &App,
    caller: Caller,
    id: SandboxId,
    user: Option<String>,
    request: Request,
) -> Result<FileSession, FileError> {
    let user = user.unwrap_or_default();
    limits::check_argument("user", &user)?;
    operate::find(app, caller, id).await?;
    let start = FileStart { user, request: Some(request) };
    Ok(app.control_plane.session_open(id, Input::Start(start)).await?)
}

/// The next thing that the guest says; none when it has done all.
pub(super) async fn next(events: &mut SessionEvents<FileInput>) -> Result<Option<Event>, FileError> {
    match events.recv().await.transpose()?.and_then(|event| event.event) {
        Some(Event::Failed(failed)) => Err(failed.into()),
        Some(Event::Done(_)) => Ok(None),
        Some(event) => Ok(Some(event)),
        None => Err(FileError::NoEnd),
    }
}

/// Asks for something that is answered with one entry.
pub(super) async fn entry(
    app: &App,
    caller: Caller,
    id: SandboxId,
    user: Option<String>,
    request: Request,
) -> Result<guest::FileEntry, FileError> {
    let mut session = open(app, caller, id, user, request).await?;
    let Some(Event::Entry(entry)) = next(&mut session.events).await? else {
        return Err(FileError::Unexpected);
    };
    done(&mut session.events).await?;
    Ok(entry)
}

/// Waits for the end of a session that has nothing more to tell.
pub(super) async fn done(events: &mut SessionEvents<FileInput>) -> Result<(), FileError> {
    match next(events).await? {
        None => Ok(()),
        Some(_) => Err(FileError::Unexpected),
    }
}
