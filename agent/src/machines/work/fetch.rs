//! A template that was made on another host is fetched by the first machine that is to be made of it.
//!
//! ```text
//!   admit ─ missing? ─ wait for one's turn ─ fetch: head ─ room ─ draft ─ extents … ─ end ─ finish ─ told ─ admit
//!                                                     └────── whatever fails: nothing is left ──────┘
//! ```
//!
//! What does not end with the right digest never gets its final name. A later command for the machine breaks the
//! fetch off at any moment; another machine that waits for the same template then begins it anew.

use std::time::Duration;

use futures_util::StreamExt as _;
use wrenn_base::Chain;
use wrenn_proto::{
    agent::{TemplateExtent, TemplateFetched, TemplateHead, agent_frame::Frame, template_part::Part},
    ids::TemplateId,
    transfer::{Follow, Progress, TransferError},
};

use super::{Host, Overtaken};
use crate::{
    host_load::MIB,
    machines::{
        backend::{SaveError, StartError},
        leases::Artifact,
        library::{Admitted, Draft},
        manifest::{FORMAT, Incompatible, Manifest},
        record::Record,
        source::TemplateParts,
    },
};

/// How long it may take until the first part comes: another host may have to send all of it first. A link that is lost
/// is noticed before.
const BEGUN_WITHIN: Duration = Duration::from_secs(30 * 60);
/// How long nothing may come afterwards.
const SILENT_FOR: Duration = Duration::from_secs(60);

impl Host {
    /// Checks that a machine can be made here; fetches its template first if it was made elsewhere.
    pub(super) async fn admit(&self, record: &Record, overtaken: &Overtaken) -> Result<Admitted, StartError> {
        let spec = &record.spec;
        let missing = match self.backend.admit(spec).await {
            Err(missing @ StartError::TemplateMissing { .. }) if spec.image.is_empty() => missing,
            settled => return settled,
        };
        let Ok(template) = spec.template_id.parse() else { return Err(missing) };
        let turn = tokio::select! {
            turn = self.upstream.turn(template) => turn,
            () = overtaken.by_any.cancelled() => return Err(StartError::Overtaken),
        };
        // Another machine may have fetched it meanwhile.
        if self.backend.template(template).is_none() {
            self.fetch(record, template, missing, overtaken).await?;
        }
        drop(turn);
        self.backend.admit(spec).await
    }

    /// Fetches a template, if there is somebody from whom; else it is `missing`.
    async fn fetch(
        &self,
        record: &Record,
        template_id: TemplateId,
        missing: StartError,
        overtaken: &Overtaken,
    ) -> Result<(), StartError> {
        let begun = self.clock.now();
        let source = self.upstream.source().ok_or(missing)?;
        tracing::info!(sandbox_id = %record.id, %template_id, "fetching a template");
        let opened = async {
            let fetched = self.clock.timeout(BEGUN_WITHIN, source.fetch(template_id)).await;
            let parts = fetched.map_err(|_| silent(BEGUN_WITHIN))?.map_err(not_fetched)?;
            Incoming::open(self, parts, template_id).await
        };
        let mut incoming = tokio::select! {
            opened = opened => opened?,
            () = overtaken.by_any.cancelled() => return Err(StartError::Overtaken),
        };
        let growth_mb = u32::try_from(incoming.data_bytes().div_ceil(MIB)).unwrap_or(u32::MAX);
        self.backend.admit_template(growth_mb).await?;
        let draft = self.backend.begin(&Artifact::Template(template_id)).await?;
        let filled = tokio::select! {
            filled = incoming.fill(self, &draft) => filled,
            () = overtaken.by_any.cancelled() => Err(StartError::Overtaken),
        };
        match filled {
            Ok(size_bytes) => {
                let took_ms = self.elapsed_ms(begun);
                tracing::info!(sandbox_id = %record.id, %template_id, size_bytes, took_ms, "template is fetched");
                let template_id = template_id.to_string();
                self.outbox.publish(Frame::TemplateFetched(TemplateFetched { template_id }));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(sandbox_id = %record.id, %template_id, error = %Chain(&error), "template not fetched");
                // It is held until then, so nobody else has begun it.
                self.retry_forever(record.id, || self.backend.discard_draft(draft.artifact())).await;
                Err(error)
            }
        }
    }
}

/// A template that is arriving, and whose head has arrived.
struct Incoming {
    parts: TemplateParts,
    follow: Follow,
    head: TemplateHead,
    manifest: Manifest,
}

impl Incoming {
    async fn open(
        host: &Host,
        mut parts: TemplateParts,
        template_id: TemplateId,
    ) -> Result<Self, StartError> {
        let mut follow = Follow::default();
        let first = host.clock.timeout(BEGUN_WITHIN, parts.next()).await.map_err(|_| silent(BEGUN_WITHIN))?;
        let first = first.ok_or_else(|| broken(TransferError::CutOff))?.map_err(not_fetched)?;
        follow.take(&first).map_err(broken)?;
        let Some(Part::Head(head)) = first.part else { return Err(broken(TransferError::OutOfOrder)) };
        let manifest = serde_json::from_slice::<Manifest>(&head.manifest);
        let manifest =
            manifest.map_err(|_| not_fetched("this agent does not understand what it is".to_owned()))?;
        if manifest.format != FORMAT {
            return Err(StartError::IncompatibleTemplate(Incompatible::Format { saved: manifest.format }));
        }
        if manifest.template_id != Some(template_id) {
            return Err(not_fetched("another template came".to_owned()));
        }
        Ok(Self { parts, follow, head, manifest })
    }

    fn data_bytes(&self) -> u64 {
        self.head.files.iter().fold(0, |sum, file| sum.saturating_add(file.data_bytes))
    }

    /// Writes what follows into the draft, and completes it. Returns what its files occupy, in bytes.
    async fn fill(&mut self, host: &Host, draft: &Draft) -> Result<u64, StartError> {
        let files: Vec<_> = self.head.files.iter().map(|file| file.kind()).collect();
        if files != self.manifest.kind.files() {
            return Err(not_fetched("it does not consist of what it should".to_owned()));
        }
        for file in &self.head.files {
            host.backend.size_file(draft, file.kind(), file.size_bytes).await?;
        }
        loop {
            let next =
                host.clock.timeout(SILENT_FOR, self.parts.next()).await.map_err(|_| silent(SILENT_FOR))?;
            let part = next.ok_or_else(|| broken(TransferError::CutOff))?.map_err(not_fetched)?;
            let progress = self.follow.take(&part).map_err(broken)?;
            match part.part {
                Some(Part::Extent(extent)) => {
                    let TemplateExtent { offset, .. } = extent;
                    host.backend.write_extent(draft, extent.file(), offset, extent.data).await?;
                }
                _ if progress == Progress::Complete => break,
                _ => return Err(broken(TransferError::OutOfOrder)),
            }
        }
        Ok(host.backend.finish(draft, &self.manifest).await?)
    }
}

impl From<SaveError> for StartError {
    /// Of a template that is fetched for a start.
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::NoSpace { free_mb, reserve_mb } => Self::NoSpace { free_mb, reserve_mb },
            SaveError::Overtaken => Self::Overtaken,
            SaveError::Step { step, source } => Self::Step { step, source },
            error => Self::NotFetched { reason: error.to_string() },
        }
    }
}

fn not_fetched(reason: String) -> StartError {
    StartError::NotFetched { reason }
}

fn broken(error: TransferError) -> StartError {
    not_fetched(error.to_string())
}

fn silent(limit: Duration) -> StartError {
    not_fetched(format!("nothing came for {} s", limit.as_secs()))
}
