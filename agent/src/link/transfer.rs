//! Templates on their way: sent to the control plane when it asks for one, and fetched from it for a machine.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, transport::Channel};
use wrenn_base::Chain;
use wrenn_proto::{
    agent::{
        FetchTemplateRequest, SendTemplate, TemplateHead, TemplateNotSent, TemplatePart, agent_frame::Frame,
        control_plane_client::ControlPlaneClient, template_part::Part,
    },
    ids::TemplateId,
    transfer::Follow,
};

use crate::machines::{
    Host,
    library::TemplateReader,
    source::{TemplateParts, TemplateSource},
};

/// Parts that wait for a slow link.
const QUEUE_PARTS: usize = 4;
/// Largest part that is taken from the control plane, in bytes.
const PART_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The control plane, as where templates come from; good for one session.
pub(super) struct ControlPlaneSource {
    pub(super) channel: Channel,
}

fn client(channel: &Channel) -> ControlPlaneClient<Channel> {
    ControlPlaneClient::new(channel.clone()).max_decoding_message_size(PART_MAX_BYTES)
}

/// What the control plane says, or that there is no way to it.
fn said(status: &Status) -> String {
    match status.code() {
        tonic::Code::Unavailable if status.message().is_empty() => "the control plane is away".to_owned(),
        tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Internal => {
            "the link to the control plane was lost".to_owned()
        }
        _ => status.message().to_owned(),
    }
}

impl TemplateSource for ControlPlaneSource {
    fn fetch(&self, id: TemplateId) -> BoxFuture<'_, Result<TemplateParts, String>> {
        async move {
            let request = Request::new(FetchTemplateRequest { template_id: id.to_string() });
            let parts = client(&self.channel).fetch_template(request).await;
            let parts = parts.map_err(|status| said(&status))?.into_inner();
            Ok(parts.map(|part| part.map_err(|status| said(&status))).boxed())
        }
        .boxed()
    }
}

/// Sends a template as ordered; tells the control plane if that cannot be done.
pub(super) async fn send(host: Arc<Host>, channel: Channel, order: SendTemplate) {
    let SendTemplate { transfer_id, template_id } = order;
    match try_send(&host, &channel, &transfer_id, &template_id).await {
        Ok(()) => tracing::info!(template_id, "a template is sent"),
        Err(error) => {
            tracing::warn!(template_id, error, "a template was not sent");
            host.outbox.publish(Frame::TemplateNotSent(TemplateNotSent { transfer_id, error }));
        }
    }
}

async fn try_send(
    host: &Host,
    channel: &Channel,
    transfer_id: &str,
    template_id: &str,
) -> Result<(), String> {
    let id = template_id.parse().map_err(|_| "not the id of a template".to_owned())?;
    let reader = host.backend.read_template(id).await.map_err(|error| {
        tracing::warn!(template_id, error = %Chain(&error), "a template cannot be read");
        error.to_string()
    })?;
    let reader = reader.ok_or_else(|| "the host does not have the template".to_owned())?;
    let (parts, queue) = mpsc::channel(QUEUE_PARTS);
    let mut request = Request::new(ReceiverStream::new(queue));
    let transfer_id = transfer_id.parse().map_err(|_| "its id cannot be sent back".to_owned())?;
    request.metadata_mut().insert("x-wrenn-transfer", transfer_id);
    let mut client = client(channel);
    let (packed, sent) = tokio::join!(pack(reader, parts), client.send_template(request));
    packed?;
    sent.map(drop).map_err(|status| said(&status))
}

/// Hands the parts over, with the end last. Ends early if nobody takes them: then the answer says why.
async fn pack(mut reader: TemplateReader, parts: mpsc::Sender<TemplatePart>) -> Result<(), String> {
    let manifest = serde_json::to_vec(&reader.manifest).map_err(|error| error.to_string())?;
    let head = TemplateHead { manifest: manifest.into(), files: reader.files };
    let mut follow = Follow::default();
    let mut next = Some(Part::Head(head));
    while let Some(part) = next {
        let part = TemplatePart { part: Some(part) };
        follow.take(&part).map_err(|error| error.to_string())?;
        if parts.send(part).await.is_err() {
            return Ok(());
        }
        let extent = reader.extents.next().await.transpose().map_err(|error| {
            tracing::warn!(%error, "a template cannot be read on");
            "its files cannot be read".to_owned()
        })?;
        next = extent.map(Part::Extent);
    }
    let end = follow.seal().map_err(|error| error.to_string())?;
    // The answer says whether it arrived.
    let _ = parts.send(end).await;
    Ok(())
}
