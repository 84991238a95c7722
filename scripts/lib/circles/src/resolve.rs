//! From a path to what it names, through imports, re-exports and globs.

use crate::tree::{ModuleId, Name, Tree};

/// Thing that a path names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// An item, which this module defines.
    Item(ModuleId),
    /// A module.
    Module(ModuleId),
}

/// A lookup that is under way: a name in a module. Imports that lead back to it lead nowhere.
type Pending<'a> = Vec<(ModuleId, &'a str)>;

impl Tree {
    /// Returns all that a path in a module may name: the same name can be a module, a type and a function. Nothing is
    /// returned for a path into another crate.
    pub(crate) fn resolve(&self, module: ModuleId, path: &[String]) -> Vec<Target> {
        self.resolve_within(module, path, &mut Vec::new())
    }

    /// Returns the module that defines a macro which is found by its place in the text.
    pub(crate) fn textual_macro(&self, path: &[String]) -> Option<ModuleId> {
        match path {
            [name] => self.macros.get(name).copied(),
            _ => None,
        }
    }

    fn resolve_within<'a>(
        &'a self,
        module: ModuleId,
        path: &'a [String],
        pending: &mut Pending<'a>,
    ) -> Vec<Target> {
        let (mut start, mut rest) = (None, path);
        while let Some((first, others)) = rest.split_first() {
            let next = match first.as_str() {
                "crate" => Some(0),
                "self" => start.or(Some(module)),
                "super" => self.modules[start.unwrap_or(module)].parent,
                _ => break,
            };
            if next.is_none() {
                return Vec::new();
            }
            (start, rest) = (next, others);
        }
        let mut targets = match (start, rest) {
            (Some(start), _) => vec![Target::Module(start)],
            (None, [first, others @ ..]) => {
                rest = others;
                self.look_up(module, first, pending)
            }
            (None, []) => return Vec::new(),
        };
        for name in rest {
            let inside: Vec<Target> = targets
                .iter()
                .filter_map(|target| match target {
                    Target::Module(id) => Some(self.look_up(*id, name, pending)),
                    Target::Item(_) => None,
                })
                .flatten()
                .collect();
            if inside.is_empty() {
                // A variant, or another thing that belongs to the item.
                targets.retain(|target| matches!(target, Target::Item(_)));
                break;
            }
            targets = inside;
        }
        targets
    }

    fn look_up<'a>(&'a self, module: ModuleId, name: &'a str, pending: &mut Pending<'a>) -> Vec<Target> {
        if pending.contains(&(module, name)) {
            // A name may be imported from a module of the same name, as in `mod a; use a::a;`.
            return self.own(module, name).collect();
        }
        pending.push((module, name));
        let mut targets: Vec<Target> = self.own(module, name).collect();
        let here = &self.modules[module];
        for meaning in here.names.get(name).into_iter().flatten() {
            if let Name::Import(path) = meaning {
                for target in self.resolve_within(module, path, pending) {
                    if !targets.contains(&target) {
                        targets.push(target);
                    }
                }
            }
        }
        if targets.is_empty() && !here.names.contains_key(name) {
            for glob in &here.globs {
                for target in self.resolve_within(module, glob, pending) {
                    if let Target::Module(id) = target {
                        targets.extend(self.look_up(id, name, pending));
                    }
                }
            }
            if targets.is_empty() && here.made.contains(name) {
                targets.push(Target::Item(module));
            }
        }
        pending.pop();
        targets
    }

    /// Iterates over what a module itself defines under a name.
    fn own(&self, module: ModuleId, name: &str) -> impl Iterator<Item = Target> {
        self.modules[module].names.get(name).into_iter().flatten().filter_map(|meaning| match meaning {
            Name::Item(definer) => Some(Target::Item(*definer)),
            Name::Module(id) => Some(Target::Module(*id)),
            Name::Import(_) => None,
        })
    }
}
