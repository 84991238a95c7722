//! The modules of a crate: which names each has, which paths it uses, and in which file it stands.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use anyhow::Context;
use syn::{Attribute, Item, ItemUse, UseTree, Visibility, spanned::Spanned};

use crate::{
    syntax::{attributes, defined, is_test, name_of, path_attribute, words},
    uses::{self, Use},
};

/// Index of a module in [`Tree::modules`].
pub(crate) type ModuleId = usize;

/// A crate.
#[derive(Default)]
pub(crate) struct Tree {
    /// Modules; the first one is the root.
    pub(crate) modules: Vec<Module>,
    /// Names of macros that are found by their place in the text, not by a path, and the modules that define them.
    pub(crate) macros: HashMap<String, ModuleId>,
}

/// A module.
#[derive(Default)]
pub(crate) struct Module {
    /// `None` for the root.
    pub(crate) parent: Option<ModuleId>,
    /// File in which the module stands.
    pub(crate) file: PathBuf,
    /// Names in its scope. One name can be a module, a type and a function at the same time.
    pub(crate) names: HashMap<String, Vec<Name>>,
    /// Paths of its glob imports.
    pub(crate) globs: Vec<Vec<String>>,
    /// Words in calls of macros that stand where items do: some of them are names of items that the macro makes.
    pub(crate) made: HashSet<String>,
    /// Its imports that are no re-exports.
    pub(crate) imports: Vec<Use>,
    /// Its re-exports.
    pub(crate) reexports: Vec<Use>,
    /// Paths in its code.
    pub(crate) paths: Vec<Use>,
}

/// Meaning of a name.
pub(crate) enum Name {
    /// An item, which this module defines; another one than the module with the name if it is an exported macro.
    Item(ModuleId),
    /// A module.
    Module(ModuleId),
    /// A path that was imported, under its own name or another one.
    Import(Vec<String>),
}

/// Returns the text of a file; `None` if there is no such file.
pub(crate) type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

impl Tree {
    /// Reads the crate with this root, without its tests.
    pub(crate) fn load(root: &Path, read: Read<'_>) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        let folder = root.parent().unwrap_or(root);
        tree.load_file(None, root, folder, read)?;
        Ok(tree)
    }

    fn load_file(
        &mut self,
        parent: Option<ModuleId>,
        file: &Path,
        folder: &Path,
        read: Read<'_>,
    ) -> anyhow::Result<ModuleId> {
        let text = read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        self.add_module(parent, file, folder, parsed.items, read)
    }

    /// Adds a module; its children without a body stand in `folder`.
    fn add_module(
        &mut self,
        parent: Option<ModuleId>,
        file: &Path,
        folder: &Path,
        items: Vec<Item>,
        read: Read<'_>,
    ) -> anyhow::Result<ModuleId> {
        let id = self.modules.len();
        self.modules.push(Module { parent, file: file.to_owned(), ..Module::default() });
        for item in items {
            if attributes(&item).iter().any(is_test) {
                continue;
            }
            match item {
                Item::Mod(module) => {
                    let name = name_of(&module.ident);
                    let child = match module.content {
                        Some((_, items)) => {
                            self.add_module(Some(id), file, &folder.join(&name), items, read)?
                        }
                        None => {
                            let (file, folder) = find_file(&module.attrs, &name, file, folder, read)?;
                            self.load_file(Some(id), &file, &folder, read)?
                        }
                    };
                    self.modules[id].define(name, Name::Module(child));
                }
                item => self.add_item(id, &item),
            }
        }
        Ok(id)
    }

    fn add_item(&mut self, id: ModuleId, item: &Item) {
        match item {
            Item::Use(item) => self.modules[id].import(item),
            Item::Macro(item) => match &item.ident {
                Some(name) => {
                    let name = name_of(name);
                    if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                        // Found below the root, wherever it is defined.
                        self.modules[0].define(name.clone(), Name::Item(id));
                    }
                    self.modules[id].define(name.clone(), Name::Item(id));
                    self.macros.insert(name, id);
                }
                None => self.modules[id].made.extend(words(item.mac.tokens.clone())),
            },
            item => {
                if let Some(name) = defined(item) {
                    self.modules[id].define(name, Name::Item(id));
                }
            }
        }
        let found = uses::of(item);
        for nested in &found.imports {
            self.modules[id].import(nested);
        }
        self.modules[id].paths.extend(found.paths);
    }
}

impl Module {
    fn define(&mut self, name: String, meaning: Name) {
        self.names.entry(name).or_default().push(meaning);
    }

    /// Takes up the names of a `use`.
    fn import(&mut self, item: &ItemUse) {
        // A path from `::` on begins with the name of another crate.
        if item.leading_colon.is_some() {
            return;
        }
        let line = item.span().start().line;
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        for Leaf { path, name, line: own } in leaves {
            match name {
                Some(name) if name == "*" => self.globs.push(path.clone()),
                Some(name) if name != "_" => self.define(name, Name::Import(path.clone())),
                _ => {}
            }
            let found = Use { path, line: own.unwrap_or(line) };
            if is_reexport { self.reexports.push(found) } else { self.imports.push(found) }
        }
    }
}

/// Name that a `use` brings into scope.
struct Leaf {
    path: Vec<String>,
    /// Name in the scope of the module; `*` for all names of the path.
    name: Option<String>,
    line: Option<usize>,
}

fn flatten(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<Leaf>) {
    let mut leaf = |last: Option<String>, name: Option<String>, line: usize| {
        let path: Vec<String> = prefix.iter().cloned().chain(last).collect();
        leaves.push(Leaf { path, name, line: Some(line) });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(name_of(&path.ident));
            flatten(&path.tree, prefix, leaves);
            prefix.pop();
        }
        // `a::{self}` is the path `a`.
        UseTree::Name(name) if name.ident == "self" && !prefix.is_empty() => {
            leaf(None, prefix.last().cloned(), name.ident.span().start().line);
        }
        UseTree::Name(name) => {
            let text = name_of(&name.ident);
            leaf(Some(text.clone()), Some(text), name.ident.span().start().line);
        }
        UseTree::Rename(renamed) => {
            let last = (renamed.ident != "self").then(|| name_of(&renamed.ident));
            leaf(last, Some(name_of(&renamed.rename)), renamed.ident.span().start().line);
        }
        UseTree::Glob(glob) => leaf(None, Some("*".to_owned()), glob.span().start().line),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, leaves)),
    }
}

/// Returns the file of a module without a body, and the folder of its children.
fn find_file(
    attributes: &[Attribute],
    name: &str,
    parent: &Path,
    folder: &Path,
    read: Read<'_>,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    if let Some(path) = attributes.iter().find_map(path_attribute) {
        let file = parent.parent().unwrap_or(parent).join(path);
        let folder = file.parent().unwrap_or(&file).to_owned();
        return Ok((file, folder));
    }
    let below = folder.join(name);
    [folder.join(format!("{name}.rs")), below.join("mod.rs")]
        .into_iter()
        .find(|file| read(file).is_some())
        .map(|file| (file, below))
        .with_context(|| format!("{}: module `{name}` has no file", parent.display()))
}
