//! Starting a VMM: the one place where something happens between `fork` and `exec`.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    io::{FdFlags, fcntl_setfd},
    process::{WaitId, WaitIdOptions, setsid, waitid},
    thread::{LinkNameSpaceType, move_into_link_name_space, set_no_new_privs},
};

use super::{ProcessIdentity, process::send_kill};

/// How much a VMM may say on its standard output and error together, in bytes.
const LOG_SIZE: u64 = 64 * 1024;

/// A program to start detached from the agent.
pub(super) struct Detached {
    /// The program.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<OsString>,
    /// Network namespace to run in.
    pub(super) netns: PathBuf,
    /// Files into which it writes `0` to join its cgroup.
    pub(super) cgroup_procs: Vec<PathBuf>,
    /// Descriptor to inherit under its own number; everything else is closed.
    pub(super) inherit: OwnedFd,
}

/// A process that was started. Dropped, it is killed: whoever wants it to live calls [`Started::release`].
pub(super) struct Started {
    pub(super) identity: ProcessIdentity,
    pub(super) pidfd: OwnedFd,
    /// Where its standard output and error go.
    pub(super) log: VmmLog,
    killer: KillOnDrop,
}

impl Started {
    /// Lets the process live on its own.
    pub(super) fn release(self) -> (OwnedFd, VmmLog) {
        self.killer.disarm();
        (self.pidfd, self.log)
    }
}

/// Kills a child and takes its status, so that a boot that fails or is given up leaves nothing.
///
/// By its pidfd, so that a child whose status was taken elsewhere is not mistaken for whoever has its pid now.
struct KillOnDrop(Option<OwnedFd>);

impl KillOnDrop {
    fn disarm(mut self) {
        self.0.take();
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let Some(pidfd) = self.0.take() else { return };
        if let Err(error) = send_kill(&pidfd) {
            tracing::error!(%error, "cannot end a process that was given up");
            return;
        }
        // Blocks for as long as the kernel needs to end it. An error means that its status was taken already.
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

/// Why a program could not be started; nothing of it is left.
pub(super) enum SpawnError {
    /// This path could not be opened or made.
    Open(PathBuf, io::Error),
    /// The program itself could not be started.
    Exec(io::Error),
}

/// Starts a program in its own session, namespace and cgroup. Blocks for some milliseconds.
///
/// The program is not tied to the agent: it does not get the agent's signals, and lives on when it ends.
#[expect(unsafe_code, reason = "a namespace and a cgroup must be joined between fork and exec")]
pub(super) fn spawn(detached: Detached) -> Result<Started, SpawnError> {
    let open = |options: &OpenOptions, path: &Path| {
        options.open(path).map_err(|error| SpawnError::Open(path.to_owned(), error))
    };
    let netns = open(OpenOptions::new().read(true), &detached.netns)?;
    let cgroup_procs: Vec<File> = detached
        .cgroup_procs
        .iter()
        .map(|path| open(OpenOptions::new().write(true), path))
        .collect::<Result<_, _>>()?;
    let log = VmmLog::create().map_err(|error| SpawnError::Open("memfd".into(), error))?;
    let log_ends = log.ends().map_err(|error| SpawnError::Open("memfd".into(), error))?;
    let inherit = detached.inherit;

    let mut command = Command::new(&detached.program);
    command.args(&detached.args).current_dir("/").env_clear().stdin(Stdio::null());
    command.stdout(log_ends.0).stderr(log_ends.1);
    let in_child = move || {
        // Its own session: a Ctrl-C at the agent's terminal does not reach it.
        setsid()?;
        for mut file in &cgroup_procs {
            io::Write::write_all(&mut file, b"0")?;
        }
        set_no_new_privs(true)?;
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        // Every descriptor of the agent closes on exec; this one alone stays.
        fcntl_setfd(&inherit, FdFlags::empty())?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe things may happen, as another thread may have held
    // any lock while forking. The closure only makes system calls (setsid, write, prctl, setns, fcntl) on descriptors
    // that were opened before; it neither allocates nor locks.
    unsafe { command.pre_exec(in_child) };

    let mut child = command.spawn().map_err(SpawnError::Exec)?;
    // The child is ours, so its pid stays taken until it is reaped, which nobody else does. If it has ended
    // already its start time can still be read, as that of a zombie.
    let identified = ProcessIdentity::of_child(&child);
    let (identity, pidfd) = identified.inspect_err(|_| end(&mut child)).map_err(SpawnError::Exec)?;
    let killer = pidfd.try_clone().inspect_err(|_| end(&mut child)).map_err(SpawnError::Exec)?;
    // Dropping the standard library's handle neither kills the child nor takes its status.
    Ok(Started { identity, pidfd, log, killer: KillOnDrop(Some(killer)) })
}

/// Ends a child that cannot be watched.
fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::error!(pid = child.id(), %error, "cannot end a process that was given up");
    }
}

/// Standard output and error of a VMM: a memory file that cannot grow.
///
/// It exists as long as the process or a reader holds it, fills no disk, and never blocks its writer: what does
/// not fit is an error to the VMM, which ignores it.
pub(super) struct VmmLog(File);

impl VmmLog {
    fn create() -> io::Result<Self> {
        let memfd = memfd_create("wrenn-vmm-log", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&memfd, LOG_SIZE)?;
        fcntl_add_seals(&memfd, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self(memfd.into()))
    }

    /// The log of a process that somebody else started.
    pub(super) fn of_process(pid: u32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/fd/2")).map(Self)
    }

    /// Two descriptors that share one position, so that output and errors do not overwrite each other.
    fn ends(&self) -> io::Result<(Stdio, Stdio)> {
        Ok((self.0.try_clone()?.into(), self.0.try_clone()?.into()))
    }

    /// What was written so far; never more than the file can hold.
    pub(super) fn text(&self) -> String {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; LOG_SIZE as usize];
        let length = self.0.read_at(&mut bytes, 0).unwrap_or(0);
        bytes.truncate(length);
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
    }
}

/// Number of a descriptor, for an argument that names it.
pub(super) fn fd_number(fd: &OwnedFd) -> String {
    fd.as_raw_fd().to_string()
}
