//! What a host's connection can be told and asked.

use actix::Message;
use wrenn_domain::{
    host::Host,
    metrics::{GuestFigures, Point, Tier},
    sandbox::{Memory, Sandbox, inventory::Baseline, state},
    template::TemplateSource,
};
use wrenn_proto::{
    agent,
    ids::{SandboxId, TemplateId, TransferId, TunnelId},
};

/// A sandbox's command is to be sent. If the host is not attached it is dropped: every operation in flight
/// is taken up again when the host attaches.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SendCommand(pub(crate) agent::Command);

impl SendCommand {
    /// Makes the command of the row's generation, as part of the trace of `traceparent`.
    pub(crate) fn for_sandbox(row: &Sandbox, command: state::Command, traceparent: String) -> Self {
        let command = match command {
            state::Command::Start => agent::command::Command::Start(agent::StartMachine {
                template_id: row.template_id.map(|template| template.to_string()).unwrap_or_default(),
                image: row.template_image.clone().unwrap_or_default(),
                vcpus: row.vcpus,
                memory_mb: row.memory_mb,
                disk_size_mb: row.disk_size_mb,
                hostname: row.id.to_string(),
                default_user: row.default_user.clone(),
                default_env: row.envs.clone().into_iter().collect(),
            }),
            state::Command::Pause => agent::command::Command::Pause(agent::PauseMachine {}),
            state::Command::Resume(memory) => agent::command::Command::Resume(agent::ResumeMachine {
                drop_memory: memory == Memory::Drop,
                default_user: row.default_user.clone(),
                default_env: row.envs.clone().into_iter().collect(),
            }),
            state::Command::Snapshot(template) => agent::command::Command::Snapshot(make(row, template)),
            state::Command::Flatten(template) => agent::command::Command::Flatten(make(row, template)),
            state::Command::Destroy => agent::command::Command::Destroy(agent::DestroyMachine {}),
        };
        Self(agent::Command {
            sandbox_id: row.id.to_string(),
            generation: row.lifecycle.generation.0,
            command: Some(command),
            traceparent,
        })
    }
}

fn make(row: &Sandbox, template: TemplateId) -> agent::MakeTemplate {
    let as_it_is = row.making == Some(TemplateSource::AsItIs);
    agent::MakeTemplate { template_id: template.to_string(), as_it_is }
}

/// A template's files are to be removed. Answered when that is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), DropFailure>")]
pub(crate) struct DropTemplate(pub(crate) TemplateId);

/// Why a host is not known to have removed a template's files. It is told again whenever it is compared with the
/// database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DropFailure {
    /// It is not attached, or went away.
    #[error("the host is away")]
    HostAway,
    /// It tried.
    #[error("the host could not remove the template: {0}")]
    Failed(String),
}

/// A template's files are to be sent, by the stream that waits under this id.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), HostAway>")]
pub(crate) struct OrderTemplate {
    pub(crate) transfer: TransferId,
    pub(crate) template: TemplateId,
}

/// A tunnel is to be opened.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), HostAway>")]
pub(crate) struct OpenTunnel {
    pub(crate) tunnel: TunnelId,
    pub(crate) sandbox: SandboxId,
    /// Trace of the request that opens it; empty if it is part of none.
    pub(crate) traceparent: String,
}

/// The host is not attached, or does not read what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostAway;

/// Asks a host for the measurements of a sandbox, and its guest for its own.
#[derive(Debug, Message)]
#[rtype(result = "Result<MetricsReport, HostAway>")]
pub(crate) struct AskMetrics {
    pub(crate) sandbox: SandboxId,
    pub(crate) tier: Tier,
}

/// Answer of a host about one of its sandboxes.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsReport {
    /// Points in the order of time; none if the host has none.
    pub points: Vec<Point>,
    /// Figures that the guest reports; `None` if it was not asked, or did not answer.
    pub guest: Option<GuestFigures>,
}

/// Asks for an inventory, which is compared with what was read before. Answered when that is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), HostAway>")]
pub(crate) struct TakeInventory {
    pub(crate) baseline: Baseline,
}

/// The host's row, as it was just read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Refresh(pub(crate) Host);

/// A write about the host has changed nothing: its row is to be read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Check;

/// The host can never come back: whoever still waits for it is told.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// The host may be deleted: its row is to be read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct HostDeleted;

/// The agent sent something that makes no sense.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Complain {
    pub(super) what: &'static str,
    pub(super) about: String,
}

/// The stream of the agent is cut, as if the network were. Sent only where fault injection is on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CutLink;

/// The handler of this message panics. Sent only where fault injection is on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct InjectPanic;
