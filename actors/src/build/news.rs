//! Who wants to know that something about a build has changed, in this process.
//!
//! What has changed is read from the database; this only says when it is worth a look. Whoever follows a build that
//! another server works on looks now and then all the same.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;
use wrenn_proto::ids::BuildId;

/// News about all builds; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildNews {
    builds: Arc<Mutex<HashMap<BuildId, watch::Sender<()>>>>,
}

impl BuildNews {
    /// From now on every change of a build is told.
    pub(crate) fn follow(&self, build: BuildId) -> watch::Receiver<()> {
        self.builds.lock().entry(build).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    /// Tells those who follow a build that something has changed.
    pub(crate) fn tell(&self, build: BuildId) {
        let mut builds = self.builds.lock();
        if builds.get(&build).is_some_and(|followers| followers.send(()).is_err()) {
            builds.remove(&build);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_follow_are_told_and_nothing_is_kept_for_nobody() {
        let (news, build) = (BuildNews::default(), BuildId::new());
        news.tell(build);
        let (mut first, second) = (news.follow(build), news.follow(build));
        news.tell(BuildId::new());
        assert!(!first.has_changed().unwrap());
        news.tell(build);
        first.changed().await.unwrap();
        assert!(second.has_changed().unwrap());
        drop((first, second));
        news.tell(build);
        assert!(news.builds.lock().is_empty());
    }
}
