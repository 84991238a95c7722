//! Who is who inside the capsule, read from the image's own `/etc/passwd` and `/etc/group`.
//!
//! The files are parsed here because the daemon is statically linked: the C library's lookups would
//! load plug-ins from the image. They belong to the capsule and may be missing or wrong; a malformed
//! line is skipped, and an image without the files still has root.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use crate::files::read_text;

/// A user of the capsule, with everything a process needs in order to run as that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Every group the user is in, the primary one first.
    pub groups: Vec<u32>,
    /// Home directory; it need not exist.
    pub home: PathBuf,
    /// Login shell.
    pub shell: String,
}

/// Why a user could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Neither a name nor a user id in the file.
    #[error("no such user: {0}")]
    Unknown(String),
    /// The file is there but cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Looks a user up by name, or by user id where no name fits, in the capsule's files. May block for as long as their
/// filesystem does.
///
/// # Errors
/// [`LookupError::Unknown`] when there is no such user; [`LookupError::Read`] when a file is unreadable.
pub fn lookup(user: &str) -> Result<Account, LookupError> {
    let passwd = read_or_empty("/etc/passwd")?;
    let group = read_or_empty("/etc/group")?;
    find(user, &passwd, &group).ok_or_else(|| LookupError::Unknown(user.to_owned()))
}

fn read_or_empty(path: &'static str) -> Result<String, LookupError> {
    read_text(Path::new(path)).map_err(|source| LookupError::Read { path, source })
}

/// Finds a user in the text of a passwd and a group file.
pub fn find(user: &str, passwd: &str, group: &str) -> Option<Account> {
    let entries = || passwd.lines().filter_map(parse_passwd_line);
    let mut account = entries()
        .find(|account| account.name == user)
        .or_else(|| {
            let uid: u32 = user.parse().ok()?;
            entries().find(|account| account.uid == uid)
        })
        .or_else(|| (user == "root").then(root))?;
    for gid in group.lines().filter_map(|line| parse_membership(line, &account.name)) {
        if !account.groups.contains(&gid) {
            account.groups.push(gid);
        }
    }
    Some(account)
}

/// Returns the number of a group, from the text of a group file.
pub fn gid_of(name: &str, group: &str) -> Option<u32> {
    group.lines().filter_map(parse_group_line).find(|(found, _)| *found == name).map(|(_, gid)| gid)
}

/// The names of users and groups by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Reads the capsule's files; what cannot be read has no names. May block for as long as their filesystem does.
    pub fn read() -> Self {
        let text = |path| read_or_empty(path).unwrap_or_default();
        Self::parse(&text("/etc/passwd"), &text("/etc/group"))
    }

    /// Takes them from the text of a passwd and a group file. Of two names for a number the first one counts.
    pub fn parse(passwd: &str, group: &str) -> Self {
        let mut names = Self::default();
        for account in passwd.lines().filter_map(parse_passwd_line) {
            names.users.entry(account.uid).or_insert(account.name);
        }
        for (name, gid) in group.lines().filter_map(parse_group_line) {
            names.groups.entry(gid).or_insert_with(|| name.to_owned());
        }
        names
    }

    /// The name of a user, or its number where it has none.
    pub fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    /// The name of a group, or its number where it has none.
    pub fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}

/// The account that exists even in an image without any file.
fn root() -> Account {
    Account {
        name: "root".to_owned(),
        uid: 0,
        gid: 0,
        groups: vec![0],
        home: PathBuf::from("/root"),
        shell: "/bin/sh".to_owned(),
    }
}

/// `name:password:uid:gid:comment:home:shell`
fn parse_passwd_line(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
    if name.is_empty() {
        return None;
    }
    let gid = gid.parse().ok()?;
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid,
        groups: vec![gid],
        home: PathBuf::from(if home.is_empty() { "/" } else { home }),
        shell: if shell.is_empty() { "/bin/sh" } else { shell }.to_owned(),
    })
}

/// `group:password:gid:member,member`; the gid if `user` is a member.
fn parse_membership(line: &str, user: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[_, _, gid, members] = fields.as_slice() else { return None };
    members.split(',').any(|member| member == user).then(|| gid.parse().ok())?
}

/// `group:password:gid:members`; name and gid.
fn parse_group_line(line: &str) -> Option<(&str, u32)> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, gid, _] = fields.as_slice() else { return None };
    if name.is_empty() { None } else { Some((name, gid.parse().ok()?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n\
        broken:x:notanumber:1:::\n\
        short:x:5\n\
        :x:7:7:::\n\
        dev:x:1000:1001:Dev,,,:/home/dev:/bin/zsh\n\
        plain:x:1002:1002:::\n\
        1000:x:4000:4000::/home/digits:/bin/sh\n";
    const GROUP: &str =
        "root:x:0:\nsudo:x:27:dev,other\ndev:x:1001:dev\nbad:x:no:dev\nx\ndocker:x:99:developer\n";

    #[test]
    fn a_user_is_found_with_the_groups_that_list_it() {
        let account = find("dev", PASSWD, GROUP).unwrap();
        assert_eq!((account.uid, account.gid), (1000, 1001));
        assert_eq!(account.groups, [1001, 27]);
        assert_eq!(account.home, PathBuf::from("/home/dev"));
        assert_eq!(account.shell, "/bin/zsh");
    }

    #[test]
    fn a_name_is_preferred_to_a_user_id() {
        assert_eq!(find("1000", PASSWD, GROUP).unwrap().uid, 4000);
        assert_eq!(find("1002", PASSWD, GROUP).unwrap().name, "plain");
    }

    #[test]
    fn empty_fields_have_the_usual_meaning() {
        let account = find("plain", PASSWD, GROUP).unwrap();
        assert_eq!(account.home, PathBuf::from("/"));
        assert_eq!(account.shell, "/bin/sh");
    }

    #[test]
    fn malformed_lines_are_nobody() {
        for user in ["broken", "short", "", "# a comment", "5", "7"] {
            assert_eq!(find(user, PASSWD, GROUP), None, "{user:?}");
        }
    }

    #[test]
    fn numbers_have_the_first_of_their_names_or_stay_numbers() {
        let names = Names::parse("root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n", GROUP);
        assert_eq!((names.user(0), names.user(5)), ("root".into(), "5".into()));
        assert_eq!((names.group(27), names.group(1000)), ("sudo".into(), "1000".into()));
    }

    #[test]
    fn an_image_without_files_still_has_root() {
        assert_eq!(find("root", "", "").unwrap().uid, 0);
        assert_eq!(find("dev", "", ""), None);
    }
}
