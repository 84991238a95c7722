//! How many files, sockets and pidfds a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files to what it may give itself.
///
/// The usual 1024 are for programs that use `select`. An agent has several descriptors for each machine, slot and
/// tunnel, a server some for each client; out of descriptors, both would fail in places where nobody expects it.
/// What is wrong with the limit is logged; it is then as it was.
pub fn raise_open_files_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(before = current, now = maximum, "limit of open files raised"),
        Err(error) => tracing::warn!(%error, limit = current, "limit of open files not raised"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_maximum() {
        raise_open_files_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
