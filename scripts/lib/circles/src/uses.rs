//! The paths that an item uses, in its code, in its attributes, and in what it passes to macros.

use std::collections::HashSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, Item, ItemUse, Macro, Meta, PatIdent, Path,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::syntax::{is_test, name_of, texts};

/// A path that is used, as it stands in the source.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Use {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Uses of an item.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) paths: Vec<Use>,
    /// Imports inside of functions.
    pub(crate) imports: Vec<ItemUse>,
}

/// Returns the uses of an item that is no `use` and no module.
pub(crate) fn of(item: &Item) -> Found {
    let mut finder = Finder::default();
    if !matches!(item, Item::Use(_)) {
        finder.visit_item(item);
    }
    let Finder { found, locals, .. } = finder;
    // A variable may have the name of a function that is imported.
    let is_local = |used: &Use| matches!(&used.path[..], [name] if locals.contains(name));
    let paths = found.paths.into_iter().filter(|used| !is_local(used)).collect();
    Found { paths, ..found }
}

#[derive(Default)]
struct Finder {
    found: Found,
    /// Names of variables.
    locals: HashSet<String>,
}

impl Finder {
    fn add(&mut self, path: Vec<String>, line: usize) {
        if path.first().is_some_and(|first| first != "Self") {
            self.found.paths.push(Use { path, line });
        }
    }

    /// Takes a path in quotes, as `#[serde(with = "…")]` has it.
    fn add_text(&mut self, text: &syn::LitStr) {
        // A single word is a message or a name for others.
        if let Ok(path) = text.parse::<Path>()
            && path.segments.len() > 1
        {
            self.visit_path(&path);
        }
    }

    /// Finds paths in tokens that need not be Rust. `prefix` is the path before a group of a `use`.
    fn scan(&mut self, tokens: TokenStream, prefix: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, wanted: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
        let is_separator = |at: usize| is(at, ':') && is(at + 1, ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let TokenTree::Ident(first) = token else {
                if let TokenTree::Group(group) = token {
                    self.scan(group.stream(), prefix);
                }
                at += 1;
                continue;
            };
            let line = first.span().start().line;
            // A field, a method, or a path of another crate.
            let is_continued = at > 0 && is(at - 1, '.') && !(at > 1 && is(at - 2, '.'));
            let is_foreign = at > 1 && is_separator(at - 2);
            // A variable of a macro; `$crate` is the crate that defines the macro.
            let is_variable = at > 0 && is(at - 1, '$') && first != "crate";
            let mut path = prefix.to_vec();
            path.push(name_of(first));
            at += 1;
            let mut group = None;
            while is_separator(at) {
                match tokens.get(at + 2) {
                    Some(TokenTree::Ident(next)) => path.push(name_of(next)),
                    Some(TokenTree::Group(found)) if found.delimiter() == Delimiter::Brace => {
                        group = Some(found.stream());
                    }
                    _ => break,
                }
                at += 3;
            }
            if is_continued || is_foreign || is_variable {
                continue;
            }
            match group {
                Some(group) => self.scan(group, &path),
                None => {
                    let name = path.last().map_or("", String::as_str);
                    let is_call = is(at, '!')
                        || matches!(tokens.get(at), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
                    if path.len() > 1 || is_call || name.starts_with(char::is_uppercase) {
                        self.add(path, line);
                    }
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !item.attrs.iter().any(is_test) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.found.imports.push(item.clone());
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| name_of(&segment.ident)).collect();
            self.add(names, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = name_of(&pattern.ident);
        // A constant or a variant in a pattern looks like a variable; the case of its name tells.
        if !name.starts_with(char::is_uppercase) {
            self.locals.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone(), &[]);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // The names of attributes themselves are those of other crates.
        match &attribute.meta {
            Meta::List(list) => {
                self.scan(list.tokens.clone(), &[]);
                texts(list.tokens.clone()).into_iter().for_each(|text| self.add_text(&text));
            }
            Meta::NameValue(meta) => {
                if let Expr::Path(path) = &meta.value {
                    self.visit_path(&path.path);
                }
            }
            Meta::Path(_) => {}
        }
    }
}
