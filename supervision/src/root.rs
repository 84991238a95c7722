//! The top of a supervision tree: when a failure arrives here, the process ends.
//!
//! Nobody above can restart the actor, so the process does it for all of them: it exits with an error, and whatever
//! runs it (a service manager, a container runtime) starts it anew.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{child::ChildHandle, exit::ChildExited, spec::ChildSpec};

/// The exit code of [`Root::exit_process`]: `EX_SOFTWARE`, an internal error.
pub const ESCALATION_EXIT_CODE: i32 = 70;

/// The parent of the actors that have no parent.
///
/// It acts on the first escalation only, and never on an actor that stopped, was killed or ended with its arbiter.
#[derive(Clone)]
pub struct Root {
    inner: Arc<Inner>,
}

struct Inner {
    escalated: AtomicBool,
    on_escalation: Box<dyn Fn(&ChildExited) + Send + Sync>,
}

impl Root {
    /// Creates a root that calls `on_escalation` once, on the arbiter of the child that failed for good.
    pub fn new(on_escalation: impl Fn(&ChildExited) + Send + Sync + 'static) -> Self {
        let inner = Inner { escalated: AtomicBool::new(false), on_escalation: Box::new(on_escalation) };
        Self { inner: Arc::new(inner) }
    }

    /// Creates a root that ends the process with [`ESCALATION_EXIT_CODE`].
    pub fn exit_process() -> Self {
        Self::new(|_| std::process::exit(ESCALATION_EXIT_CODE))
    }

    /// Makes the child of this spec one whose escalation ends here.
    pub fn adopt(&self, spec: ChildSpec) -> ChildSpec {
        let root = self.clone();
        spec.on_exit(move |exited| root.child_exited(exited))
    }

    /// Makes a running child one whose escalation ends here.
    pub fn adopt_child(&self, child: &ChildHandle) {
        let root = self.clone();
        child.on_exit(move |exited| root.child_exited(exited));
    }

    /// Returns true once an escalation has arrived.
    pub fn has_escalated(&self) -> bool {
        self.inner.escalated.load(Ordering::Acquire)
    }

    fn child_exited(&self, exited: &ChildExited) {
        if exited.reason.is_escalation() && !self.inner.escalated.swap(true, Ordering::AcqRel) {
            let ChildExited { kind, name, reason } = exited;
            tracing::error!(kind, actor = %name, reason = %reason, "failure reached the root of the tree");
            (self.inner.on_escalation)(exited);
        }
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("has_escalated", &self.has_escalated()).finish_non_exhaustive()
    }
}
