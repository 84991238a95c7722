//! A whole agent with real machines: started, used, killed and started again, under a scripted control plane.
//!
//! They need root, and the kernel, initramfs and base image that `scripts/image` makes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "real machines, networks and disks take real time")]

mod host;
mod support;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use host::{DataDir, eventually, in_time, require};
use rustix::process::{Pid, Signal, kill_process};
use support::{ControlPlane, Session};
use wrenn_base::{Clock, Rng};
use wrenn_proto::{
    agent::{
        CommandResult, FailureKind, MachineState, MakeTemplate, PauseMachine, ResumeMachine, StartMachine,
        Started, TemplateMade, agent_frame::Frame, command::Command as Order, command_result::Outcome,
        machine_event,
    },
    guest::{ExecStart, exec_input::Input},
    ids::{SandboxId, TemplateId},
};

/// Tells the test binary that it is to be an agent.
const BE_AGENT: &str = "WRENN_TEST_BE_AGENT";
/// What the agent may occupy, in KiB; an unoptimised build is larger than what is shipped.
const RSS_MAX_KIB: u64 = 60 * 1024;

/// An agent in a process of its own, so that it can be killed like one.
struct AgentProcess(Child);

impl AgentProcess {
    fn spawn(data: &DataDir, plane: &ControlPlane) -> Self {
        let child = Command::new(std::env::current_exe().expect("own path"))
            .args(["--exact", "the_agent_of_other_tests", "--nocapture"])
            .env(BE_AGENT, "1")
            .env("WRENN_SERVER", plane.address().to_string())
            .env("WRENN_REGISTRATION_TOKEN", plane.token("once").to_string())
            .env("WRENN_AGENT_DATA", &data.0)
            .env("WRENN_IMAGES", images())
            .env("WRENN_SLOTS_AHEAD", "1")
            .stdout(Stdio::null())
            .spawn()
            .expect("agent");
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("pid")).expect("pid");
        kill_process(pid, signal).expect("signal");
    }

    async fn ended(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        eventually("the agent ends", async || {
            status = self.0.try_wait().expect("wait");
            status.is_some()
        })
        .await;
        status.expect("status")
    }

    async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("rss");
        line.trim().trim_end_matches(" kB").parse().expect("rss")
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_agent_of_other_tests() {
    if std::env::var_os(BE_AGENT).is_none() {
        return;
    }
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = wrenn_agent::Config::from_env().expect("configuration");
    let ended = actix_rt::System::new().block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signal");
        wrenn_agent::run(config, Clock::process(), Rng::process(), async move {
            terminate.recv().await;
        })
        .await
    });
    ended.expect("an orderly end");
}

fn images() -> PathBuf {
    let folder = std::env::var_os("WRENN_IMAGES").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("wrenn/images")
    });
    assert!(folder.join("vmlinux").exists(), "no kernel in {}: run scripts/image", folder.display());
    folder
}

struct World {
    plane: ControlPlane,
    data: DataDir,
}

impl World {
    async fn new(name: &str) -> Self {
        require(&["qemu-system-x86_64", "ip", "nft", "mkfs.xfs", "losetup", "resize2fs"]);
        Self { plane: ControlPlane::start().await, data: DataDir::new(name) }
    }

    async fn agent(&mut self) -> (AgentProcess, Session) {
        let agent = AgentProcess::spawn(&self.data, &self.plane);
        let session = self.plane.session().await;
        (agent, session)
    }

    async fn exec(&self, session: &Session, id: SandboxId, start: ExecStart) -> support::Output {
        let mut tunnel = self.plane.open_tunnel(session, id).await;
        tunnel.send(Input::Start(start)).await;
        tunnel.output().await
    }

