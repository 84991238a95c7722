//! A capsule is a whole Linux machine: settings, environment and limits of a Debian server, and it stays one whatever its user does.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::installation::{Capsule, Installation};

/// Longest end of a command beyond its time limit, on a machine that emulates.
const END_OF_COMMAND: Duration = Duration::from_secs(20);

/// Pauses a capsule and boots it from its disk.
async fn reboot(capsule: &Capsule<'_>) -> anyhow::Result<Value> {
    capsule.pause().await?;
    let path = format!("{}/resume", capsule.path());
    let answer = capsule.installation.client()?.post(&path, &json!({ "drop_memory": true })).await?;
    answer.success()?;
    capsule.wait_for("running", Duration::from_secs(120)).await
}

fn warnings(shown: &Value) -> Vec<&str> {
    shown["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) async fn settings_are_a_servers(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    ensure!(warnings(&capsule.show().await?).is_empty(), "a new capsule has warnings");
    for (setting, least) in [
        ("fs/inotify/max_user_watches", 524_288),
        ("fs/inotify/max_user_instances", 1024),
        ("vm/max_map_count", 262_144),
        ("fs/file-max", 1_000_000),
    ] {
        let value = capsule.shell(&format!("cat /proc/sys/{setting}")).await?;
        ensure!(value.trim().parse::<u64>()? >= least, "{setting} is {value}");
    }
    let ping = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)\n\
        s.settimeout(10)\n\
        s.sendto(b'\\x08\\x00\\x00\\x00\\x00\\x00\\x00\\x01', ('127.0.0.1', 0))\n\
        print(s.recv(64)[0])";
    let answer = capsule.exec(json!({ "cmd": "python3", "args": ["-c", ping], "user": "nobody" })).await?;
    ensure!(answer["stdout"] == "0\n", "an ordinary user cannot ping: {answer}");
    let lock = "flock /var/lock/test echo locked; stat -c %a /run/lock /run/sshd";
    ensure!(capsule.shell(lock).await? == "locked\n1777\n755\n", "no /run/lock or /run/sshd");

    let controllers = capsule.shell("cat /sys/fs/cgroup/cgroup.subtree_control").await?;
    for controller in ["cpu", "io", "memory", "pids"] {
        ensure!(
            controllers.split_whitespace().any(|found| found == controller),
            "no {controller}: {controllers}"
        );
    }
    let limited = "mkdir /sys/fs/cgroup/test && echo 64M > /sys/fs/cgroup/test/memory.max && \
        sh -c 'echo 0 > /sys/fs/cgroup/test/cgroup.procs && cat /sys/fs/cgroup/test/cgroup.procs | wc -l' && \
        rmdir /sys/fs/cgroup/test";
    ensure!(capsule.shell(limited).await?.trim().parse::<u32>()? >= 1, "a cgroup cannot be used");

    // The image's own wishes are carried out at boot.
    capsule
        .shell(
            "mkdir -p /etc/sysctl.d /etc/tmpfiles.d; echo vm.swappiness = 7 > /etc/sysctl.d/50-test.conf; \
             echo 'd /run/wanted 2750 nobody nogroup - -' > /etc/tmpfiles.d/test.conf; sync",
        )
        .await?;
    reboot(&capsule).await?;
    let found = capsule.shell("cat /proc/sys/vm/swappiness; stat -c '%a %U' /run/wanted").await?;
    ensure!(found == "7\n2750 nobody\n", "{found}");
    capsule.delete().await
}

pub(crate) async fn environment_is_one(installation: &Installation) -> anyhow::Result<()> {
    let many: BTreeMap<_, _> = (0..500).map(|number| (format!("STORED_{number}"), "value")).collect();
    let capsule = installation.capsule_with(json!({ "envs": many })).await?;
    let count =
        "echo $LANG; python3 -c 'print(len(\"ä\"))'; readlink /proc/self/fd/0; env | grep -c ^STORED_";
    let found = capsule.shell(count).await?;
    ensure!(found == "C.UTF-8\n1\n/dev/null\n500\n", "{found}");

    // As much as a kernel takes, and no more.
    let long = "v".repeat(100 * 1024);
    let envs: BTreeMap<_, _> = (0..10).map(|number| (format!("LONG_{number}"), long.clone())).collect();
    let counted = capsule.exec(json!({ "cmd": "env | grep ^LONG_ | wc -c", "envs": envs })).await?;
    let bytes = counted["stdout"].as_str().context("stdout")?.trim().parse::<usize>()?;
    ensure!(bytes == 10 * (long.len() + "LONG_0=\n".len()), "{bytes} bytes arrive");

    let path = format!("{}/exec", capsule.path());
    let client = installation.client()?;
    let too_long = json!({ "cmd": "true", "envs": { "V": "v".repeat(128 * 1024) } });
    let refused = client.post(&path, &too_long).await?;
    ensure!(
        refused.status == 400 && refused.text("/error/message").contains("`V` must have at most"),
        "{refused:?}"
    );
    let stored: BTreeMap<_, _> = (0..3).map(|number| (format!("V{number}"), long.clone())).collect();
    let refused = client.post("/v1/capsules", &json!({ "envs": stored })).await?;
    ensure!(refused.status == 400 && refused.text("/error/message").contains("131072"), "{refused:?}");
    capsule.delete().await
}

