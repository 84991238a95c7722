//! The live counters of each kind of actor, which children write and snapshots read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

pub(crate) static KINDS: Mutex<BTreeMap<&'static str, Arc<KindCounters>>> = Mutex::new(BTreeMap::new());
pub(crate) static ARBITER_HANGS: AtomicU64 = AtomicU64::new(0);

/// The live counters of one kind.
#[derive(Debug, Default)]
pub(crate) struct KindCounters {
    pub(crate) alive: AtomicU64,
    pub(crate) starts: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) declared_failures: AtomicU64,
    pub(crate) hangs: AtomicU64,
    pub(crate) stops: AtomicU64,
    pub(crate) kills: AtomicU64,
    pub(crate) escalations: AtomicU64,
    pub(crate) aborts: AtomicU64,
}

impl KindCounters {
    pub(crate) fn of(kind: &'static str) -> Arc<Self> {
        KINDS.lock().entry(kind).or_default().clone()
    }
}

pub(crate) fn count_arbiter_hang() {
    ARBITER_HANGS.fetch_add(1, Relaxed);
}
