//! Measurements of a running installation as it stands: a cold boot, commands, memory.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::Context;
use serde_json::json;

use super::{
    capsule::{Capsule, TemplateKind, with_capsule},
    measurement::{Measurement, Unit},
    processes::{machine_pid, machines, memory_mb},
    subject::Subject,
};
use crate::data::DataFolder;

/// Time for a new capsule to end what it does after its start.
const SETTLE: Duration = Duration::from_secs(10);

/// Cold boot: to `running`, and to the answer of the first command.
///
/// A host restores what it has booted once. So each sample boots a template of its own, whose boot snapshot is deleted
/// with it.
pub(super) async fn boot(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let (mut running, mut first_exec, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    with_capsule(subject, &json!({ "template": "minimal" }), async |source| {
        for _ in 0..samples {
            let booted = async |name: &str| {
                with_capsule(subject, &json!({ "template": name }), async |capsule| {
                    running.push(capsule.running_ms);
                    first_exec.push(capsule.running_ms + capsule.run_true().await?);
                    gone.push(capsule.delete().await?);
                    Ok(())
                })
                .await
            };
            source.with_template(TemplateKind::Base, booted).await?;
        }
        Ok(())
    })
    .await?;
    Ok(vec![
        Measurement::new("cold boot to running", Unit::Ms, &running)?,
        Measurement::new("cold boot to first exec", Unit::Ms, &first_exec)?,
        Measurement::new("delete", Unit::Ms, &gone)?,
    ])
}

/// Round trips of `/bin/true` in one capsule, one after the other.
pub(super) async fn exec(subject: &Subject, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let wanted = json!({ "template": "minimal" });
    let values = with_capsule(subject, &wanted, async |capsule| round_trips(capsule, samples).await).await?;
    Ok(vec![Measurement::new("exec round trip of /bin/true", Unit::Ms, &values)?])
}

async fn round_trips(capsule: &Capsule<'_>, samples: u32) -> anyhow::Result<Vec<f64>> {
    // The first fills the guest's page cache.
    for _ in 0..3 {
        capsule.run_true().await?;
    }
    let mut values = Vec::new();
    for _ in 0..samples {
        values.push(capsule.run_true().await?);
    }
    Ok(values)
}

/// Memory of the processes, with one idle capsule.
pub(super) async fn memory(subject: &Subject, data: &DataFolder) -> anyhow::Result<Vec<Measurement>> {
    let before = machines(data);
    with_capsule(subject, &json!({ "template": "minimal" }), async |_| {
        subject.clock.sleep(SETTLE).await;
        measure_memory(data, &before)
    })
    .await
}

fn measure_memory(data: &DataFolder, before: &BTreeSet<u32>) -> anyhow::Result<Vec<Measurement>> {
    let of = |name: &str| -> anyhow::Result<f64> {
        let path = data.pid_file(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        memory_mb(text.trim().parse().with_context(|| format!("no pid in {}", path.display()))?)
    };
    Ok(vec![
        Measurement::new("memory of the server", Unit::Mb, &[of("server")?])?,
        Measurement::new("memory of the agent", Unit::Mb, &[of("agent")?])?,
        Measurement::new(
            "memory of an idle capsule of 512 MB",
            Unit::Mb,
            &[memory_mb(machine_pid(data, before)?)?],
        )?,
    ])
}
