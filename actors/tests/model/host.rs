//! The host's side of one sandbox: what is on its volume, what runs, and what the agent remembers of it.
//!
//! ```text
//!   order ─▶ decide() ─▶ stale, joins, replayed
//!      (the real fence)└▶ fit() ─▶ work, step by step ([`crate::work`]) ─▶ record, files, virtual machine
//! ```
//!
//! What `MachineActor` does around the fence is written here once more, without time. A crash of the agent takes
//! what only it knows, and the next one goes by the record ([`crate::recover`]).

use wrenn_agent::machines::fence::{self, CommandKind, Fit, Known, Presence, Verdict, Work as Fenced};
use wrenn_domain::{
    lifecycle::Generation,
    sandbox::{
        inventory::Listing,
        state::{Activity, Command, Machine as State, Memory, Outcome},
    },
};
use wrenn_proto::ids::TemplateId;

use crate::{
    bugs::Bug,
    rules::{Rules, Witness},
    work::{Step, Work, WorkKind},
    world::{Frame, Sent},
};

/// A command on its way, or waiting for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Order {
    pub(crate) generation: u64,
    pub(crate) command: Command,
}

/// Everything that a host has of one sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    /// What is remembered of it; it would survive a loss of power.
    pub(crate) record: Option<Record>,
    /// The generation that removed it.
    pub(crate) tombstone: Option<u64>,
    pub(crate) files: Files,
    /// Half a template.
    pub(crate) draft: Option<Copied>,
    /// Templates that are complete.
    pub(crate) templates: Vec<Copied>,
    /// Its virtual machines: never more than one.
    pub(crate) vms: Vec<Vm>,
    /// What the agent knows beside the record.
    pub(crate) agent: Agent,
    /// What happened to it, for those who judge.
    pub(crate) past: Past,
}

/// What an incarnation of the agent knows of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Agent {
    /// Highest generation accepted.
    pub(crate) accepted: Option<u64>,
    pub(crate) work: Option<Work>,
    pub(crate) waiting: Option<Order>,
    /// A command that came again while somebody worked on the machine.
    pub(crate) repeated: Option<Command>,
}

/// What no process knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// Highest generation that was ever written down.
    pub(crate) highest: u64,
    /// Something was achieved by a command after a later one had been accepted.
    pub(crate) late_effect: bool,
    /// Its memory may be lost: the virtual machine died, power was lost, somebody asked for that.
    pub(crate) memory_forfeit: bool,
}

/// What is remembered of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) generation: u64,
    pub(crate) phase: Phase,
    pub(crate) outcome: Option<Outcome>,
}

/// What a machine is while nothing is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rest {
    Running,
    Paused(Saved),
    Stopped,
}

/// How much of saved memory is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Saved {
    /// All that a loss of power would leave is the device state.
    InPart,
    /// All of it.
    Whole,
    /// It was in part when power was lost.
    Unsound,
}

/// Whether the virtual CPUs of a machine that is resumed have touched what was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Vcpus {
    NotStarted,
    MayHaveRun,
}

/// What is kept of a machine whose virtual machine is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Keeps {
    Nothing,
    Disk,
}

/// Where a machine is in its life, as far as a restarted agent has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Starting,
    Running,
    Pausing,
    Paused(Saved),
    Resuming { vcpus: Vcpus, from: Rest },
    MakingTemplate { template: TemplateId, of: Rest },
    Releasing(Keeps),
    Stopped,
    Exited,
    Destroying,
}

/// The machine's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Files {
    pub(crate) disk: bool,
    pub(crate) memory: bool,
    pub(crate) state: Option<Fitting>,
}

/// Whether device state fits the memory and the disk beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fitting {
    Fits,
    /// The machine ran on since, or what it was saved with is lost.
    RanOn,
}

/// The files of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Copied {
    pub(crate) template: TemplateId,
    pub(crate) content: Content,
}

/// What a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    /// Of one moment.
    Whole,
    /// Memory that changed while it was copied.
    Torn,
}

/// A virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Vm {
    pub(crate) cpus: Cpus,
    /// Whether its memory is that of the moment in which it last ran.
    pub(crate) memory: Fitting,
}

/// What virtual CPUs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cpus {
    Stopped,
    Running,
}

impl From<Rest> for Phase {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::Running => Self::Running,
            Rest::Paused(saved) => Self::Paused(saved),
            Rest::Stopped => Self::Stopped,
        }
    }
}

impl Rest {
    pub(crate) fn state(self) -> State {
        match self {
            Self::Running => State::Running,
            Self::Paused(_) => State::Paused,
            Self::Stopped => State::Stopped,
        }
    }
}

