//! A real Prometheus with the configuration, the rules and the dashboard that `docs/grafana/` has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use wrenn_cli::client::{Client, Credentials};

use crate::{
    installation::{Installation, free_port},
    wait::{RECOVERY, until},
};

/// Pause between two scrapes.
const SCRAPE_EVERY_SEC: u32 = 1;
/// Scrapes of each target that must succeed: a minute of them.
const SCRAPES: u32 = 60;
/// Interval for rates in place of the one that Grafana computes.
const RATE_INTERVAL: &str = "1m";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/grafana")
}

pub(crate) async fn prometheus_scrapes_server_and_agent() -> anyhow::Result<()> {
    let agent = format!("127.0.0.1:{}", free_port()?);
    let settings = vec![("WRENN_AGENT_METRICS_ADDR", agent.clone())];
    let installation = Installation::start_with_settings(|_| settings).await?;
    let checked = scraped(&installation, &agent).await;
    installation.end().await.and(checked)
}

async fn scraped(installation: &Installation, agent: &str) -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let server = format!("127.0.0.1:{}", installation.port());
    let config = fs::read_to_string(folder().join("prometheus.yml"))?;
    let config = config
        .replace("127.0.0.1:8000", &server)
        .replace("127.0.0.1:9464", agent)
        .replace("scrape_interval: 15s", &format!("scrape_interval: {SCRAPE_EVERY_SEC}s"));
    fs::write(work.path().join("prometheus.yml"), config)?;
    fs::copy(folder().join("alerts.yml"), work.path().join("alerts.yml"))?;
    promtool(work.path(), &["check", "config", "prometheus.yml"]).await?;
    promtool(work.path(), &["check", "rules", "alerts.yml"]).await?;

    let prometheus = Prometheus::start(work.path())?;
    work_on_a_capsule(installation).await?;
    let what = "both targets are scraped for a minute";
    let limit = Duration::from_secs(u64::from(SCRAPES * SCRAPE_EVERY_SEC) * 3);
    until(what, limit, async || {
        let counted = prometheus.query(&format!("count_over_time(up[10m]) >= {SCRAPES}")).await?;
        Ok((counted.len() == 2).then_some(()))
    })
    .await?;
    // Rates need what happened to be in their interval.
    work_on_a_capsule(installation).await?;

    let failed = prometheus.query("min_over_time(up[10m]) == 0").await?;
    ensure!(failed.is_empty(), "scrapes failed: {failed:?}");
    let targets = prometheus.get("/api/v1/targets").await?;
    for target in targets["activeTargets"].as_array().context("targets")? {
        ensure!(target["lastError"] == "", "{target}");
    }
    rules_are_evaluated(&prometheus).await?;
    until("every panel of the dashboard shows something", RECOVERY, async || {
        let empty = empty_panels(&prometheus).await?;
        ensure!(empty.is_empty(), "without data: {empty:?}");
        Ok(Some(()))
    })
    .await
}

/// Does what the panels show.
async fn work_on_a_capsule(installation: &Installation) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("true").await?;
    capsule.pause().await?;
    capsule.resume().await?;
    capsule.delete().await
}

async fn rules_are_evaluated(prometheus: &Prometheus) -> anyhow::Result<()> {
    let groups = until("the rules are evaluated", RECOVERY, async || {
        let found = prometheus.get("/api/v1/rules").await?;
        let rules = found["groups"][0]["rules"].as_array().context("rules")?.clone();
        Ok(rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules))
    })
    .await?;
    ensure!(!groups.is_empty(), "there are no rules");
    for rule in groups {
        ensure!(rule["health"] == "ok", "{rule}");
    }
    Ok(())
}

/// Returns the queries of the dashboard that find nothing.
async fn empty_panels(prometheus: &Prometheus) -> anyhow::Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(folder().join("wrenn.json"))?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let mut empty = Vec::new();
    let queries = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    for query in queries {
        let query = query["expr"].as_str().context("a target without a query")?;
        let found = prometheus.query(&query.replace("$__rate_interval", RATE_INTERVAL)).await;
        if found.with_context(|| query.to_owned())?.is_empty() {
            empty.push(query.to_owned());
        }
    }
    Ok(empty)
}

async fn promtool(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("promtool").current_dir(folder).args(arguments).output().await;
    let done = done.context("promtool, of Debian's package `prometheus`")?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "promtool {arguments:?}: {text}");
    Ok(())
}

/// A Prometheus of its own, which ends with this value.
struct Prometheus {
    _process: Child,
    client: Client,
}

impl Prometheus {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let addr = format!("127.0.0.1:{}", free_port()?);
        let process = Command::new("prometheus")
            .current_dir(folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={addr}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("prometheus, of Debian's package of this name")?;
        let client = Client::new(&format!("http://{addr}"), Credentials::None)?;
        Ok(Self { _process: process, client })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut answer = self.client.get(path).await?.success()?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].take())
    }

    /// Returns the samples that a query finds at the moment.
    async fn query(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
        let found = self.get(&format!("/api/v1/query?{query}")).await?;
        Ok(found["result"].as_array().cloned().unwrap_or_else(|| vec![json!(found)]))
    }
}
