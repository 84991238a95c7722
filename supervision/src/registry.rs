//! Finding living actors by a typed id, without keeping them alive.

use std::{
    collections::{HashMap, hash_map::Entry as MapEntry},
    fmt,
    hash::Hash,
    sync::{Arc, Weak},
};

use actix::{Actor, Addr, WeakAddr};
use parking_lot::Mutex;

use crate::child::{Child, ChildHandle};

type Entries<K, A> = Mutex<HashMap<K, Entry<A>>>;

/// A map from ids to the addresses of supervised actors; clones share the entries.
///
/// An entry vanishes with its actor. A restart is not an end: the entry stays and its address keeps working. An actor
/// that was killed stays registered until it has really ended, so that an id never has two living actors; wait for the
/// end with [`ChildHandle::wait_exit`] before the id is used anew.
pub struct Registry<K, A: Actor> {
    entries: Arc<Entries<K, A>>,
}

struct Entry<A: Actor> {
    addr: WeakAddr<A>,
    handle: ChildHandle,
}

impl<A: Actor> Entry<A> {
    fn of(child: &Child<A>) -> Self {
        Self { addr: child.weak(), handle: child.handle() }
    }

    fn child(&self) -> Option<Child<A>> {
        Some(Child::from_parts(self.addr.upgrade()?, self.handle.clone()))
    }
}

impl<K, A> Registry<K, A>
where
    K: Eq + Hash + Clone + Send + 'static,
    A: Actor,
{
    /// Creates an empty registry.
    pub fn new() -> Self {
        Self { entries: Arc::default() }
    }

    /// Returns the address of the living actor with this id.
    pub fn get(&self, key: &K) -> Option<Addr<A>> {
        self.entries.lock().get(key)?.addr.upgrade()
    }

    /// Returns the living actor with this id together with the power to kill it.
    pub fn child(&self, key: &K) -> Option<Child<A>> {
        self.entries.lock().get(key)?.child()
    }

    /// Registers `child`, in place of whatever had this id; returns the living actor that had it.
    ///
    /// A replaced actor is not stopped. Use [`get_or_spawn`](Self::get_or_spawn) where there may be several callers.
    pub fn insert(&self, key: K, child: &Child<A>) -> Option<Child<A>> {
        let replaced = self.entries.lock().insert(key.clone(), Entry::of(child));
        self.forget_at_exit(key, child.handle());
        replaced.and_then(|entry| entry.child())
    }

    /// Removes the entry of this id; returns the actor if it lives. The actor is not stopped.
    pub fn remove(&self, key: &K) -> Option<Child<A>> {
        self.entries.lock().remove(key)?.child()
    }

    /// Returns the living actor with this id, or the one that `start` starts; never starts two for one id.
    ///
    /// `start` runs under the registry's lock: it may spawn (which never blocks), but must not touch this registry, nor
    /// may the exit callbacks of its spec (they run within it when the arbiter has ended already).
    pub fn get_or_spawn(&self, key: K, start: impl FnOnce() -> Child<A>) -> Child<A> {
        let mut entries = self.entries.lock();
        let child = match entries.entry(key.clone()) {
            MapEntry::Occupied(mut occupied) => match occupied.get().child() {
                Some(living) => return living,
                None => {
                    let child = start();
                    occupied.insert(Entry::of(&child));
                    child
                }
            },
            MapEntry::Vacant(vacant) => {
                let child = start();
                vacant.insert(Entry::of(&child));
                child
            }
        };
        drop(entries);
        self.forget_at_exit(key, child.handle());
        child
    }

    /// Returns all living actors at this moment, in no particular order.
    pub fn live(&self) -> Vec<(K, Addr<A>)> {
        let entries = self.entries.lock();
        entries.iter().filter_map(|(key, entry)| Some((key.clone(), entry.addr.upgrade()?))).collect()
    }

    /// Returns the number of living actors.
    pub fn len(&self) -> usize {
        self.entries.lock().values().filter(|entry| entry.addr.upgrade().is_some()).count()
    }

    /// Returns true if no registered actor lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the entry when the actor ends, unless the id has passed to another one. Takes the lock, later or now.
    fn forget_at_exit(&self, key: K, handle: ChildHandle) {
        let entries: Weak<Entries<K, A>> = Arc::downgrade(&self.entries);
        let id = handle.id();
        handle.on_exit(move |_| {
            if let Some(entries) = entries.upgrade()
                && let MapEntry::Occupied(entry) = entries.lock().entry(key)
                && entry.get().handle.id() == id
            {
                entry.remove();
            }
        });
    }
}

impl<K, A: Actor> Clone for Registry<K, A> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone() }
    }
}

impl<K, A> Default for Registry<K, A>
where
    K: Eq + Hash + Clone + Send + 'static,
    A: Actor,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<K, A: Actor> fmt::Debug for Registry<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("entries", &self.entries.lock().len()).finish()
    }
}