impl Phase {
    /// How it is told.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Starting | Self::Resuming { vcpus: Vcpus::MayHaveRun, .. } => State::Starting,
            Self::Running | Self::Pausing => State::Running,
            Self::Paused(_) => State::Paused,
            Self::Resuming { from: rest, .. } | Self::MakingTemplate { of: rest, .. } => rest.state(),
            Self::Releasing(Keeps::Disk) | Self::Stopped => State::Stopped,
            Self::Releasing(Keeps::Nothing) | Self::Exited | Self::Destroying => State::Exited,
        }
    }

    /// What it is at rest; none if it is being worked on, or nothing of it is left.
    pub(crate) fn rest(self) -> Option<Rest> {
        match self {
            Self::Running => Some(Rest::Running),
            Self::Paused(saved) => Some(Rest::Paused(saved)),
            Self::Stopped => Some(Rest::Stopped),
            _ => None,
        }
    }
}

/// The fence's word for a command.
pub(crate) fn kind(command: Command) -> CommandKind {
    match command {
        Command::Start => CommandKind::Start,
        Command::Pause => CommandKind::Pause,
        Command::Resume(_) => CommandKind::Resume,
        Command::Snapshot(_) => CommandKind::Snapshot,
        Command::Flatten(_) => CommandKind::Flatten,
        Command::Destroy => CommandKind::Destroy,
    }
}

/// The outcome of a command that failed and left the machine in this state.
pub(crate) fn failed(machine: State) -> Outcome {
    Outcome::Failed { message: String::new(), machine: Some(machine) }
}

/// The outcome of a machine that runs.
pub(crate) fn started() -> Outcome {
    Outcome::Started { guest_ip: String::new(), host_ip: String::new(), warnings: Vec::new() }
}

/// What was true of the machine when this was its outcome.
fn state_of(outcome: &Outcome) -> Option<State> {
    match outcome {
        Outcome::Started { .. } => Some(State::Running),
        Outcome::Paused => Some(State::Paused),
        Outcome::Destroyed => Some(State::Exited),
        Outcome::TemplateMade { machine, .. } | Outcome::Failed { machine, .. } => *machine,
    }
}

/// The way to the server; what is said while there is none is lost.
pub(crate) struct Outbox<'a> {
    pub(crate) frames: &'a mut Vec<Frame>,
    pub(crate) is_open: bool,
    /// Whether an inventory is on its way.
    pub(crate) sent: Sent,
}

impl Outbox<'_> {
    fn publish(&mut self, frame: Frame) {
        if self.is_open && !self.frames.contains(&frame) {
            self.frames.push(frame);
        }
    }

    pub(crate) fn result(&mut self, generation: u64, outcome: Outcome) {
        self.publish(Frame::Result { generation, outcome });
    }

    pub(crate) fn ended(&mut self, generation: u64, machine: State) {
        self.publish(Frame::Exited { generation, machine, sent: self.sent });
    }
}

impl Machine {
    fn presence(&self) -> Presence {
        match self.record.as_ref().map(|record| record.phase.state()) {
            None => Presence::Absent,
            Some(State::Running | State::Starting) => Presence::Running,
            Some(State::Paused) => Presence::Paused,
            Some(State::Stopped) => Presence::Stopped,
            Some(State::Exited) => Presence::Exited,
        }
    }

    fn known(&self) -> Known {
        let work = match (&self.agent.work, &self.agent.waiting) {
            // What waits was accepted last, so it is the work of the highest generation.
            (Some(_), Some(order)) => Some(Fenced::Command(kind(order.command))),
            (Some(work), None) => Some(match work.kind {
                WorkKind::Command(command) => Fenced::Command(kind(command)),
                WorkKind::Upkeep => Fenced::Upkeep,
                WorkKind::Sync => Fenced::Sync,
            }),
            (None, _) => None,
        };
        Known { generation: self.agent.accepted, work }
    }

    /// Entry in the agent's inventory; `None` if there is no record.
    pub(crate) fn listing(&self) -> Option<Listing> {
        let record = self.record.as_ref()?;
        let is_busy = self.agent.work.as_ref().is_some_and(Work::is_announced);
        let activity = if is_busy { Activity::Busy } else { Activity::Idle };
        Some(Listing {
            generation: Generation(record.generation),
            machine: Some(record.phase.state()),
            reason: String::new(),
            activity,
        })
    }

