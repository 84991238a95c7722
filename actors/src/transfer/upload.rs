//! Having a template sent by a host that has it, into its object.

use std::sync::Arc;

use serde::Deserialize;
use tokio::time::timeout;
use wrenn_domain::template::{FILES_MARGIN_MB, Template};
use wrenn_proto::{
    agent::{TemplateFileKind, TemplateHead, template_part::Part},
    ids::{HostId, TemplateId},
    transfer::{Follow, Progress, TransferError},
};

use super::{BEGUN_WITHIN, FetchError, SILENT_FOR, codec, desk::TransferTicket, object_name};
use crate::{
    ControlPlane,
    control_plane::PlaneParts,
    host::OrderTemplate,
    objects::{ObjectError, ObjectWriter},
};

/// Makes sure that a template's object is there. Many that want the same one wait for one upload.
pub(super) async fn ensure(plane: ControlPlane, template: TemplateId) -> Result<(), FetchError> {
    let lock = plane.parts.uploads.lock().entry(template).or_default().clone();
    let uploaded = {
        let _one_at_a_time = lock.lock().await;
        upload(&plane.parts, template).await
    };
    // The last one takes the lock away.
    let mut uploads = plane.parts.uploads.lock();
    if Arc::strong_count(&lock) <= 2 {
        uploads.remove(&template);
    }
    uploaded
}

