//! Short lines on standard output about what happens, each with the time that it took.

use std::{fmt, io::Write};

use wrenn_base::Clock;

use crate::stopwatch::Stopwatch;

/// Prints one line; a closed standard output ends nothing.
pub fn note(line: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A step that takes a while: says so when it begins and again when it is done.
#[derive(Debug)]
pub struct Step {
    name: String,
    begun: Stopwatch,
}

impl Step {
    /// Announces the step.
    pub fn begin(clock: &Clock, name: impl Into<String>) -> Self {
        let name = name.into();
        note(format_args!("  {name} …"));
        Self { name, begun: Stopwatch::start(clock) }
    }

    /// Says that the step is done.
    pub fn done(self) {
        note(format_args!("  {}: done ({:.1} s)", self.name, self.begun.elapsed().as_secs_f64()));
    }
}
