//! The processes of an installation, and their memory.

use std::{collections::BTreeSet, fs};

use anyhow::Context;
use wrenn_agent::leftovers::Leftovers;

use crate::{data::DataFolder, up::AGENT_FOLDER};

const KB_PER_MB: f64 = 1024.0;

/// The processes of virtual machines.
pub(super) fn machines(data: &DataFolder) -> BTreeSet<u32> {
    Leftovers::scan(&data.path(AGENT_FOLDER)).processes.into_iter().map(|process| process.pid).collect()
}

/// The machine that was not there before.
pub(super) fn machine_pid(data: &DataFolder, before: &BTreeSet<u32>) -> anyhow::Result<u32> {
    machines(data).difference(before).next().copied().context("the new capsule has no process")
}

/// Memory of a process in MB, with its part of what it shares with others.
///
/// Resident size would count a page that ten processes share ten times.
pub(super) fn memory_mb(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kb = proportional_kb(&text).with_context(|| format!("no proportional size in {path}"))?;
    Ok(kb / KB_PER_MB)
}

fn proportional_kb(rollup: &str) -> Option<f64> {
    rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proportional_size_is_read() {
        let text =
            "55d0-7ffc ---p 00000000 00:00 0   [rollup]\nRss:   4000 kB\nPss:   1234 kB\nPss_Dirty: 9 kB\n";
        assert_eq!(proportional_kb(text), Some(1234.0));
    }

    #[test]
    fn this_process_takes_memory() {
        assert!(memory_mb(std::process::id()).expect("own memory") > 0.1);
    }
}
