//! Real machines that are suspended, restored, and run on.
//!
//! They need the kernel, initramfs and base image that `scripts/image` makes.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "real machines, networks and disks take real time")]

mod host;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use host::{
    DataDir, eventually, in_time,
    machines::{Guest, Host, now_ns, output},
};
use wrenn_agent::{
    net::Slot,
    vmm::{BootError, BootSpec, ControlError, ExitReason, VmProcess, Vmm as _},
};
use wrenn_proto::guest::Lifetime;

/// How far a guest's clock may be from the host's, as seen through an exec on a busy host.
const CLOCK_TOLERANCE_MS: i64 = 5_000;
/// Asks the resolver for a name, as it is the first thing that programs do, and tells that it answered.
const ASK_RESOLVER: &str = r#"python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect(("172.30.0.1", 53))
s.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01")
print(s.recv(512)[:2].hex())'"#;

/// A machine whose guest has come up.
async fn booted(host: &Host, memory_mb: u32) -> (BootSpec, Slot, VmProcess, Guest) {
    booted_with(host, memory_mb, 1).await
}

async fn booted_with(host: &Host, memory_mb: u32, vcpus: u32) -> (BootSpec, Slot, VmProcess, Guest) {
    let (mut spec, slot) = host.system(memory_mb).await;
    spec.vcpus = vcpus;
    let machine = host.qemu.boot(&spec).await.expect("boot");
    let guest = Guest::new(&slot);
    guest.up().await;
    guest.init("first", 0).await;
    (spec, slot, machine, guest)
}

