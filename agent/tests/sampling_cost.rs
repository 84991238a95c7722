//! Cost of measuring a hundred processes: `cargo test --release -p wrenn-agent --test sampling_cost -- --ignored --nocapture`.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "what is measured takes real time")]

use std::{
    env, fs, io,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use wrenn_agent::{
    metrics::{Depth, Meter, MeterSource, MetricsStore, ProcessMeter, SAMPLE_PERIOD},
    vmm::{ProcessIdentity, VmRecord, VmmKind},
};
use wrenn_proto::ids::SandboxId;

/// Processes that are measured.
const MACHINES: usize = 100;
/// Memory that each of them uses, in MiB, and threads that it has.
const MEMORY_MIB: usize = 64;
const THREADS: usize = 4;
/// Looks that are measured.
const LOOKS: u32 = 120;
/// Tells this program to be one of the processes.
const IS_MACHINE: &str = "WRENN_TEST_IS_MACHINE";

struct Machines {
    children: Vec<(SandboxId, Child, PathBuf)>,
}

impl Machines {
    fn start(folder: &std::path::Path) -> Self {
        let program = env::current_exe().expect("this program");
        let children = (0..MACHINES).map(|_| {
            let id = SandboxId::new();
            let disk = folder.join(id.to_string());
            fs::write(&disk, vec![1; 1 << 16]).expect("a disk");
            let mut command = Command::new(&program);
            command.args(["--ignored", "--exact", "be_a_machine"]).env(IS_MACHINE, "1");
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            (id, command.spawn().expect("a process"), disk)
        });
        Self { children: children.collect() }
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for (_, child, _) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl MeterSource for Machines {
    fn measurable(&self) -> Vec<VmRecord> {
        let record = |(id, child, _): &(SandboxId, Child, PathBuf)| VmRecord {
            id: *id,
            vmm: VmmKind::Qemu,
            vmm_version: "1".into(),
            fingerprint: None,
            process: ProcessIdentity::of_pid(child.id()).expect("it lives"),
            control_socket: "/nonexistent".into(),
            cgroup: None,
        };
        self.children.iter().map(record).collect()
    }

    fn open_meter(&self, vm: &VmRecord) -> io::Result<Box<dyn Meter>> {
        let (_, _, disk) = self.children.iter().find(|(id, ..)| *id == vm.id).expect("it is known");
        Ok(Box::new(ProcessMeter::open(&vm.process, disk.clone(), "lo")?))
    }
}

/// Machines that are listed without looking at them.
struct Listed<'a>(&'a Machines, Vec<VmRecord>);

impl MeterSource for Listed<'_> {
    fn measurable(&self) -> Vec<VmRecord> {
        self.1.clone()
    }

    fn open_meter(&self, vm: &VmRecord) -> io::Result<Box<dyn Meter>> {
        self.0.open_meter(vm)
    }
}

/// Returns the processor time of this thread.
fn used() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    Duration::from_nanos(schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds"))
}

#[test]
#[ignore = "one of the processes that are measured"]
fn be_a_machine() {
    if env::var_os(IS_MACHINE).is_none() {
        return;
    }
    for _ in 1..THREADS {
        std::thread::spawn(std::thread::park);
    }
    let memory = vec![1_u8; MEMORY_MIB << 20];
    // It ends with the process that measures, however that ends.
    io::copy(&mut io::stdin(), &mut io::sink()).expect("the end of the input");
    drop(std::hint::black_box(memory));
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_machines_cost_less_than_two_percent_of_a_core() {
    let folder = tempfile::tempdir().expect("a folder");
    let machines = Machines::start(folder.path());
    let listed = Listed(&machines, machines.measurable());
    let resident = |vm: &VmRecord| {
        let mut meter = machines.open_meter(vm).expect("a meter");
        meter.read(Depth::Quick).expect("figures").memory_bytes >= (MEMORY_MIB as u64) << 20
    };
    let began = Instant::now();
    while !listed.1.iter().all(resident) {
        assert!(began.elapsed() < Duration::from_secs(60), "waited until the processes have their memory");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut meter = machines.open_meter(&listed.1[0]).expect("a meter");
    // The kernel counts by its own ticks: few readings are none.
    for (depth, readings) in [(Depth::Quick, 10_000), (Depth::Thorough, 300)] {
        let before = used();
        for _ in 0..readings {
            meter.read(depth).expect("figures");
        }
        println!("{depth:?} reading: {:?}", (used() - before) / readings);
    }
    let store = MetricsStore::open(folder.path().join("metrics")).expect("a store");
    let before = used();
    for _ in 0..LOOKS {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
        store.sample(&listed, Instant::now(), unix.as_millis() as u64);
        std::thread::sleep(SAMPLE_PERIOD);
    }
    let share = (used() - before).as_secs_f64() / (SAMPLE_PERIOD * LOOKS).as_secs_f64() * 100.0;
    println!("{MACHINES} machines: {share:.2} % of a core, {:?} a look", (used() - before) / LOOKS);
    assert!(share <= 2.0, "{share} %");
}
