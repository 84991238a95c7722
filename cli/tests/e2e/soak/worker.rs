//! One client with one capsule: what it does, and what it knows of it.
//!
//! Every request may fail, because whoever should answer was killed. A failed request may have been carried out all
//! the same, so the worker then waits until the capsule has settled and looks. What was acknowledged must be there.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rand::{RngExt as _, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};
use wrenn_cli::client::Answer;

use super::{chaos::Victims, ledger::Ledger};
use crate::{
    installation::Installation,
    wait::{BOOT, until},
};

/// No request may take longer, whatever is killed meanwhile.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(150);
/// Rest between two tries.
const REST: Duration = Duration::from_millis(300);
/// Time for everything to come back and settle.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);
/// Different files that a capsule has in each place.
const NAMES: u32 = 5;
/// Length of what is written, in bytes.
const VALUE_BYTES: usize = 20_000;
/// Templates that a worker makes at most; they stay until the end.
const TEMPLATES: usize = 3;

pub(super) struct Worker {
    installation: Arc<Installation>,
    victims: Victims,
    random: StdRng,
    number: usize,
    written: u64,
    capsule: Option<Known>,
    templates: Vec<(String, Ledger)>,
    /// For the message, when time is up.
    last_failure: String,
}

/// A capsule, and what is known of its content.
struct Known {
    id: String,
    ledger: Ledger,
    /// It was seen running, so it has content that must not get lost.
    has_run: bool,
}