/// What is in a file, as a short text; holes are skipped.
fn digest(path: &Path) -> String {
    let script = "tar --create --sparse --mtime=@0 --absolute-names \"$0\" | md5sum";
    host::run("sh", &["-c", script, path.to_str().expect("path")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_machine_goes_on_where_it_was_suspended() {
    let data = DataDir::new("resume");
    let host = Host::new(&data, &[]).await;
    let (mut spec, mut slot, mut machine, mut guest) = booted_with(&host, 256, 2).await;
    let counter = "i=0; while :; do i=$((i+1)); echo $i >> /root/ticks; sleep 0.05; done";
    drop(guest.start(counter, Lifetime::Background).await);
    // So that there is always something on its way to the disk.
    let writer = "while :; do head -c 100000 /dev/urandom > /root/noise; sync; done";
    drop(guest.start(writer, Lifetime::Background).await);
    let fill = "head -c 3000000 /dev/urandom > /root/file; head -c 3000000 /dev/urandom > /dev/shm/file";
    guest.run(fill).await;
    let sums = guest.run("md5sum /root/file /dev/shm/file").await;
    let ticks = async |guest: &Guest| guest.run("wc -l < /root/ticks").await.parse::<u64>().expect("number");

    let mut before = ticks(&guest).await;
    for cycle in 0..5 {
        let state = spec.dir.join(format!("state-{cycle}"));
        machine.suspend(&state).await.expect("suspend");
        assert_eq!(fs::metadata(&state).expect("state").mode() & 0o777, 0o600);
        let exit = machine.kill().await.expect("kill");
        assert_eq!(exit.reason, ExitReason::Killed, "{exit:?}");

        slot = host.change_slot(&mut spec, slot).await;
        machine = host.qemu.restore(&spec, &state).await.expect("restore");
        machine.run().await.expect("run");
        machine.run().await.expect("run what runs");
        guest = Guest::new(&slot);
        guest.init(&format!("cycle-{cycle}"), 0).await;
        let host_ms = now_ns() / 1_000_000;
        let guest_ms = guest.run("date +%s%3N").await.parse::<i64>().expect("time");
        assert!((guest_ms - host_ms).abs() < CLOCK_TOLERANCE_MS, "{guest_ms} in the guest, {host_ms} here");
        assert_eq!(guest.run("hostname").await, format!("cycle-{cycle}"));
        assert_eq!(guest.run(ASK_RESOLVER).await, "1234", "the network works at once");
        assert_eq!(guest.run("md5sum /root/file /dev/shm/file").await, sums);
        assert_eq!(guest.run("nproc").await, "2");
        eventually("the counter counts on", async || ticks(&guest).await > before).await;
        before = ticks(&guest).await;
    }
    // Not one is missing, and none is there twice.
    guest.run("head -n -1 /root/ticks > /tmp/ticks; seq $(wc -l < /tmp/ticks) | cmp - /tmp/ticks").await;
    machine.kill().await.expect("kill");
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_saved_lives_on_beside_its_copy() {
    let data = DataDir::new("copy");
    let host = Host::new(&data, &[]).await;
    let (spec, slot, machine, guest) = booted(&host, 256).await;
    let under_way = guest.start("sleep 2; sync; echo done", Lifetime::Attached).await;
    let state = spec.dir.join("state");
    machine.suspend(&state).await.expect("suspend");
    assert!(matches!(machine.suspend(&state).await, Err(ControlError::StateFile { .. })));
    let again = machine.suspend(&spec.dir.join("again")).await;
    assert!(matches!(again, Err(ControlError::Failed { .. })), "{again:?}");
    assert!(!spec.dir.join("again").exists(), "a state that is none must not stay");
    let (copy, copy_slot) = host.spec().await;
    fs::remove_file(&copy.disk).expect("remove");
    host.volume.clone_file(&spec.disk, &copy.disk).await.expect("clone the disk");
    host.volume
        .clone_file(&spec.dir.join("memory"), &copy.dir.join("memory"))
        .await
        .expect("clone the memory");
    machine.run().await.expect("run on");
    guest.init("original", 0).await;
    assert_eq!(output(under_way).await, "done", "a command of a machine that lives on is not disturbed");

    let other = host.qemu.restore(&copy, &state).await.expect("restore");
    other.run().await.expect("run");
    let other_guest = Guest::new(&copy_slot);
    other_guest.init("copy", 0).await;
    // Nothing of the former life holds anything: the command that was under way is gone with its connection.
    eventually("the cut command has ended", async || other_guest.run("pgrep -cx sleep || true").await == "0")
        .await;
    let draw = "head -c 16 /dev/urandom | md5sum";
    assert_ne!(guest.run(draw).await, other_guest.run(draw).await, "random numbers must differ");
    for (guest, name) in [(&guest, "original"), (&other_guest, "copy")] {
        guest.run(&format!("echo {name} > /root/name; sync")).await;
    }
    for (guest, name) in [(&guest, "original"), (&other_guest, "copy")] {
        guest.run("echo 3 > /proc/sys/vm/drop_caches").await;
        assert_eq!(guest.run("cat /root/name; hostname").await, format!("{name}\n{name}"));
    }
    // What was saved once can be saved again.
    machine.suspend(&spec.dir.join("second")).await.expect("suspend again");
    machine.run().await.expect("run");
    assert_eq!(guest.run("cat /root/name").await, "original");

    other.kill().await.expect("kill");
    machine.kill().await.expect("kill");
    host.release(copy, copy_slot).await;
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_machine_is_adopted_as_it_is_and_runs_on() {
    let data = DataDir::new("adopt-suspended");
    let host = Host::new(&data, &[]).await;
    let (spec, slot, machine, guest) = booted(&host, 256).await;
    let record = machine.record().clone();
    machine.suspend(&spec.dir.join("state")).await.expect("suspend");
    drop(machine);
    eventually("it is adopted", async || host.qemu.adopt(&record).await.is_ok()).await;
    eventually("it is adopted again", async || host.qemu.adopt(&record).await.is_ok()).await;
    let machine = host.qemu.adopt(&record).await.expect("adopt");
    machine.run().await.expect("run");
    assert_eq!(guest.run("echo on > /root/x; sync; cat /root/x").await, "on");

    // And one whose agent ended between its restore and its run; it has no other life than the saved one.
    let state = spec.dir.join("state-2");
    machine.suspend(&state).await.expect("suspend");
    machine.kill().await.expect("kill");
    let machine = host.qemu.restore(&spec, &state).await.expect("restore");
    let record = machine.record().clone();
    drop(machine);
    eventually("it is adopted", async || host.qemu.adopt(&record).await.is_ok()).await;
    let machine = host.qemu.adopt(&record).await.expect("adopt");
    machine.run().await.expect("run");
    let guest = Guest::new(&slot);
    guest.init("again", 0).await;
    // A guest that resets itself ends, though its kernel is not at hand any more.
    drop(guest.start("echo b > /proc/sysrq-trigger", Lifetime::Background).await);
    let exit = in_time("the end of the guest", machine.exited()).await;
    assert_eq!(exit.reason, ExitReason::GuestReset, "{exit:?}");
    assert!(matches!(machine.run().await, Err(ControlError::Ended { .. })));
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_is_no_state_is_refused_and_nothing_is_lost() {
    let data = DataDir::new("bad-state");
    let host = Host::new(&data, &[]).await;
    let (spec, slot, machine, guest) = booted(&host, 256).await;
    guest.run("echo kept > /dev/shm/file").await;
    let (state, memory) = (spec.dir.join("state"), spec.dir.join("memory"));
    machine.suspend(&state).await.expect("suspend");
    machine.kill().await.expect("kill");
    let before = [&memory, &spec.disk, &state].map(|path| digest(path));

    let good = fs::read(&state).expect("state");
    let bad = spec.dir.join("bad");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle..].fill(0xff);
    for content in [&b"garbage"[..], &[], &good[..good.len() / 2], &good[..100], &flipped] {
        fs::write(&bad, content).expect("write");
        match host.qemu.restore(&spec, &bad).await {
            Err(BootError::Exited { exit, .. }) => {
                assert!(!exit.log.is_empty(), "{} bytes: {exit:?}", content.len());
            }
            other => panic!("{} bytes: {other:?}", content.len()),
        }
        assert!(data.leftovers().processes.is_empty());
    }
    let missing = host.qemu.restore(&spec, Path::new("/nonexistent")).await;
    assert!(matches!(missing, Err(BootError::Prepare { .. })), "{missing:?}");
    let mut larger = spec.clone();
    larger.memory_mb *= 2;
    assert!(matches!(host.qemu.restore(&larger, &state).await, Err(BootError::Prepare { .. })));
    assert_eq!([&memory, &spec.disk, &state].map(|path| digest(path)), before);
    // Given up half-way.
    for wait_ms in [0, 5, 20, 40, 60] {
        let limit = Duration::from_millis(wait_ms);
        if let Ok(machine) = tokio::time::timeout(limit, host.qemu.restore(&spec, &state)).await {
            machine.expect("restore").kill().await.expect("kill");
        }
    }
    eventually("no process is left", async || data.leftovers().processes.is_empty()).await;
    assert_eq!([&memory, &spec.disk, &state].map(|path| digest(path)), before);

    let machine = host.qemu.restore(&spec, &state).await.expect("restore");
    machine.run().await.expect("run");
    let guest = Guest::new(&slot);
    guest.init("again", 0).await;
    assert_eq!(guest.run("cat /dev/shm/file").await, "kept");
    machine.kill().await.expect("kill");
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspend_that_fails_or_is_cut_short_leaves_a_machine_that_runs_or_none() {
    let data = DataDir::new("cut");
    let host = Host::new(&data, &[]).await;
    let (spec, slot, machine, guest) = booted(&host, 256).await;
    let refused = machine.suspend(Path::new("/nonexistent/state")).await;
    assert!(matches!(refused, Err(ControlError::StateFile { .. })), "{refused:?}");
    // A file that takes nothing.
    let full = machine.suspend(Path::new("/dev/full")).await;
    assert!(full.is_err());
    machine.run().await.expect("run");
    assert_eq!(guest.run("echo alive").await, "alive");

    // Nobody waits for the answer.
    let state = spec.dir.join("state");
    let _ = tokio::time::timeout(Duration::ZERO, machine.suspend(&state)).await;
    machine.run().await.expect("run");
    assert_eq!(guest.run("echo alive").await, "alive");

    let suspending = machine.clone();
    let path = spec.dir.join("killed");
    let suspending = tokio::spawn(async move { suspending.suspend(&path).await });
    let exit = machine.kill().await.expect("kill");
    assert_eq!(exit.reason, ExitReason::Killed, "{exit:?}");
    let outcome = suspending.await.expect("no panic");
    assert!(matches!(outcome, Ok(()) | Err(ControlError::Ended { .. })), "{outcome:?}");
    host.close(&data, spec, slot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_a_restored_machine_grows_while_it_runs() {
    const GIB: u64 = 1 << 30;
    let data = DataDir::new("grow");
    let host = Host::new(&data, &[]).await;
    let (spec, slot, machine, guest) = booted(&host, 256).await;
    let state = spec.dir.join("state");
    // As a disk is that is copied while its machine lives on; the copy's is to be thawed first.
    guest.run("fsfreeze --freeze /").await;
    machine.suspend(&state).await.expect("suspend");
    machine.kill().await.expect("kill");
    // Made longer while nobody used it, as for a copy with a larger disk.
    fs::OpenOptions::new()
        .write(true)
        .open(&spec.disk)
        .and_then(|disk| disk.set_len(6 * GIB))
        .expect("a longer disk");
    let machine = host.qemu.restore(&spec, &state).await.expect("restore");
    // Before it runs, as the agent does; then while it runs.
    machine.resize_disk(6 * GIB).await.expect("resize");
    machine.run().await.expect("run");
    let guest = Guest::new(&slot);
    let size = "df --block-size=1 --output=size / | tail -n 1";
    let mut at_least = 5 * GIB;
    for bytes in [6 * GIB, 8 * GIB] {
        machine.resize_disk(bytes).await.expect("resize");
        // Twice: the second time there is nothing to do.
        for _ in 0..2 {
            guest.init("larger", bytes).await;
        }
        let size = guest.run(size).await.trim().parse::<u64>().expect("size");
        assert!(at_least < size && size < bytes, "{size} on a disk of {bytes}");
        assert_eq!(fs::metadata(&spec.disk).expect("disk").len(), bytes);
        at_least = size;
    }
    guest.run("head -c 1000000 /dev/urandom > /root/file; sync").await;
    machine.kill().await.expect("kill");
    // The first replays the journal, which counts as a correction; there must be nothing else.
    let check = |how| Command::new("e2fsck").args(["-f", how]).arg(&spec.disk).output().expect("e2fsck");
    let replayed = check("-y");
    let said = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(matches!(replayed.status.code(), Some(0 | 1)), "{said}");
    assert!(check("-n").status.success(), "{said}");
    host.close(&data, spec, slot).await;
}

/// Bytes of a file that are stored.
fn occupied(path: &Path) -> u64 {
    fs::metadata(path).expect("file").blocks() * 512
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts nothing"]
async fn timings() {
    let data = DataDir::new("timings");
    let host = Host::new(&data, &[]).await;
    for memory_mb in [256, 512, 1024, 4096] {
        let (mut spec, mut slot, mut machine, guest) = booted(&host, memory_mb).await;
        guest.run("python3 -c 'print(1)'; find / -xdev -type f | head -n 3000 | xargs cat > /dev/null").await;
        let memory = spec.dir.join("memory");
        for cycle in 0..4 {
            let state = spec.dir.join(format!("state-{cycle}"));
            let begun = Instant::now();
            machine.suspend(&state).await.expect("suspend");
            let suspended = begun.elapsed();
            machine.kill().await.expect("kill");
            slot = host.change_slot(&mut spec, slot).await;
            let cloning = Instant::now();
            let copy = spec.dir.join("copy");
            host.volume.clone_file(&memory, &copy).await.expect("clone");
            let cloned = cloning.elapsed();
            let cloning = Instant::now();
            host.volume.clone_file(&memory, &spec.dir.join("copy2")).await.expect("clone");
            let cloned_again = cloning.elapsed();
            fs::remove_file(spec.dir.join("copy2")).expect("remove");
            // Odd cycles restore from the copy, whose pages are not in memory.
            if cycle % 2 == 1 {
                fs::rename(&copy, &memory).expect("replace");
            } else {
                fs::remove_file(&copy).expect("remove");
            }
            let begun = Instant::now();
            machine = host.qemu.restore(&spec, &state).await.expect("restore");
            let loaded = begun.elapsed();
            machine.run().await.expect("run");
            let running = begun.elapsed();
            let guest = Guest::new(&slot);
            guest.up().await;
            let hello = begun.elapsed();
            guest.init("again", 0).await;
            let init = begun.elapsed();
            guest.run("true").await;
            let first_exec = begun.elapsed();
            println!(
                "{memory_mb} MB, {} MB stored, {}: suspend {suspended:.1?}, clone {cloned:.1?} then {cloned_again:.1?}, \
                 loaded {loaded:.1?}, running {running:.1?}, hello {hello:.1?}, init {init:.1?}, first exec {first_exec:.1?}, state {} KB",
                occupied(&memory) >> 20,
                if cycle % 2 == 1 { "copied" } else { "same file" },
                fs::metadata(&state).expect("state").len() >> 10,
            );
        }
        machine.kill().await.expect("kill");
        host.release(spec, slot).await;
    }
    host.teardown(&data).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts nothing"]
async fn timings_of_what_is_dirty() {
    let data = DataDir::new("dirty");
    let host = Host::new(&data, &[]).await;
    let (spec, slot, machine, guest) = booted(&host, 1024).await;
    let memory = spec.dir.join("memory");
    guest.run("mount -o remount,size=90% /dev/shm").await;
    for (number, syncs_ahead) in [false, true, false, true].into_iter().enumerate() {
        guest.run("head -c 400000000 /dev/urandom > /dev/shm/file").await;
        guest.run("head -c 100000000 /dev/urandom > /root/file").await;
        let begun = Instant::now();
        if syncs_ahead {
            host.volume.sync_file(&memory).await.expect("sync");
            host.volume.sync_file(&spec.disk).await.expect("sync");
        }
        let synced = begun.elapsed();
        let begun = Instant::now();
        machine.suspend(&spec.dir.join(format!("state-{number}"))).await.expect("suspend");
        let suspended = begun.elapsed();
        let (memory_copy, disk_copy) = (spec.dir.join("memory-copy"), spec.dir.join("disk-copy"));
        let begun = Instant::now();
        host.volume.clone_file(&memory, &memory_copy).await.expect("clone");
        let memory_cloned = begun.elapsed();
        let begun = Instant::now();
        host.volume.clone_file(&spec.disk, &disk_copy).await.expect("clone");
        let disk_cloned = begun.elapsed();
        machine.run().await.expect("run");
        println!(
            "400 MB of memory and 100 MB of disk written, synced ahead in {synced:.1?}: suspend {suspended:.1?}, \
             clone of memory {memory_cloned:.1?}, of disk {disk_cloned:.1?}"
        );
        fs::remove_file(&memory_copy).expect("remove");
        let begun = Instant::now();
        let flattened = host.volume.flatten_ext4(&disk_copy).await.expect("flatten");
        let took = begun.elapsed();
        let begun = Instant::now();
        host.volume.sync_file(&disk_copy).await.expect("sync");
        println!("flattened in {took:.1?} and synced in {:.1?}: {flattened:?}", begun.elapsed());
        fs::remove_file(&disk_copy).expect("remove");
    }
    machine.kill().await.expect("kill");
    host.close(&data, spec, slot).await;
}
