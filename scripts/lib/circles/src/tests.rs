//! Small crates in memory, and the dependencies that are found in them.

use std::path::Path;

use crate::{
    complaint,
    graph::{Circle, Graph},
    tree::Tree,
};

/// Makes a graph of files, each given as its path below `src` and its text.
fn graph(files: &[(&str, &str)]) -> Graph {
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new("src").join(name) == path);
        found.map(|(_, text)| (*text).to_owned())
    };
    let tree = Tree::load(Path::new("src/lib.rs"), &read).unwrap();
    let mut graph = Graph::default();
    graph.add(&tree);
    graph
}

/// Finds the circles among files.
fn circles(files: &[(&str, &str)]) -> Vec<Circle> {
    graph(files).circles(Path::new("src"))
}

/// Finds the one circle that `a.rs` and `b.rs` make if `a.rs` has this text: `b.rs` uses `a.rs`, beside its own text.
///
/// Returns the reason for which `a.rs` depends on `b.rs`.
fn reason(a: &str, b: &str) -> Option<String> {
    let b = format!("use crate::a::A as _;\n{b}");
    let files = [("lib.rs", "mod a;\npub mod b;"), ("a.rs", a), ("b.rs", b.as_str())];
    let circles = circles(&files);
    let edge =
        circles.iter().flat_map(|circle| &circle.edges).find(|edge| edge.from == Path::new("src/a.rs"))?;
    Some(format!("{}: {}", edge.line, edge.path))
}

#[test]
fn a_use_in_each_direction_is_a_circle() {
    let text = "pub struct A;\nuse crate::b::B;\nfn f(_: B) {}";
    assert_eq!(reason(text, "pub struct B;").as_deref(), Some("2: crate::b::B"));
    assert_eq!(reason("pub struct A;", "pub struct B;"), None);
}

#[test]
fn trees_renames_and_globs_are_followed() {
    for import in [
        "use crate::{b::{self as other, B as C}};",
        "use super::b::{inner::{Inner, *}, B};",
        "use crate::b::*; struct D(B);",
        "use crate::b; struct D(b::B);",
        "use crate::b::{self}; struct D(b::inner::Inner);",
        "use crate::b as other; fn f() { other::inner::work() }",
        "struct D(crate::b::B);",
        "fn f() { use super::b::B; B::new() }",
        "pub use crate::b::B as C;",
        "impl crate::b::Trait for A {}",
        "use crate::b::Trait as _;",
    ] {
        let b = "pub struct B; pub trait Trait {} pub mod inner { pub struct Inner; pub fn work() {} }";
        assert!(reason(&format!("pub struct A; {import}"), b).is_some(), "{import}");
    }
}

#[test]
fn variants_are_uses_of_the_file_of_their_enum() {
    let b = "pub enum B { One, Two }";
    for import in
        ["use crate::b::B::{One, Two};", "use crate::b::B::*;", "fn f() -> u8 { crate::b::B::One as u8 }"]
    {
        assert!(reason(&format!("pub struct A; {import}"), b).is_some(), "{import}");
    }
}

#[test]
fn paths_in_macros_and_attributes_count() {
    let b = "pub struct B; pub fn check() {} #[macro_export] macro_rules! shout { () => {} }";
    for used in [
        "fn f() { println!(\"{}\", crate::b::check()) }",
        "fn f() { tokio::select! { _ = super::b::check() => {} } }",
        "use crate::b; fn f() { assert_eq!(b::check(), ()) }",
        "macro_rules! m { () => { $crate::b::check() } }",
        "macro_rules! m { () => { use crate::b::{check, B}; } }",
        "fn f() { crate::shout!() }",
        "#[serde(with = \"crate::b::B\")] struct C;",
        "#[derive(Clone, crate::b::B)] struct C;",
    ] {
        assert!(reason(&format!("pub struct A; {used}"), b).is_some(), "{used}");
    }
    let unused =
        "macro_rules! m { ($b:ident) => { x.crate_b(); $b::check(); other::b::check(); ::b::check() } }";
    assert_eq!(reason(&format!("pub struct A; {unused}"), b), None);
}

#[test]
fn items_that_a_macro_makes_are_found() {
    assert!(reason("pub struct A; use crate::b::Made;", "words! { pub enum Made { One } }").is_some());
}

#[test]
fn a_macro_that_is_found_by_its_place_counts() {
    let files = [
        ("lib.rs", "#[macro_use] mod b; mod a;"),
        ("a.rs", "pub struct A; shout!();"),
        ("b.rs", "use crate::a::A; macro_rules! shout { () => {} }"),
    ];
    assert_eq!(circles(&files)[0].files.len(), 2);
}

