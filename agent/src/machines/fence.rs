//! Which commands a machine takes: the fencing rule, without I/O.
//!
//! Every command carries the generation of its sandbox, which only the control plane increments. A command that
//! was delayed on its way carries a lower one than what the host has seen, and must not have an effect any more;
//! one that is sent again carries the same, and must have its effect only once.
//!
//! Two questions, asked one after the other: [`decide`] looks at generations and at the work in progress, when a
//! command arrives; [`fit`] looks at the machine itself, when the command's turn has come.

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// Make the machine, and let it run.
    Start,
    /// Keep its memory, and end its VMM.
    Pause,
    /// Let it go on from its memory, or boot it from its disk.
    Resume,
    /// Make a template of its disk and memory.
    Snapshot,
    /// Make a template of its disk.
    Flatten,
    /// Remove the machine and everything of it.
    Destroy,
}

impl CommandKind {
    /// Returns the name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Snapshot => "snapshot",
            Self::Flatten => "flatten",
            Self::Destroy => "destroy",
        }
    }
}

impl CommandKind {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Start, Self::Pause, Self::Resume, Self::Snapshot, Self::Flatten, Self::Destroy];
}

/// Work on a machine that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// What a command asked for.
    Command(CommandKind),
    /// It is being taken over after a restart of the agent, or cleaned up after its end; nobody ordered that.
    Upkeep,
    /// It is paused, and its files are being written to the disk, which anything may break off.
    Sync,
}

/// What is true of the machine itself, while nobody works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There is nothing of it.
    Absent,
    /// Its virtual machine runs.
    Running,
    /// Its memory and its disk are kept.
    Paused,
    /// Its disk is kept.
    Stopped,
    /// Its virtual machine is gone, and nothing is kept.
    Exited,
}

/// What the host knows of one sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Highest generation accepted; none if no command was ever accepted.
    pub generation: Option<u64>,
    /// What is being done, or waits for what is being done, by order of that generation.
    pub work: Option<Work>,
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
    /// Accept its generation, and see whether it [fits](fit) the machine.
    Execute,
    /// Accept its generation, ask the work in progress to give up, and wait until it has.
    Overtake,
    /// Accept its generation, and wait for the end of the work in progress.
    Queue,
}

/// Decides what to do with a command of `generation`, given what is known.
pub fn decide(known: Known, generation: u64, command: CommandKind) -> Verdict {
    match known.generation {
        Some(accepted) if generation < accepted => return Verdict::Stale { accepted },
        Some(accepted) if generation == accepted => {
            // What nobody ordered changes the state of the machine, but not the outcome of the last command.
            return if matches!(known.work, Some(Work::Command(_))) {
                Verdict::Join
            } else {
                Verdict::Replay
            };
        }
        _ => {}
    }
    match (known.work, command) {
        (None, _) => Verdict::Execute,
        // What is on its way out stays so.
        (Some(Work::Command(CommandKind::Destroy)), _) => Verdict::Queue,
        (Some(_), CommandKind::Destroy) => Verdict::Overtake,
        (Some(Work::Command(CommandKind::Start | CommandKind::Resume) | Work::Sync), _) => Verdict::Overtake,
        (Some(_), _) => Verdict::Queue,
    }
}

/// How a command and what is true of its machine go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It can be carried out.
    CarryOut,
    /// What it asks for is so already: it succeeds, and nothing is done.
    AlreadySo,
    /// It makes no sense now: it fails, and nothing is done.
    Misfit,
}

