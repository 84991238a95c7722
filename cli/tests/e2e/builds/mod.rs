//! Template builds on real VMs.

pub(crate) mod cache;
pub(crate) mod cancel;
pub(crate) mod faults;
pub(crate) mod outcomes;
pub(crate) mod recipes;

use std::{io::Write as _, time::Duration};

use anyhow::{Context, ensure};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use wrenn_cli::client::{Answer, Client, Credentials};

use crate::{installation::Installation, wait::until};

/// Longest build of these tests, on a machine that emulates and is busy.
const BUILT: Duration = Duration::from_secs(300);

/// An administrator who builds.
pub(crate) struct Builder {
    pub(crate) client: Client,
}

impl Builder {
    pub(crate) async fn sign_in(installation: &Installation) -> anyhow::Result<Self> {
        let env = installation.env()?;
        let client = installation.client()?.with(Credentials::None);
        let login = json!({ "email": env.admin_email, "password": env.admin_password });
        let login = client.post("/v1/auth/login", &login).await?;
        let client = client.with(Credentials::Bearer(login.text("/token").to_owned()));
        Ok(Self { client })
    }

    async fn send(&self, config: &Value, archive: Option<Vec<u8>>) -> anyhow::Result<Answer> {
        match archive {
            None => self.client.post("/v1/admin/builds", config).await,
            Some(archive) => {
                let archive = Part::bytes(archive).file_name("archive");
                let form = Form::new().text("config", config.to_string()).part("archive", archive);
                self.client.form("/v1/admin/builds", form).await
            }
        }
    }

    /// Asks for a build; returns its id. Nothing is done before and after the recipe, unless the configuration says so.
    pub(crate) async fn begin(&self, config: Value, archive: Option<Vec<u8>>) -> anyhow::Result<String> {
        let mut config = config;
        config.as_object_mut().context("an object")?.entry("skip_pre_post").or_insert(json!(true));
        let created = self.send(&config, archive).await?;
        ensure!(created.status == 201 && created.text("/status") == "pending", "{created:?}");
        Ok(created.text("/id").to_owned())
    }

    pub(crate) async fn show(&self, id: &str) -> anyhow::Result<Value> {
        self.client.get(&format!("/v1/admin/builds/{id}")).await?.success()
    }

    /// Waits until a build has ended, however it did.
    pub(crate) async fn ended(&self, id: &str) -> anyhow::Result<Value> {
        until(&format!("{id} has ended"), BUILT, async || {
            let build = self.show(id).await?;
            let is_open = build["status"] == "pending" || build["status"] == "running";
            ensure!(!is_open, "{build}");
            Ok(Some(build))
        })
        .await
    }

    /// Waits until a build has succeeded.
    pub(crate) async fn succeeded(&self, id: &str) -> anyhow::Result<Value> {
        let build = self.ended(id).await?;
        ensure!(build["status"] == "success", "{build:#}");
        ensure!(build["current_step"] == build["total_steps"] && build["error"].is_null(), "{build:#}");
        Ok(build)
    }

    pub(crate) async fn build(&self, config: Value, archive: Option<Vec<u8>>) -> anyhow::Result<Value> {
        let id = self.begin(config, archive).await?;
        self.succeeded(&id).await
    }

    pub(crate) async fn cancel(&self, id: &str) -> anyhow::Result<Answer> {
        self.client.post(&format!("/v1/admin/builds/{id}/cancel"), &json!({})).await
    }

    /// Waits until the log of a build has this text.
    pub(crate) async fn printed(&self, id: &str, text: &str) -> anyhow::Result<Value> {
        until(&format!("{id} prints {text}"), BUILT, async || {
            let build = self.show(id).await?;
            let printed = |entry: &Value| format!("{}{}", entry["stdout"], entry["stderr"]);
            let log: String = build["logs"].as_array().context("logs")?.iter().map(printed).collect();
            ensure!(
                !["failed", "success", "cancelled"].contains(&build["status"].as_str().unwrap_or_default())
                    || log.contains(text),
                "it has ended: {build:#}"
            );
            Ok(log.contains(text).then_some(build))
        })
        .await
    }

    /// Waits until a build is at this stage.
    pub(crate) async fn reaches(&self, id: &str, stage: &str) -> anyhow::Result<()> {
        until(&format!("{id} is at {stage}"), BUILT, async || {
            let build = self.show(id).await?;
            ensure!(build["completed_at"].is_null(), "it has ended: {build:#}");
            Ok((build["stage"] == stage).then_some(()))
        })
        .await
    }

    /// Names of the templates that everybody sees.
    pub(crate) async fn templates(&self) -> anyhow::Result<Vec<String>> {
        let all = self.client.get("/v1/admin/templates").await?.success()?;
        let names = all.as_array().context("a list")?.iter();
        Ok(names.map(|template| template["name"].as_str().unwrap_or_default().to_owned()).collect())
    }

    pub(crate) async fn delete_template(&self, name: &str) -> anyhow::Result<()> {
        let answer = self.client.delete(&format!("/v1/admin/templates/{name}")).await?;
        ensure!(answer.status == 204, "{answer:?}");
        Ok(())
    }
}

/// The steps of a build, as whether each was known already.
pub(crate) fn cached(build: &Value) -> Vec<bool> {
    build["logs"].as_array().into_iter().flatten().map(|entry| entry["cached"] == true).collect()
}

/// A file of an archive: its name, content and mode.
pub(crate) type File<'a> = (&'a str, &'a str, u32);

pub(crate) fn tar(files: &[File<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, content, mode) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1_000_000_000);
        archive.append_data(&mut header, name, content.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}

pub(crate) fn tar_gz(files: &[File<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar(files)?)?;
    Ok(gz.finish()?)
}

pub(crate) fn zip(files: &[File<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut archive = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        archive.start_file(*name, ::zip::write::SimpleFileOptions::default().unix_permissions(*mode))?;
        archive.write_all(content.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}
