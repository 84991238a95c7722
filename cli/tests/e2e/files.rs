//! Files of a capsule.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures_util::stream;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use wrenn_cli::client::Answer;

use crate::{
    installation::{Capsule, Installation},
    wait::{RECOVERY, until},
};

const MIB: usize = 1024 * 1024;
/// Of the large file.
const LARGE_MIB: usize = 2048;
/// Most memory that a transfer may take of server, agent or guest.
const MEMORY_MAX_KB: u64 = 100 * 1024;
/// How long a stream may take to tell that its machine is dead.
const DEATH_TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Each mebibyte of the large file is its own: half of them are zeros, as in a sparse file, the others random.
fn block(index: usize) -> Vec<u8> {
    let mut block = vec![0; MIB];
    if index % 2 == 1 {
        // Xorshift: fast, and not to be compressed.
        let mut state = index as u64 + 0x9e37_79b9_7f4a_7c15;
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
    }
    block
}

/// The large file, made while it is sent.
fn large_file(blocks: usize) -> Body {
    Body::wrap_stream(stream::iter((0..blocks).map(|index| Ok::<_, io::Error>(block(index)))))
}

impl Capsule<'_> {
    fn files(&self, operation: &str) -> String {
        format!("{}/files/{operation}", self.path())
    }

    async fn ask_files(&self, operation: &str, body: Value) -> anyhow::Result<Answer> {
        self.installation.client()?.post(&self.files(operation), &body).await
    }

    async fn write(&self, file: &str, content: Vec<u8>) -> anyhow::Result<Answer> {
        self.installation.client()?.upload(&self.files("write"), file, content).await
    }

    async fn download(&self, file: &str) -> anyhow::Result<reqwest::Response> {
        let body = json!({ "path": file });
        self.installation.client()?.stream(Method::POST, &self.files("stream/read"), Some(&body)).await
    }
}

