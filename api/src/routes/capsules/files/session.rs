//! Sessions with the guest about files.

use wrenn_actors::{FileSession, SessionEvents};
use wrenn_control::session_open;
use wrenn_domain::{action::Action, ids::SandboxId, limits, principal::Principal};
use wrenn_proto::guest::{
    self, FileInput, FileStart, file_event::Event, file_input::Input, file_start::Request,
};

use super::FileError;
use crate::app::App;

/// Description of status 403 of requests about files.
pub(super) const FORBIDDEN: &str =
    "The account is disabled or not in the team, or the capsule's user may not do this (`forbidden`)";

/// Access to the files of one capsule, for one action of a principal.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileAccess<'a> {
    app: &'a App,
    principal: &'a Principal,
    action: Action,
    id: SandboxId,
}

impl<'a> FileAccess<'a> {
    pub(super) fn new(app: &'a App, principal: &'a Principal, action: Action, id: SandboxId) -> Self {
        Self { app, principal, action, id }
    }

    /// Opens a session, and sends the request with the rights of `user`.
    pub(super) async fn open(self, user: Option<String>, request: Request) -> Result<FileSession, FileError> {
        let user = user.unwrap_or_default();
        limits::check_argument("user", &user)?;
        let Self { app, principal, action, id } = self;
        let opening = Input::Start(FileStart { user, request: Some(request) });
        Ok(session_open::run(&app.control, principal, action, id, opening).await?)
    }

    /// Sends a request that the guest answers with one entry.
    pub(super) async fn entry(
        self,
        user: Option<String>,
        request: Request,
    ) -> Result<guest::FileEntry, FileError> {
        let mut session = self.open(user, request).await?;
        let Some(Event::Entry(entry)) = next(&mut session.events).await? else {
            return Err(FileError::Unexpected);
        };
        done(&mut session.events).await?;
        Ok(entry)
    }
}

/// Receives the guest's next event; `None` when the request is done.
pub(super) async fn next(events: &mut SessionEvents<FileInput>) -> Result<Option<Event>, FileError> {
    match events.recv().await.transpose()?.and_then(|event| event.event) {
        Some(Event::Failed(failed)) => Err(failed.into()),
        Some(Event::Done(_)) => Ok(None),
        Some(event) => Ok(Some(event)),
        None => Err(FileError::NoEnd),
    }
}

/// Waits for the end of a session that has no more events.
pub(super) async fn done(events: &mut SessionEvents<FileInput>) -> Result<(), FileError> {
    match next(events).await? {
        None => Ok(()),
        Some(_) => Err(FileError::Unexpected),
    }
}