async fn upload(parts: &PlaneParts, template: TemplateId) -> Result<(), FetchError> {
    let name = object_name(template);
    if parts.objects.size(&name).await?.is_some() {
        return Ok(());
    }
    let mut last = FetchError::NoSource;
    for host in parts.store.template_sources(template).await? {
        if !parts.hosts.is_online(host) {
            continue;
        }
        match upload_from(parts, template, host).await {
            Ok(()) => {
                tracing::info!(%host, %template, "a template is stored");
                if parts.store.templates_gone(&[template]).await?.is_empty() {
                    return Ok(());
                }
                // It was deleted meanwhile, and its object with it, which was not there yet.
                parts.objects.delete(&name).await?;
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

async fn upload_from(parts: &PlaneParts, template: TemplateId, host: HostId) -> Result<(), FetchError> {
    let record = parts.store.template_fetch(template).await?.ok_or(FetchError::NotFound)?;
    let mut ticket = parts.transfers.expect(host);
    let order = OrderTemplate { transfer: ticket.id, template };
    let ordered = parts.hosts.connections().order_template(host, order).await;
    if !matches!(ordered, Ok(Ok(()))) {
        return Err(FetchError::Source("it went away".to_owned()));
    }
    let mut writer = parts.objects.create(&object_name(template)).await?;
    let received = receive(&mut ticket, &mut writer, &record).await;
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
async fn receive(
    ticket: &mut TransferTicket,
    writer: &mut ObjectWriter,
    record: &Template,
) -> Result<(), FetchError> {
    let source = |error: TransferError| FetchError::Source(error.to_string());
    let mut follow = Follow::default();
    let mut patience = BEGUN_WITHIN;
    loop {
        let next = timeout(patience, ticket.next()).await;
        let next =
            next.map_err(|_| FetchError::Source(format!("nothing came for {} s", patience.as_secs())))?;
        let part = next.ok_or_else(|| source(TransferError::CutOff))?.map_err(FetchError::Source)?;
        let progress = follow.take(&part).map_err(source)?;
        if let Some(Part::Head(head)) = &part.part {
            check(head, record).map_err(|error| FetchError::Source(error.to_string()))?;
        }
        let packed = codec::encode(&part).map_err(source)?;
        writer.write(packed).await.map_err(|error: ObjectError| FetchError::from(error))?;
        if progress == Progress::Complete {
            return Ok(());
        }
        patience = SILENT_FOR;
    }
}

/// The reason for which files are not those of the template that they are sent as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum HeadError {
    /// A file is larger than the template can have it.
    #[error("the template's {file} has {size_bytes} bytes, and {most_bytes} are the most")]
    TooLarge { file: &'static str, size_bytes: u64, most_bytes: u64 },
    /// The template has no such file.
    #[error("the template has no {file}, and one was sent")]
    Superfluous { file: &'static str },
    /// The manifest cannot be read, or is that of another template.
    #[error("the manifest is not that of the template")]
    Manifest,
}

/// Part of a manifest that says which template it is of.
#[derive(Debug, Deserialize)]
struct Identity {
    template_id: Option<String>,
}

/// Checks a head against the template's record, before anything that follows is stored. A host that is not trusted sends no more
/// than the template has, and nothing under another name.
fn check(head: &TemplateHead, record: &Template) -> Result<(), HeadError> {
    let identity = serde_json::from_slice::<Identity>(&head.manifest).map_err(|_| HeadError::Manifest)?;
    if identity.template_id.is_some_and(|named| named != record.id.to_string()) {
        return Err(HeadError::Manifest);
    }
    let megabytes = |of: Option<i32>| of.map(|megabytes| u64::from(megabytes.unsigned_abs()));
    for file in &head.files {
        let (name, holds_mb) = match file.kind() {
            TemplateFileKind::Disk => ("disk", megabytes(Some(record.disk_size_mb))),
            TemplateFileKind::Memory => ("memory", megabytes(record.memory_mb)),
            TemplateFileKind::State => ("device state", record.memory_mb.map(|_| 0)),
            // No head with another kind comes as far as here.
            TemplateFileKind::Unspecified => ("file of this kind", None),
        };
        let holds_mb = holds_mb.ok_or(HeadError::Superfluous { file: name })?;
        let most_bytes = (holds_mb + FILES_MARGIN_MB) << 20;
        if file.size_bytes > most_bytes {
            return Err(HeadError::TooLarge { file: name, size_bytes: file.size_bytes, most_bytes });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wrenn_domain::{ids::TeamId, template::TemplateKind};
    use wrenn_proto::agent::TemplateFile;

    use super::*;

    fn record(memory_mb: Option<i32>) -> Template {
        Template {
            id: TemplateId::new(),
            team_id: TeamId::PLATFORM,
            name: "t".into(),
            image: None,
            kind: if memory_mb.is_some() { TemplateKind::Snapshot } else { TemplateKind::Base },
            vcpus: memory_mb.map(|_| 1),
            memory_mb,
            disk_size_mb: 100,
            size_bytes: 0,
            default_user: "root".into(),
            default_env: [].into(),
            created_at: SystemTime::UNIX_EPOCH.into(),
        }
    }

    fn head(manifest: &str, files: &[(TemplateFileKind, u64)]) -> TemplateHead {
        let file = |&(kind, size_mb): &(TemplateFileKind, u64)| TemplateFile {
            kind: kind.into(),
            size_bytes: size_mb << 20,
            data_bytes: 0,
        };
        TemplateHead { manifest: manifest.to_owned().into(), files: files.iter().map(file).collect() }
    }

    #[test]
    fn files_are_bounded_by_what_the_template_holds() {
        use TemplateFileKind::{Disk, Memory, State};
        let (base, snapshot) = (record(None), record(Some(512)));
        for (record, files, is_good) in [
            (&base, &[(Disk, 100)][..], true),
            (&base, &[(Disk, 100 + FILES_MARGIN_MB + 1)], false),
            (&base, &[(Disk, 100), (Memory, 1)], false),
            (&base, &[(Disk, 100), (State, 1)], false),
            (&snapshot, &[(Disk, 100), (Memory, 512), (State, 2)], true),
            (&snapshot, &[(Disk, 100), (Memory, 1024)], false),
            (&snapshot, &[(Disk, 100), (State, FILES_MARGIN_MB + 1)], false),
        ] {
            assert_eq!(check(&head("{}", files), record).is_ok(), is_good, "{files:?}");
        }
    }

    #[test]
    fn a_manifest_names_its_own_template() {
        let record = record(None);
        let named = |id: &str| head(&format!(r#"{{"template_id": "{id}", "kind": "base"}}"#), &[]);
        assert_eq!(check(&named(&record.id.to_string()), &record), Ok(()));
        for wrong in ["../../etc/passwd", "..", "/etc", "", &TemplateId::new().to_string()] {
            assert_eq!(check(&named(wrong), &record), Err(HeadError::Manifest), "{wrong}");
        }
        for garbage in ["", "[]x", "\u{0}", r#"{"template_id": 7}"#] {
            assert_eq!(check(&head(garbage, &[]), &record), Err(HeadError::Manifest), "{garbage}");
        }
    }
}
