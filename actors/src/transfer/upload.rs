//! Having a template sent by a host that has it, into its object.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use wrenn_proto::{
    ids::{HostId, TemplateId},
    transfer::{Follow, Progress, TransferError},
};
use wrenn_supervision::call_within;

use super::{BEGUN_WITHIN, FetchError, SILENT_FOR, codec, desk::TransferTicket, object_name};
use crate::{
    host::OrderTemplate,
    objects::{ObjectError, ObjectWriter},
    shared::Shared,
};

/// How long the connection of a host may take to pass an order on.
const ORDERED_WITHIN: Duration = Duration::from_secs(10);

/// Makes sure that a template's object is there. Many that want the same one wait for one upload.
pub(super) async fn ensure(shared: Arc<Shared>, template: TemplateId) -> Result<(), FetchError> {
    let lock = shared.uploads.lock().entry(template).or_default().clone();
    let uploaded = {
        let _one_at_a_time = lock.lock().await;
        upload(&shared, template).await
    };
    // The last one takes the lock away.
    let mut uploads = shared.uploads.lock();
    if Arc::strong_count(&lock) <= 2 {
        uploads.remove(&template);
    }
    uploaded
}

async fn upload(shared: &Arc<Shared>, template: TemplateId) -> Result<(), FetchError> {
    let name = object_name(template);
    if shared.objects.size(&name).await?.is_some() {
        return Ok(());
    }
    let mut last = FetchError::NoSource;
    for host in shared.store.template_sources(template).await? {
        if !shared.board.is_online(host) {
            continue;
        }
        match upload_from(shared, template, host).await {
            Ok(()) => {
                tracing::info!(%host, %template, "a template is stored");
                if shared.store.templates_gone(&[template]).await?.is_empty() {
                    return Ok(());
                }
                // It was deleted meanwhile, and its object with it, which was not there yet.
                shared.objects.delete(&name).await?;
                return Err(FetchError::NotFound);
            }
            Err(error) => {
                tracing::warn!(%host, %template, error = &error as &dyn std::error::Error, "a template was not sent");
                last = error;
            }
        }
    }
    Err(last)
}

async fn upload_from(shared: &Arc<Shared>, template: TemplateId, host: HostId) -> Result<(), FetchError> {
    let mut ticket = shared.transfers.expect(host);
    let order = OrderTemplate { transfer: ticket.id, template };
    let ordered = call_within(&shared.host(host), order, ORDERED_WITHIN).await;
    if !matches!(ordered, Ok(Ok(()))) {
        return Err(FetchError::Source("it went away".to_owned()));
    }
    let mut writer = shared.objects.create(&object_name(template)).await?;
    let received = receive(&mut ticket, &mut writer).await;
    let stored = match received {
        Ok(()) => writer.finish().await.map_err(FetchError::from),
        Err(error) => {
            if let Err(error) = writer.abort().await {
                tracing::warn!(%template, error = &error as &dyn std::error::Error, "half an object may be left");
            }
            Err(error)
        }
    };
    ticket.answer(stored.as_ref().map(drop).map_err(ToString::to_string));
    stored
}

/// Writes what comes, up to its end; nothing is complete that is not right.
async fn receive(ticket: &mut TransferTicket, writer: &mut ObjectWriter) -> Result<(), FetchError> {
    let source = |error: TransferError| FetchError::Source(error.to_string());
    let mut follow = Follow::default();
    let mut patience = BEGUN_WITHIN;
    loop {
        let next = timeout(patience, ticket.next()).await;
        let next =
            next.map_err(|_| FetchError::Source(format!("nothing came for {} s", patience.as_secs())))?;
        let part = next.ok_or_else(|| source(TransferError::CutOff))?.map_err(FetchError::Source)?;
        let progress = follow.take(&part).map_err(source)?;
        let packed = codec::encode(&part).map_err(source)?;
        writer.write(packed).await.map_err(|error: ObjectError| FetchError::from(error))?;
        if progress == Progress::Complete {
            return Ok(());
        }
        patience = SILENT_FOR;
    }
}
