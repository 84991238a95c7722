//! Answers for operations on a capsule that fail: pausing, resuming, changing it, making a template of it.
//!
//! | failure | answer |
//! |---|---|
//! | the capsule's state does not allow it, or another operation is in flight | 409 `invalid_state` |
//! | the host is away, was lost meanwhile, or has no room | 503 `host_unavailable` |
//! | the host tried and failed, or did not finish in time | 502 `agent_error` |
//!
//! A message says what is wrong, and how to proceed.

use wrenn_actors::OperationError;
use wrenn_domain::{
    error_code::ErrorCode,
    lifecycle::{Operation, SandboxStatus},
    sandbox::Refusal,
    template::TemplateNameError,
};

use crate::error::{ApiError, ClientError};

/// Message for an operation that was not begun because its host is away.
pub(super) const HOST_AWAY: &str =
    "the capsule's host is away, so nothing was begun; try again when the host is back";

impl ClientError for OperationError {
    fn api_error(&self) -> ApiError {
        let (code, message) = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotFound(_) => (ErrorCode::NotFound, self.to_string()),
            Self::Destroyed(_) => (ErrorCode::InvalidState, self.to_string()),
            Self::Store(error) => return ApiError::of_store(error),
            Self::NotAdmitted(refusal) => return ApiError::not_admitted(refusal),
            Self::Unanswered(_, error) => return ApiError::unanswered(*error),
            Self::Refused(refusal) => (ErrorCode::InvalidState, refused(refusal)),
            Self::Elsewhere { .. } => return ApiError::elsewhere(),
            Self::HostAway { .. } => (ErrorCode::HostUnavailable, HOST_AWAY.to_owned()),
            Self::HostLost { .. } => {
                let message = "the capsule's host went away meanwhile; what was begun goes on when the host is \
                           back, so look at the capsule's `operation` then";
                (ErrorCode::HostUnavailable, message.to_owned())
            }
            Self::NoRoom(shortage) => {
                let message = format!(
                    "the capsule's host has no room for it to run: {shortage}; pause or destroy another \
                 capsule, or try again later"
                );
                (ErrorCode::HostUnavailable, message)
            }
            Self::Name(TemplateNameError::Taken) => {
                let message = "name: the team has a template of that name, or is making one; choose another \
                           name, or say `overwrite=true` to replace one that is ready";
                (ErrorCode::TemplateNameTaken, message.to_owned())
            }
            Self::Name(TemplateNameError::Reserved) => {
                let message = "name: the platform has a template of that name; choose another name";
                (ErrorCode::NameReserved, message.to_owned())
            }
            Self::Failed(reason) => (ErrorCode::AgentError, format!("the host could not do it: {reason}")),
            Self::Overtaken(_) => (ErrorCode::InvalidState, "the capsule was destroyed meanwhile".to_owned()),
            Self::TimedOut(_) => {
                let message = "the host has not finished in time; the operation goes on, so look at the \
                           capsule's `operation` until it is null";
                (ErrorCode::AgentError, message.to_owned())
            }
        };
        ApiError::new(code, message)
    }
}

/// Returns the answer for a use of a capsule that does not run.
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

/// Explains a refusal of the state machine, and how to proceed.
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

/// Explains a settled state in which a capsule cannot be used.
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
    use wrenn_domain::ids::{HostId, SandboxId};
    use wrenn_supervision::CallError;

    use super::*;

    fn answer(error: OperationError) -> (ErrorCode, String) {
        let answer = error.api_error();
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
