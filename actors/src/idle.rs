//! Looks for sandboxes that nobody uses.
//!
//! The watch keeps nothing and decides nothing: it writes the uses that are in memory, asks the database which sandboxes were not
//! used for as long as their timeout, and tells their actors, which ask once more. It looks at this server's hosts only:
//! uses of other sandboxes pass through other servers. Whatever goes wrong, the next look is a
//! moment later.

use std::time::Duration;

use wrenn_domain::ids::ServerId;
use wrenn_store::{Store, StoreError};

use crate::{
    activity::Activity,
    sandbox::{PauseIfIdle, SandboxDirectory},
};

/// Looks for idle sandboxes; clones share everything.
#[derive(Clone)]
pub(crate) struct IdleWatch {
    pub(crate) store: Store,
    pub(crate) server: ServerId,
    pub(crate) activity: Activity,
    pub(crate) sandboxes: SandboxDirectory,
    /// Shortest time between two writes of one sandbox's use.
    pub(crate) touch_interval: Duration,
}

impl IdleWatch {
    /// Writes uses, and has sandboxes paused that are idle.
    ///
    /// # Errors
    /// The database did not answer.
    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let idle = self.store.sandboxes_idle(self.server).await?;
        // A sandbox whose use is not written stays, and is looked at again when it is.
        let uses = self.activity.take_due(self.touch_interval, &idle);
        if !uses.ages.is_empty() {
            self.store.sandboxes_used(self.server, &uses.ages).await?;
        }
        for id in idle {
            if !self.activity.is_in_use(id) {
                // One that has too much to do is told next time.
                drop(self.sandboxes.address(id).try_send(PauseIfIdle));
            }
        }
        self.activity.written(&uses);
        Ok(())
    }
}
