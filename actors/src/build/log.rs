//! Writes what the steps of one attempt print into the database, a moment after it was printed.
//!
//! Lines are gathered for [`GATHERED_FOR`], and written together. When many wait, whoever adds more waits until they are
//! written: a step that prints faster than the database takes it is slowed down.

use std::time::{Duration, Instant};

use wrenn_base::Clock;
use wrenn_domain::build::{BuildStage, Claim, LoggedLine, StepEnd};
use wrenn_store::Store;

use super::{
    lines::{Line, StepLines},
    news::BuildNews,
};
use crate::{ControlPlane, instruments::Instruments, retry::until_answered};

/// How long lines are gathered.
const GATHERED_FOR: Duration = Duration::from_millis(100);
/// So many are written at once.
const MAX_WAITING: usize = 500;
/// What is kept of one build, in bytes.
const MAX_BUILD_BYTES: usize = 16 * 1024 * 1024;
/// Numbers of lines that one attempt has.
const SEQS_PER_ATTEMPT: u64 = 1 << 32;

/// The log of one attempt.
pub(super) struct BuildLog {
    store: Store,
    news: BuildNews,
    clock: Clock,
    instruments: Instruments,
    claim: Claim,
    seq: u64,
    left_bytes: usize,
    waiting: Vec<LoggedLine>,
    write_at: Option<Instant>,
}

impl BuildLog {
    pub(super) fn new(plane: &ControlPlane, claim: Claim) -> Self {
        let seq = u64::from(claim.attempt) * SEQS_PER_ATTEMPT;
        let (store, news, clock) =
            (plane.parts.store.clone(), plane.parts.builds.news.clone(), plane.parts.clock.clone());
        Self {
            store,
            news,
            clock,
            instruments: plane.parts.instruments.clone(),
            claim,
            seq,
            left_bytes: MAX_BUILD_BYTES,
            waiting: Vec::new(),
            write_at: None,
        }
    }

    /// What the next step may print.
    pub(super) fn lines(&self) -> StepLines {
        StepLines::new(self.left_bytes)
    }

    /// Notes what the attempt is doing.
    pub(super) async fn stage(&self, stage: BuildStage) {
        let Self { store, claim, .. } = self;
        // An attempt that has lost the build is ended by whoever renews its lease.
        until_answered("build_stage", || store.build_stage(*claim, stage)).await;
        self.tell();
    }

    pub(super) async fn step_begin(&self, step: u32, phase: &str, text: &str, cached: bool) {
        if cached {
            self.instruments.step_cached();
        }
        let Self { store, claim, .. } = self;
        until_answered("build_step_begin", || store.build_step_begin(*claim, step, phase, text, cached))
            .await;
        self.tell();
    }

    pub(super) async fn step_end(&mut self, step: u32, end: StepEnd) {
        self.instruments.step_ended(&end);
        self.write().await;
        let Self { store, claim, .. } = self;
        until_answered("build_step_end", || store.build_step_end(*claim, step, end)).await;
        self.tell();
    }

    /// Adds lines; waits if many are waiting.
    pub(super) async fn add(&mut self, step: u32, lines: Vec<Line>) {
        for (stream, line) in lines {
            self.seq += 1;
            self.left_bytes = self.left_bytes.saturating_sub(line.len() + 1);
            self.waiting.push(LoggedLine { seq: self.seq, step, stream, line });
        }
        if self.waiting.len() >= MAX_WAITING {
            self.write().await;
        } else if !self.waiting.is_empty() && self.write_at.is_none() {
            self.write_at = Some(self.clock.now() + GATHERED_FOR);
        }
    }

    /// When [`write`](Self::write) is due.
    pub(super) fn write_at(&self) -> Option<Instant> {
        self.write_at
    }

    /// Writes what waits.
    pub(super) async fn write(&mut self) {
        self.write_at = None;
        let lines = std::mem::take(&mut self.waiting);
        if lines.is_empty() {
            return;
        }
        let Self { store, claim, .. } = self;
        until_answered("build_lines_append", || store.build_lines_append(*claim, &lines)).await;
        self.tell();
    }

    fn tell(&self) {
        self.news.tell(self.claim.build);
    }
}
