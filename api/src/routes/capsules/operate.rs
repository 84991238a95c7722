//! What pausing, resuming and making a template of a capsule have in common: how they fail, and what a client is told.
//!
//! | what happened | answer |
//! |---|---|
//! | the capsule's state does not allow it, or another operation is in flight | 409 `invalid_state` |
//! | the host is away, was lost meanwhile, or has no room | 503 `host_unavailable` |
//! | the host tried and failed, or takes longer than anybody waits | 502 `agent_error` |
//!
//! A message says what is the matter, and what can be done about it.

use wrenn_actors::OperationError;
use wrenn_domain::{
    error_code::ErrorCode,
    lifecycle::{Operation, SandboxStatus},
    sandbox::{Refusal, Sandbox},
    template::TemplateNameError,
};
use wrenn_proto::ids::SandboxId;
use wrenn_store::StoreError;

use crate::{app::App, auth::Caller, error::ApiError};

/// The message of everything that needs a host that is not there.
pub(super) const HOST_AWAY: &str =
    "the capsule's host is away, so nothing was begun; try again when the host is back";

/// Why an operation on a capsule did not lead to what was wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    /// Says the same for another team's capsule.
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    #[error("capsule {0} was destroyed; create another one")]
    Destroyed(SandboxId),
    #[error("the operation failed")]
    Operation(#[from] OperationError),
    #[error("the capsule could not be read")]
    Store(#[from] StoreError),
}

impl OperateError {
    pub(crate) fn api_error(&self) -> ApiError {
        match self {
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Destroyed(_) => ApiError::new(ErrorCode::InvalidState, self.to_string()),
            Self::Operation(error) => operation_answer(error),
            Self::Store(_) => ApiError::internal(),
        }
    }
}

/// The answer to whoever wanted an operation that was not begun, or did not lead to what was wanted.
pub(super) fn operation_answer(error: &OperationError) -> ApiError {
    let (code, message) = match error {
        OperationError::NotFound(id) => return OperateError::NotFound(*id).api_error(),
        OperationError::Store(_) => return ApiError::internal(),
        OperationError::Unanswered(_, error) => return ApiError::unanswered(*error),
        OperationError::Refused(refusal) => (ErrorCode::InvalidState, refused(refusal)),
        OperationError::HostAway { .. } => (ErrorCode::HostUnavailable, HOST_AWAY.to_owned()),
        OperationError::HostLost { .. } => {
            let message = "the capsule's host went away meanwhile; what was begun goes on when the host is \
                           back, so look at the capsule's `operation` then";
            (ErrorCode::HostUnavailable, message.to_owned())
        }
        OperationError::NoRoom(shortage) => {
            let message = format!(
                "the capsule's host has no room for it to run: {shortage}; pause or destroy another \
                 capsule, or try again later"
            );
            (ErrorCode::HostUnavailable, message)
        }
        OperationError::Name(TemplateNameError::Taken) => {
            let message = "name: the team has a template of that name, or is making one; choose another \
                           name, or say `overwrite=true` to replace one that is ready";
            (ErrorCode::TemplateNameTaken, message.to_owned())
        }
        OperationError::Name(TemplateNameError::Reserved) => {
            let message = "name: the platform has a template of that name; choose another name";
            (ErrorCode::NameReserved, message.to_owned())
        }
        OperationError::Failed(reason) => {
            (ErrorCode::AgentError, format!("the host could not do it: {reason}"))
        }
        OperationError::Overtaken(_) => {
            (ErrorCode::InvalidState, "the capsule was destroyed meanwhile".to_owned())
        }
        OperationError::TimedOut(_) => {
            let message = "the host has not finished in time; the operation goes on, so look at the \
                           capsule's `operation` until it is null";
            (ErrorCode::AgentError, message.to_owned())
        }
    };
    ApiError::new(code, message)
}

/// The caller's capsule, unless it was destroyed.
pub(crate) async fn find(app: &App, caller: Caller, id: SandboxId) -> Result<Sandbox, OperateError> {
    let sandbox = app.store.sandbox_fetch(caller.team_id, id).await?.ok_or(OperateError::NotFound(id))?;
    if sandbox.destroyed_at.is_some() { Err(OperateError::Destroyed(id)) } else { Ok(sandbox) }
}

/// The answer to whoever wants to use the machine of a capsule that does not run.
pub(super) fn not_running(status: SandboxStatus, operation: Option<Operation>) -> ApiError {
    let message = match (operation, status) {
        (Some(operation), _) => in_flight(operation),
        (None, SandboxStatus::Paused | SandboxStatus::Hibernated) => {
            format!("the capsule is {status}; resume it first")
        }
        (None, SandboxStatus::Stopped) => {
            "the capsule is stopped; resume it first, which boots it from its disk".to_owned()
        }
        (None, status) => state(status),
    };
    ApiError::new(ErrorCode::InvalidState, message)
}

/// Why the state machine does not begin an operation, and what to do.
fn refused(refusal: &Refusal) -> String {
    use SandboxStatus::{Hibernated, Paused, Stopped};
    match (refusal.operation, refusal.wanted, refusal.status) {
        (Some(operation), ..) => in_flight(operation),
        (None, Operation::Pausing, Stopped) => {
            "the capsule is stopped, so there is nothing to pause; its disk is kept, and resuming it boots it"
                .to_owned()
        }
        (None, Operation::Snapshotting, Stopped) => {
            "the capsule is stopped and has no memory; make a template of type `base`, or resume it first"
                .to_owned()
        }
        (None, Operation::Flattening, Paused) => {
            "the capsule is paused, and a `base` template is made of one that runs or is stopped; resume it \
             first, or make a template of type `snapshot`"
                .to_owned()
        }
        (None, Operation::Snapshotting | Operation::Flattening, Hibernated) => {
            "the capsule is hibernated; resume it first".to_owned()
        }
        (None, _, status) => state(status),
    }
}

fn in_flight(operation: Operation) -> String {
    match operation {
        Operation::Destroying => "the capsule is being removed (`destroying`)".to_owned(),
        operation => {
            format!("the capsule is busy: `{operation}` is in flight; try again when `operation` is null")
        }
    }
}

/// A settled state in which a capsule is of no use.
fn state(status: SandboxStatus) -> String {
    match status {
        SandboxStatus::Error => {
            "the capsule has failed and nothing is left of its machine; destroy it, and create another one"
                .to_owned()
        }
        SandboxStatus::Missing => {
            "the capsule is missing: its host is away, or has just come back; try again when the capsule is \
             not missing any more"
                .to_owned()
        }
        status => format!("the capsule is {status}"),
    }
}

#[cfg(test)]
mod tests {
    use wrenn_proto::ids::HostId;
    use wrenn_supervision::CallError;

    use super::*;

    fn answer(error: OperationError) -> (ErrorCode, String) {
        let answer = OperateError::from(error).api_error();
        (answer.code, answer.message)
    }

    #[test]
    fn a_refusal_names_what_is_in_flight_or_what_can_be_done() {
        use Operation::{Destroying, Flattening, Pausing, Resuming, Snapshotting};
        use SandboxStatus::{Error, Hibernated, Missing, Paused, Running, Stopped};
        for (wanted, status, operation, word) in [
            (Pausing, Running, Some(Snapshotting), "`snapshotting`"),
            (Resuming, Paused, Some(Destroying), "`destroying`"),
            (Pausing, Stopped, None, "resuming"),
            (Resuming, Error, None, "create another one"),
            (Resuming, Missing, None, "host"),
            (Snapshotting, Stopped, None, "`base`"),
            (Flattening, Paused, None, "`snapshot`"),
            (Flattening, Hibernated, None, "resume"),
        ] {
            let (code, message) = answer(OperationError::Refused(Refusal { wanted, status, operation }));
            assert_eq!(code, ErrorCode::InvalidState);
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn whoever_uses_a_machine_that_does_not_run_is_told_how_it_runs_again() {
        for status in [SandboxStatus::Paused, SandboxStatus::Hibernated, SandboxStatus::Stopped] {
            assert!(not_running(status, None).message.contains("resume"), "{status}");
        }
        let busy = not_running(SandboxStatus::Running, Some(Operation::Pausing));
        assert_eq!(busy.code, ErrorCode::InvalidState);
        assert!(busy.message.contains("`pausing`"), "{}", busy.message);
    }

    #[test]
    fn what_was_not_begun_is_told_from_what_goes_on() {
        let (sandbox, host) = (SandboxId::new(), HostId::new());
        let (code, message) = answer(OperationError::HostAway { sandbox, host });
        assert_eq!(code, ErrorCode::HostUnavailable);
        assert!(message.contains("nothing was begun"), "{message}");
        let (code, message) = answer(OperationError::HostLost { sandbox, host });
        assert_eq!(code, ErrorCode::HostUnavailable);
        assert!(message.contains("goes on"), "{message}");
        let (code, message) = answer(OperationError::TimedOut(sandbox));
        assert_eq!(code, ErrorCode::AgentError);
        assert!(message.contains("goes on"), "{message}");
        let (code, message) = answer(OperationError::Failed("the disk is full".into()));
        assert_eq!(code, ErrorCode::AgentError);
        assert!(message.contains("the disk is full"), "{message}");
        assert_eq!(answer(OperationError::Name(TemplateNameError::Taken)).0, ErrorCode::TemplateNameTaken);
        assert_eq!(answer(OperationError::Name(TemplateNameError::Reserved)).0, ErrorCode::NameReserved);
        assert_eq!(answer(OperationError::NotFound(sandbox)).0, ErrorCode::NotFound);
        assert_eq!(answer(OperationError::Overtaken(sandbox)).0, ErrorCode::InvalidState);
        let (code, _) = answer(OperationError::Unanswered(sandbox, CallError::MayHaveExecuted));
        assert_eq!(code, ErrorCode::InternalError);
    }
}
