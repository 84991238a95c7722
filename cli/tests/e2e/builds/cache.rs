//! Steps whose outcome is known are not carried out again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::{Builder, cached, tar};
use crate::installation::Installation;

/// How long a build may take of which everything is known.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn steps_are_known(installation: &Installation) -> anyhow::Result<()> {
    let builder = Builder::sign_in(installation).await?;
    let archive = |content: &str| tar(&[("a.txt", content, 0o644), ("other.txt", content, 0o644)]);
    let recipe = |value: &str, last: &str| {
        json!({
            "name": "cached",
            "recipe": ["RUN date +%N >/first", format!("ENV VALUE={value}"), "COPY a.txt /srv/", last],
        })
    };
    let build = builder.build(recipe("1", "RUN date +%N >/last"), Some(archive("one")?)).await?;
    ensure!(cached(&build) == [false; 4], "{build:#}");
    let template = build["template_id"].clone();

    let begun = Instant::now();
    let again = builder.build(recipe("1", "RUN date +%N >/last"), Some(archive("one")?)).await?;
    let took = begun.elapsed();
    eprintln!("  the same recipe again: {:.2} s", took.as_secs_f64());
    ensure!(cached(&again) == [true; 4] && again["template_id"] == template, "{again:#}");
    ensure!(took < KNOWN_WITHIN, "it took {took:?}");

    let changed_line = builder.build(recipe("1", "RUN date +%N >/other"), Some(archive("one")?)).await?;
    ensure!(cached(&changed_line) == [true, true, true, false], "{changed_line:#}");
    ensure!(changed_line["template_id"] != template, "{changed_line:#}");
    let changed_file = builder.build(recipe("1", "RUN date +%N >/last"), Some(archive("two")?)).await?;
    ensure!(cached(&changed_file) == [true, true, false, false], "{changed_file:#}");
    let capsule = installation.capsule_of("cached").await?;
    ensure!(capsule.shell("cat /srv/a.txt; ls /first /last").await? == "two/first\n/last\n");
    capsule.delete().await?;
    let changed_env = builder.build(recipe("2", "RUN date +%N >/last"), Some(archive("two")?)).await?;
    ensure!(cached(&changed_env) == [true, false, false, false], "{changed_env:#}");

    // What the first one has left is still known, although another template has the name now.
    let mut first = recipe("1", "RUN date +%N >/last");
    let build = builder.build(first.clone(), Some(archive("one")?)).await?;
    ensure!(cached(&build) == [true; 4], "{build:#}");
    first["no_cache"] = json!(true);
    let build = builder.build(first, Some(archive("one")?)).await?;
    ensure!(cached(&build) == [false; 4], "{build:#}");
    builder.delete_template("cached").await
}
