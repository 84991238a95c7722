//! Measurements of the machines of this host: taken, kept, and handed to the control plane.
//!
//! ```text
//!   Sampler (Periodic, 500 ms) ─▶ MetricsStore ─▶ one file per machine
//!        └─ Meter ◀─ kernel            │  ▲
//!                       MetricsHistory ▼  │ MetricsStored
//!                                   control plane
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | [`meter`] | the figures of one machine, as the kernel has them |
//! | `ring_file` | a history in a file |
//! | [`store`] | the histories of all machines, and which of them the control plane has |
//! | [`sampler`] | the actor that measures, and sends what is due |
//!
//! **Files.** `<data>/metrics/<id>` outlives the agent, a pause, and the machine: it goes when the machine is destroyed *and*
//! the control plane has stored all of it. A restart of the agent costs the time that it takes, and one sample.
//!
//! **To the control plane** a history goes when its machine stops running, before the outcome of the command that did it.
//! A history that is not acknowledged is sent again, ever more slowly, so that a link that breaks costs nothing. While a machine runs
//! the control plane asks for what it wants to show.
//!
//! **Failure.** A machine that cannot be measured has a gap. A file that cannot be written costs what it would have kept
//! over a restart. Neither disturbs a machine.

pub mod meter;
mod ring_file;
pub mod sampler;
pub mod store;

pub use self::{
    meter::{Depth, Figures, Meter, MeterSource, ProcessMeter},
    sampler::{SAMPLE_PERIOD, Sampler},
    store::MetricsStore,
};
