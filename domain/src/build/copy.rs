//! Selection of what `COPY` copies: entries of the archive, and their new names. No input or output.
//!
//! | written | meant |
//! |---|---|
//! | `COPY file target` | the file, as `target`; into it if that is a folder already |
//! | `COPY file target/` | the file, into the folder |
//! | `COPY folder target` | what is in the folder, into the folder `target` |
//! | `COPY a b target/` | all of them, into the folder |
//! | `COPY *.txt target/` | all that match, hidden ones too, where `*` and `?` stay within one folder's name |
//!
//! Folders that are missing are made.

use std::collections::BTreeMap;

use glob::{MatchOptions, Pattern};

use crate::archive::{Entry, Kind};

/// Destination of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// An absolute folder.
    pub folder: String,
    /// The name of a single file in it, unless it turns out that a folder of this name is there.
    pub name: Option<String>,
}

impl Target {
    /// Reads what was written as the target, `base` being where relative paths begin.
    pub fn of(base: &str, written: &str, is_several: bool) -> Self {
        let path = absolute(base, written);
        let is_folder = is_several || written.ends_with('/') || written.ends_with("/.") || written == ".";
        match path.rsplit_once('/') {
            Some((folder, name)) if !is_folder && !name.is_empty() => Self {
                folder: if folder.is_empty() { "/".to_owned() } else { folder.to_owned() },
                name: Some(name.to_owned()),
            },
            _ => Self { folder: path, name: None },
        }
    }

    /// The path as which a single file was meant.
    pub fn path(&self) -> String {
        match &self.name {
            Some(name) => format!("{}/{name}", self.folder.trim_end_matches('/')),
            None => self.folder.clone(),
        }
    }
}

/// Makes a path absolute, and takes out of it what means nothing; `..` at the root stays there.
pub fn absolute(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Why nothing can be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A source names no entry.
    #[error("the archive has no `{0}`")]
    NoEntry(String),
    /// A pattern matches no entry.
    #[error("nothing in the archive matches `{0}`")]
    NoMatch(String),
    /// A source with `*` or `?` is no valid pattern.
    #[error("`{pattern}` is no pattern: {reason}")]
    Pattern {
        /// The source.
        pattern: String,
        /// From the parser.
        reason: &'static str,
    },
    /// Two entries would get the same name.
    #[error("both `{first}` and `{second}` would become `{name}`")]
    Clash {
        /// Path of the one entry.
        first: String,
        /// Path of the other entry.
        second: String,
        /// Name below the target.
        name: String,
    },
}

/// A source: a file, or what is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    File(&'a str),
    Folder(&'a str),
}

/// Entries that are copied: the names in the archive, and those below the target's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Path in the archive to name below the target.
    pub names: BTreeMap<String, String>,
    /// The one file, if it is one, which takes the name of the target.
    pub single: Option<String>,
}

/// Selects the entries that `sources` name.
///
/// # Errors
/// See [`CopyError`].
pub fn select(entries: &[Entry], sources: &[String]) -> Result<Selection, CopyError> {
    let mut found = Vec::new();
    for source in sources {
        find(entries, source, &mut found)?;
    }
    let mut names = BTreeMap::new();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for source in &found {
        let prefix = match source {
            Source::File(path) => {
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                add(&mut names, &mut taken, path, name)?;
                continue;
            }
            Source::Folder("") => String::new(),
            Source::Folder(path) => format!("{path}/"),
        };
        for entry in entries {
            if let Some(name) = entry.path.strip_prefix(&prefix).filter(|name| !name.is_empty()) {
                add(&mut names, &mut taken, &entry.path, name.to_owned())?;
            }
        }
    }
    let single = match found[..] {
        [Source::File(path)] => Some(path.to_owned()),
        _ => None,
    };
    Ok(Selection { names, single })
}

fn add(
    names: &mut BTreeMap<String, String>,
    taken: &mut BTreeMap<String, String>,
    path: &str,
    name: String,
) -> Result<(), CopyError> {
    if let Some(first) = taken.insert(name.clone(), path.to_owned())
        && first != path
    {
        return Err(CopyError::Clash { first, second: path.to_owned(), name });
    }
    names.insert(path.to_owned(), name);
    Ok(())
}

fn find<'a>(entries: &'a [Entry], source: &str, found: &mut Vec<Source<'a>>) -> Result<(), CopyError> {
    let path = absolute("/", source);
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        found.push(Source::Folder(""));
        return Ok(());
    }
    if let Some(source) = exact(entries, path) {
        found.push(source);
        return Ok(());
    }
    if !path.contains(['*', '?', '[']) {
        return Err(CopyError::NoEntry(source.to_owned()));
    }
    let pattern = Pattern::new(path)
        .map_err(|error| CopyError::Pattern { pattern: source.to_owned(), reason: error.msg })?;
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        // As in a Dockerfile, and unlike a shell: `COPY * target/` copies everything that is there.
        require_literal_leading_dot: false,
    };
    let depth = path.split('/').count();
    let before = found.len();
    for entry in entries {
        // A folder matches also if no entry of its own names it.
        let Some(candidate) = leading(&entry.path, depth) else { continue };
        let Some(source) = exact(entries, candidate) else { continue };
        if pattern.matches_with(candidate, options) && !found[before..].contains(&source) {
            found.push(source);
        }
    }
    if found.len() == before { Err(CopyError::NoMatch(source.to_owned())) } else { Ok(()) }
}