impl Worker {
    pub(super) fn new(installation: Arc<Installation>, victims: Victims, seed: u64, number: usize) -> Self {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(number as u64));
        let (templates, last_failure) = (Vec::new(), String::new());
        Self { installation, victims, random, number, written: 0, capsule: None, templates, last_failure }
    }

    /// Does one thing.
    pub(super) async fn operate(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.capsule.as_ref().map(|capsule| capsule.id.clone()) else {
            return self.create().await;
        };
        let choice = self.random.random_range(0..100);
        match choice {
            0..35 => self.write().await,
            35..50 => self.verify().await,
            50..65 => self.ask(&id, "pause").await,
            65..80 => self.ask(&id, "resume").await,
            80..90 => self.snapshot().await,
            _ => self.destroy().await,
        }
        .with_context(|| format!("worker {} with {id}, choice {choice}", self.number))
    }

    /// Sends a request; none if nobody answered, or somebody could not.
    async fn send(&mut self, method: &str, path: &str, body: &Value) -> anyhow::Result<Option<Answer>> {
        let client = self.installation.client()?;
        let sent = async {
            match method {
                "DELETE" => client.delete(path).await,
                "GET" => client.get(path).await,
                _ => client.post(path, body).await,
            }
        };
        let answer = timeout(REQUEST_LIMIT, sent).await.with_context(|| format!("{method} {path} hangs"))?;
        match answer {
            Ok(answer) if !answer.status.is_server_error() && answer.status != 409 => Ok(Some(answer)),
            Ok(answer) => {
                self.last_failure = format!("{method} {path}: {answer:?}");
                Ok(Some(answer).filter(|answer| answer.status == 409))
            }
            Err(error) => {
                self.last_failure = format!("{error:#}");
                Ok(None)
            }
        }
    }

    /// Waits until the capsule has settled, and shows it.
    async fn settled(&self, id: &str) -> anyhow::Result<Value> {
        let path = format!("/v1/capsules/{id}");
        until(&format!("{id} has settled"), SETTLE_LIMIT, async || {
            let shown = self.installation.client()?.get(&path).await?.success()?;
            ensure!(shown["operation"].is_null() && shown["status"] != "missing", "{shown}");
            Ok(Some(shown))
        })
        .await
    }

    async fn create(&mut self) -> anyhow::Result<()> {
        let from = match self.templates.len() {
            0 => None,
            count => self.random.random_bool(0.5).then(|| self.random.random_range(0..count)),
        };
        let (template, ledger) = match from {
            Some(index) => self.templates[index].clone(),
            None => ("minimal".to_owned(), Ledger::default()),
        };
        // The mark finds it again, should the answer get lost.
        self.written += 1;
        let mark = format!("{}-{}", self.number, self.written);
        let body = json!({ "template": template, "metadata": { "soak": mark } });
        let created = self.send("POST", "/v1/capsules", &body).await?;
        let id = match created {
            Some(answer) if answer.status == 201 => answer.text("/id").to_owned(),
            Some(answer) => bail!("create: {answer:?}"),
            None => match self.find(&mark).await? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        self.capsule = Some(Known { id, ledger, has_run: false });
        self.look().await.map(drop)
    }

    /// Finds a capsule by its mark.
    async fn find(&self, mark: &str) -> anyhow::Result<Option<String>> {
        until("the list of capsules is answered", SETTLE_LIMIT, async || {
            let list = self.installation.client()?.get("/v1/capsules").await?.success()?;
            let list = list.as_array().context("a list")?.clone();
            let found = list.iter().find(|it| it["metadata"]["soak"] == mark);
            Ok(Some(found.and_then(|it| it["id"].as_str()).map(str::to_owned)))
        })
        .await
    }

    /// Looks at the capsule; forgets one that failed before it ever ran. Returns its status.
    async fn look(&mut self) -> anyhow::Result<Option<String>> {
        let Some(capsule) = &self.capsule else { return Ok(None) };
        let id = capsule.id.clone();
        let shown = self.settled(&id).await?;
        let status = shown["status"].as_str().unwrap_or_default().to_owned();
        match status.as_str() {
            "running" => {
                if let Some(capsule) = &mut self.capsule {
                    capsule.has_run = true;
                }
            }
            "paused" => {}
            // Its disk is kept, and somebody killed its virtual machine.
            "stopped" => ensure!(self.victims.contains(&id), "it stopped by itself: {shown}"),
            "error" if !capsule.has_run => {
                self.destroy().await?;
                return Ok(None);
            }
            _ => bail!("it is lost: {shown}"),
        }
        Ok(Some(status))
    }

    /// Lets the capsule run, however often something is in the way.
    async fn run(&mut self) -> anyhow::Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < SETTLE_LIMIT {
            match self.look().await?.as_deref() {
                None => return Ok(false),
                Some("running") => return Ok(true),
                Some(_) => {}
            }
            let Some(id) = self.capsule.as_ref().map(|capsule| capsule.id.clone()) else { return Ok(false) };
            self.send("POST", &format!("/v1/capsules/{id}/resume"), &json!({})).await?;
            sleep(REST).await;
        }
        bail!("it cannot be resumed; the last answer is {:?}", self.last_failure)
    }

    async fn ask(&mut self, id: &str, operation: &str) -> anyhow::Result<()> {
        let answer = self.send("POST", &format!("/v1/capsules/{id}/{operation}"), &json!({})).await?;
        let wanted = if operation == "pause" { "paused" } else { "running" };
        if let Some(answer) = answer {
            let is_done = answer.status == 200 && answer.text("/status") == wanted;
            ensure!(is_done || answer.status == 409, "{operation}: {answer:?}");
        }
        self.look().await.map(drop)
    }

    /// Runs a command; none if that failed, or the virtual machine was killed meanwhile.
    async fn exec(&mut self, id: &str, command: &str) -> anyhow::Result<Option<String>> {
        let body =
            json!({ "cmd": format!("cat /proc/sys/kernel/random/boot_id; {command}"), "timeout_sec": 60 });
        let answer = self.send("POST", &format!("/v1/capsules/{id}/exec"), &body).await?;
        let Some(answer) = answer.filter(|answer| answer.status == 200) else { return Ok(None) };
        ensure!(answer.body["exit_code"] == 0, "`{command}`: {answer:?}");
        let (boot, printed) = answer.text("/stdout").split_once('\n').context("the boot")?;
        if let Some(capsule) = &mut self.capsule
            && capsule.ledger.note_boot(boot)
        {
            ensure!(self.victims.take(id), "it was booted anew, and nobody had killed it");
        }
        Ok(Some(printed.to_owned()))
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        if !self.run().await? {
            return Ok(());
        }
        let Some(id) = self.capsule.as_ref().map(|capsule| capsule.id.clone()) else { return Ok(()) };
        self.written += 1;
        let name = format!("f{}", self.random.random_range(0..NAMES));
        let (is_disk, text) = (self.random.random_bool(0.5), format!("{}:{};", self.number, self.written));
        let folder = if is_disk { "/root/d" } else { "/dev/shm/d" };
        let command = format!(
            "mkdir -p {folder} && cd {folder} && yes '{text}' | tr -d '\\n' | head -c {VALUE_BYTES} > .new && \
             mv .new {name} && sync -f {folder} && sha256sum < {name} | cut -c1-64"
        );
        let repeated: String = text.chars().cycle().take(VALUE_BYTES).collect();
        let sum = Sha256::digest(repeated).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let answer = self.exec(&id, &command).await?;
        let Some(capsule) = &mut self.capsule else { return Ok(()) };
        let values = if is_disk { &mut capsule.ledger.disk } else { &mut capsule.ledger.memory };
        match answer {
            Some(printed) => {
                ensure!(printed.trim() == sum, "{name} in {folder} has sum {printed}");
                values.acknowledged(&name, &sum);
            }
            None => values.uncertain(&name, &sum),
        }
        Ok(())
    }

    /// Reads everything that the capsule has, and compares it with what is known.
    pub(super) async fn verify(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < SETTLE_LIMIT {
            if !self.run().await? {
                return Ok(());
            }
            let Some(id) = self.capsule.as_ref().map(|capsule| capsule.id.clone()) else { return Ok(()) };
            let command = "for f in /root/d/* /dev/shm/d/*; do [ -e $f ] && sha256sum $f; done; true";
            if let Some(printed) = self.exec(&id, command).await? {
                return self.compare(&printed).with_context(|| id);
            }
            sleep(REST).await;
        }
        bail!("its content cannot be read; the last answer is {:?}", self.last_failure)
    }

    fn compare(&mut self, printed: &str) -> anyhow::Result<()> {
        let Some(Known { ledger, .. }) = &mut self.capsule else { return Ok(()) };
        let (mut disk, mut memory) = (BTreeMap::new(), BTreeMap::new());
        for line in printed.lines() {
            let (sum, path) = line.split_once("  ").context("a sum and a path")?;
            let (folder, name) = path.rsplit_once('/').context("a path")?;
            let place = if folder == "/root/d" { &mut disk } else { &mut memory };
            place.insert(name.to_owned(), sum.to_owned());
        }
        ledger.disk.check("disk", &disk)?;
        ledger.memory.check("memory", &memory)
    }

    async fn snapshot(&mut self) -> anyhow::Result<()> {
        if self.templates.len() >= TEMPLATES {
            return self.verify().await;
        }
        // Only what is certain is worth a template.
        self.verify().await?;
        let Some(Known { id, ledger, .. }) = &self.capsule else { return Ok(()) };
        let (id, ledger) = (id.clone(), ledger.clone());
        self.written += 1;
        let name = format!("soak-{}-{}", self.number, self.written);
        let body = json!({ "sandbox_id": id, "name": name });
        let made = self.send("POST", "/v1/snapshots", &body).await?;
        if let Some(answer) = &made {
            ensure!(answer.status == 201 || answer.status == 409, "snapshot: {answer:?}");
        }
        self.look().await?;
        let is_there = until("the list of templates is answered", SETTLE_LIMIT, async || {
            let list = self.installation.client()?.get("/v1/snapshots").await?.success()?;
            Ok(Some(list.as_array().is_some_and(|list| list.iter().any(|it| it["name"] == name))))
        })
        .await?;
        let is_acknowledged = made.is_some_and(|answer| answer.status == 201);
        ensure!(is_there || !is_acknowledged, "the template {name} was acknowledged and is not there");
        if is_there {
            self.templates.push((name, ledger));
        }
        Ok(())
    }

    async fn destroy(&mut self) -> anyhow::Result<()> {
        let Some(capsule) = self.capsule.take() else { return Ok(()) };
        let path = format!("/v1/capsules/{}", capsule.id);
        until(&format!("{} is gone", capsule.id), SETTLE_LIMIT, async || {
            let answer = self.send("DELETE", &path, &Value::Null).await?;
            Ok(answer.filter(|answer| answer.status == 204).map(drop))
        })
        .await?;
        self.victims.take(&capsule.id);
        Ok(())
    }

    /// Gives everything back, and tells the names of the templates that it made.
    pub(super) async fn finish(mut self) -> anyhow::Result<Vec<String>> {
        timeout(BOOT, self.destroy()).await.context("its end")??;
        Ok(self.templates.into_iter().map(|(name, _)| name).collect())
    }
}
