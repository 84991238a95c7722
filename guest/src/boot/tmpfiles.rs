//! Folders, files and links that packages of the image want at each boot, as their `tmpfiles.d` says.
//!
//! Carries out the part of the format that creates things: `d D v q Q e` (folders), `f f+ F` (files), `L L+ L?` (links),
//! `w w+` (texts written to files that exist) and `z Z` (mode and owner). Nothing is removed and nothing grows old: `/run` is new
//! with each boot, and `/tmp` belongs to the user. Lines with other types, patterns or specifiers are skipped, and so is
//! what the filesystem refuses.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, lchown, symlink},
    path::{Path, PathBuf},
};

use super::settings::files_by_name;
use crate::{accounts, files::read_text};

/// Places of the files; one hides a file of the same name in a later folder.
const FOLDERS: [&str; 3] = ["/etc/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"];
/// Folders that every Debian server has in `/run`. `sshd` refuses to start without its own.
const ALWAYS: &str = "d /run/lock 1777 root root\nd /run/sshd 0755 root root\nd /run/user 0755 root root";
/// Entries that one `Z` changes, at most: a boot must not walk a large disk.
const MAX_RECURSIVE: usize = 10_000;

/// Carries out all lines. What fails is printed on the console.
pub(super) fn create() {
    let users = Users { passwd: text("/etc/passwd"), group: text("/etc/group") };
    let files = files_by_name(&FOLDERS.map(Path::new), "conf");
    let texts = files.iter().map(|path| read_text(path).unwrap_or_default());
    for text in std::iter::once(ALWAYS.to_owned()).chain(texts) {
        for line in text.lines().filter_map(parse) {
            if let Err(error) = line.carry_out(&users) {
                eprintln!("wrenn-guest: tmpfiles.d: {}: {error}", line.path.display());
            }
        }
    }
}

/// Returns the text of a file of the image; one that cannot be read names nobody.
fn text(path: &str) -> String {
    read_text(Path::new(path)).unwrap_or_default()
}

/// The names by which lines give owners.
struct Users {
    passwd: String,
    group: String,
}

impl Users {
    fn uid(&self, name: &str) -> io::Result<u32> {
        let account = accounts::find(name, &self.passwd, &self.group);
        account.map(|account| account.uid).or_else(|| name.parse().ok()).ok_or_else(|| unknown("user", name))
    }

    fn gid(&self, name: &str) -> io::Result<u32> {
        let gid = accounts::gid_of(name, &self.group).or_else(|| name.parse().ok());
        gid.or_else(|| (name == "root").then_some(0)).ok_or_else(|| unknown("group", name))
    }
}

fn unknown(what: &str, name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no {what} {name}"))
}

/// The thing that a line makes or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    /// A folder that is there.
    ExistingFolder,
    File,
    /// A file whose content is replaced.
    FileAnew,
    Link,
    /// A link that takes the place of what is there.
    LinkAnew,
    Write,
    Append,
    Rights,
    RightsBelow,
}

/// A line of a `tmpfiles.d` file.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    kind: Kind,
    path: PathBuf,
    mode: Option<u32>,
    user: Option<String>,
    group: Option<String>,
    argument: String,
}

