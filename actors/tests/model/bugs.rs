//! Five plausible bugs. Each is seeded where a careless change would put it, and each must be found.

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
}

impl Bug {
    /// All there are.
    pub(crate) const ALL: [Self; 5] = [
        Self::ReportsOfAnyGeneration,
        Self::OlderCommandsAccepted,
        Self::UnfencedSettling,
        Self::SentBeforeCommit,
        Self::DestroyQueuedBehindPause,
    ];

    /// The invariant that it breaks first.
    pub(crate) fn breaks(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ReportsOfAnyGeneration => "3: settled rows agree with their hosts",
            Self::OlderCommandsAccepted => "4: every operation settles",
            Self::UnfencedSettling => "2: a host knows no intent that is not committed",
            Self::SentBeforeCommit => "2: a host knows no intent that is not committed",
            Self::DestroyQueuedBehindPause => "2: nothing is achieved after something newer was accepted",
        }
    }
}
