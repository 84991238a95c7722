//! Pauses, snapshots, and starts from memory that was kept: what the aims of Wrenn are about.
//!
//! Each of them costs the same however large memory and disk are; [`sizes`] shows whether that is so.

use serde_json::{Value, json};

use super::{
    capsule::{TemplateKind, with_capsule},
    measurement::{Measurement, Unit},
    subject::Subject,
};

/// Memory of the capsules of [`sizes`].
const MEMORY_MB: [u32; 5] = [256, 512, 1024, 2048, 4096];
/// Disks of the capsules of [`sizes`].
const DISK_MB: [u32; 2] = [5 * 1024, 50 * 1024];

/// Values of one kind, sample by sample.
#[derive(Default)]
struct Pauses {
    paused: Vec<f64>,
    running: Vec<f64>,
    first_exec: Vec<f64>,
}

#[derive(Default)]
struct Snapshots {
    made: Vec<f64>,
    running: Vec<f64>,
    first_exec: Vec<f64>,
    deleted: Vec<f64>,
    gone: Vec<f64>,
}

#[derive(Default)]
struct Creates {
    running: Vec<f64>,
    first_exec: Vec<f64>,
}

fn minimal() -> Value {
    json!({ "template": "minimal" })
}

/// A pause and the resume after it.
pub(super) async fn pause(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let Pauses { paused, running, first_exec } = pauses(subject, &minimal(), samples).await?;
    Ok(vec![
        Measurement::new("pause", Unit::Ms, &paused)?,
        Measurement::new("resume to running", Unit::Ms, &running)?,
        Measurement::new("resume to first exec", Unit::Ms, &first_exec)?,
    ])
}

/// A snapshot of a running capsule, and another capsule that is made of it.
pub(super) async fn snapshot(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let Snapshots { made, running, first_exec, deleted, gone } =
        snapshots(subject, &minimal(), samples).await?;
    Ok(vec![
        Measurement::new("snapshot of a running capsule", Unit::Ms, &made)?,
        Measurement::new("create from a snapshot to running", Unit::Ms, &running)?,
        Measurement::new("create from a snapshot to first exec", Unit::Ms, &first_exec)?,
        Measurement::new("delete of a snapshot", Unit::Ms, &deleted)?,
        Measurement::new("delete of a capsule of it", Unit::Ms, &gone)?,
    ])
}

/// A capsule of `minimal`, restored from what its first boot left.
pub(super) async fn create(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let Creates { running, first_exec } = creates(subject, &minimal(), samples).await?;
    Ok(vec![
        Measurement::new("create by restore to running", Unit::Ms, &running)?,
        Measurement::new("create by restore to first exec", Unit::Ms, &first_exec)?,
    ])
}

/// All of that for small and large memories and disks.
pub(super) async fn sizes(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    for disk_mb in DISK_MB {
        for memory_mb in MEMORY_MB {
            let wanted = json!({ "template": "minimal", "memory_mb": memory_mb, "disk_size_mb": disk_mb });
            let creates = creates(subject, &wanted, samples).await?;
            let pauses = pauses(subject, &wanted, samples).await?;
            let snapshots = snapshots(subject, &wanted, samples).await?;
            let lines = [
                ("create by restore to first exec", &creates.first_exec),
                ("pause", &pauses.paused),
                ("resume to first exec", &pauses.first_exec),
                ("snapshot", &snapshots.made),
                ("create from a snapshot to first exec", &snapshots.first_exec),
            ];
            for (what, values) in lines {
                let name = format!("{what}, {memory_mb} MB of memory, {} GB of disk", disk_mb / 1024);
                measurements.push(Measurement::new(name, Unit::Ms, values)?);
            }
        }
    }
    Ok(measurements)
}

async fn pauses(subject: &Subject, wanted: &Value, samples: u32) -> anyhow::Result<Pauses> {
    with_capsule(subject, wanted, async |capsule| {
        let mut pauses = Pauses::default();
        // Before the first the guest has not been asked for anything.
        capsule.run_true().await?;
        for _ in 0..samples {
            pauses.paused.push(capsule.pause().await?);
            let running_ms = capsule.resume().await?;
            pauses.running.push(running_ms);
            pauses.first_exec.push(running_ms + capsule.run_true().await?);
        }
        Ok(pauses)
    })
    .await
}

async fn snapshots(subject: &Subject, wanted: &Value, samples: u32) -> anyhow::Result<Snapshots> {
    with_capsule(subject, wanted, async |source| {
        let mut snapshots = Snapshots::default();
        source.run_true().await?;
        for _ in 0..samples {
            let snapshot = source
                .with_template(TemplateKind::Snapshot, async |name| {
                    with_capsule(subject, &json!({ "template": name }), async |copy| {
                        let first_exec_ms = copy.running_ms + copy.run_true().await?;
                        Ok((copy.running_ms, first_exec_ms, copy.delete().await?))
                    })
                    .await
                })
                .await?;
            let (running_ms, first_exec_ms, gone_ms) = snapshot.value;
            snapshots.made.push(snapshot.made_ms);
            snapshots.running.push(running_ms);
            snapshots.first_exec.push(first_exec_ms);
            snapshots.deleted.push(snapshot.deleted_ms);
            snapshots.gone.push(gone_ms);
        }
        Ok(snapshots)
    })
    .await
}

async fn creates(subject: &Subject, wanted: &Value, samples: u32) -> anyhow::Result<Creates> {
    // The first of its kind is booted, and leaves what the others are restored from.
    with_capsule(subject, wanted, async |capsule| capsule.run_true().await).await?;
    let mut creates = Creates::default();
    for _ in 0..samples {
        with_capsule(subject, wanted, async |capsule| {
            creates.running.push(capsule.running_ms);
            creates.first_exec.push(capsule.running_ms + capsule.run_true().await?);
            Ok(())
        })
        .await?;
    }
    Ok(creates)
}