fn parse(line: &str) -> Option<Line> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    let mut field = || {
        let (field, after) = next_field(rest);
        rest = after;
        field
    };
    let (kind, path, mode, user, group) = (field()?, field()?, field(), field(), field());
    let _age = field();
    let argument = rest.trim();
    // `!` is for boots, which this is; `-` and `=` change what happens on errors.
    let kind = match kind.trim_end_matches(['!', '-', '=']) {
        "d" | "D" | "v" | "q" | "Q" => Kind::Folder,
        "e" => Kind::ExistingFolder,
        "f" => Kind::File,
        "f+" | "F" => Kind::FileAnew,
        "L" | "L?" => Kind::Link,
        "L+" => Kind::LinkAnew,
        "w" => Kind::Write,
        "w+" => Kind::Append,
        "z" => Kind::Rights,
        "Z" => Kind::RightsBelow,
        _ => return None,
    };
    let path = expand(&path)?;
    if !path.starts_with('/') || path.contains(['*', '?', '[']) || path.split('/').any(|part| part == "..") {
        return None;
    }
    let given = |value: Option<String>| value.filter(|value| value != "-");
    let owner = |value: Option<String>| given(value).map(|name| name.trim_start_matches(':').to_owned());
    let mode = given(mode).and_then(|mode| u32::from_str_radix(mode.trim_start_matches(['~', ':']), 8).ok());
    let argument = if argument == "-" { String::new() } else { expand(argument)? };
    Some(Line { kind, path: path.into(), mode, user: owner(user), group: owner(group), argument })
}

/// Takes the next field off a line; one in quotes may contain spaces.
fn next_field(line: &str) -> (Option<String>, &str) {
    let line = line.trim_start();
    if line.is_empty() {
        return (None, line);
    }
    if let Some(quote @ ('"' | '\'')) = line.chars().next()
        && let Some((field, rest)) = line[1..].split_once(quote)
    {
        return (Some(field.to_owned()), rest);
    }
    match line.find(char::is_whitespace) {
        Some(end) => (Some(line[..end].to_owned()), &line[end..]),
        None => (Some(line.to_owned()), ""),
    }
}

/// Fills in specifiers that a capsule knows; `None` for a text with others.
fn expand(text: &str) -> Option<String> {
    let mut expanded = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            expanded.push(character);
            continue;
        }
        expanded.push_str(match characters.next()? {
            '%' => "%",
            't' => "/run",
            'T' => "/tmp",
            'V' => "/var/tmp",
            'S' => "/var/lib",
            'C' => "/var/cache",
            'L' => "/var/log",
            _ => return None,
        });
    }
    Some(expanded)
}

impl Line {
    fn carry_out(&self, users: &Users) -> io::Result<()> {
        match self.kind {
            Kind::Folder => {
                fs::create_dir_all(&self.path)?;
                self.set_rights(users, &self.path, Some(0o755))
            }
            Kind::ExistingFolder if !self.path.is_dir() => Ok(()),
            Kind::ExistingFolder => self.set_rights(users, &self.path, None),
            Kind::File if self.path.exists() => self.set_rights(users, &self.path, None),
            Kind::File | Kind::FileAnew => {
                self.write(OpenOptions::new().create(true).truncate(true))?;
                self.set_rights(users, &self.path, Some(0o644))
            }
            // Without a target it would lead to a copy of systemd's own.
            Kind::Link | Kind::LinkAnew if self.argument.is_empty() => Ok(()),
            Kind::Link if self.path.symlink_metadata().is_ok() => Ok(()),
            Kind::Link | Kind::LinkAnew => self.link(users),
            Kind::Write | Kind::Append if !self.path.exists() => Ok(()),
            Kind::Write => self.write(&mut OpenOptions::new()),
            Kind::Append => self.write(OpenOptions::new().append(true)),
            Kind::Rights | Kind::RightsBelow if self.path.symlink_metadata().is_err() => Ok(()),
            Kind::Rights => self.set_rights(users, &self.path, None),
            Kind::RightsBelow => self.set_rights_below(users),
        }
    }