    /// Takes a command, or refuses it.
    pub(crate) fn receive(&mut self, order: Order, outbox: &mut Outbox<'_>, rules: &Rules) {
        let known = self.known();
        let verdict = match fence::decide(known, order.generation, kind(order.command)) {
            Verdict::Stale { .. } if rules.bug == Bug::OlderCommandsAccepted => match known.work {
                None => Verdict::Execute,
                Some(_) => Verdict::Queue,
            },
            Verdict::Overtake
                if rules.bug == Bug::DestroyQueuedBehindPause
                    && known.work == Some(Fenced::Command(CommandKind::Pause)) =>
            {
                Verdict::Queue
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Stale { .. } => {
                rules.saw(Witness::StaleCommandRefused);
                let state = self.record.as_ref().map_or(State::Exited, |record| record.phase.state());
                return outbox.result(order.generation, failed(state));
            }
            Verdict::Join => return,
            Verdict::Replay => return self.replay(order.command, outbox, rules),
            Verdict::Execute | Verdict::Overtake | Verdict::Queue => {}
        }
        self.agent.accepted = Some(order.generation);
        self.agent.repeated = None;
        let Some(work) = &mut self.agent.work else { return self.execute(order) };
        if verdict == Verdict::Overtake {
            if work.kind == WorkKind::Command(Command::Pause) {
                rules.saw(Witness::PauseOvertaken);
            }
            work.ask(kind(order.command));
        }
        if let Some(replaced) = self.agent.waiting.replace(order) {
            let state = self.record.as_ref().map_or(State::Exited, |record| record.phase.state());
            outbox.result(replaced.generation, failed(state));
        }
    }

    /// Begins to carry out an order whose generation is accepted; nobody works on the machine.
    fn execute(&mut self, order: Order) {
        let Order { generation, command } = order;
        let rest = self.record.as_ref().and_then(|record| record.phase.rest());
        let step = match (fence::fit(kind(command), self.presence()), command, rest) {
            (_, Command::Destroy, _) => match self.record {
                Some(_) => Step::DestroyRecord,
                None => Step::DestroyBury,
            },
            (Fit::CarryOut, Command::Start, _) => Step::StartRecord,
            _ if self.record.is_none() => Step::RefuseAbsent,
            (Fit::AlreadySo, ..) => Step::Confirm,
            (Fit::CarryOut, Command::Pause, Some(Rest::Running)) => Step::PauseRecord,
            (Fit::CarryOut, Command::Resume(Memory::Keep), Some(from @ Rest::Paused(_))) => {
                Step::ResumeRecord { from }
            }
            (Fit::CarryOut, Command::Resume(_), Some(from @ (Rest::Paused(_) | Rest::Stopped))) => {
                Step::BootRecord { from }
            }
            (Fit::CarryOut, Command::Snapshot(template) | Command::Flatten(template), Some(of)) => {
                Step::TemplateRecord { template, of }
            }
            _ => Step::Refuse,
        };
        self.agent.work = Some(Work::new(WorkKind::Command(command), step, generation));
    }

    /// Answers a command again that was carried out before; and if the machine has ended since, tells that, too.
    fn replay(&mut self, command: Command, outbox: &mut Outbox<'_>, rules: &Rules) {
        let is_at_hand = self.agent.work.as_ref().is_none_or(|work| work.kind == WorkKind::Sync);
        match &self.record {
            Some(record) if is_at_hand => {
                rules.saw(Witness::OutcomeReplayed);
                let state = record.phase.state();
                if let Some(outcome) = &record.outcome {
                    outbox.result(record.generation, outcome.clone());
                }
                let told = record.outcome.as_ref().and_then(state_of);
                if state.has_ended() && told.is_some_and(|told| told != state) {
                    outbox.ended(record.generation, state);
                }
            }
            _ if !is_at_hand => self.agent.repeated = Some(command),
            _ => self.tell_absent(command, self.agent.accepted.unwrap_or_default(), outbox),
        }
    }

    /// Says that there is no such machine: what a removal wants, and everything else does not.
    pub(crate) fn tell_absent(&self, command: Command, generation: u64, outbox: &mut Outbox<'_>) {
        let outcome = match command {
            Command::Destroy => Outcome::Destroyed,
            _ => failed(State::Exited),
        };
        outbox.result(generation, outcome);
    }

    /// What follows when a piece of work is done.
    pub(crate) fn work_done(&mut self, outbox: &mut Outbox<'_>, rules: &Rules) {
        self.agent.work = None;
        if let Some(order) = self.agent.waiting.take() {
            return self.execute(order);
        }
        if let Some(command) = self.agent.repeated.take() {
            self.replay(command, outbox, rules);
        }
        self.sync_if_paused();
    }

    /// What is paused is brought to the disk.
    pub(crate) fn sync_if_paused(&mut self) {
        if let Some(Record { generation, phase: Phase::Paused(Saved::InPart), .. }) = self.record {
            self.agent.work = Some(Work::new(WorkKind::Sync, Step::Sync, generation));
        }
    }

    /// Whether the virtual machine is gone, and nobody has noticed.
    pub(crate) fn died_unnoticed(&self) -> bool {
        let runs = self.record.as_ref().is_some_and(|record| record.phase == Phase::Running);
        runs && self.vms.is_empty() && self.agent.work.is_none()
    }

    /// Begins to clean up after a virtual machine that died by itself.
    pub(crate) fn clean_up(&mut self) {
        if let Some(Record { generation, .. }) = self.record {
            let step = Step::ReleaseRecord { keeps: Keeps::Disk, failed: false };
            self.agent.work = Some(Work::new(WorkKind::Upkeep, step, generation));
        }
    }
}
