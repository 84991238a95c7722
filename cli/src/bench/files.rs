//! How fast files go into a capsule and out of it, against a plain TCP copy between the same two ends.
//!
//! ```text
//!   file   client ── REST ── server ── agent ── tap ── guest daemon ── disk
//!   copy   client ───────────────────────────── tap ── program ─────── disk
//! ```
//!
//! They take turns, so that whatever else the machine does slows both. What goes in is on the capsule's disk before either
//! says that it is there; the client keeps nothing of what comes out.

use anyhow::{Context, ensure};
use rand::RngExt as _;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    capsule::{Capsule, with_capsule},
    measurement::{Measurement, Unit},
    processes::machines,
    subject::Subject,
    tap::Tap,
};
use crate::{data::DataFolder, stopwatch::Stopwatch};

/// How large the file is: far more than all that may be on its way.
const BYTES: usize = 128 * 1024 * 1024;
const MB: f64 = 1024.0 * 1024.0;
/// Where the copying program in the capsule listens.
const COPY_PORT: u16 = 5001;
/// Takes one connection into a file and sends the file to the next one.
const COPY_PROGRAM: &str = r#"
import os, socket
listener = socket.create_server(("", 5001))
buffer = bytearray(262144)
connection, _ = listener.accept()
with open("/root/copy", "wb", buffering=0) as file:
    while length := connection.recv_into(buffer):
        file.write(memoryview(buffer)[:length])
    os.fdatasync(file.fileno())
connection.send(b"k")
connection, _ = listener.accept()
with open("/root/copy", "rb", buffering=0) as file:
    while length := file.readinto(buffer):
        connection.sendall(memoryview(buffer)[:length])
"#;

/// Up and down, each against the copy.
pub(super) async fn measure(
    subject: &Subject,
    data: &DataFolder,
    samples: u32,
) -> anyhow::Result<Vec<Measurement>> {
    let before = machines(data);
    let mut content = vec![0; BYTES];
    subject.rng.clone().fill(content.as_mut_slice());
    with_capsule(subject, &json!({ "template": "minimal", "timeout_sec": 0 }), async |capsule| {
        let tap = Tap::of_new(subject, data, &before)?;
        let mut rates = Rates::default();
        for _ in 0..samples {
            rates.add(capsule, subject, &tap, &content).await?;
        }
        rates.measurements()
    })
    .await
}

/// Megabytes a second, of each sample.
#[derive(Default)]
struct Rates {
    up: Vec<f64>,
    copied_up: Vec<f64>,
    down: Vec<f64>,
    copied_down: Vec<f64>,
}

impl Rates {
    async fn add(
        &mut self,
        capsule: &Capsule<'_>,
        subject: &Subject,
        tap: &Tap,
        content: &[u8],
    ) -> anyhow::Result<()> {
        let copy = async {
            let up = copy_up(subject, tap, content).await?;
            Ok((up, copy_down(subject, tap).await?))
        };
        // The program ends with the second connection.
        let program = format!("python3 -c '{COPY_PROGRAM}'");
        let (program, copied) = tokio::join!(capsule.shell(&program), copy);
        let copied: anyhow::Result<(f64, f64)> = copied;
        let (copied_up, copied_down) = copied.context("the copy failed")?;
        program.context("the copying program failed")?;

        let begun = subject.stopwatch();
        let written =
            subject.client.upload(&capsule.files("stream/write"), "/root/file", content.to_vec()).await?;
        let up = rate(&begun);
        written.success().context("the file was not written")?;

        let begun = subject.stopwatch();
        let body = json!({ "path": "/root/file" });
        let route = capsule.files("stream/read");
        let mut response = subject.client.stream(Method::POST, &route, Some(&body)).await?;
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await? {
            bytes += piece.len();
        }
        ensure!(bytes == BYTES, "{bytes} bytes came");
        let down = rate(&begun);

        self.up.push(up);
        self.copied_up.push(copied_up);
        self.down.push(down);
        self.copied_down.push(copied_down);
        Ok(())
    }

    fn measurements(&self) -> anyhow::Result<Vec<Measurement>> {
        let of = |ours: &[f64], copied: &[f64]| -> Vec<f64> {
            ours.iter().zip(copied).map(|(ours, copied)| ours / copied).collect()
        };
        Ok(vec![
            Measurement::new("file up", Unit::MbPerSecond, &self.up)?,
            Measurement::new("plain copy up", Unit::MbPerSecond, &self.copied_up)?,
            Measurement::new("file up, of the copy's rate", Unit::Ratio, &of(&self.up, &self.copied_up))?,
            Measurement::new("file down", Unit::MbPerSecond, &self.down)?,
            Measurement::new("plain copy down", Unit::MbPerSecond, &self.copied_down)?,
            Measurement::new(
                "file down, of the copy's rate",
                Unit::Ratio,
                &of(&self.down, &self.copied_down),
            )?,
        ])
    }
}

fn rate(begun: &Stopwatch) -> f64 {
    BYTES as f64 / MB / begun.elapsed().as_secs_f64()
}

async fn copy_up(subject: &Subject, tap: &Tap, content: &[u8]) -> anyhow::Result<f64> {
    let mut connection = tap.connect(COPY_PORT).await?;
    let begun = subject.stopwatch();
    connection.write_all(content).await?;
    connection.shutdown().await?;
    let mut answer = [0];
    connection.read_exact(&mut answer).await?;
    Ok(rate(&begun))
}

async fn copy_down(subject: &Subject, tap: &Tap) -> anyhow::Result<f64> {
    let mut connection = tap.connect(COPY_PORT).await?;
    let begun = subject.stopwatch();
    let (mut buffer, mut bytes) = (vec![0; 256 * 1024], 0);
    loop {
        match connection.read(&mut buffer).await? {
            0 => break,
            length => bytes += length,
        }
    }
    ensure!(bytes == BYTES, "{bytes} bytes came");
    Ok(rate(&begun))
}
