//! Plausible bugs. Each is seeded where a careless change would put it, and each must be found.

/// What is wrong with the system that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// The reconciler hands on what a host reports as if it were about the current generation.
    ReportsOfAnyGeneration,
    /// The agent carries out a command whose generation is lower than one that it has accepted.
    OlderCommandsAccepted,
    /// A settled state is written without the generation in its `WHERE`.
    UnfencedSettling,
    /// A command leaves before its intent is committed.
    SentBeforeCommit,
    /// A removal waits for the end of a pause instead of overtaking it.
    DestroyQueuedBehindPause,
    /// A pause kills the virtual machine before the record says that it is paused.
    KilledBeforePauseIsCommitted,
    /// A resumption lets the virtual machine run before the record says that it may.
    RunsBeforeThatIsCommitted,
    /// A snapshot clones the memory of a machine that runs.
    ClonedWhileRunning,
    /// A removal forgets the record before there is a tombstone.
    ForgottenBeforeBuried,
}

impl Bug {
    /// All there are.
    pub(crate) const ALL: [Self; 9] = [
        Self::ReportsOfAnyGeneration,
        Self::OlderCommandsAccepted,
        Self::UnfencedSettling,
        Self::SentBeforeCommit,
        Self::DestroyQueuedBehindPause,
        Self::KilledBeforePauseIsCommitted,
        Self::RunsBeforeThatIsCommitted,
        Self::ClonedWhileRunning,
        Self::ForgottenBeforeBuried,
    ];

    /// An invariant that it breaks, and no later than any other.
    pub(crate) fn breaks(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ReportsOfAnyGeneration => "3: settled rows agree with their hosts",
            Self::OlderCommandsAccepted => "4: every operation settles",
            Self::UnfencedSettling | Self::SentBeforeCommit => {
                "2: a host knows no intent that is not committed"
            }
            Self::DestroyQueuedBehindPause => "2: nothing is achieved after something newer was accepted",
            Self::KilledBeforePauseIsCommitted => "6: no machine stops without cause",
            Self::RunsBeforeThatIsCommitted => "6: what is paused is whole",
            Self::ClonedWhileRunning => "7: templates are of one moment",
            Self::ForgottenBeforeBuried => "2: generations only grow on a host",
        }
    }
}