/// Peaks of memory since [`Peaks::reset`].
struct Peaks<'a> {
    capsule: &'a Capsule<'a>,
    processes: [(&'static str, i32); 2],
}

impl<'a> Peaks<'a> {
    async fn reset(capsule: &'a Capsule<'a>) -> anyhow::Result<Self> {
        let installation = capsule.installation;
        let processes = [("server", installation.pid("server")?), ("agent", installation.pid("agent")?)];
        for (_, pid) in processes {
            fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        }
        capsule.shell("echo 5 > /proc/1/clear_refs").await?;
        Ok(Self { capsule, processes })
    }

    async fn check(&self) -> anyhow::Result<()> {
        let mut peaks = vec![("guest", self.capsule.shell("cat /proc/1/status").await?)];
        for (name, pid) in self.processes {
            peaks.push((name, fs::read_to_string(format!("/proc/{pid}/status"))?));
        }
        for (name, status) in peaks {
            let peak_kb: u64 = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
                .context("VmHWM")?;
            eprintln!("  {name} had at most {} MB", peak_kb / 1024);
            ensure!(peak_kb < MEMORY_MAX_KB, "{name} took {peak_kb} kB");
        }
        Ok(())
    }
}

pub(crate) async fn a_large_file(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule_with(json!({ "disk_size_mb": 6144, "timeout_sec": 0 })).await?;
    let peaks = Peaks::reset(&capsule).await?;
    let (route, file) = (capsule.files("stream/write"), "/root/parents/are/made/large");
    let begun = Instant::now();
    let written = installation.client()?.upload(&route, file, large_file(LARGE_MIB)).await?;
    ensure!(written.status == 204, "{written:?}");
    eprintln!("  up: {:.1} MB/s", LARGE_MIB as f64 / begun.elapsed().as_secs_f64());
    let entry = capsule.ask_files("stat", json!({ "path": file })).await?.success()?["entry"].clone();
    ensure!(entry["size"] == LARGE_MIB * MIB && entry["permissions"] == "-rw-r--r--", "{entry}");

    let begun = Instant::now();
    let mut response = capsule.download(file).await?;
    ensure!(response.content_length() == Some((LARGE_MIB * MIB) as u64), "its length is told");
    // Block by block, as the whole would not fit into the memory of a test.
    let (mut index, mut wanted, mut seen) = (0, Vec::new(), 0);
    while let Some(mut piece) = response.chunk().await? {
        while !piece.is_empty() {
            if seen == wanted.len() {
                (wanted, seen) = (block(index), 0);
                index += 1;
            }
            let same = piece.split_to(piece.len().min(wanted.len() - seen));
            ensure!(same == wanted[seen..seen + same.len()], "block {} is not what was sent", index - 1);
            seen += same.len();
        }
    }
    ensure!(index == LARGE_MIB && seen == wanted.len(), "{index} blocks came");
    eprintln!("  down: {:.1} MB/s", LARGE_MIB as f64 / begun.elapsed().as_secs_f64());
    peaks.check().await?;
    capsule.delete().await
}

/// What the guest daemon has read and written since it started, in bytes.
async fn guest_io(capsule: &Capsule<'_>) -> anyhow::Result<u64> {
    let io = capsule.shell("cat /proc/1/io").await?;
    let count = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Ok(count("rchar:").context("rchar")? + count("wchar:").context("wchar")?)
}

pub(crate) async fn slow_readers_slow_the_capsule(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    // Sparse, so that it takes no time to make.
    capsule.shell("truncate -s 2G /root/large").await?;
    let mut response = capsule.download("/root/large").await?;
    response.chunk().await?.context("it begins")?;
    let mut last = 0;
    until("the guest stands still", RECOVERY, async || {
        let now = guest_io(&capsule).await?;
        let moved = now - std::mem::replace(&mut last, now);
        // Asking is answered with some output, too.
        Ok((moved < MIB as u64).then_some(()))
    })
    .await?;
    ensure!(last < 128 * MIB as u64, "the guest has read {last} bytes for somebody who does not");
    for _ in 0..1000 {
        response.chunk().await?.context("it goes on")?;
    }
    drop(response);
    capsule.delete().await
}

pub(crate) async fn cut_uploads_leave_nothing(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let used = async || capsule.shell("sync; df --output=used -k / | tail -n1").await;
    let before: u64 = used().await?.trim().parse()?;
    let broken = || io::Error::other("the client breaks off");
    let sent = stream::iter((0..64).map(|index| Ok(block(index))).chain([Err(broken())]));
    let route = capsule.files("stream/write");
    let cut = installation.client()?.upload(&route, "/root/new/folder/file", Body::wrap_stream(sent)).await;
    ensure!(cut.is_err(), "the connection broke: {cut:?}");
    until("nothing is left of a cut upload", RECOVERY, async || {
        let names = capsule.shell("ls -A /root /tmp; ls -l /proc/1/fd").await?;
        ensure!(!names.contains("new") && !names.contains("deleted"), "{names}");
        let now: u64 = used().await?.trim().parse()?;
        ensure!(now < before + 8 * 1024, "{now} kB are used, and were {before}");
        Ok(Some(()))
    })
    .await?;
    capsule.delete().await
}

pub(crate) async fn of_every_kind(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let long = format!("/root/{}", "n".repeat(255));
    for file in ["/root/with space", "/root/new\nline", "/root/雪だるま ☃", "relative/to/home", &long] {
        let content = format!("content of {file}\0\u{ff}").into_bytes();
        let written = capsule.write(file, content.clone()).await?;
        ensure!(written.status == 204, "{file:?}: {written:?}");
        ensure!(capsule.download(file).await?.bytes().await? == content, "{file:?}");
        let there = capsule.ask_files("exists", json!({ "path": file })).await?.success()?;
        ensure!(there == json!({ "exists": true, "type": "file" }), "{file:?}: {there}");
    }
    let home = capsule.shell("cat relative/to/home").await?;
    ensure!(home.starts_with("content of relative/to/home"), "{home:?}");

    capsule
        .shell(
            "ln -s a /root/b; ln -s b /root/a; mkfifo /root/pipe; mkdir -p /srv/full; \
             mount -t tmpfs -o size=1m tmpfs /srv/full; truncate -s 100M /root/sparse; \
             echo secret > /root/secret; chmod 600 /root/secret; chmod 755 /root",
        )
        .await?;
    let status = capsule.download("/proc/1/status").await?;
    ensure!(status.content_length().is_none(), "its length is not known");
    ensure!(status.text().await?.contains("VmHWM"), "a file of the kernel has content");
    let sparse = capsule.download("/root/sparse").await?.bytes().await?;
    ensure!(sparse.len() == 100 * MIB && sparse.iter().all(|&byte| byte == 0), "{} bytes", sparse.len());

    for (operation, body, status, code) in [
        ("read", json!({ "path": "/root/a" }), 400, "invalid_request"),
        ("read", json!({ "path": "/root" }), 400, "invalid_request"),
        ("read", json!({ "path": "/root/pipe" }), 400, "invalid_request"),
        ("read", json!({ "path": "/dev/vda" }), 400, "invalid_request"),
        ("read", json!({ "path": "/root/missing" }), 404, "not_found"),
        ("read", json!({ "path": "/root/secret", "user": "nobody" }), 403, "forbidden"),
        ("read", json!({ "path": "/root/secret", "user": "nobody-knows" }), 400, "invalid_request"),
        ("read", json!({ "path": format!("{long}n") }), 400, "invalid_request"),
        ("list", json!({ "path": "/root/secret" }), 400, "invalid_request"),
        ("remove", json!({ "path": "/" }), 400, "invalid_request"),
        ("remove", json!({ "path": "/etc/passwd", "user": "nobody" }), 403, "forbidden"),
        ("rename", json!({ "from": "/root/secret", "to": "/root/pipe" }), 409, "conflict"),
        ("mkdir", json!({ "path": "/root/secret/x" }), 400, "invalid_request"),
    ] {
        let answer = capsule.ask_files(operation, body.clone()).await?;
        ensure!(
            answer.status == status && answer.text("/error/code") == code,
            "{operation} {body}: {answer:?}"
        );
    }
    for (file, status, code) in [
        ("/srv/full/file", 409, "invalid_state"),
        ("/root", 400, "invalid_request"),
        ("/root/pipe", 400, "invalid_request"),
        ("/root/a", 400, "invalid_request"),
    ] {
        let answer = capsule.write(file, vec![1; 4 * MIB]).await?;
        ensure!(answer.status == status && answer.text("/error/code") == code, "{file}: {answer:?}");
    }
    let left = capsule.shell("ls -A /srv/full").await?;
    ensure!(left.is_empty(), "{left}");

    let listed = capsule.ask_files("list", json!({ "path": "/", "depth": 2 })).await?.success()?;
    let entries = listed["entries"].as_array().context("entries")?;
    ensure!(
        entries.iter().any(|entry| entry["path"] == "/root/secret" && entry["mode"] == 0o600),
        "{listed}"
    );
    let removed = capsule.ask_files("remove", json!({ "path": "/root/relative" })).await?;
    ensure!(removed.status == 204, "{removed:?}");
    capsule.delete().await
}

pub(crate) async fn changes_are_told(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    let route = capsule.files("watch?path=/srv&recursive=true");
    let mut events = installation.client()?.stream(Method::GET, &route, None).await?;
    let mut told = String::new();
    let mut wait_for = async |told: &mut String, text: &str, limit: Duration| {
        let read = async {
            while !told.contains(text) {
                let piece = events.chunk().await?.with_context(|| format!("the stream ended: {told}"))?;
                told.push_str(std::str::from_utf8(&piece)?);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(limit, read).await.with_context(|| format!("no {text} in time"))?
    };
    wait_for(&mut told, "event: ready", RECOVERY).await?;
    capsule.shell("mkdir -p /srv/a/b; echo x > /srv/a/b/c; mv /srv/a/b/c /srv/moved").await?;
    for text in [
        r#"{"type":"create","path":"/srv/a/b/c"}"#,
        r#"{"type":"rename","path":"/srv/moved","from":"/srv/a/b/c"}"#,
    ] {
        wait_for(&mut told, text, RECOVERY).await?;
    }
    kill(Pid::from_raw(capsule.machine()?), Signal::SIGKILL)?;
    wait_for(&mut told, "event: error", DEATH_TOLD_WITHIN).await?;
    wait_for(&mut told, "agent_error", DEATH_TOLD_WITHIN).await?;
    capsule.delete().await
}
