//! Counters per kind of actor, for the whole process.
//!
//! They only grow, except `alive` and `calls_in_flight`, which are gauges. Serving them is left to the caller.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use prometheus_client::{
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
    },
    registry::Registry,
};
use wrenn_base::openmetrics::{add_gauge, count};

use crate::{
    core::ChildCore,
    counters::{ARBITER_HANGS, KINDS},
};

/// The counters of one kind of actor at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindSnapshot {
    /// The kind, as in [`ChildSpec::new`](crate::ChildSpec::new).
    pub kind: &'static str,
    /// Actors that were spawned and have not ended (a gauge).
    pub alive: u64,
    /// Calls that these actors have accepted and not answered yet (a gauge). Calls wait in the mailbox, so these are what
    /// waits there and what is being handled; actix does not tell the length of a mailbox.
    pub calls_in_flight: u64,
    /// Actors whose factory succeeded.
    pub starts: u64,
    /// Restarts that were begun.
    pub restarts: u64,
    /// Panics caught, also those in `stopped()`, on drop and in the factory.
    pub panics: u64,
    /// Failures that actors declared themselves.
    pub declared_failures: u64,
    /// Polls that a [`Watchdog`](crate::Watchdog) found to be hanging.
    pub hangs: u64,
    /// Ends by the actor's own decision.
    pub stops: u64,
    /// Ends by `kill`.
    pub kills: u64,
    /// Ends that the parent had to hear of as a failure.
    pub escalations: u64,
    /// Ends with the arbiter.
    pub aborts: u64,
}

/// All counters of this process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// One entry per kind, sorted by kind.
    pub kinds: Vec<KindSnapshot>,
    /// Times a [`Watchdog`](crate::Watchdog) found an arbiter blocked by something that is not a supervised actor.
    pub arbiter_hangs: u64,
}

impl MetricsSnapshot {
    /// Returns the counters of one kind; none if no actor of it was ever spawned.
    pub fn kind(&self, kind: &str) -> Option<&KindSnapshot> {
        self.kinds.iter().find(|entry| entry.kind == kind)
    }
}

impl MetricsSnapshot {
    /// Adds the counters as metrics: actors, their events, the calls in their mailboxes, and blocked threads.
    pub fn register(&self, registry: &mut Registry) {
        let of_each = |number: fn(&KindSnapshot) -> u64| {
            self.kinds.iter().map(move |kind| ([("kind", kind.kind)], count(number(kind))))
        };
        let alive = of_each(|kind| kind.alive);
        add_gauge(registry, "actors", None, "Supervised actors that live, by kind", alive);
        let help = "Calls that wait in the mailboxes of these actors or are being handled";
        add_gauge(registry, "actor_calls_in_flight", None, help, of_each(|kind| kind.calls_in_flight));
        let events = Family::<[(&'static str, &'static str); 2], Counter>::default();
        for kind in &self.kinds {
            for (event, number) in [
                ("start", kind.starts),
                ("restart", kind.restarts),
                ("panic", kind.panics),
                ("declared_failure", kind.declared_failures),
                ("hang", kind.hangs),
                ("stop", kind.stops),
                ("kill", kind.kills),
                ("escalation", kind.escalations),
                ("abort", kind.aborts),
            ] {
                events.get_or_create(&[("kind", kind.kind), ("event", event)]).inc_by(number);
            }
        }
        registry.register("actor_events", "Events of supervised actors, by kind", events);
        let hangs = ConstCounter::new(self.arbiter_hangs);
        registry.register("arbiter_hangs", "Times a thread of actors was found blocked", hangs);
    }
}

/// Reads all counters of this process.
pub fn metrics_snapshot() -> MetricsSnapshot {
    let mut calls: BTreeMap<&'static str, u64> = BTreeMap::new();
    for child in ChildCore::all_alive() {
        *calls.entry(child.kind).or_default() += child.calls_in_flight() as u64;
    }
    let kinds = KINDS
        .lock()
        .iter()
        .map(|(&kind, counters)| KindSnapshot {
            kind,
            alive: counters.alive.load(Relaxed),
            calls_in_flight: calls.get(kind).copied().unwrap_or_default(),
            starts: counters.starts.load(Relaxed),
            restarts: counters.restarts.load(Relaxed),
            panics: counters.panics.load(Relaxed),
            declared_failures: counters.declared_failures.load(Relaxed),
            hangs: counters.hangs.load(Relaxed),
            stops: counters.stops.load(Relaxed),
            kills: counters.kills.load(Relaxed),
            escalations: counters.escalations.load(Relaxed),
            aborts: counters.aborts.load(Relaxed),
        })
        .collect();
    MetricsSnapshot { kinds, arbiter_hangs: ARBITER_HANGS.load(Relaxed) }
}