    fn write(&self, options: &mut OpenOptions) -> io::Result<()> {
        // Without waiting: a pipe may stand there.
        let mut file =
            options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&self.path)?;
        file.write_all(unescape(&self.argument).as_bytes())
    }

    fn link(&self, users: &Users) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        if self.kind == Kind::LinkAnew && self.path.symlink_metadata().is_ok() {
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir(&self.path)?,
                other => other?,
            }
        }
        symlink(&self.argument, &self.path)?;
        let (uid, gid) = self.owner(users)?;
        lchown(&self.path, uid, gid)
    }

    fn set_rights(&self, users: &Users, path: &Path, default_mode: Option<u32>) -> io::Result<()> {
        if path.symlink_metadata()?.is_symlink() {
            return Ok(());
        }
        let (uid, gid) = self.owner(users)?;
        // The owner first, since changing it takes set-user-id bits away.
        chown(path, uid, gid)?;
        match self.mode.or(default_mode) {
            Some(mode) => fs::set_permissions(path, Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }

    fn set_rights_below(&self, users: &Users) -> io::Result<()> {
        let mut left = vec![self.path.clone()];
        for _ in 0..MAX_RECURSIVE {
            let Some(path) = left.pop() else { return Ok(()) };
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                left.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
            }
            self.set_rights(users, &path, None)?;
        }
        Err(io::Error::other("there is too much below it, the rest is left as it is"))
    }

    fn owner(&self, users: &Users) -> io::Result<(Option<u32>, Option<u32>)> {
        let uid = self.user.as_deref().map(|name| users.uid(name)).transpose()?;
        let gid = self.group.as_deref().map(|name| users.gid(name)).transpose()?;
        Ok((uid, gid))
    }
}

/// Resolves the escapes that arguments use.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\x20", " ").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: Kind, path: &str) -> Line {
        Line { kind, path: path.into(), mode: None, user: None, group: None, argument: String::new() }
    }

    #[test]
    fn lines_are_read_as_the_manual_has_them() {
        let postgres = Line {
            mode: Some(0o2775),
            user: Some("postgres".into()),
            group: Some("postgres".into()),
            ..line(Kind::Folder, "/run/postgresql")
        };
        assert_eq!(parse("d /run/postgresql 2775 postgres postgres - -"), Some(postgres));
        assert_eq!(parse("d! %t/x").unwrap(), line(Kind::Folder, "/run/x"));
        let link = Line { argument: "../run/shm".into(), ..line(Kind::LinkAnew, "/dev/x") };
        assert_eq!(parse("L+ /dev/x - - - - ../run/shm").unwrap(), link);
        let file = Line { mode: Some(0o600), argument: "a text".into(), ..line(Kind::File, "/run/a b") };
        assert_eq!(parse("f \"/run/a b\" ~0600 - - - a text").unwrap(), file);
    }

    #[test]
    fn lines_that_a_capsule_does_not_carry_out_are_skipped() {
        for skipped in [
            "",
            "# d /run/x",
            "r! /run/x",
            "x /tmp/*",
            "d /run/*",
            "d run/x",
            "d /run/%m",
            "d /run/../etc",
            "d",
        ] {
            assert_eq!(parse(skipped), None, "{skipped:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_made_and_what_exists_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let users = Users { passwd: String::new(), group: String::new() };
        let carry_out = |text: &str| parse(text).unwrap().carry_out(&users);
        let root = folder.path().display();
        carry_out(&format!("d {root}/a/b 1777 - - -")).unwrap();
        assert_eq!(fs::metadata(at("a/b")).unwrap().permissions().mode() & 0o7777, 0o1777);
        carry_out(&format!("f {root}/file 0600 - - - one\\n")).unwrap();
        carry_out(&format!("f {root}/file - - - - two")).unwrap();
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "one\n");
        carry_out(&format!("F {root}/file - - - - two")).unwrap();
        carry_out(&format!("w+ {root}/file - - - - three")).unwrap();
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "twothree");
        carry_out(&format!("L {root}/link - - - - file")).unwrap();
        carry_out(&format!("L+ {root}/link - - - - other")).unwrap();
        assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("other"));
        carry_out(&format!("w {root}/missing - - - - x")).unwrap();
        assert!(!at("missing").exists());
        let error = carry_out(&format!("d {root}/a - nobody-of-this-name - -")).unwrap_err();
        assert_eq!(error.to_string(), "there is no user nobody-of-this-name");
    }
}