/// Says whether a command can be carried out on a machine on which nobody works.
pub fn fit(command: CommandKind, presence: Presence) -> Fit {
    use CommandKind as C;
    use Presence as P;
    match (command, presence) {
        (C::Destroy, _)
        | (C::Start, P::Absent | P::Exited)
        | (C::Pause, P::Running)
        | (C::Resume, P::Paused | P::Stopped)
        | (C::Snapshot, P::Running | P::Paused)
        | (C::Flatten, P::Running | P::Stopped) => Fit::CarryOut,
        (C::Pause, P::Paused) | (C::Resume, P::Running) => Fit::AlreadySo,
        _ => Fit::Misfit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESENCES: [Presence; 5] =
        [Presence::Absent, Presence::Running, Presence::Paused, Presence::Stopped, Presence::Exited];

    fn every_work() -> impl Iterator<Item = Option<Work>> {
        let commands = CommandKind::ALL.map(|kind| Some(Work::Command(kind)));
        [None, Some(Work::Upkeep), Some(Work::Sync)].into_iter().chain(commands)
    }

    fn every_case(mut check: impl FnMut(Known, u64, CommandKind, Verdict)) {
        for accepted in [None, Some(0), Some(5), Some(u64::MAX)] {
            for work in every_work() {
                for generation in [0, 1, 4, 5, 6, u64::MAX] {
                    for command in CommandKind::ALL {
                        let known = Known { generation: accepted, work };
                        check(known, generation, command, decide(known, generation, command));
                    }
                }
            }
        }
    }

    fn every_higher_case(mut check: impl FnMut(Option<Work>, CommandKind, Verdict)) {
        every_case(|known, generation, command, verdict| {
            if known.generation.is_none_or(|accepted| generation > accepted) {
                check(known.work, command, verdict);
            }
        });
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
            if equal {
                let ordered = matches!(known.work, Some(Work::Command(_)));
                assert_eq!(verdict == Verdict::Join, ordered, "{known:?}");
            }
        });
    }

    #[test]
    fn a_higher_destroy_waits_for_nothing_but_another_one() {
        every_higher_case(|work, command, verdict| {
            if command == CommandKind::Destroy {
                let expected = match work {
                    None => Verdict::Execute,
                    Some(Work::Command(CommandKind::Destroy)) => Verdict::Queue,
                    Some(_) => Verdict::Overtake,
                };
                assert_eq!(verdict, expected, "{work:?}");
            }
        });
    }

    #[test]
    fn other_commands_overtake_what_makes_a_machine_run_and_await_everything_else() {
        every_higher_case(|work, command, verdict| {
            if command != CommandKind::Destroy {
                let expected = match work {
                    None => Verdict::Execute,
                    Some(Work::Command(CommandKind::Start | CommandKind::Resume) | Work::Sync) => {
                        Verdict::Overtake
                    }
                    Some(_) => Verdict::Queue,
                };
                assert_eq!(verdict, expected, "{work:?} {command:?}");
            }
        });
    }

    #[test]
    fn a_command_is_carried_out_only_on_a_machine_that_it_is_for() {
        let carried_out = |command| PRESENCES.map(|presence| fit(command, presence) == Fit::CarryOut);
        // absent, running, paused, stopped, exited
        assert_eq!(carried_out(CommandKind::Start), [true, false, false, false, true]);
        assert_eq!(carried_out(CommandKind::Pause), [false, true, false, false, false]);
        assert_eq!(carried_out(CommandKind::Resume), [false, false, true, true, false]);
        assert_eq!(carried_out(CommandKind::Snapshot), [false, true, true, false, false]);
        assert_eq!(carried_out(CommandKind::Flatten), [false, true, false, true, false]);
        assert_eq!(carried_out(CommandKind::Destroy), [true; 5]);
    }

    #[test]
    fn only_a_pause_of_the_paused_and_a_resumption_of_the_running_change_nothing() {
        for command in CommandKind::ALL {
            for presence in PRESENCES {
                let expected = matches!(
                    (command, presence),
                    (CommandKind::Pause, Presence::Paused) | (CommandKind::Resume, Presence::Running)
                );
                assert_eq!(fit(command, presence) == Fit::AlreadySo, expected, "{command:?} {presence:?}");
            }
        }
    }
}
