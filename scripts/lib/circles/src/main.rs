//! Finds circles of modules inside each crate of the workspace; `scripts/circles --help` says more.
//!
//! ```text
//!   source ─ syn ─▶ tree: modules, their names and uses ─ resolve ─▶ graph: file → file ─ components ─▶ rule
//! ```
//!
//! | module | content |
//! |---|---|
//! | `tree` | the modules of a crate and the files that hold them |
//! | `syntax` | names and attributes in a piece of source |
//! | `uses` | the paths that a piece of source uses, also inside of macros |
//! | `resolve` | from a path to the file that defines its item, through re-exports |
//! | `graph` | dependencies between files, their circles, and the rule |

mod graph;
mod resolve;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod uses;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use self::{
    graph::{Circle, Graph},
    tree::Tree,
};

const HELP: &str = "\
Finds circles of modules inside each crate of the workspace.

  scripts/circles            prints the circles that break the rule; fails if a crate has more of them than
                             scripts/circles.counts allows
  scripts/circles --list     prints every circle of two or more files

A circle is a strongly connected component of files. It breaks the rule if it crosses the top-level modules of its
crate (src/a uses src/b, which uses src/a), or holds more than five files. Below a circle stands a line for each use
that keeps it together: path:line → file (the path in the source).

A file depends on the file that defines what it uses: re-exports are followed to their end, and a line `mod` or
`pub use` is no use of a child by its parent. Tests are left out. Methods do not count, as only their types say
where they are defined.

A line of scripts/circles.counts is a crate and its files in circles that break the rule. A figure may only fall, and
the line of a crate without such circles must go.";

/// Figures of the crates that still break the rule, below the root of the workspace.
const COUNTS: &str = "scripts/circles.counts";

/// Crate of the workspace.
struct Package {
    /// Folder of the crate, relative to the workspace.
    folder: String,
    /// Roots of its library and its programs.
    roots: Vec<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let list = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--list"] => true,
        ["-h" | "--help"] => {
            println!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        _ => bail!("unknown arguments {arguments:?} (see --help)"),
    };
    let (workspace, packages) = packages()?;
    let allowed = read_counts(&workspace.join(COUNTS))?;
    let unknown = allowed.keys().find(|name| packages.iter().all(|package| package.folder != **name));
    ensure!(unknown.is_none(), "{COUNTS} has a line for {unknown:?}, which is no crate");
    let mut complaints = Vec::new();
    for package in packages {
        let mut graph = Graph::default();
        for root in &package.roots {
            let tree = Tree::load(root, &|path: &Path| fs::read_to_string(path).ok())?;
            graph.add(&tree);
        }
        let circles = graph.circles(&workspace.join(&package.folder).join("src"));
        let breaking: Vec<&Circle> = circles.iter().filter(|circle| circle.breaks_the_rule()).collect();
        for circle in &circles {
            if list || circle.breaks_the_rule() {
                print(&package.folder, circle, &workspace);
            }
        }
        let files: usize = breaking.iter().map(|circle| circle.files.len()).sum();
        complaints.extend(complaint(&package.folder, files, allowed.get(&package.folder).copied()));
    }
    if list || complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for complaint in complaints {
        eprintln!("error: {complaint}");
    }
    Ok(ExitCode::FAILURE)
}

/// Compares the files of a crate in circles that break the rule with the figure that is allowed.
fn complaint(folder: &str, files: usize, allowed: Option<usize>) -> Option<String> {
    match allowed {
        None if files > 0 => {
            Some(format!("{folder}: {files} files are in circles that break the rule (see --help)"))
        }
        Some(most) if files > most => {
            Some(format!("{folder}: {files} files are in such circles, {most} are allowed"))
        }
        Some(_) if files == 0 => {
            Some(format!("{folder}: no circle breaks the rule; remove its line from {COUNTS}"))
        }
        Some(most) if files < most => {
            Some(format!("{folder}: {files} of {most} files are left; lower the figure in {COUNTS}"))
        }
        _ => None,
    }
}

fn print(folder: &str, circle: &Circle, workspace: &Path) {
    let show = |path: &Path| path.strip_prefix(workspace).unwrap_or(path).display().to_string();
    let verdict = if circle.breaks_the_rule() { "breaks the rule" } else { "is allowed" };
    let modules = circle.top_level.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    println!("{folder}: a circle of {} files {verdict}; top-level modules: {modules}", circle.files.len());
    for edge in &circle.edges {
        println!("  {}:{} → {} ({})", show(&edge.from), edge.line, show(&edge.to), edge.path);
    }
}

/// Asks cargo for the folder of the workspace and its crates.
fn packages() -> anyhow::Result<(PathBuf, Vec<Package>)> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("cargo metadata lacks a text");
    let list = |value: &Value| value.as_array().cloned().context("cargo metadata lacks a list");
    let workspace = PathBuf::from(text(&metadata["workspace_root"])?);
    let mut packages = Vec::new();
    for package in list(&metadata["packages"])? {
        let manifest = PathBuf::from(text(&package["manifest_path"])?);
        let folder = manifest.parent().unwrap_or(&manifest);
        let folder = folder.strip_prefix(&workspace).unwrap_or(folder).display().to_string();
        let is_product = |target: &Value| {
            target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib" || kind == "bin"))
        };
        let roots = list(&package["targets"])?
            .iter()
            .filter(|target| is_product(target))
            .map(|target| Ok(PathBuf::from(text(&target["src_path"])?)))
            .collect::<anyhow::Result<_>>()?;
        packages.push(Package { folder, roots });
    }
    Ok((workspace, packages))
}

fn read_counts(path: &Path) -> anyhow::Result<BTreeMap<String, usize>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = |line: &str| {
        let (folder, files) = line.split_once(' ')?;
        Some((folder.to_owned(), files.trim().parse().ok()?))
    };
    text.lines()
        .map(|text| line(text).with_context(|| format!("{COUNTS}: `{text}` is no crate and figure")))
        .collect()
}
