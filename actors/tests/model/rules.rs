//! How the system behaves, and what was seen of that.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::bugs::Bug;

/// Something that happened on some path. The exploration is of no use if one of these never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Witness {
    Paused,
    Resumed,
    BootedFromDisk,
    TemplateMade,
    Destroyed,
    /// A removal was accepted while a pause was under way, which gave up.
    PauseOvertaken,
    /// A command came again and was answered with the recorded outcome.
    OutcomeReplayed,
    StaleCommandRefused,
    /// What an inventory said changed a row.
    SettledByInventory,
    UnknownMachineRemoved,
    LateWriteCommitted,
    LateWriteRefused,
    /// An actor found that its row is not what it knew.
    RowReadAgain,
    /// A failed command was told to the sandbox's actor.
    FailureTold,
}

/// How the system behaves, and what was seen of that.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) bug: Bug,
    seen: AtomicU32,
}

impl Rules {
    pub(crate) fn new(bug: Bug) -> Self {
        Self { bug, seen: AtomicU32::new(0) }
    }

    pub(crate) fn saw(&self, witness: Witness) {
        self.seen.fetch_or(1 << witness as u8, Ordering::Relaxed);
    }

    /// Whether it was seen; a witness is given by its number.
    pub(crate) fn has_seen(&self, witness: u8) -> bool {
        self.seen.load(Ordering::Relaxed) & (1 << witness) != 0
    }
}
