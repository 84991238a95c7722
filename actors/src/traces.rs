//! The traces of operations in flight: which request led to the command that a host gets.
//!
//! A command is sent by the sandbox's actor, which may have been started for it, or may send it again when the host is back. So the
//! context waits here, by sandbox, until the operation has ended. Nothing is kept where no spans are exported.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use wrenn_base::trace;
use wrenn_proto::ids::SandboxId;

/// Contexts by sandbox; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces {
    contexts: Arc<Mutex<HashMap<SandboxId, String>>>,
}

impl Traces {
    /// Notes that the current span requests an operation on the sandbox. The latest request counts.
    pub(crate) fn note(&self, id: SandboxId) {
        let context = trace::current();
        if !context.is_empty() {
            self.contexts.lock().insert(id, context);
        }
    }

    /// Returns the context of the sandbox's operation; empty if it is part of no trace.
    pub(crate) fn of(&self, id: SandboxId) -> String {
        self.contexts.lock().get(&id).cloned().unwrap_or_default()
    }

    /// Forgets it, because the operation has ended or was not begun.
    pub(crate) fn forget(&self, id: SandboxId) {
        self.contexts.lock().remove(&id);
    }
}
