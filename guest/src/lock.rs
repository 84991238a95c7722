//! A mutex whose critical sections cannot panic half-way, so poison means nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A [`Mutex`] without poisoning. Held for a few instructions, never across an await.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Locks. A panic elsewhere aborts the daemon, so a poisoned value is never seen outside tests.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
