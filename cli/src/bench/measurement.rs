//! Measurements, and the table of them.

use anyhow::Context;
use serde::Serialize;

use super::stats::Summary;

/// Unit of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    /// Milliseconds.
    Ms,
    /// Kilobytes of 2¹⁰ bytes.
    Kb,
    /// Megabytes of 2²⁰ bytes.
    Mb,
    /// So many a second.
    #[serde(rename = "1/s")]
    PerSecond,
    /// Megabytes of 2²⁰ bytes a second.
    #[serde(rename = "MB/s")]
    MbPerSecond,
    /// Of two measurements.
    Ratio,
}

/// Line of the result.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measurement {
    /// Subject of the measurement.
    pub(super) name: String,
    /// In which unit.
    pub(super) unit: Unit,
    /// Percentiles of the samples.
    #[serde(flatten)]
    pub(super) summary: Summary,
}

impl Measurement {
    pub(super) fn new(name: impl Into<String>, unit: Unit, values: &[f64]) -> anyhow::Result<Self> {
        Ok(Self { name: name.into(), unit, summary: Summary::of(values).context("nothing was measured")? })
    }
}

/// A Markdown table, as docs/performance.md has them.
pub(super) fn table(measurements: &[Measurement]) -> String {
    let mut table = String::from(
        "| what | unit | n | min | p50 | p90 | p99 | p99/min |\n|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for Measurement { name, unit, summary } in measurements {
        let digits = if *unit == Unit::Ratio { 2 } else { 1 };
        let unit = match unit {
            Unit::Ms => "ms",
            Unit::Kb => "KB",
            Unit::Mb => "MB",
            Unit::PerSecond => "1/s",
            Unit::MbPerSecond => "MB/s",
            Unit::Ratio => "ratio",
        };
        let Summary { samples, min, p50, p90, p99 } = summary;
        let ratio = p99 / min;
        table.push_str(&format!(
            "| {name} | {unit} | {samples} | {min:.digits$} | {p50:.digits$} | {p90:.digits$} | {p99:.digits$} | {ratio:.1} |\n"
        ));
    }
    table
}
