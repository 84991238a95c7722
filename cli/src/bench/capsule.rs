//! Capsules and templates that a measurement makes, and that are gone after it, whatever happens.

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::subject::Subject;

/// A capsule that runs.
pub(super) struct Capsule<'a> {
    subject: &'a Subject,
    id: String,
    /// How long it took from the request to `running`.
    pub(super) running_ms: f64,
}

/// Makes a capsule as `wanted` says, uses it, and deletes it.
pub(super) async fn with_capsule<'a, T>(
    subject: &'a Subject,
    wanted: &Value,
    used: impl AsyncFnOnce(&Capsule<'a>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let capsule = Capsule::create(subject, wanted).await?;
    let outcome = used(&capsule).await;
    let deleted = capsule.delete().await;
    let value = outcome?;
    deleted.map(|_| value)
}

impl<'a> Capsule<'a> {
    async fn create(subject: &'a Subject, wanted: &Value) -> anyhow::Result<Self> {
        let begun = subject.stopwatch();
        let created = subject.client.post("/v1/capsules?wait=true", wanted).await?;
        let running_ms = begun.ms();
        let named = created.body["id"].as_str().or_else(|| named_in(created.text("/error/message")));
        let Some(id) = named.map(str::to_owned) else {
            bail!("no capsule was made: {} {}", created.status, created.body);
        };
        let capsule = Self { subject, id, running_ms };
        if created.text("/status") != "running" {
            capsule.delete().await?;
            bail!("the capsule does not run: {} {}", created.status, created.body);
        }
        Ok(capsule)
    }

    pub(super) fn path(&self) -> String {
        format!("/v1/capsules/{}", self.id)
    }

    /// Runs `/bin/true` and returns how long that took.
    pub(super) async fn run_true(&self) -> anyhow::Result<f64> {
        let body = json!({ "cmd": "/bin/true", "args": [] });
        let begun = self.subject.stopwatch();
        let result = self.subject.client.post(&format!("{}/exec", self.path()), &body).await?.success()?;
        ensure!(result["exit_code"] == 0, "/bin/true failed: {result}");
        Ok(begun.ms())
    }

    /// Runs a command under a shell, which must succeed.
    pub(super) async fn shell(&self, command: &str) -> anyhow::Result<()> {
        let body = json!({ "cmd": command, "timeout_sec": 300 });
        let result = self.subject.client.post(&format!("{}/exec", self.path()), &body).await?.success()?;
        ensure!(result["exit_code"] == 0, "`{command}` failed: {result}");
        Ok(())
    }

    /// The path of a request about its files.
    pub(super) fn files(&self, operation: &str) -> String {
        format!("{}/files/{operation}", self.path())
    }

    /// Pauses it and returns how long that took.
    pub(super) async fn pause(&self) -> anyhow::Result<f64> {
        self.operate("pause", "paused").await
    }

    /// Resumes it and returns how long that took.
    pub(super) async fn resume(&self) -> anyhow::Result<f64> {
        self.operate("resume", "running").await
    }

    async fn operate(&self, operation: &str, wanted: &str) -> anyhow::Result<f64> {
        let begun = self.subject.stopwatch();
        let answer = self.subject.client.post(&format!("{}/{operation}", self.path()), &json!({})).await?;
        let took_ms = begun.ms();
        let capsule = answer.success().with_context(|| format!("{operation} failed"))?;
        ensure!(capsule["status"] == wanted, "after {operation} it is {}", capsule["status"]);
        Ok(took_ms)
    }

    /// Makes a template of it, uses that, and deletes it. Returns how long making and deleting took, too.
    pub(super) async fn with_template<T>(
        &self,
        kind: TemplateKind,
        used: impl AsyncFnOnce(&str) -> anyhow::Result<T>,
    ) -> anyhow::Result<Template<T>> {
        let name = format!("bench-{}", self.id);
        let body = json!({ "sandbox_id": self.id, "name": name, "type": kind });
        let begun = self.subject.stopwatch();
        let made = self.subject.client.post("/v1/snapshots", &body).await;
        let made_ms = begun.ms();
        let outcome = match made.and_then(|answer| answer.success().context("no template was made")) {
            Ok(_) => used(&name).await,
            Err(error) => Err(error),
        };
        let begun = self.subject.stopwatch();
        let deleted = self.subject.client.delete(&format!("/v1/snapshots/{name}")).await;
        let deleted_ms = begun.ms();
        let value = outcome?;
        deleted?.success().context("the template cannot be deleted")?;
        Ok(Template { value, made_ms, deleted_ms })
    }

    /// Deletes it and returns how long that took; twice does no harm.
    pub(super) async fn delete(&self) -> anyhow::Result<f64> {
        let begun = self.subject.stopwatch();
        self.subject.client.delete(&self.path()).await?.success().context("the capsule cannot be deleted")?;
        Ok(begun.ms())
    }
}

/// What is kept in a template.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TemplateKind {
    /// The disk alone.
    Base,
    /// Disk and memory.
    Snapshot,
}

/// What came of a template.
pub(super) struct Template<T> {
    /// What its use came to.
    pub(super) value: T,
    /// How long making it took.
    pub(super) made_ms: f64,
    /// How long deleting it took.
    pub(super) deleted_ms: f64,
}

/// The capsule that an error speaks of.
fn named_in(message: &str) -> Option<&str> {
    message.split_whitespace().find(|word| word.starts_with("cl-"))
}
