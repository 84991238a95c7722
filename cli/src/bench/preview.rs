//! What a preview costs on top of the program: the same requests to the same server, through the preview and straight
//! over the capsule's tap.
//!
//! ```text
//!   bench ── preview ── server ── tunnel ── agent ── guest daemon ── program
//!   bench ── tap ─────────────────────────────────────────────────── program
//! ```

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};
use wrenn_base::Clock;

use super::{
    capsule::{Capsule, with_capsule},
    measurement::{Measurement, Unit},
    processes::machines,
    subject::Subject,
    tap::Tap,
};
use crate::{client::Client, data::DataFolder, stopwatch::Stopwatch};

const PORT: u16 = 8080;
/// A server that keeps connections and answers with files. What it says is sent at once: else it would wait for the other
/// side's acknowledgements, which come after 40 ms over the tap and at once within the capsule.
const SERVER: &str =
    "mkdir -p /srv/bench && cd /srv/bench && echo small > small && head -c 32M /dev/urandom > large && \
    setsid python3 -c 'import http.server as h
H = h.SimpleHTTPRequestHandler
H.protocol_version, H.wbufsize, H.disable_nagle_algorithm = \"HTTP/1.1\", 65536, True
h.ThreadingHTTPServer((\"\", 8080), H).serve_forever()' >/dev/null 2>&1 &";
const LARGE_BYTES: usize = 32 << 20;
/// Larger requests are few.
const SAMPLES_PER_DOWNLOAD: u32 = 20;

/// Latency of a small answer and rate of a large one, each way.
pub(super) async fn preview(
    subject: &Subject,
    data: &DataFolder,
    samples: u32,
) -> anyhow::Result<Vec<Measurement>> {
    let before = machines(data);
    with_capsule(subject, &json!({ "preview_access": "public" }), async |capsule| {
        let tap = Tap::of_new(subject, data, &before)?;
        capsule.shell(SERVER).await?;
        let mut direct = Connection::new(subject, tap.connect(PORT).await?, "capsule".to_owned());
        let mut preview = Through::of(&subject.client, capsule).await?.open(subject).await?;
        let (mut direct_ms, mut preview_ms, mut added_ms) = (Vec::new(), Vec::new(), Vec::new());
        // The first opens the connection to the program; the two take turns, so that the machine is as busy for both.
        for sample in 0..=samples {
            let (direct, preview) = (direct.get("/small").await?, preview.get("/small").await?);
            if sample > 0 {
                direct_ms.push(direct);
                preview_ms.push(preview);
                added_ms.push(preview - direct);
            }
        }
        let (mut direct_rate, mut preview_rate, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..samples.div_ceil(SAMPLES_PER_DOWNLOAD) {
            let (direct, preview) = (rate(direct.get("/large").await?), rate(preview.get("/large").await?));
            direct_rate.push(direct);
            preview_rate.push(preview);
            ratio.push(preview / direct);
        }
        Ok(vec![
            Measurement::new("small request, straight to the program", Unit::Ms, &direct_ms)?,
            Measurement::new("small request, through the preview", Unit::Ms, &preview_ms)?,
            Measurement::new("added by the preview", Unit::Ms, &added_ms)?,
            Measurement::new("download of 32 MB, straight", Unit::MbPerSecond, &direct_rate)?,
            Measurement::new("download of 32 MB, through the preview", Unit::MbPerSecond, &preview_rate)?,
            Measurement::new("download through the preview to straight", Unit::Ratio, &ratio)?,
        ])
    })
    .await
}

fn rate(took_ms: f64) -> f64 {
    LARGE_BYTES as f64 / f64::from(1 << 20) / (took_ms / 1000.0)
}

/// The way through the server.
struct Through {
    server: String,
    host: String,
}

impl Through {
    async fn of(client: &Client, capsule: &Capsule<'_>) -> anyhow::Result<Self> {
        let shown: Value = client.get(&capsule.path()).await?.success()?;
        let url = shown["preview_url"].as_str().context("the capsule has no preview_url")?;
        let host = url.replace("{port}", &PORT.to_string());
        let host = host.split_once("://").context("preview_url is no address")?.1.to_owned();
        let server = client.base_url().split_once("://").context("the server's address")?.1.to_owned();
        Ok(Self { server, host })
    }

    async fn open(&self, subject: &Subject) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.server).await.with_context(|| self.server.clone())?;
        stream.set_nodelay(true)?;
        Ok(Connection::new(subject, stream, self.host.clone()))
    }
}

/// A connection that is kept; the same few lines of HTTP both ways, so that nothing but the way differs.
struct Connection {
    stream: BufStream<TcpStream>,
    host: String,
    clock: Clock,
}

impl Connection {
    fn new(subject: &Subject, stream: TcpStream, host: String) -> Self {
        Self { stream: BufStream::new(stream), host, clock: subject.clock.clone() }
    }

    /// Asks for a file and returns how long that took, in milliseconds.
    async fn get(&mut self, path: &str) -> anyhow::Result<f64> {
        let begun = Stopwatch::start(&self.clock);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        ensure!(line.starts_with("HTTP/1.1 200"), "{path}: {line}");
        let mut length = None;
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                bail!("{path}: the answer ends in its head");
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.trim().parse()?);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut left: usize = length.with_context(|| format!("{path}: the answer has no length"))?;
        let mut buffer = vec![0; 256 * 1024];
        while left > 0 {
            let piece = buffer.len().min(left);
            match self.stream.read(&mut buffer[..piece]).await? {
                0 => bail!("{path}: the answer ends {left} bytes early"),
                length => left -= length,
            }
        }
        Ok(begun.ms())
    }
}
