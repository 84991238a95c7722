//! Pseudo-terminals.
//!
//! ```text
//!   Terminal (master) ◀─── kernel's line discipline ───▶ slave: stdin, stdout and stderr of the process
//!       what is typed ─▶                                        and of what it starts
//! ```
//!
//! The kernel does what a terminal does: echo, lines, Ctrl-C as a signal, the news that the window has another size.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use bytes::BytesMut;
use nix::{
    errno::Errno,
    fcntl::OFlag,
    pty::{PtyMaster, posix_openpt, unlockpt},
    sys::stat::{Mode, fchmod},
    unistd::{Gid, Uid, fchown},
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{lock::Lock, sys};

/// Owner's group of terminals, everywhere: programs that write to other users' terminals belong to it.
const TTY_GROUP: u32 = 5;
/// The owner reads and writes, the group writes.
const SLAVE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IWGRP);
/// The kernel hands out less than this at a time.
const READ_BYTES: usize = 8 * 1024;

/// Size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// Width; at least 1.
    pub cols: u16,
    /// Height; at least 1.
    pub rows: u16,
}

/// The end of a terminal that the daemon holds.
#[derive(Debug)]
pub(super) struct Terminal {
    master: AsyncFd<PtyMaster>,
    /// Kept open while the process runs: one that closes its terminal and opens it again is not at its end.
    slave: Lock<Option<OwnedFd>>,
}

/// The end of a terminal that a process gets, as its standard input, output and error.
#[derive(Debug)]
pub(super) struct Slave {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    pub(super) error: OwnedFd,
}

impl Terminal {
    /// Makes a terminal that belongs to `owner`; none leaves it to the daemon's own user.
    ///
    /// # Errors
    /// What the kernel says, for example that there are too many.
    pub(super) fn open(size: WindowSize, owner: Option<Uid>) -> io::Result<(Self, Slave)> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags | OFlag::O_NONBLOCK)?;
        unlockpt(&master)?;
        let slave = sys::open_terminal_peer(&master, flags.bits())?;
        sys::set_window_size(&master, size.cols, size.rows)?;
        if owner.is_some() {
            fchown(slave.as_fd(), owner, Some(Gid::from_raw(TTY_GROUP)))?;
            fchmod(slave.as_fd(), SLAVE_MODE)?;
        }
        let copies =
            Slave { input: slave.try_clone()?, output: slave.try_clone()?, error: slave.try_clone()? };
        Ok((Self { master: sys::watch_terminal(master)?, slave: Lock::new(Some(slave)) }, copies))
    }

    /// Appends what was printed to the buffer; nothing when no process has the terminal any more.
    pub(super) async fn read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let read = |master: &PtyMaster| {
            let mut bytes = [0; READ_BYTES];
            let length = nix::unistd::read(master, &mut bytes)?;
            buffer.extend_from_slice(&bytes[..length]);
            Ok(length)
        };
        self.when(Interest::READABLE, read).await
    }

    /// Types.
    ///
    /// # Errors
    /// `WriteZero` when no process has the terminal any more.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.when(Interest::WRITABLE, |master| nix::unistd::write(master, bytes)).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        Ok(())
    }

    /// Reads or writes as soon as that is possible; zero when no process has the terminal any more.
    async fn when(
        &self,
        interest: Interest,
        mut act: impl FnMut(&PtyMaster) -> nix::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let mut ready = self.master.ready(interest).await?;
            match act(self.master.get_ref()) {
                // A terminal that is hung up is ready for ever, whether it takes anything or not.
                Err(Errno::EAGAIN) if ready.ready().is_read_closed() || ready.ready().is_write_closed() => {
                    return Ok(0);
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(Errno::EIO) => return Ok(0),
                result => return Ok(result?),
            }
        }
    }

    /// Lets the terminal end as soon as no process has it any more.
    pub(super) fn let_go(&self) {
        self.slave.lock().take();
    }

    /// Changes the size; the kernel tells the programs in the foreground.
    pub(super) fn resize(&self, size: WindowSize) -> io::Result<()> {
        sys::set_window_size(self.master.get_ref(), size.cols, size.rows)
    }
}
