//! Where templates come from that were made on other hosts: the control plane, while the link to it is there.

use std::{collections::HashMap, sync::Arc};

use futures_util::{future::BoxFuture, stream::BoxStream};
use parking_lot::Mutex;
use wrenn_proto::{agent::TemplatePart, ids::TemplateId};

/// What arrives of a template: its parts, in order, or why there is no more. Texts are for the owner of a capsule.
pub type TemplateParts = BoxStream<'static, Result<TemplatePart, String>>;

/// Gives templates that were made on other hosts.
pub trait TemplateSource: Send + Sync + 'static {
    /// Begins to fetch a template. May take long, if another host has to send it first.
    fn fetch(&self, id: TemplateId) -> BoxFuture<'_, Result<TemplateParts, String>>;
}

/// The source of a host, as long as there is one; clones share it.
#[derive(Clone, Default)]
pub struct Upstream {
    source: Arc<Mutex<Option<Arc<dyn TemplateSource>>>>,
    fetches: Arc<Mutex<HashMap<TemplateId, Arc<tokio::sync::Mutex<()>>>>>,
}

/// The right to fetch a template, of one alone. Given back when it is dropped.
pub(super) struct FetchTurn {
    upstream: Upstream,
    id: TemplateId,
    held: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Upstream {
    /// From now on templates come from here.
    pub fn open(&self, source: Arc<dyn TemplateSource>) {
        *self.source.lock() = Some(source);
    }

    /// From now on there is no source; what is being fetched ends by itself.
    pub fn close(&self) {
        *self.source.lock() = None;
    }

    /// Returns the source; none without a link.
    pub(super) fn source(&self) -> Option<Arc<dyn TemplateSource>> {
        self.source.lock().clone()
    }

    /// Waits until nobody else fetches the template.
    pub(super) async fn turn(&self, id: TemplateId) -> FetchTurn {
        let lock = self.fetches.lock().entry(id).or_default().clone();
        FetchTurn { upstream: self.clone(), id, held: Some(lock.lock_owned().await) }
    }
}

impl Drop for FetchTurn {
    fn drop(&mut self) {
        let mut fetches = self.upstream.fetches.lock();
        self.held = None;
        // Who waits for it has it, too.
        if fetches.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            fetches.remove(&self.id);
        }
    }
}
