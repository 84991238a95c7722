//! Which commands a machine takes: the fencing rule, without I/O.
//!
//! Every command carries the generation of its sandbox, which only the control plane increments. A command that
//! was delayed on its way carries a lower one than what the host has seen, and must not have an effect any more;
//! one that is sent again carries the same, and must have its effect only once.

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// Boot the machine.
    Start,
    /// Remove the machine and everything of it.
    Destroy,
}

/// Work on a machine that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is being started.
    Start,
    /// It is being destroyed.
    Destroy,
    /// It is being taken over after a restart of the agent, or cleaned up after its end; nobody ordered that.
    Upkeep,
}

/// What is true of the machine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There is nothing of it.
    Absent,
    /// It is there, and its virtual machine runs.
    Running,
    /// Its virtual machine is gone.
    Exited,
}

/// What the host knows of one sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Highest generation accepted; none if no command was ever accepted.
    pub generation: Option<u64>,
    /// What is being done, or waits for what is being done, by order of that generation.
    pub work: Option<Work>,
    /// What is there, if no work is going on.
    pub presence: Presence,
}

/// What to do with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Refuse it: `accepted` is higher than its generation. Nothing is done.
    Stale {
        /// Highest generation accepted.
        accepted: u64,
    },
    /// It is being carried out already; its outcome will be sent when there is one.
    Join,
    /// It was carried out already; send the recorded outcome again.
    Replay,
    /// Accept its generation and carry it out now.
    Execute,
    /// Accept its generation, ask the work in progress to give up, wait until it has, then decide what to carry out.
    Overtake,
    /// Accept its generation, wait for the end of the work in progress, then carry it out.
    Queue,
    /// Accept its generation, and answer that a running machine cannot be started.
    AlreadyRunning,
}

/// Decides what to do with a command of `generation`, given what is known.
pub fn decide(known: Known, generation: u64, command: CommandKind) -> Verdict {
    match known.generation {
        Some(accepted) if generation < accepted => return Verdict::Stale { accepted },
        Some(accepted) if generation == accepted => {
            // Upkeep changes the state of the machine but not the outcome of the last command.
            let in_progress = matches!(known.work, Some(Work::Start | Work::Destroy));
            return if in_progress { Verdict::Join } else { Verdict::Replay };
        }
        _ => {}
    }
    match (known.work, command) {
        (Some(Work::Start), _) => Verdict::Overtake,
        (Some(Work::Destroy | Work::Upkeep), _) => Verdict::Queue,
        (None, CommandKind::Start) if known.presence == Presence::Running => Verdict::AlreadyRunning,
        (None, _) => Verdict::Execute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKS: [Option<Work>; 4] = [None, Some(Work::Start), Some(Work::Destroy), Some(Work::Upkeep)];
    const PRESENCES: [Presence; 3] = [Presence::Absent, Presence::Running, Presence::Exited];
    const COMMANDS: [CommandKind; 2] = [CommandKind::Start, CommandKind::Destroy];

    fn every_case(mut check: impl FnMut(Known, u64, CommandKind, Verdict)) {
        for accepted in [None, Some(0), Some(5), Some(u64::MAX)] {
            for work in WORKS {
                for presence in PRESENCES {
                    for generation in [0, 1, 4, 5, 6, u64::MAX] {
                        for command in COMMANDS {
                            let known = Known { generation: accepted, work, presence };
                            check(known, generation, command, decide(known, generation, command));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_lower_generation_is_always_refused_and_nothing_else_is() {
        every_case(|known, generation, _, verdict| {
            let lower = known.generation.filter(|&accepted| generation < accepted);
            match verdict {
                Verdict::Stale { accepted } => assert_eq!(lower, Some(accepted)),
                _ => assert_eq!(lower, None, "{known:?}"),
            }
        });
    }

    #[test]
    fn an_equal_generation_never_has_an_effect_of_its_own() {
        every_case(|known, generation, _, verdict| {
            let equal = known.generation == Some(generation);
            let repeats = matches!(verdict, Verdict::Join | Verdict::Replay);
            assert_eq!(equal, repeats, "{known:?} {generation} {verdict:?}");
            if verdict == Verdict::Join {
                assert!(matches!(known.work, Some(Work::Start | Work::Destroy)));
            }
        });
    }

    #[test]
    fn a_higher_destroy_is_never_refused() {
        every_case(|known, generation, command, verdict| {
            if command == CommandKind::Destroy
                && known.generation.is_none_or(|accepted| generation > accepted)
            {
                assert!(matches!(verdict, Verdict::Execute | Verdict::Overtake | Verdict::Queue));
            }
        });
    }

    #[test]
    fn a_start_in_progress_is_overtaken_and_any_other_work_is_awaited() {
        every_case(|known, generation, _, verdict| {
            if known.generation.is_none_or(|accepted| generation > accepted) {
                match known.work {
                    Some(Work::Start) => assert_eq!(verdict, Verdict::Overtake),
                    Some(Work::Destroy | Work::Upkeep) => assert_eq!(verdict, Verdict::Queue),
                    None => assert!(matches!(verdict, Verdict::Execute | Verdict::AlreadyRunning)),
                }
            }
        });
    }

    #[test]
    fn only_a_running_machine_refuses_a_start() {
        every_case(|known, _, command, verdict| {
            if verdict == Verdict::AlreadyRunning {
                assert_eq!((known.presence, command), (Presence::Running, CommandKind::Start));
            }
        });
    }
}
