//! Dependencies between files, their circles, and the rule that says which circles are too many.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    resolve::Target,
    tree::{ModuleId, Tree},
    uses::Use,
};

/// Most files that a circle may have.
const MOST_FILES: usize = 5;

/// Files of a crate, and the first use that makes one depend on another.
#[derive(Default)]
pub(crate) struct Graph {
    edges: BTreeMap<PathBuf, BTreeMap<PathBuf, Reason>>,
}

/// Use that makes a file depend on another.
struct Reason {
    line: usize,
    path: String,
}

/// Dependency of a file on another.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: PathBuf,
    pub(crate) line: usize,
    pub(crate) to: PathBuf,
    pub(crate) path: String,
}

/// Files that all depend on each other, with more than one of them.
#[derive(Debug)]
pub(crate) struct Circle {
    pub(crate) files: BTreeSet<PathBuf>,
    /// Top-level modules of the crate to which the files belong; the root of the crate is none.
    pub(crate) top_level: BTreeSet<String>,
    /// Dependencies between the files.
    pub(crate) edges: Vec<Edge>,
}

impl Circle {
    pub(crate) fn breaks_the_rule(&self) -> bool {
        self.top_level.len() > 1 || self.files.len() > MOST_FILES
    }
}

impl Graph {
    /// Adds the dependencies of a crate's files.
    pub(crate) fn add(&mut self, tree: &Tree) {
        for (id, module) in tree.modules.iter().enumerate() {
            for used in module.imports.iter().chain(&module.paths) {
                for target in tree.resolve(id, &used.path) {
                    self.add_use(tree, id, used, target);
                }
            }
            for used in &module.paths {
                if let Some(definer) = tree.textual_macro(&used.path)
                    && tree.resolve(id, &used.path).is_empty()
                {
                    self.add_use(tree, id, used, Target::Item(definer));
                }
            }
            for used in &module.reexports {
                for target in tree.resolve(id, &used.path) {
                    if !is_below(tree, target, id) {
                        self.add_use(tree, id, used, target);
                    }
                }
            }
        }
    }

    fn add_use(&mut self, tree: &Tree, user: ModuleId, used: &Use, target: Target) {
        // A module alone is no dependency: what is used of it stands in the code.
        let Target::Item(definer) = target else { return };
        let (from, to) = (&tree.modules[user].file, &tree.modules[definer].file);
        if from == to {
            return;
        }
        let reason = || Reason { line: used.line, path: used.path.join("::") };
        let reasons = self.edges.entry(from.clone()).or_default();
        let first = reasons.entry(to.clone()).or_insert_with(reason);
        if used.line < first.line {
            *first = reason();
        }
    }

    /// Returns the circles of two files or more, the largest first. `source` is the folder of the crate's modules.
    pub(crate) fn circles(&self, source: &Path) -> Vec<Circle> {
        let mut circles = Vec::new();
        let mut done: BTreeSet<&PathBuf> = BTreeSet::new();
        for file in self.edges.keys() {
            if done.contains(file) {
                continue;
            }
            let after = self.reachable(file);
            // Crates have a few hundred files, so that each search over all of them costs nothing.
            let files: BTreeSet<&PathBuf> =
                after.iter().copied().filter(|other| self.reachable(other).contains(file)).collect();
            done.extend(&files);
            if files.len() > 1 {
                circles.push(self.circle(files, source));
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.files.len()));
        circles
    }

    /// Returns the files on which a file depends, directly or not; itself only if it is part of a circle.
    fn reachable<'a>(&'a self, file: &'a PathBuf) -> BTreeSet<&'a PathBuf> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&PathBuf> = vec![file];
        while let Some(file) = open.pop() {
            let next = self.edges.get(file).into_iter().flat_map(BTreeMap::keys);
            open.extend(next.filter(|next| found.insert(*next)));
        }
        found
    }

    fn circle(&self, files: BTreeSet<&PathBuf>, source: &Path) -> Circle {
        let edges = files.iter().flat_map(|from| {
            self.edges[*from].iter().filter(|(to, _)| files.contains(to)).map(|(to, reason)| Edge {
                from: from.to_path_buf(),
                line: reason.line,
                to: to.clone(),
                path: reason.path.clone(),
            })
        });
        Circle {
            edges: edges.collect(),
            top_level: files.iter().filter_map(|file| top_level(file, source)).collect(),
            files: files.into_iter().cloned().collect(),
        }
    }
}

/// Returns true if an item is defined in a module below `ancestor`.
fn is_below(tree: &Tree, target: Target, ancestor: ModuleId) -> bool {
    let (Target::Item(id) | Target::Module(id)) = target;
    let parents = std::iter::successors(Some(id), |id| tree.modules[*id].parent);
    parents.into_iter().any(|id| id == ancestor)
}

/// Returns the top-level module to which a file belongs; `None` for the root of a crate.
fn top_level(file: &Path, source: &Path) -> Option<String> {
    let below = file.strip_prefix(source).unwrap_or(file);
    let first = below.components().next()?.as_os_str().to_string_lossy().into_owned();
    let name = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
    (!matches!(name.as_str(), "lib" | "main")).then_some(name)
}
