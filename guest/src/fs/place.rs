//! Where something is: a path as a caller writes it down.

use std::{
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::error::FsError;

/// A path of a request, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// As the kernel is to take it: a `/` at its end counts.
    pub(super) raw: PathBuf,
    /// As it is shown: without `.`, repeated slashes and those at its end.
    pub(super) shown: PathBuf,
}

impl Place {
    /// Takes the path `text` of the request's `field`; a relative one is meant from `home`.
    pub(super) fn new(home: &Path, field: &'static str, text: &str) -> Result<Self, FsError> {
        if text.is_empty() {
            return Err(FsError::EmptyPath { field });
        }
        if text.contains('\0') {
            return Err(FsError::ZeroByte { field });
        }
        // A home that is not absolute itself is meant from the root.
        let raw = Path::new("/").join(home).join(text);
        let shown = raw.components().collect();
        Ok(Self { raw, shown })
    }

    /// The same, if it has a last part: something in a folder, which can be removed or moved.
    pub(super) fn named(self) -> Result<Self, FsError> {
        let last = self
            .raw
            .as_os_str()
            .as_encoded_bytes()
            .split(|&byte| byte == b'/')
            .rfind(|part| !part.is_empty());
        match last {
            None | Some(b"." | b"..") => Err(FsError::NoName(self.shown)),
            Some(_) => Ok(self),
        }
    }

    /// Whether it ends in a `/`, as only a folder's path does.
    pub(super) fn is_folders(&self) -> bool {
        self.raw.as_os_str().as_encoded_bytes().ends_with(b"/")
    }
}

/// A name, as the kernel says it.
pub(super) fn path_of(name: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::new(Path::new("/home/dev"), "path", text).unwrap()
    }

    #[test]
    fn a_relative_path_is_meant_from_home() {
        assert_eq!(place("a/./b//c/").shown, Path::new("/home/dev/a/b/c"));
        assert_eq!(place("/etc").raw, Path::new("/etc"));
        assert_eq!(place("../x").shown, Path::new("/home/dev/../x"));
        assert_eq!(Place::new(Path::new("odd"), "path", "x").unwrap().raw, Path::new("/odd/x"));
    }

    #[test]
    fn no_path_is_empty_or_has_a_zero_byte() {
        let home = Path::new("/");
        assert!(matches!(Place::new(home, "to", ""), Err(FsError::EmptyPath { field: "to" })));
        assert!(matches!(Place::new(home, "path", "a\0b"), Err(FsError::ZeroByte { field: "path" })));
    }

    #[test]
    fn the_root_and_dots_have_no_name() {
        for text in ["/", "//", "/.", "/..", "a/..", "a/.", ".", ".."] {
            assert!(matches!(place(text).named(), Err(FsError::NoName(_))), "{text}");
        }
        for text in ["/a", "a/", "a/...", ".a"] {
            assert!(place(text).named().is_ok(), "{text}");
        }
    }
}
