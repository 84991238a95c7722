//! Facts about pieces of source: names, attributes, words.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{Attribute, Expr, ExprLit, Item, Lit, LitStr, Meta, punctuated::Punctuated};

/// Returns the name that an item defines.
pub(crate) fn defined(item: &Item) -> Option<String> {
    Some(name_of(match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    }))
}

/// Returns every word in a stream of tokens.
pub(crate) fn words(tokens: TokenStream) -> HashSet<String> {
    let mut words = HashSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => drop(words.insert(name_of(&ident))),
            TokenTree::Group(group) => words.extend(self::words(group.stream())),
            _ => {}
        }
    }
    words
}

/// Returns the literals in a stream of tokens that are text.
pub(crate) fn texts(tokens: TokenStream) -> Vec<LitStr> {
    let mut texts = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Literal(literal) => {
                texts.extend(syn::parse_str(&literal.to_string()).map(|mut text: LitStr| {
                    text.set_span(literal.span());
                    text
                }))
            }
            TokenTree::Group(group) => texts.extend(self::texts(group.stream())),
            _ => {}
        }
    }
    texts
}

/// Returns the path of `#[path = "…"]`.
pub(crate) fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) = &meta.value else { return None };
    meta.path.is_ident("path").then(|| path.value())
}

/// Returns true for `#[test]` and its like, and for `#[cfg(…)]` that only tests fulfil.
pub(crate) fn is_test(attribute: &Attribute) -> bool {
    let name = attribute.path().segments.last().map(|last| last.ident.to_string());
    match name.as_deref() {
        Some("test") => true,
        Some("cfg") => attribute.parse_args().is_ok_and(|meta| needs_test(&meta)),
        _ => false,
    }
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        _ => false,
    }
}

/// Returns the attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns a name without the `r#` of a raw one.
pub(crate) fn name_of(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}
