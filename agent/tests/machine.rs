//! Real machines: boot, adoption, death, and what is left behind.
//!
//! They need the kernel, initramfs and base image that `scripts/image` makes.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "real machines, networks and disks take real time")]

mod host;

use std::{
    error::Error as _,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use host::{
    DataDir, eventually, in_time,
    machines::{Host, guest_is_up},
};
use wrenn_agent::{
    net::SlotNumber,
    vmm::{
        AdoptError, BootError, ExitReason, Fingerprint, VmProcess, VmRecord, Vmm,
        cgroup::Limits,
        qemu::{DetectError, Qemu},
    },
};
use wrenn_base::Clock;

/// Tells the helper process below which data folder to use.
const STARTER_DATA: &str = "WRENN_TEST_STARTER_DATA";

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_boots_confined_is_reached_and_dies_when_killed() {
    let data = DataDir::new("boot");
    let host = Host::new(&data, &[]).await;
    let (spec, slot) = host.spec_with_system().await;
    let machine = host.qemu.boot(&spec).await.expect("boot");
    let pid = machine.record().process.pid;
    eventually("the guest is up", async || guest_is_up(&slot).await).await;
    let console = machine.console_tail().await;
    assert!(console.contains("wrenn-guest"), "{console}");

    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let uid = slot.uid().to_string();
    assert!(status.lines().any(|line| line.starts_with("Uid:") && line.contains(&uid)), "{status}");
    assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
    for file in [spec.dir.join("memory"), spec.disk.clone()] {
        assert_eq!(
            fs::metadata(&file).expect("metadata").mode() & 0o077,
            0,
            "{} is for nobody else",
            file.display()
        );
    }
    let own = fs::metadata(format!("/proc/{pid}/ns/net")).expect("namespace").ino();
    assert_eq!(own, fs::metadata(slot.netns()).expect("namespace").ino());
    for file in spec.cgroup.iter().flat_map(|cgroup| cgroup.procs_files()) {
        let pids = fs::read_to_string(&file).expect("cgroup");
        assert!(pids.lines().any(|line| line == pid.to_string()), "{} in {}", pid, file.display());
    }
    assert_eq!(session_of(pid), pid, "its own session");
    assert_eq!(data.leftovers().processes, [machine.record().process.clone()]);

    let exit = machine.kill().await.expect("kill");
    assert_eq!(exit.reason, ExitReason::Killed, "{exit:?}");
    assert!(!is_alive(pid));
    assert_eq!(machine.kill().await.expect("kill again"), exit);
    host.qemu.kill(machine.record()).await.expect("kill by record");
    assert!(matches!(host.qemu.adopt(machine.record()).await, Err(AdoptError::Gone { .. })));
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_panics_tells_its_last_words() {
    let data = DataDir::new("panic");
    let host = Host::new(&data, &[]).await;
    let (mut spec, slot) = host.spec().await;
    spec.kernel_args = vec!["rdinit=/nonexistent".into()];
    let machine = host.qemu.boot(&spec).await.expect("boot");
    let exit = in_time("the end of the guest", machine.exited()).await;
    assert_eq!(exit.reason, ExitReason::GuestPanic, "{exit:?}");
    assert!(exit.console.contains("Kernel panic"), "{}", exit.console);
    assert_eq!(machine.console_tail().await, exit.console, "also afterwards");
    host.close(&data, spec, slot).await;
}

/// What QEMU says of a machine that nobody else asks.
fn status(control_socket: &Path) -> String {
    let mut socket = UnixStream::connect(control_socket).expect("control socket");
    socket.set_read_timeout(Some(host::PATIENCE)).expect("limit");
    socket.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}").expect("questions");
    BufReader::new(socket)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.expect("line")).expect("answer"))
        .find_map(|answer| Some(answer["return"]["status"].as_str()?.to_owned()))
        .expect("status")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_panics_while_nobody_watches_still_tells_why() {
    let data = DataDir::new("unwatched");
    let host = Host::new(&data, &[]).await;
    let (mut spec, slot) = host.spec().await;
    spec.kernel_args = vec!["rdinit=/nonexistent".into()];
    let machine = host.qemu.boot(&spec).await.expect("boot");
    let record = machine.record().clone();
    drop(machine);
    // QEMU itself is asked, as whoever adopts a machine that has ended lets go of it.
    eventually("the guest does not run any more", async || status(&record.control_socket) != "running").await;
    let adopted = host.qemu.adopt(&record).await.expect("adopt");
    let exit = in_time("the end of the guest", adopted.exited()).await;
    assert_eq!(exit.reason, ExitReason::GuestPanic, "{exit:?}");
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmm_that_is_killed_by_others_is_noticed() {
    let data = DataDir::new("killed");
    let host = Host::new(&data, &[]).await;
    let (spec, slot) = host.spec().await;
    let machine = host.qemu.boot(&spec).await.expect("boot");
    let pid = machine.record().process.pid.to_string();
    host::run("kill", &["-KILL", &pid]);
    let exit = in_time("the end of the machine", machine.exited()).await;
    assert_eq!(exit.reason, ExitReason::Signal(9), "{exit:?}");
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_that_fails_says_why_and_leaves_no_process() {
    let data = DataDir::new("fail");
    let host = Host::new(&data, &[]).await;
    let (spec, slot) = host.spec().await;
    let mut no_kernel = spec.clone();
    no_kernel.kernel = "/nonexistent/vmlinux".into();
    match host.qemu.boot(&no_kernel).await {
        Err(BootError::Exited { exit, .. }) => assert!(exit.log.contains("/nonexistent/vmlinux"), "{exit:?}"),
        other => panic!("{other:?}"),
    }
    let mut no_namespace = spec.clone();
    no_namespace.netns = "/run/netns/nonexistent".into();
    assert!(matches!(host.qemu.boot(&no_namespace).await, Err(BootError::Prepare { .. })));
    let mut no_cpu = spec.clone();
    no_cpu.vcpus = 0;
    assert!(matches!(host.qemu.boot(&no_cpu).await, Err(BootError::Spec { .. })));
    // Given up half-way.
    for wait_ms in [0, 1, 5, 20, 50] {
        let _ = tokio::time::timeout(Duration::from_millis(wait_ms), host.qemu.boot(&spec))
            .await
            .map(drop_killed);
    }
    eventually("no process is left", async || data.leftovers().processes.is_empty()).await;
    host.close(&data, spec, slot).await;
}

/// A boot that was quicker than its time limit.
fn drop_killed(booted: Result<VmProcess, BootError>) {
    let machine = booted.expect("boot");
    host::run("kill", &["-KILL", &machine.record().process.pid.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_survives_its_starter_and_is_adopted() {
    let data = DataDir::new("survive");
    let helper = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "starter_of_a_machine", "--ignored", "--nocapture"])
        .env(STARTER_DATA, &data.0)
        .output()
        .expect("helper");
    assert!(
        helper.status.success(),
        "{}{}",
        String::from_utf8_lossy(&helper.stdout),
        String::from_utf8_lossy(&helper.stderr)
    );
    let (record, slot, dir, runtime_dir) = read_note(&data.0);

    let host = Host::new(&data, &[slot]).await;
    let slot = host.pool.adopt(slot).await.expect("adopt slot");
    let machine = host.qemu.adopt(&record).await.expect("adopt machine");
    eventually("the guest answers", async || guest_is_up(&slot).await).await;
    // Both a lost and a second agent: dropping the handle ends nothing, and the socket is free again.
    drop(machine);
    eventually("it is adopted again", async || host.qemu.adopt(&record).await.is_ok()).await;
    let machine = host.qemu.adopt(&record).await.expect("adopt");
    let exit = machine.kill().await.expect("kill");
    assert_eq!(exit.reason, ExitReason::Killed);
    assert!(!is_alive(record.process.pid));

    let cgroup = record.cgroup.clone();
    let (mut spec, spare) = host.spec().await;
    host.pool.release(spare).await.expect("release");
    fs::remove_dir_all(&spec.dir).expect("spare folder");
    fs::remove_dir_all(&spec.runtime_dir).expect("spare folder");
    if let Some(spare) = &spec.cgroup {
        spare.remove().await.expect("spare cgroup");
    }
    (spec.dir, spec.runtime_dir, spec.cgroup) = (dir, runtime_dir, cgroup);
    host.close(&data, spec, slot).await;
}

/// What an agent keeps of a machine, here as a file for the next process.
fn read_note(data: &Path) -> (VmRecord, SlotNumber, PathBuf, PathBuf) {
    let text = fs::read(data.join("note.json")).expect("note");
    serde_json::from_slice(&text).expect("note")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a helper process of another test, which starts it"]
async fn starter_of_a_machine() {
    let data = std::mem::ManuallyDrop::new(DataDir(PathBuf::from(
        std::env::var_os(STARTER_DATA).expect("data folder"),
    )));
    let host = Host::new(&data, &[]).await;
    let (spec, slot) = host.spec_with_system().await;
    let machine = host.qemu.boot(&spec).await.expect("boot");
    let note = (machine.record(), slot.number(), &spec.dir, &spec.runtime_dir);
    fs::write(data.0.join("note.json"), serde_json::to_vec(&note).expect("json")).expect("note");
    // As a crash: no destructor runs.
    std::process::exit(0);
}

/// The session of a process: field 6 of its stat line.
fn session_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let after_name = &stat[stat.rfind(')').expect("name") + 1..];
    after_name.split_ascii_whitespace().nth(3).expect("session").parse().expect("session")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmm_that_needs_more_than_its_limit_is_ended_and_says_so() {
    let data = DataDir::new("limit");
    let host = Host::new(&data, &[]).await;
    let (mut spec, slot) = host.spec().await;
    let limits = Limits { memory_mb: 8, vcpus: 1 };
    let Some(cgroup) = host.cgroups.create(spec.id, limits).expect("cgroup") else {
        panic!("this host has no memory cgroup");
    };
    spec.cgroup = Some(cgroup);
    match host.qemu.boot(&spec).await {
        Err(BootError::Exited { exit, .. }) => assert_eq!(exit.reason, ExitReason::OutOfMemory),
        other => panic!("{other:?}"),
    }
    host.close(&data, spec, slot).await;
}

/// Writes a QEMU that is the installed one, but for what `script` does first.
fn wrapped_qemu(data: &DataDir, script: &str) -> PathBuf {
    let path = data.0.join("qemu");
    let named = std::env::var("WRENN_QEMU").ok().filter(|named| !named.is_empty());
    let qemu = named.unwrap_or_else(|| "qemu-system-x86_64".into());
    fs::write(&path, format!("#!/bin/bash\n{script}\nexec {qemu} \"$@\"\n")).expect("script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fingerprint_has_the_processor_that_guests_see() {
    let data = DataDir::new("processor");
    let detect = async |path: &Path| Qemu::detect(Some(path), &data.0, &Clock::process()).await;
    let emulated = async |path: &Path| {
        let qemu = detect(path).await.expect("qemu").emulating("test".into()).await.expect("emulation");
        qemu.fingerprint()
    };
    let saved = emulated(&wrapped_qemu(&data, "")).await;
    assert!(saved.cpu.model.starts_with("QEMU TCG CPU"), "{saved:?}");
    assert_eq!(emulated(&wrapped_qemu(&data, "")).await.cpu, saved.cpu);

    // The same version, and a processor without the instructions that a running guest may have chosen.
    let without = r#"[ "$1" = --version ] || set -- "${@/#max,/max,avx2=off,}""#;
    let other = Fingerprint { tsc_khz: saved.tsc_khz, ..emulated(&wrapped_qemu(&data, without)).await };
    let why = saved.mismatch(&other).expect("a mismatch");
    assert!(why.contains("other features"), "{why}");

    let silent = r#"[ "$1" = --version ] || { echo "no such machine" >&2; exit 1; }"#;
    let error = detect(&wrapped_qemu(&data, silent)).await.expect_err("a QEMU that describes nothing");
    assert!(matches!(error, DetectError::Processor { .. }), "{error:?}");
    let why = error.source().expect("a reason").to_string();
    assert!(why.contains("no such machine"), "{why}");
}