#[test]
fn tests_and_other_crates_do_not_count() {
    for unused in [
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(all(test, unix))] use crate::b::B;",
        "#[cfg(test)] impl A { fn f(_: crate::b::B) {} }",
        "impl A { #[cfg(test)] fn f(_: crate::b::B) {} }",
        "#[test] fn f() { crate::b::B; }",
        "use other::b::B;",
        "use ::b::B;",
        "fn f(b: u8) -> u8 { b }",
        "#[error(\"B\")] struct C;",
        "#[cfg(test)] mod missing;",
    ] {
        assert_eq!(reason(&format!("pub struct A; {unused}"), "pub struct B;"), None, "{unused}");
    }
}

#[test]
fn a_parent_does_not_depend_on_what_it_passes_on() {
    let child = ("host/connection.rs", "use super::Limit;\npub struct HostConnection(Limit);");
    for parent in [
        "mod connection;\npub(crate) use connection::HostConnection;",
        "mod connection;\npub use self::connection::*;",
    ] {
        let parent = format!("{parent}\npub struct Limit;");
        assert!(circles(&[("lib.rs", "mod host;"), ("host/mod.rs", &parent), child]).is_empty(), "{parent}");
    }
    let uses_it = "mod connection;\npub use connection::HostConnection;\npub struct Limit;\nstruct Own(HostConnection);";
    let circles = circles(&[("lib.rs", "mod host;"), ("host/mod.rs", uses_it), child]);
    assert_eq!(circles[0].edges.iter().map(|edge| edge.line).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn a_use_of_a_re_export_is_one_of_the_file_that_defines_it() {
    let files = [
        ("lib.rs", "mod host; mod sandbox; pub use host::HostConnection as Host;"),
        (
            "host/mod.rs",
            "mod connection; pub use connection::HostConnection; use crate::sandbox::Sandbox; struct S(Sandbox);",
        ),
        ("host/connection.rs", "pub struct HostConnection;"),
        ("sandbox.rs", "use crate::{host::HostConnection, Host}; pub struct Sandbox(HostConnection, Host);"),
    ];
    assert!(circles(&files).is_empty());
    let files = [
        files[0],
        files[1],
        ("host/connection.rs", "pub struct HostConnection(crate::sandbox::Sandbox);"),
        files[3],
    ];
    let circles = circles(&files);
    let edges: Vec<_> =
        circles[0].edges.iter().map(|edge| (edge.from.as_path(), edge.path.as_str())).collect();
    assert_eq!(
        edges,
        [
            (Path::new("src/host/connection.rs"), "crate::sandbox::Sandbox"),
            (Path::new("src/sandbox.rs"), "crate::host::HostConnection"),
        ]
    );
}

#[test]
fn a_name_can_be_a_module_and_a_function() {
    let files = [
        ("lib.rs", "mod work; pub use work::work; mod a;"),
        ("work.rs", "pub fn work() { crate::a::run() }"),
        ("a.rs", "use crate::work; pub fn run() { work() }"),
    ];
    assert_eq!(circles(&files)[0].files.len(), 2);
}

#[test]
fn imports_that_lead_in_a_circle_lead_nowhere() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub use crate::b::*;"),
        ("b.rs", "pub use crate::a::*; struct S(X);"),
    ];
    assert!(circles(&files).is_empty());
}

#[test]
fn folders_and_inline_modules_are_found() {
    let files = [
        ("lib.rs", "mod a; mod outer { pub mod inner; } #[path = \"elsewhere.rs\"] mod moved;"),
        ("a/mod.rs", "pub struct A(crate::outer::inner::Inner); pub mod deep;"),
        ("a/deep.rs", "pub mod deeper;"),
        ("a/deep/deeper.rs", "pub struct Deeper;"),
        ("outer/inner.rs", "pub struct Inner(crate::moved::Moved);"),
        ("elsewhere.rs", "pub struct Moved(crate::a::A);"),
    ];
    let circles = circles(&files);
    assert_eq!(circles[0].files.len(), 3);
    assert_eq!(circles[0].top_level.iter().collect::<Vec<_>>(), ["a", "elsewhere", "outer"]);
}

#[test]
fn a_circle_within_a_module_may_have_five_files() {
    let ring = |count: usize| {
        let parent: String = (0..count).map(|n| format!("mod f{n};")).collect();
        let files = (0..count)
            .map(|n| (format!("a/f{n}.rs"), format!("use super::f{}::T; pub struct T;", (n + 1) % count)));
        let files: Vec<_> = files
            .chain([("lib.rs".to_owned(), "mod a;".to_owned()), ("a/mod.rs".to_owned(), parent)])
            .collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        circles(&files).remove(0)
    };
    assert!(!ring(5).breaks_the_rule());
    assert!(ring(6).breaks_the_rule());
}

#[test]
fn figures_only_fall_and_end_at_none() {
    assert_eq!(complaint("a", 0, None), None);
    assert_eq!(complaint("a", 3, Some(3)), None);
    for (files, allowed) in [(1, None), (4, Some(3)), (2, Some(3)), (0, Some(3))] {
        assert!(complaint("a", files, allowed).is_some(), "{files} {allowed:?}");
    }
}
