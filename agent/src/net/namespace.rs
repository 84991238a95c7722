//! Doing something inside a network namespace.
//!
//! A thread enters a namespace for good and is thrown away afterwards: a thread of a pool that came back in the
//! wrong namespace would send somebody's packets to the wrong world.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

/// Path of a namespace that has a name.
pub(crate) fn path_of(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Runs `work` on a new thread inside a network namespace. Processes that it starts run there too.
pub(super) async fn inside<T: Send + 'static>(
    netns: PathBuf,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, result) = oneshot::channel();
    thread::Builder::new().name("in-netns".into()).spawn(move || {
        let entered = File::open(&netns).and_then(|file| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(io::Error::from)
        });
        // Nobody waits any more if the caller was dropped.
        let _ = sender.send(entered.and_then(|()| work()));
    })?;
    result.await.unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
}

/// Runs a program, with `input` on its standard input; the error holds what it said. Blocks.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> io::Result<()> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{program} failed ({}): {}", output.status, said.trim())));
    }
    written
}
