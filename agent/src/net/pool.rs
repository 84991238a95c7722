//! Slots made ahead.

use std::{collections::BTreeSet, io, sync::Arc};

use super::{Egress, Instance, Slot, SlotNumber};

/// How a pool works.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// How many slots are kept ready.
    pub ahead: usize,
    /// What guests may reach.
    pub egress: Egress,
    /// Slots that machines of an earlier agent still use; every other one is removed at the start.
    pub keep: BTreeSet<SlotNumber>,
}

/// Why the pool could not start.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct StartPoolError {
    /// What was being done.
    pub action: String,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Why no slot could be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeSlotError {
    /// All slots of this installation are taken.
    #[error("all {0} network slots are taken")]
    Full(usize),
    /// A slot could not be made.
    #[error("{action}")]
    Make {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// Why a slot could not be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptSlotError {
    /// Its namespace does not exist.
    #[error("slot {0:?} does not exist")]
    Missing(SlotNumber),
    /// It is in use.
    #[error("slot {0:?} is taken already")]
    Taken(SlotNumber),
    /// Its resolver could not start.
    #[error("start the resolver of slot {number:?}")]
    Resolver {
        /// The slot.
        number: SlotNumber,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a slot is not gone; it stays out of use until the next start of the pool.
#[derive(Debug, thiserror::Error)]
#[error("remove slot {number:?}")]
pub struct ReleaseSlotError {
    /// The slot.
    pub number: SlotNumber,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Why not everything of the pool is gone.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct TeardownError {
    /// What was being done.
    pub action: String,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// The slots of one installation; cheap to clone, all futures are `Send`.
#[derive(Debug, Clone)]
pub struct SlotPool {
    instance: Arc<Instance>,
}

impl SlotPool {
    /// Removes what earlier agents left (except `config.keep`), installs the host's rules, and starts making
    /// slots in the background.
    ///
    /// # Errors
    /// [`StartPoolError`] if the host's rules cannot be installed.
    pub async fn start(instance: Arc<Instance>, config: PoolConfig) -> Result<Self, StartPoolError> {
        let _ = (instance, config);
        todo!()
    }

    /// Takes a slot that nobody uses, made ahead if there is one.
    ///
    /// # Errors
    /// [`TakeSlotError`].
    pub async fn take(&self) -> Result<Slot, TakeSlotError> {
        todo!()
    }

    /// Takes the slot of a machine that an earlier agent started.
    ///
    /// # Errors
    /// [`AdoptSlotError`].
    pub async fn adopt(&self, number: SlotNumber) -> Result<Slot, AdoptSlotError> {
        let _ = number;
        todo!()
    }

    /// Gives a slot back. Only after the VMM in it is confirmed dead. Returns when it is removed; nothing of it
    /// (connections, addresses in use) is seen by the next machine.
    ///
    /// # Errors
    /// [`ReleaseSlotError`]; the slot is out of use then.
    pub async fn release(&self, slot: Slot) -> Result<(), ReleaseSlotError> {
        let _ = slot;
        todo!()
    }

    /// The installation the pool works for.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Stops the background work and removes every slot that is not taken, and if none is taken also the host's
    /// rules.
    ///
    /// # Errors
    /// [`TeardownError`].
    pub async fn teardown(&self) -> Result<(), TeardownError> {
        todo!()
    }
}