    async fn shell(&self, session: &Session, id: SandboxId, cmd: &str) -> String {
        let output = self.exec(session, id, ExecStart { cmd: cmd.into(), ..ExecStart::default() }).await;
        assert_eq!(output.exit_code, Some(0), "{cmd}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn vmm_pids(&self) -> Vec<u32> {
        // Programs that make a slot run in its namespace, too, for a moment.
        let is_vmm = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("qemu-system"))
        };
        let processes = self.data.leftovers().processes;
        let mut pids: Vec<_> = processes.iter().map(|process| process.pid).filter(is_vmm).collect();
        pids.sort();
        pids
    }

    /// Fails if anything of any machine is left; what the agent itself holds may be there.
    fn assert_no_machine(&self) {
        let left = self.data.leftovers();
        assert_eq!(self.vmm_pids(), Vec::<u32>::new());
        let cgroups: Vec<_> =
            left.cgroups.iter().filter(|path| path.to_string_lossy().contains("cl-")).collect();
        assert!(cgroups.is_empty(), "{cgroups:?}");
        let own = ["volume/machines", "machines"].map(|name| self.data.0.join(name));
        for folder in left.runtime_dirs.iter().chain(&own) {
            let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
            let of_machines: Vec<_> =
                names.filter(|name| name.to_string_lossy().starts_with("cl-")).collect();
            assert!(of_machines.is_empty(), "{of_machines:?} in {}", folder.display());
        }
        // Those made ahead, and perhaps one that is being made.
        assert!(left.namespaces.len() <= 2, "{:?}", left.namespaces);
    }
}

fn start_order(session: &Session, id: SandboxId, generation: u64, image: &str) {
    let start = StartMachine {
        image: image.into(),
        vcpus: 1,
        memory_mb: 256,
        disk_size_mb: 6144,
        hostname: "capsule".into(),
        default_env: [("GREETING".to_owned(), "hello".to_owned())].into(),
        ..StartMachine::default()
    };
    session.command(id, generation, Order::Start(start));
}

async fn result(session: &mut Session) -> CommandResult {
    match in_time("a frame", session.frame_but_heartbeats()).await {
        Frame::Result(result) => result,
        other => panic!("expected a result, got {other:?}"),
    }
}

async fn started(session: &mut Session) -> u64 {
    match result(session).await.outcome {
        Some(Outcome::Started(started)) => started.boot_ms,
        other => panic!("not started: {other:?}"),
    }
}