/// The first parts of a path; none if it has fewer.
fn leading(path: &str, depth: usize) -> Option<&str> {
    match path.match_indices('/').nth(depth - 1) {
        Some((end, _)) => Some(&path[..end]),
        None => (path.split('/').count() == depth).then_some(path),
    }
}

/// The file or folder of exactly this path.
fn exact<'a>(entries: &'a [Entry], path: &str) -> Option<Source<'a>> {
    entries.iter().find_map(|entry| {
        if entry.path == path {
            return Some(match entry.kind {
                Kind::Directory => Source::Folder(&entry.path),
                _ => Source::File(&entry.path),
            });
        }
        let is_below = entry.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        is_below.then(|| Source::Folder(&entry.path[..path.len()]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let file = |path: &str| Entry {
            path: path.to_owned(),
            kind: Kind::File { size_bytes: 1, is_executable: false },
        };
        let folder = |path: &str| Entry { path: path.to_owned(), kind: Kind::Directory };
        vec![
            file("a.txt"),
            file("b.txt"),
            folder("app"),
            file("app/main.py"),
            file("app/lib/x.py"),
            file("deep/er/c.txt"),
            file(".hidden.txt"),
            file("deep/a.txt"),
        ]
    }

    fn names(sources: &[&str]) -> Result<Vec<(String, String)>, CopyError> {
        let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
        select(&entries(), &sources).map(|selection| selection.names.into_iter().collect())
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn files_keep_their_names_and_folders_give_what_is_in_them() {
        assert_eq!(names(&["a.txt"]).unwrap(), pairs(&[("a.txt", "a.txt")]));
        assert_eq!(names(&["./deep//er/c.txt"]).unwrap(), pairs(&[("deep/er/c.txt", "c.txt")]));
        let app = pairs(&[("app/lib/x.py", "lib/x.py"), ("app/main.py", "main.py")]);
        assert_eq!(names(&["app"]).unwrap(), app);
        assert_eq!(names(&["app/"]).unwrap(), app);
        // No entry of its own.
        assert_eq!(names(&["deep/er"]).unwrap(), pairs(&[("deep/er/c.txt", "c.txt")]));
        assert_eq!(names(&["."]).unwrap().len(), entries().len());
    }

    #[test]
    fn patterns_stay_within_a_folder_and_match_hidden_files() {
        assert_eq!(
            names(&["*.txt"]).unwrap(),
            pairs(&[(".hidden.txt", ".hidden.txt"), ("a.txt", "a.txt"), ("b.txt", "b.txt")])
        );
        assert_eq!(names(&["*hidden*"]).unwrap().len(), 1);
        assert_eq!(names(&["[ab].txt"]).unwrap().len(), 2);
        assert_eq!(
            names(&["d*p"]).unwrap(),
            pairs(&[("deep/a.txt", "a.txt"), ("deep/er/c.txt", "er/c.txt")])
        );
        assert_eq!(names(&["*/er/*"]).unwrap(), pairs(&[("deep/er/c.txt", "c.txt")]));
        assert_eq!(names(&["*.md"]), Err(CopyError::NoMatch("*.md".into())));
        assert!(matches!(names(&["[a"]), Err(CopyError::Pattern { .. })));
    }

    #[test]
    fn what_is_not_there_or_would_overwrite_itself_is_named() {
        assert_eq!(names(&["c.txt"]), Err(CopyError::NoEntry("c.txt".into())));
        assert_eq!(names(&["ap"]), Err(CopyError::NoEntry("ap".into())));
        assert!(matches!(names(&["a.txt", "deep"]), Err(CopyError::Clash { name, .. }) if name == "a.txt"));
        assert_eq!(names(&["a.txt", "a.txt"]).unwrap().len(), 1);
    }

    #[test]
    fn only_one_file_takes_the_name_of_the_target() {
        let single = |sources: &[&str]| {
            let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
            select(&entries(), &sources).unwrap().single
        };
        assert_eq!(single(&["a.txt"]).as_deref(), Some("a.txt"));
        assert_eq!(single(&["app"]), None);
        assert_eq!(single(&["*.txt"]), None);
    }

    #[test]
    fn a_target_is_a_folder_if_it_says_so() {
        let target = |written| Target::of("/srv", written, false);
        assert_eq!(target("x"), Target { folder: "/srv".into(), name: Some("x".into()) });
        assert_eq!(target("x/"), Target { folder: "/srv/x".into(), name: None });
        assert_eq!(target("."), Target { folder: "/srv".into(), name: None });
        assert_eq!(target("/x"), Target { folder: "/".into(), name: Some("x".into()) });
        assert_eq!(target("/").path(), "/");
        assert_eq!(target("../../y").path(), "/y");
        assert_eq!(Target::of("/", "x", true), Target { folder: "/x".into(), name: None });
    }
}
