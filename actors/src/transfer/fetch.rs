//! Templates for hosts that fetch them, and the streams of those that send them.

use futures_util::StreamExt as _;
use wrenn_proto::ids::{HostId, TemplateId, TransferId};

use super::{FetchError, Parts, codec, desk::TransferAcceptor, object_name, upload};
use crate::ControlPlane;

impl ControlPlane {
    /// Returns the parts of a template for a host; has them sent here first if they are not stored.
    ///
    /// # Errors
    /// See [`FetchError`]. What goes wrong later is the last part's error.
    pub async fn template_fetch(&self, host: HostId, template: TemplateId) -> Result<Parts, FetchError> {
        let parts = &self.parts;
        if !parts.store.template_may_be_on(template, host).await? {
            return Err(FetchError::NotFound);
        }
        let name = object_name(template);
        if parts.objects.size(&name).await?.is_none() {
            // The upload goes on without the caller: others may wait for it, too.
            let upload = tokio::spawn(upload::ensure(self.clone(), template));
            upload.await.map_err(|_| FetchError::Interrupted)??;
        }
        tracing::info!(%host, %template, "a host fetches a template");
        Ok(codec::decode(parts.objects.read(&name).await?).boxed())
    }

    /// Returns true if a host that does not have a template can get it now, as far as is known.
    pub(crate) async fn template_can_be_fetched(&self, template: TemplateId) -> bool {
        let parts = &self.parts;
        if matches!(parts.objects.size(&object_name(template)).await, Ok(Some(_))) {
            return true;
        }
        let sources = parts.store.template_sources(template).await.unwrap_or_default();
        sources.into_iter().any(|host| parts.hosts.is_online(host))
    }

    /// Takes the stream of a template that this host was asked for; none if nobody did.
    pub fn template_accept(&self, host: HostId, transfer: TransferId) -> Option<TransferAcceptor> {
        self.parts.transfers.accept(host, transfer)
    }
}
