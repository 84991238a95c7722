//! Slots that a pool has, and those that it gave out.

use std::{
    collections::{BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    instance::MAX_SLOTS,
    names::{SlotNumber, TAP},
    resolver::Resolver,
};

/// A network for one machine, taken from the pool.
///
/// It stays taken until it is given to [`SlotPool::release`](super::SlotPool::release), which may happen only after the
/// machine's VMM is confirmed dead. Dropping a slot stops its resolver and nothing else: the namespace stays, as an agent
/// that ends must not cut its machines off, and [`SlotPool::adopt`](super::SlotPool::adopt) gives it out again.
#[derive(Debug)]
pub struct Slot {
    number: SlotNumber,
    netns: PathBuf,
    uid: u32,
    /// `None` only while the slot is given back.
    lease: Option<Lease>,
    _resolver: Resolver,
}

impl Slot {
    /// Ends the holding of a slot that is about to be removed.
    pub(super) fn into_number(mut self) -> SlotNumber {
        if let Some(lease) = self.lease.take() {
            lease.end();
        }
        self.number
    }

    /// Number to persist in order to adopt the slot later.
    pub fn number(&self) -> SlotNumber {
        self.number
    }

    /// The namespace, as a path that can be opened.
    pub fn netns(&self) -> &Path {
        &self.netns
    }

    /// Name of the tap device in the namespace.
    pub fn tap(&self) -> &'static str {
        TAP
    }

    /// User id for the VMM of this slot; no other slot of this host has it.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

/// The pool's knowledge that somebody holds a slot; dropped, the slot waits for its adoption.
#[derive(Debug)]
struct Lease {
    slots: Weak<Mutex<Slots>>,
    number: SlotNumber,
}

impl Lease {
    /// Ends the lease without making the slot adoptable.
    fn end(mut self) {
        self.slots = Weak::new();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.upgrade() {
            lock(&slots).kept.insert(self.number);
        }
    }
}

/// State of the slots of a pool.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) ready: VecDeque<Slot>,
    /// Every number that stands for something on the host: ready, being made, kept, taken, being removed.
    pub(super) used: BTreeSet<SlotNumber>,
    /// Numbers whose machines may run and that nobody holds a [`Slot`] of; also in `used`.
    pub(super) kept: BTreeSet<SlotNumber>,
    pub(super) making: usize,
    next: u16,
    pub(super) closed: bool,
}

impl Slots {
    pub(super) fn reserve(&mut self) -> Option<SlotNumber> {
        for _ in 0..MAX_SLOTS {
            let number = SlotNumber(self.next);
            self.next = (self.next + 1) % MAX_SLOTS;
            if self.used.insert(number) {
                return Some(number);
            }
        }
        None
    }
}

/// Slots of a pool, which those that it gave out still know.
#[derive(Debug)]
pub(super) struct SharedSlots(Arc<Mutex<Slots>>);

impl SharedSlots {
    /// Begins with slots that earlier agents left, none of them held; `next` is the first number to try.
    pub(super) fn new(kept: BTreeSet<SlotNumber>, next: u16) -> Self {
        let slots =
            Slots { ready: VecDeque::new(), used: kept.clone(), kept, making: 0, next, closed: false };
        Self(Arc::new(Mutex::new(slots)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Slots> {
        lock(&self.0)
    }

    /// Makes the slot of a namespace, which nobody else holds.
    pub(super) fn slot(&self, number: SlotNumber, netns: PathBuf, uid: u32, resolver: Resolver) -> Slot {
        let lease = Lease { slots: Arc::downgrade(&self.0), number };
        Slot { number, netns, uid, lease: Some(lease), _resolver: resolver }
    }
}

fn lock(slots: &Mutex<Slots>) -> MutexGuard<'_, Slots> {
    // Every change under this lock is one step; there is no half-done state to fear.
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}
