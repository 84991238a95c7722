//! What a build costs beyond its commands: its steps, its template, a build of which everything is known, and how long a
//! line takes from the guest to whoever follows.
//!
//! ```text
//!   guest prints ─ agent ─ server ─ Postgres (lines of 100 ms together) ─ event ─▶ bench
//! ```

use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;
use wrenn_base::Clock;

use super::measurement::{Measurement, Unit};
use crate::{
    client::{Client, Credentials},
    stopwatch::Stopwatch,
    up::dev_env::DevEnv,
};

const NAME: &str = "bench";
/// Longest of these builds.
const BUILT_WITHIN: Duration = Duration::from_secs(300);
const STEPS: usize = 20;
const LINES: u32 = 100;
/// Beside what is in the base template.
const DATA_MB: u32 = 200;

/// Steps, logs, template, and a build of which everything is known.
pub(super) async fn build(env: &DevEnv, clock: &Clock, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    let builder = Builder::sign_in(env, clock).await?;
    let result = builder.measure(samples).await;
    // Whatever failed; it may not be there.
    builder.client.delete(&format!("/v1/admin/templates/{NAME}")).await?;
    result
}

struct Builder {
    client: Client,
    clock: Clock,
}

impl Builder {
    async fn sign_in(env: &DevEnv, clock: &Clock) -> anyhow::Result<Self> {
        let client = Client::of(env)?.with(Credentials::None);
        let login = json!({ "email": env.admin_email, "password": env.admin_password });
        let login = client.post("/v1/auth/login", &login).await?;
        let client = client.with(Credentials::Bearer(login.text("/token").to_owned()));
        Ok(Self { client, clock: clock.clone() })
    }

    async fn measure(&self, samples: u32) -> anyhow::Result<Vec<Measurement>> {
        let (mut commands, mut kept) = (Vec::new(), Vec::new());
        let steps: Vec<String> = (0..STEPS).map(|number| format!("RUN touch /step-{number}")).collect();
        let build = self.run(json!({ "recipe": steps, "no_cache": true })).await?.build;
        let logs = build["logs"].as_array().context("logs")?;
        for (step, next) in logs.iter().zip(&logs[1..]) {
            let elapsed_ms = step["elapsed_ms"].as_f64().context("elapsed_ms")?;
            let began = |entry: &Value| {
                entry["started_at"].as_str().context("started_at")?.parse::<DateTime<Utc>>().context("a time")
            };
            let whole = began(next)? - began(step)?;
            commands.push(elapsed_ms);
            kept.push(whole.num_microseconds().context("a duration")? as f64 / 1000.0 - elapsed_ms);
        }
        let mut known = Vec::new();
        for _ in 0..samples {
            known.push(self.run(json!({ "recipe": steps })).await?.took_ms);
        }
        let (mut template, mut occupied) = (Vec::new(), Vec::new());
        for _ in 0..samples {
            let recipe = [
                format!("RUN head -c {DATA_MB}M /dev/urandom >/data && sync"),
                "RUN df --output=used -B1K / | tail -n 1".to_owned(),
            ];
            let run = self.run(json!({ "recipe": recipe, "no_cache": true })).await?;
            template.push(run.template_ms);
            let used_kb: f64 = run.build["logs"][1]["stdout"].as_str().context("stdout")?.trim().parse()?;
            occupied.push(self.size_bytes().await? / (used_kb * 1024.0));
        }
        let print = format!("RUN for i in $(seq {LINES}); do date +%s%N; sleep 0.05; done");
        let delays = self.run(json!({ "recipe": print, "no_cache": true })).await?.delays_ms;
        ensure!(delays.len() == LINES as usize, "{} of {LINES} lines arrived", delays.len());
        Ok(vec![
            Measurement::new("step `touch`, its command", Unit::Ms, &commands)?,
            Measurement::new("step `touch`, all else: its disk is kept", Unit::Ms, &kept)?,
            Measurement::new(format!("build of {STEPS} steps, all known"), Unit::Ms, &known)?,
            Measurement::new(
                format!("template of 5 GB with {DATA_MB} MB beside the base"),
                Unit::Ms,
                &template,
            )?,
            Measurement::new("what it occupies to what is in it", Unit::Ratio, &occupied)?,
            Measurement::new("a line, from the guest to who follows", Unit::Ms, &delays)?,
        ])
    }

    async fn size_bytes(&self) -> anyhow::Result<f64> {
        let all = self.client.get("/v1/admin/templates").await?.success()?;
        let found = all.as_array().context("a list")?.iter().find(|template| template["name"] == NAME);
        found.and_then(|template| template["size_bytes"].as_f64()).context("the template has a size")
    }

    /// Builds, and follows that to its end, which must be a good one.
    async fn run(&self, mut config: Value) -> anyhow::Result<Run> {
        config["name"] = json!(NAME);
        config["skip_pre_post"] = json!(true);
        let begun = Stopwatch::start(&self.clock);
        let created = self.client.post("/v1/admin/builds", &config).await?.success()?;
        let path = format!("/v1/admin/builds/{}", created["id"].as_str().context("id")?);
        let mut events = Events::of(self.client.stream(Method::GET, &format!("{path}/logs"), None).await?);
        let mut run = Run { build: Value::Null, took_ms: 0.0, template_ms: 0.0, delays_ms: Vec::new() };
        let mut template_begun: Option<Stopwatch> = None;
        let follow = async {
            loop {
                let (name, data) = events.next().await?;
                match name.as_str() {
                    "line" => {
                        let printed = data["text"].as_str().unwrap_or_default();
                        if let Ok(nanoseconds) = printed.parse::<u64>()
                            && nanoseconds > 1 << 50
                        {
                            let now = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH)?;
                            let printed = Duration::from_nanos(nanoseconds);
                            run.delays_ms.push(now.saturating_sub(printed).as_secs_f64() * 1000.0);
                        }
                    }
                    "build" if data["stage"] == "template" => {
                        template_begun = Some(Stopwatch::start(&self.clock))
                    }
                    "build" if data["stage"] == "testing" => {
                        run.template_ms = template_begun.as_ref().map_or(0.0, Stopwatch::ms);
                    }
                    "end" => return anyhow::Ok(()),
                    _ => {}
                }
            }
        };
        timeout(BUILT_WITHIN, follow).await.context("the build has not ended in time")??;
        run.took_ms = begun.ms();
        // Its end was told; what is left of it is removed then.
        run.build = self.client.get(&path).await?.success()?;
        ensure!(run.build["status"] == "success", "{}", run.build);
        self.settle().await?;
        Ok(run)
    }

    /// Waits until no build is under way.
    async fn settle(&self) -> anyhow::Result<()> {
        loop {
            let builds = self.client.get("/v1/admin/builds").await?.success()?;
            let all = builds.as_array().context("a list")?;
            if all.iter().all(|build| build["completed_at"].is_string()) {
                return Ok(());
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
    }
}

struct Run {
    build: Value,
    took_ms: f64,
    template_ms: f64,
    delays_ms: Vec<f64>,
}

/// Server-sent events, one after the other.
struct Events {
    response: Response,
    read: String,
}

impl Events {
    fn of(response: Response) -> Self {
        Self { response, read: String::new() }
    }

    async fn next(&mut self) -> anyhow::Result<(String, Value)> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let event: String = self.read.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Ok((name.to_owned(), serde_json::from_str(data)?));
                }
                continue;
            }
            let Some(piece) = self.response.chunk().await? else { bail!("the events ended early") };
            self.read.push_str(std::str::from_utf8(&piece).context("events are text")?);
        }
    }
}
