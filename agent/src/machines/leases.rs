//! Who works with which artifact: nothing is removed while somebody clones from it, and nothing is made twice.
//!
//! An artifact is used by any number at once, or held by one alone: who makes it, or who removes it. Whoever wants to
//! hold one alone keeps new users out, and waits for those that are in it.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;
use wrenn_proto::ids::TemplateId;

/// Files that machines are made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Artifact {
    /// A template that was made on this host.
    Template(TemplateId),
    /// Memory of a machine that has just been booted, under the name of what it was booted from.
    BootSnapshot(String),
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(id) => write!(f, "template {id}"),
            Self::BootSnapshot(key) => write!(f, "boot snapshot {key}"),
        }
    }
}

#[derive(Debug, Default)]
struct Use {
    users: usize,
    /// Somebody holds it alone, or waits to.
    alone: bool,
}

/// The leases of one host; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    uses: Mutex<HashMap<Artifact, Use>>,
    returned: Notify,
}

/// The use of an artifact, together with others. Ends when it is dropped.
#[derive(Debug)]
pub struct Lease {
    shared: Arc<Shared>,
    artifact: Artifact,
}

/// The use of an artifact by one alone. Ends when it is dropped.
#[derive(Debug)]
pub struct Exclusive {
    shared: Arc<Shared>,
    artifact: Artifact,
}

impl Lease {
    /// What is used.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
}

impl Exclusive {
    /// What is held.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
}

impl Leases {
    /// Uses an artifact; none if somebody holds it alone.
    pub fn share(&self, artifact: &Artifact) -> Option<Lease> {
        let mut uses = self.0.uses.lock();
        let entry = uses.entry(artifact.clone()).or_default();
        if entry.alone {
            return None;
        }
        entry.users += 1;
        Some(Lease { shared: self.0.clone(), artifact: artifact.clone() })
    }

    /// Holds an artifact alone; none if anybody uses it.
    pub fn try_hold(&self, artifact: &Artifact) -> Option<Exclusive> {
        let mut uses = self.0.uses.lock();
        let entry = uses.entry(artifact.clone()).or_default();
        if entry.alone || entry.users > 0 {
            return None;
        }
        entry.alone = true;
        Some(Exclusive { shared: self.0.clone(), artifact: artifact.clone() })
    }

    /// Holds an artifact alone, as soon as nobody uses it any more; keeps new users out meanwhile.
    pub async fn hold(&self, artifact: &Artifact) -> Exclusive {
        // Only one waits at the front; it holds the artifact from here on, also if the wait is given up.
        let exclusive = loop {
            let returned = self.0.returned.notified();
            tokio::pin!(returned);
            returned.as_mut().enable();
            {
                let mut uses = self.0.uses.lock();
                let entry = uses.entry(artifact.clone()).or_default();
                if !entry.alone {
                    entry.alone = true;
                    break Exclusive { shared: self.0.clone(), artifact: artifact.clone() };
                }
            }
            returned.await;
        };
        loop {
            let returned = self.0.returned.notified();
            tokio::pin!(returned);
            returned.as_mut().enable();
            if self.0.uses.lock().get(artifact).is_none_or(|entry| entry.users == 0) {
                return exclusive;
            }
            returned.await;
        }
    }

    /// Whether anybody has to do with an artifact.
    pub fn is_used(&self, artifact: &Artifact) -> bool {
        self.0.uses.lock().get(artifact).is_some_and(|entry| entry.alone || entry.users > 0)
    }
}

impl Shared {
    fn give_back(&self, artifact: &Artifact, change: impl FnOnce(&mut Use)) {
        let mut uses = self.uses.lock();
        if let Some(entry) = uses.get_mut(artifact) {
            change(entry);
            if !entry.alone && entry.users == 0 {
                uses.remove(artifact);
            }
        }
        drop(uses);
        self.returned.notify_waiters();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.give_back(&self.artifact, |entry| entry.users = entry.users.saturating_sub(1));
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        self.shared.give_back(&self.artifact, |entry| entry.alone = false);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_artifact_is_held_alone_only_when_the_last_user_has_gone() {
        let leases = Leases::default();
        let artifact = Artifact::BootSnapshot("x".into());
        let (one, two) = (leases.share(&artifact).unwrap(), leases.share(&artifact).unwrap());
        assert!(leases.try_hold(&artifact).is_none());
        let holding = leases.hold(&artifact);
        tokio::pin!(holding);
        assert!((&mut holding).now_or_never().is_none());
        assert!(leases.share(&artifact).is_none(), "new users are kept out");
        drop(one);
        assert!((&mut holding).now_or_never().is_none());
        drop(two);
        let held = holding.now_or_never().expect("held");
        assert!(leases.is_used(&artifact) && leases.try_hold(&artifact).is_none());
        drop(held);
        assert!(!leases.is_used(&artifact));
        assert!(leases.share(&artifact).is_some());
        assert!(leases.0.uses.lock().is_empty(), "nothing is remembered of what nobody uses");
    }

    #[tokio::test]
    async fn one_who_gives_up_waiting_lets_others_in_again() {
        let leases = Leases::default();
        let artifact = Artifact::Template(TemplateId::new());
        let user = leases.share(&artifact).unwrap();
        assert!(leases.hold(&artifact).now_or_never().is_none());
        assert!(leases.share(&artifact).is_some());
        drop(user);
    }
}
