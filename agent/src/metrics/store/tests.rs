//! The store over machines whose figures a test sets.

use std::collections::HashMap;

use wrenn_proto::metrics::unpack;

use super::*;
use crate::vmm::VmmKind;

const BEGUN: u64 = 1_764_504_000_000;

/// Machines by their pid, and what is measured of them; a machine of which nothing is measured is gone.
#[derive(Clone, Default)]
struct Machines(std::sync::Arc<Mutex<HashMap<u32, (VmRecord, Figures)>>>);

struct FakeMeter(u32, Machines);

impl Meter for FakeMeter {
    fn read(&mut self, _: Depth) -> io::Result<Figures> {
        self.1
            .0
            .lock()
            .get(&self.0)
            .map(|(_, figures)| *figures)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl MeterSource for Machines {
    fn measurable(&self) -> Vec<VmRecord> {
        self.0.lock().values().map(|(vm, _)| vm.clone()).collect()
    }

    fn open_meter(&self, vm: &VmRecord) -> io::Result<Box<dyn Meter>> {
        Ok(Box::new(FakeMeter(vm.process.pid, self.clone())))
    }
}

impl Machines {
    fn start(&self, id: SandboxId, pid: u32) {
        let process = ProcessIdentity { pid, start_ticks: 1, boot_id: "boot".into() };
        let vm = VmRecord {
            id,
            vmm: VmmKind::Simulated,
            vmm_version: "1".into(),
            fingerprint: None,
            process,
            control_socket: "/nonexistent".into(),
            cgroup: None,
        };
        self.0.lock().insert(pid, (vm, Figures::default()));
    }

    fn end(&self, pid: u32) {
        self.0.lock().remove(&pid);
    }

    fn change(&self, pid: u32, change: impl FnOnce(&mut Figures)) {
        change(&mut self.0.lock().get_mut(&pid).unwrap().1);
    }
}

/// A host whose agent can be started again.
struct TestHost {
    folder: tempfile::TempDir,
    store: MetricsStore,
    machines: Machines,
    start: Instant,
    passed_ms: u64,
}

impl TestHost {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = MetricsStore::open(folder.path().join("metrics")).unwrap();
        let start = wrenn_base::Clock::manual().0.now();
        Self { folder, store, machines: Machines::default(), start, passed_ms: 0 }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.passed_ms)
    }

    fn look(&mut self, times: u64) {
        for _ in 0..times {
            self.passed_ms += 500;
            self.store.sample(&self.machines, self.now(), BEGUN + self.passed_ms);
        }
    }

    /// As `kill -9` and a new start, after a while.
    fn restart(&mut self, after_ms: u64) {
        self.passed_ms += after_ms;
        self.store = MetricsStore::open(self.folder.path().join("metrics")).unwrap();
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder.path().join("metrics")).unwrap().count()
    }

    fn fine(&self, id: SandboxId) -> Vec<Point> {
        self.store.points(id, Tier::Fine)
    }
}

#[test]
fn processor_time_between_two_samples_is_a_share_of_the_time_that_passed() {
    let mut host = TestHost::new();
    let id = SandboxId::new();
    host.machines.start(id, 7);
    host.look(1);
    assert_eq!(host.fine(id), [], "there is nothing to compare with yet");
    host.machines.change(7, |figures| {
        *figures = Figures {
            cpu: Duration::from_millis(750),
            memory_bytes: 1,
            disk_bytes: 2,
            net_in_bytes: 3,
            net_out_bytes: 4,
        }
    });
    host.look(2);
    let at = |after_ms, cpu_pct| Point {
        at_ms: BEGUN + after_ms,
        cpu_pct,
        memory_bytes: 1,
        disk_bytes: 2,
        net_in_bytes: 3,
        net_out_bytes: 4,
    };
    assert_eq!(host.fine(id), [at(1000, 150.0), at(1500, 0.0)]);
}

#[test]
fn a_restart_loses_the_downtime_and_one_sample() {
    let mut host = TestHost::new();
    let id = SandboxId::new();
    host.machines.start(id, 7);
    host.look(200);
    host.machines.change(7, |figures| figures.net_in_bytes = 500);
    host.look(1);
    let (fine, medium) = (host.fine(id), host.store.points(id, Tier::Medium));
    host.restart(10_000);
    assert_eq!((host.fine(id), host.store.points(id, Tier::Medium)), (fine.clone(), medium.clone()));
    host.machines.change(7, |figures| figures.net_in_bytes = 900);
    host.look(2);
    let after = host.fine(id);
    assert_eq!(after[..fine.len()], fine);
    assert_eq!(after.len(), fine.len() + 1, "the first look has nothing to compare with");
    assert_eq!(after.last().unwrap().net_in_bytes, 900, "bytes of the downtime count");
    assert_eq!(host.store.points(id, Tier::Medium)[..medium.len() - 1], medium[..medium.len() - 1]);
}

