//! The model: what is explored, and from where.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use stateright::{Model, Property};
use wrenn_domain::{
    lifecycle::{Generation, Lifecycle, SandboxStatus},
    sandbox::state::Outcome,
};

use crate::{
    actions::Action,
    bugs::Bug,
    client::Wish,
    host::{Agent, Cpus, Files, Fitting, Machine, Past, Phase, Record, Saved, Vm, started},
    properties,
    rules::Rules,
    world::{Budget, Host, HostIx, Sandbox, Session, World},
};

/// What is explored.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The sandboxes: on which host, and what they begin as.
    pub(crate) sandboxes: Vec<(HostIx, Beginning)>,
    pub(crate) budget: Budget,
    /// What clients ask for.
    pub(crate) wishes: Vec<Wish>,
    /// Steps from the beginning; none for all that the budget allows.
    pub(crate) depth: Option<usize>,
}

/// What a sandbox begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Beginning {
    /// Its row was just written.
    New,
    Running,
    Paused,
}

/// The system and what is explored of it.
pub(crate) struct System {
    pub(crate) scope: Scope,
    pub(crate) rules: Rules,
    /// As `rules`; what is seen while the system comes to rest does not count.
    pub(crate) resting: Rules,
    /// Worlds from which everything settles, by fingerprint.
    settling: Mutex<HashSet<u64>>,
    fingerprints: RandomState,
}

impl System {
    pub(crate) fn new(scope: Scope, bug: Bug) -> Self {
        Self {
            scope,
            rules: Rules::new(bug),
            resting: Rules::new(bug),
            settling: Mutex::default(),
            fingerprints: RandomState::new(),
        }
    }

    /// Notes that everything settles from this world. Returns false if that was known.
    pub(crate) fn note_settling(&self, world: &World) -> bool {
        let fingerprint = self.fingerprints.hash_one(world);
        self.settling.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint)
    }

    pub(crate) fn forget_settling(&self, worlds: &[World]) {
        let mut settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        for world in worlds {
            settling.remove(&self.fingerprints.hash_one(world));
        }
    }
}

impl Beginning {
    /// A sandbox that is at rest, or whose row was just written.
    fn sandbox(self, host: HostIx) -> Sandbox {
        let first = Lifecycle::first();
        let (status, generation, phase, outcome) = match self {
            Self::New => return Sandbox::with(host, first, Machine::default()),
            Self::Running => (SandboxStatus::Running, 1, Phase::Running, started()),
            Self::Paused => (SandboxStatus::Paused, 2, Phase::Paused(Saved::Whole), Outcome::Paused),
        };
        let lifecycle = Lifecycle { status, operation: None, generation: Generation(generation), ..first };
        let record = Some(Record { generation, phase, outcome: Some(outcome) });
        let (vms, state) = match self {
            Self::Paused => (Vec::new(), Some(Fitting::Fits)),
            _ => (vec![Vm { cpus: Cpus::Running, memory: Fitting::Fits }], None),
        };
        let machine = Machine {
            record,
            files: Files { disk: true, memory: true, state },
            vms,
            agent: Agent { accepted: Some(generation), ..Agent::default() },
            past: Past { highest: generation, ..Past::default() },
            ..Machine::default()
        };
        Sandbox::with(host, lifecycle, machine)
    }
}

impl Model for System {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let sandboxes: Vec<_> =
            self.scope.sandboxes.iter().map(|&(host, beginning)| beginning.sandbox(host)).collect();
        let hosts = self.scope.sandboxes.iter().map(|&(host, _)| host + 1).max().unwrap_or_default();
        let host = Host { session: Session::Up, ..Host::default() };
        vec![World { sandboxes, hosts: vec![host; hosts], budget: self.scope.budget, broken: None }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.inner_actions(actions);
        world.outer_actions(&self.scope.wishes, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Ask(..) => next.budget.requests -= 1,
            Action::Look(host) if !world.hosts[host].look_due => next.budget.looks -= 1,
            _ => {}
        }
        if action.is_fault() {
            next.budget.faults -= 1;
        }
        next.happens(action, &self.rules).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = properties::invariants();
        properties.extend(properties::witnesses());
        properties
    }
}