pub(crate) async fn bombs_end_in_time(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let bombs = [
        ("a fork bomb", "bash -c 'bomb() { bomb | bomb & }; bomb; sleep 6071'"),
        ("thousands of processes", "for i in $(seq 5000); do sleep 6071 & done; wait"),
        ("a busy crowd", "for i in $(seq 300); do (while :; do :; done) & done; wait"),
    ];
    for (what, cmd) in bombs {
        let begun = std::time::Instant::now();
        let result = capsule.exec(json!({ "cmd": cmd, "timeout_sec": 5 })).await;
        let result = result.with_context(|| format!("{what}: after {:?}", begun.elapsed()))?;
        ensure!(result["exit_code"] == 124, "{what}: {}", result["exit_code"]);
        let took = begun.elapsed();
        ensure!(took < Duration::from_secs(5) + END_OF_COMMAND, "{what}: ended after {took:?}");
        let left =
            capsule.shell("ls -d /proc/[0-9]* | wc -l; ls /sys/fs/cgroup/exec | grep -c '^[0-9]'").await?;
        let left: Vec<u32> = left.lines().filter_map(|line| line.parse().ok()).collect();
        ensure!(
            left.len() == 2 && left[0] < 120 && left[1] <= 2,
            "{what}: {left:?} processes and cgroups are left"
        );
    }
    let eater = "import time\nkept = []\nwhile True: kept.append(bytearray(8 << 20))";
    let result = capsule.exec(json!({ "cmd": "python3", "args": ["-c", eater], "timeout_sec": 60 })).await?;
    ensure!(result["exit_code"] == 137 || result["exit_code"] == 1, "memory: {result}");
    ensure!(capsule.shell("echo alive").await? == "alive\n", "nothing runs after memory was used up");
    capsule.delete().await
}

pub(crate) async fn files_of_the_user_are_kept(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let write = "printf 'nameserver 172.30.0.1\\noptions ndots:3\\n' > /etc/resolv.conf; \
        printf '10.9.8.7 db\\n127.0.1.1 app.local\\n' >> /etc/hosts; sync";
    capsule.shell(write).await?;
    let kept = "grep -c ndots:3 /etc/resolv.conf; grep -c 10.9.8.7 /etc/hosts; grep -c app.local /etc/hosts; \
        getent hosts $(hostname) | wc -l";
    capsule.pause().await?;
    capsule.resume().await?;
    let found = capsule.shell(kept).await?;
    ensure!(found == "1\n1\n1\n1\n", "after a resume: {found}");
    reboot(&capsule).await?;
    let found = capsule.shell(kept).await?;
    ensure!(found == "1\n1\n1\n1\n", "after a boot: {found}");
    capsule.delete().await
}

pub(crate) async fn whatever_is_done_to_its_disk_it_is_reached(
    installation: &Installation,
) -> anyhow::Result<()> {
    // Each with a word of the warning, if there is something to warn of, and a command that still works.
    let cases: [(&str, &str, Option<&str>); 6] = [
        (
            "an immutable resolv.conf",
            "echo > /etc/resolv.conf; chattr +i /etc/resolv.conf",
            Some("resolv.conf"),
        ),
        (
            "a full disk",
            "sed -i /172.30/d /etc/resolv.conf; dd if=/dev/zero of=/full bs=1M 2>/dev/null; true",
            None,
        ),
        (
            "broken accounts",
            "echo garbage > /etc/passwd; echo garbage > /etc/group; rm -rf /etc/hosts; mkdir /etc/hosts",
            Some("hostname"),
        ),
        ("a filesystem for reading only", "tune2fs -O read-only /dev/vda", Some("only be read")),
        ("files in the place of folders", "rm -rf /tmp /etc/sysctl.d; touch /tmp /etc/sysctl.d", None),
        (
            "no /etc and no shell",
            "rm -rf /etc; rm -f /bin/sh /bin/bash /usr/bin/sh /usr/bin/dash",
            Some("hostname"),
        ),
    ];
    for (what, harm, warning) in cases {
        let capsule = installation.capsule().await?;
        capsule.exec(json!({ "cmd": format!("{harm}; sync"), "timeout_sec": 300 })).await?;
        let shown = reboot(&capsule).await.with_context(|| format!("{what}: it does not boot"))?;
        let said = warnings(&shown);
        if let Some(word) = warning {
            ensure!(said.iter().any(|text| text.contains(word)), "{what}: no word of {word} in {said:?}");
        }
        let echo = json!({ "cmd": "/bin/echo", "args": ["reached"] });
        let answer = capsule.exec(echo).await.with_context(|| format!("{what}: it is not reached"))?;
        ensure!(answer["stdout"] == "reached\n", "{what}: {answer}");
        capsule.delete().await?;
    }

    // A running machine, too, whose system folders are hidden.
    let capsule = installation.capsule().await?;
    capsule.shell("mount -t tmpfs none /etc; mount -t tmpfs none /proc").await?;
    capsule.pause().await?;
    capsule.resume().await?;
    let answer = capsule.exec(json!({ "cmd": "/bin/echo", "args": ["reached"] })).await?;
    ensure!(answer["stdout"] == "reached\n", "hidden folders: {answer}");
    capsule.shell("rm /dev/null").await?;
    ensure!(capsule.shell("cat; echo reached").await? == "reached\n", "without /dev/null nothing runs");
    capsule.delete().await
}

pub(crate) async fn folders_of_run_are_kept_by_templates(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("install -d -m 2750 -o nobody /run/daemon; echo 1 > /run/daemon/a.pid; echo text > /run/daemon/note").await?;
    capsule.snapshot("e2e-run", "base").await?.success()?;
    let copy = installation.capsule_of("e2e-run").await?;
    let found = copy.shell("stat -c '%a %U' /run/daemon; cat /run/daemon/note; ls /run/daemon").await?;
    ensure!(found == "2750 nobody\ntext\nnote\n", "{found}");
    copy.delete().await?;
    capsule.delete().await?;
    installation.client()?.delete("/v1/snapshots/e2e-run").await?.success().map(drop)
}