#[test]
fn a_pause_and_a_resumption_go_on_with_the_history_and_its_counters() {
    let mut host = TestHost::new();
    let id = SandboxId::new();
    host.machines.start(id, 7);
    host.machines.change(7, |figures| (figures.net_in_bytes, figures.net_out_bytes) = (100, 10));
    host.look(5);
    host.machines.end(7);
    host.look(4);
    assert_eq!(host.fine(id).len(), 4);
    // Another process, with counters of its own, and perhaps another agent.
    for (pid, agents) in [(8, 1), (9, 2)] {
        host.machines.start(id, pid);
        host.machines.change(pid, |figures| (figures.net_in_bytes, figures.net_out_bytes) = (1, 2));
        host.look(3);
        (1..agents).for_each(|_| host.restart(0));
        host.look(3);
        host.machines.end(pid);
        host.look(1);
    }
    let last = *host.fine(id).last().unwrap();
    assert_eq!((last.net_in_bytes, last.net_out_bytes), (102, 14));
}

#[test]
fn a_history_is_sent_until_it_is_stored_and_then_no_more() {
    let mut host = TestHost::new();
    let id = SandboxId::new();
    host.machines.start(id, 7);
    host.look(10);
    assert_eq!(host.store.due(host.now(), 9), [], "it runs");
    host.machines.end(7);
    host.look(1);
    let sent = host.store.due(host.now(), 9);
    let [history] = &sent[..] else { panic!("expected one history, got {sent:?}") };
    assert_eq!(history.sandbox_id, id.to_string());
    assert_eq!(unpack(Tier::Fine, &history.fine).unwrap(), host.fine(id));
    assert_eq!(unpack(Tier::Medium, &history.medium).unwrap().len(), 1);
    assert_eq!(unpack(Tier::Coarse, &history.coarse).unwrap().len(), 1);

    let soon = |host: &TestHost, sec| host.now() + Duration::from_secs(sec);
    assert_eq!(host.store.due(soon(&host, 9), 9), [], "not at once again");
    assert_eq!(host.store.due(soon(&host, 10), 9).len(), 1);
    assert_eq!(host.store.due(soon(&host, 29), 9), [], "ever more slowly");
    host.store.resend_soon();
    assert_eq!(host.store.due(host.now(), 9).len(), 1, "a new link");
    host.restart(0);
    assert_eq!(host.store.due(host.now(), 9).len(), 1, "another agent");
    host.store.note_stored(id, history.up_to_unix_ms);
    assert!(host.store.is_quiet());
    assert_eq!(host.store.unstored(id, host.now()), None);
    host.restart(0);
    assert!(host.store.is_quiet());
    assert_eq!(host.fine(id).len(), 9, "a paused machine keeps it");
    host.machines.start(id, 8);
    host.look(2);
    host.machines.end(8);
    host.look(1);
    assert_eq!(host.store.due(host.now(), 9).len(), 1, "it ran on");
}

#[test]
fn the_file_of_a_destroyed_machine_goes_when_it_is_stored() {
    let mut host = TestHost::new();
    let [id, stored, unused] = [1, 2, 3].map(|_| SandboxId::new());
    host.machines.start(id, 7);
    host.machines.start(stored, 8);
    host.look(3);
    host.machines.end(8);
    host.store.note_stored(stored, BEGUN + host.passed_ms);
    host.store.end(stored);
    host.store.end(unused);
    assert_eq!(host.files(), 1);
    host.store.end(id);
    host.look(1);
    assert_eq!(host.fine(id).len(), 2, "nothing is measured after the end");
    host.machines.end(7);
    host.restart(0);
    let history = host.store.unstored(id, host.now()).unwrap();
    host.store.note_stored(id, history.up_to_unix_ms - 1);
    assert_eq!(host.files(), 1, "not all of it is stored");
    host.store.note_stored(id, history.up_to_unix_ms);
    assert_eq!(host.files(), 0);
    assert!(host.store.is_quiet());
}

#[test]
fn what_nobody_knows_is_sent_and_goes_and_files_do_not_pile_up() {
    let mut host = TestHost::new();
    let ids: Vec<SandboxId> = (0..ENDED_MAX as u32 + 3).map(|_| SandboxId::new()).collect();
    for (pid, id) in ids.iter().enumerate() {
        host.machines.start(*id, pid as u32 + 1);
    }
    host.look(2);
    host.machines.0.lock().clear();
    host.restart(0);
    host.store.end_unknown(&BTreeSet::from([ids[0]]));
    assert_eq!(host.files(), ENDED_MAX + 1);
    assert_eq!(host.store.due(host.now(), 5).len(), 5);
    host.store.remove_all();
    assert_eq!(host.files(), 0);
    fs::write(host.folder.path().join("metrics/junk"), "junk").unwrap();
    host.restart(0);
    assert_eq!(host.files(), 0);
}

#[test]
fn a_clock_that_is_set_back_makes_the_history_due_again() {
    let mut host = TestHost::new();
    let id = SandboxId::new();
    host.machines.start(id, 7);
    host.look(20);
    host.store.note_stored(id, BEGUN + host.passed_ms);
    host.store.sample(&host.machines, host.now() + Duration::from_millis(500), BEGUN + 3000);
    host.machines.end(7);
    host.store.sample(&host.machines, host.now(), BEGUN + 3500);
    assert_eq!(host.store.due(host.now(), 9).len(), 1);
    assert_eq!(host.fine(id).last().unwrap().at_ms, BEGUN + 3000);
}
