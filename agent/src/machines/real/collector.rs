//! What is removed of templates and boot snapshots without being ordered to.
//!
//! Templates never are: only the control plane knows whether they are needed. Boot snapshots are a cache, and can be
//! made again.

use wrenn_proto::ids::TemplateId;

use super::{RealBackend, shelf::BootKey};
use crate::{
    host_load::MIB,
    machines::{leases::Artifact, library::Library as _},
};

impl RealBackend {
    /// Removes what crashes have left half-made, and boot snapshots that nothing will be restored from any more.
    pub(super) async fn remove_useless(&self) {
        self.shelf.remove_half_made().await;
        for artifact in self.shelf.all() {
            if let Artifact::BootSnapshot(key) = &artifact
                && !self.is_of_use(key, &artifact)
            {
                tracing::info!(%artifact, "removing a boot snapshot that does not fit any more");
                self.shelf.remove_unused(&artifact).await;
            }
        }
    }

    /// Whether a machine could be restored from it: its template is there, and nothing else of the host has changed.
    fn is_of_use(&self, key: &str, artifact: &Artifact) -> bool {
        let Ok(BootKey { origin, chain, .. }) = key.parse() else { return false };
        let has_origin = match origin.parse::<TemplateId>() {
            Ok(id) => self.shelf.get(&Artifact::Template(id)).is_some(),
            Err(_) => {
                let image = origin.rsplit_once('@').map_or(origin.as_str(), |(image, _)| image);
                self.images.key(image).is_ok_and(|key| key == origin)
            }
        };
        let fits = self.shelf.get(artifact).is_some_and(|files| self.check_restore(&files.manifest).is_ok());
        has_origin && fits && chain == self.boot_chain()
    }

    /// Removes boot snapshots that nobody uses, those that were not used for the longest time first, until this much is
    /// free.
    pub(super) async fn make_room(&self, wanted_mb: u64) {
        for artifact in self.shelf.all() {
            if self.free_bytes() / MIB >= wanted_mb {
                return;
            }
            if let Artifact::BootSnapshot(_) = artifact {
                tracing::info!(%artifact, "removing a boot snapshot to make room");
                self.shelf.remove_unused(&artifact).await;
            }
        }
    }
}
