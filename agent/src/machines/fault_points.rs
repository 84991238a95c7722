//! Places at which a test can hold the work on a real machine, to look at the whole system in every window.
//!
//! ```text
//!   <dir>/<point>.hold                   while it exists, work waits at that point
//!   <dir>/<point>.<sandbox>.reached      it has come there
//! ```
//!
//! Off unless the agent is given a folder. The wait is bounded, so that a test that dies holds nothing up for ever.

use std::{fs, path::PathBuf, time::Duration};

use tokio::time::{sleep, timeout};
use wrenn_proto::ids::SandboxId;

/// How long work waits at most.
const HOLD_MAX: Duration = Duration::from_secs(60);
/// How often it looks whether it may go on.
const POLL: Duration = Duration::from_millis(5);

/// The points, in the order in which work comes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after the step that has just been done")]
pub enum FaultPoint {
    StartSlotTaken,
    StartCloned,
    StartRestored,
    StartRunning,
    PauseSuspended,
    PauseCommitted,
    PauseKilled,
    ResumeLoaded,
    ResumeCommitted,
    ResumeRunning,
    SnapshotFrozen,
    SnapshotSuspended,
    SnapshotCloned,
    SnapshotRunning,
    SnapshotComplete,
    FlattenCloned,
    FlattenFlattened,
    FlattenComplete,
    DestroyBegun,
    DestroyKilled,
}

impl FaultPoint {
    /// All there are.
    pub const ALL: [Self; 20] = [
        Self::StartSlotTaken,
        Self::StartCloned,
        Self::StartRestored,
        Self::StartRunning,
        Self::PauseSuspended,
        Self::PauseCommitted,
        Self::PauseKilled,
        Self::ResumeLoaded,
        Self::ResumeCommitted,
        Self::ResumeRunning,
        Self::SnapshotFrozen,
        Self::SnapshotSuspended,
        Self::SnapshotCloned,
        Self::SnapshotRunning,
        Self::SnapshotComplete,
        Self::FlattenCloned,
        Self::FlattenFlattened,
        Self::FlattenComplete,
        Self::DestroyBegun,
        Self::DestroyKilled,
    ];

    /// Returns its name, as it stands in names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartSlotTaken => "start.slot_taken",
            Self::StartCloned => "start.cloned",
            Self::StartRestored => "start.restored",
            Self::StartRunning => "start.running",
            Self::PauseSuspended => "pause.suspended",
            Self::PauseCommitted => "pause.committed",
            Self::PauseKilled => "pause.killed",
            Self::ResumeLoaded => "resume.loaded",
            Self::ResumeCommitted => "resume.committed",
            Self::ResumeRunning => "resume.running",
            Self::SnapshotFrozen => "snapshot.frozen",
            Self::SnapshotSuspended => "snapshot.suspended",
            Self::SnapshotCloned => "snapshot.cloned",
            Self::SnapshotRunning => "snapshot.running",
            Self::SnapshotComplete => "snapshot.complete",
            Self::FlattenCloned => "flatten.cloned",
            Self::FlattenFlattened => "flatten.flattened",
            Self::FlattenComplete => "flatten.complete",
            Self::DestroyBegun => "destroy.begun",
            Self::DestroyKilled => "destroy.killed",
        }
    }
}

/// Where the points are switched on.
#[derive(Debug, Clone, Default)]
pub struct FaultPoints {
    dir: Option<PathBuf>,
}

impl FaultPoints {
    /// Switches them on, in a folder of the test's.
    pub fn in_folder(dir: PathBuf) -> Self {
        tracing::warn!(dir = %dir.display(), "fault points are on: work on machines can be held up from outside");
        Self { dir: Some(dir) }
    }

    /// Says that work on a machine has come to a point, and waits there while it is held.
    pub async fn pass(&self, point: FaultPoint, id: SandboxId) {
        let Some(dir) = &self.dir else { return };
        let name = point.name();
        if let Err(error) = fs::write(dir.join(format!("{name}.{id}.reached")), "") {
            tracing::warn!(point = name, %error, "a fault point cannot be marked as reached");
        }
        let hold = dir.join(format!("{name}.hold"));
        let let_go = async {
            while hold.exists() {
                sleep(POLL).await;
            }
        };
        // A test that died lets nobody go.
        let _ = timeout(HOLD_MAX, let_go).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = FaultPoint::ALL.map(FaultPoint::name).into();
        assert_eq!(names.len(), FaultPoint::ALL.len());
    }

    #[tokio::test]
    async fn work_waits_at_a_point_while_that_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let (points, id) = (FaultPoints::in_folder(dir.path().to_owned()), SandboxId::new());
        let hold = dir.path().join("pause.killed.hold");
        fs::write(&hold, "").unwrap();
        let passing = points.pass(FaultPoint::PauseKilled, id);
        tokio::pin!(passing);
        assert!((&mut passing).now_or_never().is_none());
        assert!(dir.path().join(format!("pause.killed.{id}.reached")).exists());
        fs::remove_file(hold).unwrap();
        timeout(Duration::from_secs(20), passing).await.expect("it goes on");
        points.pass(FaultPoint::PauseCommitted, id).await;
        FaultPoints::default().pass(FaultPoint::PauseKilled, id).await;
    }
}