async fn destroyed(session: &mut Session, id: SandboxId, generation: u64) {
    session.destroy_machine(id, generation);
    let outcome = result(session).await.outcome;
    assert!(matches!(outcome, Some(Outcome::Destroyed(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_started_used_and_destroyed_without_a_trace() {
    let mut world = World::new("agent-use").await;
    let (mut agent, mut session) = world.agent().await;
    let id = SandboxId::new();
    start_order(&session, id, 1, "minimal.ext4");
    let boot_ms = started(&mut session).await;

    let said = world.shell(&session, id, "hostname; echo $GREETING; id -un; nproc").await;
    assert_eq!(said, "capsule\nhello\nroot\n1\n");
    let disk_kib = world.shell(&session, id, "df --output=size / | tail -1").await;
    assert!(disk_kib.trim().parse::<u64>().expect("size") > 5_600_000, "the disk was grown: {disk_kib}");
    let clock = world.shell(&session, id, "date +%s").await.trim().parse::<i64>().expect("time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("time").as_secs();
    assert!((clock - i64::try_from(now).expect("time")).abs() <= 2, "clock {clock}, host {now}");

    let begun = Instant::now();
    let limited = ExecStart { cmd: "sleep 60".into(), timeout_sec: 1, ..ExecStart::default() };
    let output = world.exec(&session, id, limited).await;
    assert_eq!((output.exit_code, output.timed_out), (Some(124), true));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    let big =
        world.exec(&session, id, ExecStart { cmd: "head -c 5000000 /dev/zero".into(), ..Default::default() });
    assert_eq!(big.await.stdout.len(), 5_000_000);

    let direct = || ExecStart { cmd: "/bin/true".into(), has_args: true, ..ExecStart::default() };
    let (mut trips, mut overheads) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let begun = Instant::now();
        let output = world.exec(&session, id, direct()).await;
        assert_eq!(output.exit_code, Some(0));
        trips.push(begun.elapsed());
        overheads.push(begun.elapsed().saturating_sub(Duration::from_millis(output.duration_ms)));
    }
    trips.sort();
    overheads.sort();
    let rss_kib = agent.rss_kib();
    println!("boot {boot_ms} ms, exec p50 {:?}, of it not in the command {:?}", trips[10], overheads[10]);
    println!("agent {rss_kib} KiB");
    let mode = fs::metadata(&world.data.0).expect("data folder").mode();
    assert_eq!(mode & 0o777, 0o700, "disks and tokens are for nobody else");
    assert!(rss_kib < RSS_MAX_KIB, "the agent occupies {rss_kib} KiB");

    destroyed(&mut session, id, 2).await;
    world.assert_no_machine();
    agent.signal(Signal::TERM);
    assert!(agent.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_survive_the_death_of_the_agent_and_a_dead_machine_is_cleaned_up() {
    let mut world = World::new("agent-death").await;
    let (agent, mut session) = world.agent().await;
    let ids: Vec<_> = (0..2).map(|_| SandboxId::new()).collect();
    for &id in &ids {
        start_order(&session, id, 1, "minimal.ext4");
    }
    for _ in &ids {
        started(&mut session).await;
    }
    for &id in &ids {
        world.shell(&session, id, "echo kept > /root/note").await;
    }
    let pids = world.vmm_pids();
    assert_eq!(pids.len(), 2);

    agent.kill().await;
    drop(session);
    let (mut agent, mut session) = world.agent().await;
    let machines = &session.hello.inventory.as_ref().expect("inventory").machines;
    let states: Vec<_> = machines.iter().map(|report| (report.generation, report.state())).collect();
    assert_eq!(states, [(1, MachineState::Running), (1, MachineState::Running)]);
    assert_eq!(world.vmm_pids(), pids);
    for &id in &ids {
        assert_eq!(world.shell(&session, id, "cat /root/note").await, "kept\n");
    }

    let victim = Pid::from_raw(i32::try_from(pids[0]).expect("pid")).expect("pid");
    kill_process(victim, Signal::KILL).expect("kill");
    let exited = match session.frame_but_heartbeats().await {
        Frame::Event(event) => event,
        other => panic!("expected an event, got {other:?}"),
    };
    let Some(machine_event::Event::Exited(reason)) = exited.event else { panic!("expected an exit") };
    assert!(reason.reason.contains("gone") || reason.reason.contains("signal"), "{}", reason.reason);
    let dead: SandboxId = exited.sandbox_id.parse().expect("id");
    assert_eq!(world.vmm_pids(), pids[1..]);
    let report = session.inventory(1).await.machines.into_iter().find(|it| it.sandbox_id == dead.to_string());
    assert_eq!(report.expect("report").state(), MachineState::Stopped);
    let kept = world.data.0.join(format!("volume/machines/{dead}"));
    let files: Vec<_> = fs::read_dir(kept).expect("folder").map(|it| it.expect("file").file_name()).collect();
    assert_eq!(files, ["disk.ext4"], "of a machine that ended by itself its disk is kept, and nothing else");

    // In order this time: the machine runs on, and is adopted once more.
    agent.signal(Signal::TERM);
    assert!(agent.ended().await.success());
    drop(session);
    let (_agent, mut session) = world.agent().await;
    let alive = *ids.iter().find(|&&id| id != dead).expect("one lives");
    assert_eq!(world.shell(&session, alive, "cat /root/note").await, "kept\n");
    destroyed(&mut session, dead, 2).await;
    destroyed(&mut session, alive, 2).await;
    world.assert_no_machine();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_while_a_machine_boots_undoes_it_when_it_is_back() {
    let mut world = World::new("agent-boot").await;
    let (agent, mut session) = world.agent().await;
    start_order(&session, SandboxId::new(), 1, "no-such.ext4");
    match result(&mut session).await.outcome {
        Some(Outcome::Failed(failed)) => assert_eq!(failed.kind(), FailureKind::TemplateMissing),
        other => panic!("expected a failure, got {other:?}"),
    }
    let id = SandboxId::new();
    start_order(&session, id, 1, "minimal.ext4");
    eventually("its virtual machine runs", async || world.vmm_pids().len() == 1).await;
    agent.kill().await;
    drop(session);
    let (_agent, mut session) = world.agent().await;
    let machines = session.hello.inventory.clone().expect("inventory").machines;
    let report = machines.iter().find(|report| report.sandbox_id == id.to_string()).expect("report");
    assert_eq!((report.generation, report.state()), (1, MachineState::Exited));
    assert_eq!(world.vmm_pids(), Vec::<u32>::new());
    destroyed(&mut session, id, 2).await;
    for report in machines.iter().filter(|report| report.sandbox_id != id.to_string()) {
        destroyed(&mut session, report.sandbox_id.parse().expect("id"), 2).await;
    }
    world.assert_no_machine();
}

/// Sends a command and returns the machine that runs afterwards.
async fn runs_after(session: &mut Session, id: SandboxId, generation: u64, order: Order) -> Started {
    session.command(id, generation, order);
    match result(session).await.outcome {
        Some(Outcome::Started(started)) => started,
        other => panic!("not started: {other:?}"),
    }
}

async fn paused(session: &mut Session, id: SandboxId, generation: u64) {
    session.command(id, generation, Order::Pause(PauseMachine {}));
    let outcome = result(session).await.outcome;
    assert!(matches!(outcome, Some(Outcome::Paused(_))), "{outcome:?}");
}

async fn made(session: &mut Session, id: SandboxId, generation: u64, order: Order) -> TemplateMade {
    session.command(id, generation, order);
    match result(session).await.outcome {
        Some(Outcome::TemplateMade(made)) => made,
        other => panic!("no template: {other:?}"),
    }
}

fn make(template: TemplateId) -> MakeTemplate {
    MakeTemplate { template_id: template.to_string(), as_it_is: false }
}

fn start_of(template: TemplateId, disk_size_mb: u32) -> Order {
    Order::Start(StartMachine {
        template_id: template.to_string(),
        vcpus: 1,
        memory_mb: 256,
        disk_size_mb,
        hostname: "copy".into(),
        ..StartMachine::default()
    })
}

fn resume() -> Order {
    Order::Resume(ResumeMachine::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_machine_goes_on_also_after_a_restart_of_the_agent_and_nothing_grows() {
    let mut world = World::new("agent-pause").await;
    let (agent, mut session) = world.agent().await;
    let id = SandboxId::new();
    start_order(&session, id, 1, "minimal.ext4");
    started(&mut session).await;
    let counter = "echo kept > /root/note; sync; echo kept > /dev/shm/note; \
        setsid sh -c 'i=0; while :; do i=$((i+1)); echo $i >> /dev/shm/ticks; sleep 0.05; done' </dev/null >/dev/null 2>&1 &";
    world.shell(&session, id, counter).await;
    for cycle in 1..=5 {
        let begun = Instant::now();
        paused(&mut session, id, 2 * cycle).await;
        let pause = begun.elapsed();
        assert_eq!(world.vmm_pids(), Vec::<u32>::new());
        let begun = Instant::now();
        let resumed = runs_after(&mut session, id, 2 * cycle + 1, resume()).await;
        assert!(resumed.restored);
        let said = world.shell(&session, id, "cat /root/note /dev/shm/note").await;
        println!("pause {pause:?}, resume {} ms, to the first exec {:?}", resumed.boot_ms, begun.elapsed());
        assert_eq!(said, "kept\nkept\n");
        let lost = world.shell(&session, id, "awk '$1 != NR' /dev/shm/ticks | wc -l").await;
        assert_eq!(lost, "0\n", "the counter lost ticks");
    }
    paused(&mut session, id, 20).await;
    agent.kill().await;
    drop(session);
    let (_agent, mut session) = world.agent().await;
    let machines = &session.hello.inventory.as_ref().expect("inventory").machines;
    assert_eq!((machines[0].generation, machines[0].state()), (20, MachineState::Paused));
    assert!(runs_after(&mut session, id, 21, resume()).await.restored);
    assert_eq!(world.shell(&session, id, "cat /dev/shm/note").await, "kept\n");
    let clock = world.shell(&session, id, "date +%s").await.trim().parse::<i64>().expect("time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("time").as_secs();
    assert!((clock - i64::try_from(now).expect("time")).abs() <= 2, "clock {clock}, host {now}");
    paused(&mut session, id, 22).await;
    let defaults = |greeting: &str, drop_memory| {
        let default_env = [("GREETING".to_owned(), greeting.to_owned())].into();
        Order::Resume(ResumeMachine { drop_memory, default_user: "nobody".into(), default_env })
    };
    assert!(!runs_after(&mut session, id, 23, defaults("booted", true)).await.restored);
    let as_root =
        ExecStart { cmd: "cat /root/note; ls /dev/shm".into(), user: "root".into(), ..Default::default() };
    assert_eq!(world.exec(&session, id, as_root).await.stdout, b"kept\n");
    assert_eq!(world.shell(&session, id, "id -un; echo $GREETING").await, "nobody\nbooted\n");
    paused(&mut session, id, 24).await;
    assert!(runs_after(&mut session, id, 25, defaults("restored", false)).await.restored);
    assert_eq!(world.shell(&session, id, "id -un; echo $GREETING").await, "nobody\nrestored\n");
    destroyed(&mut session, id, 26).await;
    world.assert_no_machine();
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_made_of_a_running_machine_and_machines_of_them() {
    let mut world = World::new("agent-template").await;
    let (_agent, mut session) = world.agent().await;
    let id = SandboxId::new();
    start_order(&session, id, 1, "minimal.ext4");
    let booted_ms = started(&mut session).await;
    world.shell(&session, id, "echo kept > /root/note; echo kept > /dev/shm/note").await;
    let (snapshot, flat) = (TemplateId::new(), TemplateId::new());
    let begun = Instant::now();
    let template = made(&mut session, id, 2, Order::Snapshot(make(snapshot))).await;
    println!("snapshot {:?}, {} MiB", begun.elapsed(), template.size_bytes >> 20);
    assert_eq!(template.state(), MachineState::Running);
    world.shell(&session, id, "echo other > /root/later; sync; cat /dev/shm/note").await;
    let begun = Instant::now();
    let template = made(&mut session, id, 3, Order::Flatten(make(flat))).await;
    println!("flatten {:?}, {} MiB", begun.elapsed(), template.size_bytes >> 20);
    assert!(template.disk_size_mb < 2048, "{} MiB", template.disk_size_mb);
    let mut ids = session.inventory(1).await.template_ids;
    ids.sort();
    assert_eq!(ids, [snapshot.to_string(), flat.to_string()]);

    let copy = SandboxId::new();
    let restored = runs_after(&mut session, copy, 1, start_of(snapshot, 7168)).await;
    assert!(restored.restored);
    println!("boot {booted_ms} ms, start from the snapshot {} ms", restored.boot_ms);
    let said = world.shell(
        &session,
        copy,
        "hostname; cat /root/note /dev/shm/note; ls /root/later 2>&1; touch /root/x",
    );
    let said = said.await;
    assert!(said.starts_with("copy\nkept\nkept\n") && said.contains("No such"), "{said}");
    let disk_kib = world.shell(&session, copy, "df --output=size / | tail -1").await;
    assert!(disk_kib.trim().parse::<u64>().expect("size") > 6_600_000, "the disk was grown: {disk_kib}");
    destroyed(&mut session, copy, 2).await;

    // The first machine of a template without memory is booted, the second one is not.
    for (generation, restored) in [(1, false), (3, true)] {
        let other = SandboxId::new();
        let begun = Instant::now();
        let started = runs_after(&mut session, other, generation, start_of(flat, 6144)).await;
        println!("start from the flattened template {:?}, restored: {}", begun.elapsed(), started.restored);
        assert_eq!(started.restored, restored);
        let disk_kib = world.shell(&session, other, "df --output=size / | tail -1").await;
        assert!(disk_kib.trim().parse::<u64>().expect("size") > 5_600_000, "the disk was grown: {disk_kib}");
        assert_eq!(
            world.shell(&session, other, "hostname; cat /root/note /root/later").await,
            "copy\nkept\nother\n"
        );
        destroyed(&mut session, other, generation + 1).await;
        eventually("the boot snapshot is complete", async || {
            let boot = world.data.0.join("volume/boot");
            let names = fs::read_dir(boot).expect("folder").map(|it| it.expect("entry").file_name());
            names.into_iter().any(|name| name.to_string_lossy().starts_with("tpl-"))
        })
        .await;
    }
    for template in [snapshot, flat] {
        session.drop_template(template);
        match session.frame_but_heartbeats().await {
            Frame::TemplateDropped(dropped) => assert_eq!(dropped.error, ""),
            other => panic!("expected a removal, got {other:?}"),
        }
    }
    let left = |folder: &str| fs::read_dir(world.data.0.join("volume").join(folder)).expect("folder").count();
    // That of the image is left.
    assert_eq!((left("templates"), left("boot")), (0, 1));
    destroyed(&mut session, id, 4).await;
    world.assert_no_machine();
}
