//! The whole system as one value: what is committed, what each process knows, what is on its way, what is on the hosts.
//!
//! ```text
//!   client ─▶ actor ══ row          what survives a crash of the server: the row
//!               │ ▲
//!        orders │ │ frames          what survives the end of a link: nothing, or orders that come late
//!               ▼ │
//!             agent ══ record       what survives a crash of the agent: record, files, virtual machine
//!               │
//!              vms, files           what survives a loss of power: records, and files that are synced
//! ```
//!
//! Everything about one sandbox stands in [`Sandbox`], also its side of the host; a [`Host`] is only the link and
//! the look that is under way. Sandboxes never move, so this is a matter of order and not of content.

use std::collections::BTreeMap;

use wrenn_domain::{
    lifecycle::Lifecycle,
    sandbox::{
        handling::Commit,
        invariants::Broken,
        inventory::{self, Listing},
        state::{Input, Outcome, State},
    },
};
use wrenn_proto::ids::TemplateId;

use crate::host::{Machine, Order};

/// Which sandbox.
pub(crate) type SandboxIx = usize;
/// Which host.
pub(crate) type HostIx = usize;

/// The whole system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) sandboxes: Vec<Sandbox>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) budget: Budget,
    /// The rule of the state machine that a step broke.
    pub(crate) broken: Option<&'static str>,
}

/// What may still be done to the system from outside. It makes the number of states finite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Requests of clients.
    pub(crate) requests: u8,
    /// Crashes, broken links, repeated frames, failures.
    pub(crate) faults: u8,
    /// Looks of the reconciler that nothing demands.
    pub(crate) looks: u8,
}

/// One sandbox, everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sandbox {
    pub(crate) host: HostIx,
    /// What is committed.
    pub(crate) row: Row,
    /// A write of a server that was killed, and that may be committed yet.
    pub(crate) late_write: Option<Commit>,
    pub(crate) actor: Actor,
    /// What the actor was told and has not handled, oldest first.
    pub(crate) mailbox: Vec<Told>,
    /// Commands on their way to the host, in no order.
    pub(crate) orders: Vec<Order>,
    /// Frames on their way to the server.
    pub(crate) frames: Vec<Frame>,
    /// What there is of it on the host.
    pub(crate) machine: Machine,
}

/// The actor of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// No incarnation has begun; a message starts the first.
    Absent,
    /// An incarnation failed, and the next one has not read the row.
    Restarting,
    /// An incarnation has read the row.
    Knows(State),
}

/// A message to an actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    /// The row as the reconciler has just read it: an actor that knows another one reads it again.
    pub(crate) row: Option<Lifecycle>,
    pub(crate) input: Option<Input>,
}

impl From<Input> for Told {
    fn from(input: Input) -> Self {
        Self { row: None, input: Some(input) }
    }
}

/// What the database says of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) templates: Vec<(TemplateId, TemplateRow)>,
}

/// What the database says of a template; one that was discarded has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TemplateRow {
    Making,
    Ready,
}

/// What a host says of one sandbox without having been asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    /// A command ended.
    Result { generation: u64, outcome: Outcome },
    /// A machine ended by itself.
    Exited { generation: u64, machine: wrenn_domain::sandbox::state::Machine, sent: Sent },
}

/// Whether a frame left before or after the inventory that is on its way. Of two that say something of the same
/// generation the later one is true, so of these the order of the stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sent {
    Before,
    After,
}

/// Machines that a host lists. Templates are left out: nothing about a sandbox follows from them.
pub(crate) type Inventory = BTreeMap<SandboxIx, Listing>;

/// The sandboxes that were settled when their rows were read.
pub(crate) type Baseline = inventory::Baseline<SandboxIx>;

/// The link to a host, and what the server asks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Host {
    pub(crate) session: Session,
    pub(crate) look: Look,
    /// Somebody demanded a look.
    pub(crate) look_due: bool,
    /// It was away so long that its sandboxes are missing.
    pub(crate) unreachable: bool,
}

/// The stream between an agent and the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Session {
    #[default]
    Down,
    /// The agent has taken this inventory and said hello.
    Dialled(Inventory),
    Up,
}

/// A look at a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Look {
    #[default]
    Idle,
    /// The rows were read, and the host was asked.
    Asked(Baseline),
    /// The host has taken its inventory.
    Answered(Baseline, Inventory),
}

impl World {
    /// Notes a rule that was broken; the first one counts.
    pub(crate) fn note(&mut self, checked: Result<(), Broken>) {
        if let Err(Broken(rule)) = checked {
            self.broken.get_or_insert(rule);
        }
    }

    /// The sandboxes of a host.
    pub(crate) fn on(&self, host: HostIx) -> impl Iterator<Item = SandboxIx> + use<> {
        let on: Vec<_> = (0..self.sandboxes.len()).filter(|&ix| self.sandboxes[ix].host == host).collect();
        on.into_iter()
    }

    /// Whether frames can be exchanged with a host.
    pub(crate) fn is_online(&self, host: HostIx) -> bool {
        self.hosts[host].session == Session::Up
    }
}

impl Sandbox {
    /// A sandbox that nobody has looked at.
    pub(crate) fn with(host: HostIx, lifecycle: Lifecycle, machine: Machine) -> Self {
        Self {
            host,
            row: Row { lifecycle, templates: Vec::new() },
            late_write: None,
            actor: Actor::Absent,
            mailbox: Vec::new(),
            orders: Vec::new(),
            frames: Vec::new(),
            machine,
        }
    }
}
