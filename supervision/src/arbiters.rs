//! A fixed set of arbiters (threads with an event loop each) to spread actors over.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::Context;
use actix_rt::{Arbiter, ArbiterHandle};

use crate::{
    child::{Child, spawn},
    spec::{ChildSpec, Restartable},
};

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The thread or the event loop of an arbiter could not be made.
    #[error("cannot start arbiter {name}")]
    Arbiter {
        /// The name the arbiter would have had.
        name: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// An arbiter can only be made on a thread that belongs to an actix system.
    #[error("there is no actix system on this thread")]
    NoSystem,
}

/// A pool of arbiters, named `prefix-0`, `prefix-1`, ..
///
/// Dropping the pool tells its arbiters to stop, which aborts the actors on them; [`shutdown`](Self::shutdown) also
/// waits for that.
#[derive(Debug)]
pub struct ArbiterPool {
    arbiters: Vec<Pooled>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Pooled {
    name: String,
    arbiter: Arbiter,
    /// Actors that were spawned here through the pool and have not ended.
    load: Arc<AtomicUsize>,
}

impl ArbiterPool {
    /// Starts `count` arbiters (at least one) named `arbiter-0`, `arbiter-1`, ..
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn new(count: usize) -> Result<Self, PoolError> {
        Self::named("arbiter", count)
    }

    /// Starts `count` arbiters (at least one) whose threads carry the names `prefix-0`, `prefix-1`, ..
    ///
    /// Linux shows the first 15 bytes of a thread's name.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn named(prefix: &str, count: usize) -> Result<Self, PoolError> {
        if !actix_rt::System::is_registered() {
            return Err(PoolError::NoSystem);
        }
        let arbiters = (0..count.max(1))
            .map(|index| Pooled::start(format!("{prefix}-{index}")))
            .collect::<Result<_, _>>()?;
        Ok(Self { arbiters, next: AtomicUsize::new(0) })
    }

    /// Returns the number of arbiters.
    #[expect(clippy::len_without_is_empty, reason = "a pool is never empty")]
    pub fn len(&self) -> usize {
        self.arbiters.len()
    }

    /// Returns the arbiters in turn.
    pub fn round_robin(&self) -> ArbiterHandle {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.arbiters.len();
        self.arbiters[index].arbiter.handle()
    }

    /// Starts a supervised actor on the arbiter with the fewest living actors of this pool; otherwise as [`spawn`].
    pub fn spawn<A, F>(&self, spec: ChildSpec, factory: F) -> Child<A>
    where
        A: Restartable,
        F: FnOnce(&mut Context<A>) -> A + Send + 'static,
    {
        let pooled = self.claim_least_loaded();
        let child = spawn(&pooled.arbiter.handle(), spec, factory);
        let load = pooled.load.clone();
        child.handle().on_exit(move |_| {
            load.fetch_sub(1, Ordering::Relaxed);
        });
        child
    }

    /// Returns each arbiter's name and the number of living actors that were spawned on it through the pool.
    pub fn loads(&self) -> Vec<(String, usize)> {
        self.arbiters
            .iter()
            .map(|pooled| (pooled.name.clone(), pooled.load.load(Ordering::Relaxed)))
            .collect()
    }

    /// Stops all arbiters, which aborts their actors, and waits for their threads.
    ///
    /// Blocks the calling thread as long as an actor blocks its own; do not call it on one of the pool's threads.
    pub fn shutdown(mut self) {
        let arbiters = std::mem::take(&mut self.arbiters);
        for pooled in &arbiters {
            pooled.arbiter.stop();
        }
        for pooled in arbiters {
            if pooled.arbiter.join().is_err() {
                tracing::error!(arbiter = %pooled.name, "arbiter thread panicked");
            }
        }
    }

    fn claim_least_loaded(&self) -> &Pooled {
        // Begin at a moving place, so that equal loads are filled in turn.
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.arbiters.len();
        let candidates = (0..count).map(|offset| &self.arbiters[(start.wrapping_add(offset)) % count]);
        let least = candidates.min_by_key(|pooled| pooled.load.load(Ordering::Relaxed));
        let pooled = least.unwrap_or(&self.arbiters[0]);
        pooled.load.fetch_add(1, Ordering::Relaxed);
        pooled
    }
}

impl Drop for ArbiterPool {
    fn drop(&mut self) {
        for pooled in &self.arbiters {
            pooled.arbiter.stop();
        }
    }
}

impl Pooled {
    fn start(name: String) -> Result<Self, PoolError> {
        let thread_name = name.clone();
        let started = Arbiter::try_with_tokio_rt(move || {
            name_current_thread(&thread_name);
            tokio::runtime::Builder::new_current_thread().enable_all().build()
        });
        match started {
            Ok(arbiter) => Ok(Self { name, arbiter, load: Arc::default() }),
            Err(source) => Err(PoolError::Arbiter { name, source }),
        }
    }
}

/// Names this thread for the operating system's tools; actix gives all arbiters names that look alike there.
fn name_current_thread(name: &str) {
    let visible = &name.as_bytes()[..name.len().min(15)];
    // Only cosmetic, and not available everywhere.
    let _ = std::fs::write("/proc/thread-self/comm", visible);
    crate::polling::name_thread(name);
}
