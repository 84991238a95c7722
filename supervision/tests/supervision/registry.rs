//! A registry knows the living, by id, and nobody twice.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicUsize, Ordering},
};

use actix::prelude::*;
use wrenn_supervision::{ArbiterPool, Child, Registry, call, spawn, spawn_local};
use wrenn_testkit::wait::eventually;

use crate::probe::{Do, Journal, Probe, Say, quick, run};

fn start() -> Child<Probe> {
    spawn_local(quick("registered"), |_| Probe::default())
}

#[test]
fn a_registered_actor_is_found_and_survives_restarts() {
    run(async {
        let registry = Registry::new();
        let child = start();
        assert!(registry.insert(1, &child).is_none());
        let _ = call(&child.addr(), Do::panic()).await;
        let found = registry.get(&1).expect("it is registered");
        assert_eq!(call(&found, Say(1)).await, Ok(1));
        assert_eq!(found, child.addr());
        assert!(registry.get(&2).is_none());
        assert_eq!((registry.len(), registry.is_empty()), (1, false));
    });
}

#[test]
fn entries_vanish_with_their_actors() {
    run(async {
        let registry = Registry::new();
        let (killed, stopped, living) = (start(), start(), start());
        for (key, child) in [("killed", &killed), ("stopped", &stopped), ("living", &living)] {
            registry.insert(key, child);
        }
        killed.kill();
        call(&stopped.addr(), Do::new(|_, ctx| ctx.stop())).await.unwrap();
        killed.wait_exit().await;
        stopped.wait_exit().await;
        assert!(registry.get(&"killed").is_none());
        assert!(registry.child(&"stopped").is_none());
        let live: Vec<_> = registry.live().into_iter().map(|(key, _)| key).collect();
        assert_eq!(live, ["living"]);
        assert_eq!(format!("{registry:?}"), "Registry { entries: 1 }");
        registry.insert("dead", &killed);
        assert_eq!(format!("{registry:?}"), "Registry { entries: 1 }");
    });
}

#[test]
fn a_registry_keeps_nobody_alive() {
    run(async {
        let registry = Registry::new();
        let child = start();
        registry.insert(1, &child);
        let handle = child.handle();
        drop(child);
        registry.child(&1).expect("it lives").kill();
        handle.wait_exit().await;
        assert!(registry.is_empty());
    });
}

#[test]
fn the_end_of_a_replaced_actor_leaves_its_successor_registered() {
    run(async {
        let registry = Registry::new();
        let (old, new) = (start(), start());
        registry.insert(1, &old);
        let replaced = registry.insert(1, &new).expect("the old one lives");
        assert_eq!(replaced.addr(), old.addr());
        replaced.kill();
        replaced.wait_exit().await;
        assert_eq!(registry.get(&1), Some(new.addr()));
        let removed = registry.remove(&1).expect("the new one lives");
        assert_eq!(removed.addr(), new.addr());
        assert!(registry.remove(&1).is_none());
        assert_eq!(call(&new.addr(), Say(1)).await, Ok(1));
    });
}

#[test]
fn get_or_spawn_starts_anew_only_after_the_end() {
    run(async {
        let registry = Registry::new();
        let first = registry.get_or_spawn(1, start);
        let again = registry.get_or_spawn(1, || panic!("it lives"));
        assert_eq!(first.addr(), again.addr());
        first.kill();
        // Killed, but not ended: still the one.
        assert_eq!(registry.get_or_spawn(1, || panic!("it lives")).addr(), first.addr());
        first.wait_exit().await;
        let second = registry.get_or_spawn(1, start);
        assert_ne!(first.addr(), second.addr());
        assert_eq!(registry.len(), 1);
    });
}

#[test]
fn concurrent_get_or_spawn_starts_one_actor_per_id() {
    run(async {
        let pool = Arc::new(ArbiterPool::new(2).unwrap());
        let registry = Registry::new();
        let starts = Arc::new(AtomicUsize::new(0));
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (registry, starts, barrier, pool) =
                    (registry.clone(), starts.clone(), barrier.clone(), pool.clone());
                std::thread::spawn(move || {
                    barrier.wait();
                    (0..100)
                        .map(|key| {
                            let start = || {
                                starts.fetch_add(1, Ordering::SeqCst);
                                pool.spawn(quick("concurrent"), |_| Probe::default())
                            };
                            registry.get_or_spawn(key, start).addr()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let found: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(starts.load(Ordering::SeqCst), 100);
        assert!(found.iter().all(|addrs| *addrs == found[0]));
        assert_eq!(registry.len(), 100);
        drop(found);
        Arc::into_inner(pool).expect("the threads have ended").shutdown();
        assert_eq!(format!("{registry:?}"), "Registry { entries: 0 }");
    });
}

#[test]
fn a_registry_can_be_used_from_other_arbiters() {
    fn assert_shared<T: Send + Sync + Clone>(_: &T) {}
    run(async {
        let registry = Registry::<u32, Probe>::new();
        assert_shared(&registry);
        let journal = Journal::default();
        let arbiter = Arbiter::new();
        let probe = Probe::new(&journal);
        let child = spawn(&arbiter.handle(), quick("elsewhere"), move |_| probe);
        registry.insert(1, &child);
        assert_eq!(call(&registry.get(&1).unwrap(), Say(1)).await, Ok(1));
        arbiter.stop();
        eventually("it is forgotten", async || registry.is_empty()).await;
        arbiter.join().unwrap();
    });
}
