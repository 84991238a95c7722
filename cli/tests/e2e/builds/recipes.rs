//! What recipes can say, up to a capsule of the template.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Builder, File, tar, tar_gz, zip};
use crate::{
    installation::{Capsule, Installation},
    wait::until,
};

const FILES: &[File<'static>] = &[
    ("app/run.sh", "#!/bin/sh\ntouch /tmp/ready\nwhile sleep 1; do date >>/tmp/alive; done\n", 0o755),
    ("app/data/one.txt", "one\n", 0o640),
    ("app.conf", "greeting = hello\n", 0o644),
];

const RECIPE: &[&str] = &[
    "# Every instruction there is.",
    "ENV GREETING=hello NAME=${GREETING}-there PRICE='$5' PATH=/opt/tool/bin:$PATH TOOLS=$HOME/bin",
    "RUN echo out of\\",
    "    $NAME; echo err >&2",
    "USER builder",
    "WORKDIR /srv/app",
    "COPY app .",
    "COPY app.conf /etc/app.conf",
    "RUN --timeout=1m test $(id -un) = builder && test $PWD = /srv/app && sudo true",
    "WORKDIR data",
    "RUN test $(cat one.txt) = one && echo $PRICE >two.txt",
    "START /srv/app/run.sh",
];

/// What is true of a capsule of the template, whatever kind it is.
async fn check(capsule: &Capsule<'_>) -> anyhow::Result<()> {
    let shown = capsule.show().await?;
    ensure!(shown["default_user"] == "builder", "{shown}");
    let printed = capsule.shell("id -un; echo $NAME $PRICE; cat /srv/app/data/two.txt /etc/app.conf").await?;
    ensure!(printed == "builder\nhello-there $5\n$5\ngreeting = hello\n", "{printed}");
    let printed = capsule.shell("echo ${PATH%%:*} ${PATH##*:} $TOOLS").await?;
    ensure!(printed == "/opt/tool/bin /bin /root/bin\n", "{printed}");
    let owners = capsule
        .shell("stat -c '%U %a %n' /srv/app /srv/app/run.sh /srv/app/data/one.txt /etc/app.conf; stat -c %Y /etc/app.conf")
        .await?;
    let expected = "builder 755 /srv/app\nbuilder 755 /srv/app/run.sh\nbuilder 640 /srv/app/data/one.txt\n\
                    builder 644 /etc/app.conf\n1000000000\n";
    ensure!(owners == expected, "{owners}");
    ensure!(capsule.shell("sudo id -un").await? == "root\n");
    Ok(())
}

/// The configuration with every instruction.
fn config(name: &str, healthcheck: Option<&str>) -> Value {
    json!({ "name": name, "recipe": RECIPE.join("\n"), "healthcheck": healthcheck })
}

pub(crate) async fn every_instruction(installation: &Installation) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    let healthcheck =
        "--interval=200ms --timeout=5s --start-period=20s --retries=5 test -e one.txt -a -e /tmp/ready";
    let build = builder.build(config("every-snapshot", Some(healthcheck)), Some(tar_gz(FILES)?)).await?;
    ensure!(build["default_user"] == "builder" && build["default_env"]["NAME"] == "hello-there", "{build:#}");
    let logs = build["logs"].as_array().context("logs")?;
    ensure!(logs.len() == 11 && build["total_steps"] == 11, "{build:#}");
    ensure!(logs.iter().all(|entry| entry["ok"] == true), "{build:#}");
    ensure!(logs[1]["stdout"] == "out of hello-there\n" && logs[1]["stderr"] == "err\n", "{}", logs[1]);
    ensure!(logs[10]["phase"] == "healthcheck", "{}", logs[10]);
    let template = template(&builder, "every-snapshot").await?;
    ensure!(
        template["type"] == "snapshot" && template["size_bytes"].as_i64() > Some(1_000_000),
        "{template}"
    );

    let capsule = installation.capsule_of("every-snapshot").await?;
    check(&capsule).await?;
    // What was started goes on.
    ensure!(capsule.shell("pgrep -u builder -c run.sh").await?.trim() == "1");
    // The template may have been made before the first line was written.
    let lines = async || {
        let counted = capsule.shell("cat /tmp/alive 2>/dev/null | wc -l").await?;
        Ok::<_, anyhow::Error>(counted.trim().parse::<u64>()?)
    };
    let before = lines().await?;
    until("what was started writes on", Duration::from_secs(20), async || {
        Ok((lines().await? > before).then_some(()))
    })
    .await?;
    capsule.pause().await?;
    capsule.resume().await?;
    check(&capsule).await?;
    capsule.delete().await?;

    for (name, archive) in [("every-tar", tar(FILES)?), ("every-zip", zip(FILES)?)] {
        builder.build(config(name, None), Some(archive)).await?;
        let template = self::template(&builder, name).await?;
        ensure!(template["type"] == "base" && template["vcpus"].is_null(), "{template}");
        let capsule = installation.capsule_of(name).await?;
        if name == "every-tar" {
            check(&capsule).await?;
        } else {
            // Zip has no seconds since the epoch, and everything else.
            ensure!(capsule.shell("stat -c '%U %a' /srv/app/run.sh").await? == "builder 755\n");
        }
        let running = capsule.exec(json!({ "cmd": "pgrep -c run.sh" })).await?;
        ensure!(running["stdout"] == "0\n", "an image has no memory: {running}");
        capsule.delete().await?;
    }
    for name in ["every-snapshot", "every-tar", "every-zip"] {
        builder.delete_template(name).await?;
    }
    ensure!(!builder.templates().await?.iter().any(|name| name.starts_with("every")));
    Ok(())
}

async fn template(builder: &Builder, name: &str) -> anyhow::Result<Value> {
    let all = builder.client.get("/v1/admin/templates").await?.success()?;
    let found = all.as_array().context("a list")?.iter().find(|template| template["name"] == name);
    found.cloned().with_context(|| format!("{name} is in {all:#}"))
}

pub(crate) async fn a_package(installation: &Installation) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    let recipe = ["RUN sudo apt-get install -y --no-install-recommends hello", "RUN hello >greeting"];
    let config = json!({ "name": "with-hello", "recipe": recipe, "skip_pre_post": false });
    let build = builder.build(config, None).await?;
    let phases: Vec<_> =
        build["logs"].as_array().context("logs")?.iter().map(|entry| &entry["phase"]).collect();
    let expected = ["pre-build", "pre-build", "pre-build", "recipe", "recipe", "post-build", "post-build"]
        .map(Value::from);
    ensure!(phases == expected.iter().collect::<Vec<_>>(), "{build:#}");
    let capsule = installation.capsule_of("with-hello").await?;
    ensure!(capsule.shell("id -un; cat greeting; hello -t").await?.starts_with("wrenn-user\nHello, world!"));
    ensure!(capsule.shell("ls /var/lib/apt/lists | wc -l").await? == "0\n");
    capsule.delete().await?;
    builder.delete_template("with-hello").await
}
