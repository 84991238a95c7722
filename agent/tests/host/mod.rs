//! What the tests of this folder share. They need root, and the programs below; they fail without.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

pub(crate) mod machines;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use wrenn_agent::{
    leftovers::Leftovers,
    net::{Egress, Instance, PoolConfig, SlotPool},
};
use wrenn_base::Clock;
use wrenn_testkit::wait::{eventually_within, in_time_within};

/// Time limit for what real machines do, also where they are emulated on a busy host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Fails with words that help if the machine lacks what the tests need.
pub(crate) fn require(programs: &[&str]) {
    let is_root =
        std::fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it)).ok() == Some(0);
    assert!(is_root, "these tests make namespaces, mounts and machines: run them as root (scripts/test)");
    for program in programs {
        let found =
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|it| Path::new(it).join(program).exists());
        assert!(found, "{program} is not installed (scripts/test installs it)");
    }
}

/// A data folder that is emptied of everything on the host before it goes, also when the test fails.
pub(crate) struct DataDir(pub(crate) PathBuf);

impl DataDir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wrenn-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("data folder");
        Self(path.canonicalize().expect("data folder"))
    }

    /// Everything of this installation on the host.
    pub(crate) fn leftovers(&self) -> Leftovers {
        Leftovers::scan(&self.0)
    }

    /// Fails if anything but the installation's runtime folder is on the host.
    pub(crate) fn assert_clean(&self) {
        let left = Leftovers { runtime_dirs: Vec::new(), ..self.leftovers() };
        assert!(left.is_empty(), "left on the host: {left:#?}");
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let folder = self.0.clone();
        // A runtime of its own: the test's may be unwinding.
        let cleaning = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            let outcome = runtime.block_on(Leftovers::scan(&folder).clean());
            let _ = std::fs::remove_dir_all(&folder);
            outcome
        });
        let outcome = cleaning.join().expect("cleaning");
        if !std::thread::panicking() {
            outcome.expect("everything can be removed");
        }
    }
}

/// Claims a number for a data folder.
pub(crate) fn claim(data: &DataDir) -> Arc<Instance> {
    Arc::new(Instance::claim(&data.0).expect("claim"))
}

/// A pool that makes `ahead` slots.
pub(crate) async fn pool(instance: &Arc<Instance>, ahead: usize) -> SlotPool {
    let config = PoolConfig { ahead, egress: Egress::default(), keep: [].into() };
    SlotPool::start(instance.clone(), config, Clock::process()).await.expect("pool")
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, condition).await;
}

/// Waits for a future.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    in_time_within(PATIENCE, what, future).await
}

/// Runs a program and returns what it printed; fails if it does.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
