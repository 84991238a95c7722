//! The system calls that no safe wrapper exists for; the only `unsafe` of the daemon.

#![expect(
    unsafe_code,
    reason = "the kernel interfaces below have no safe wrapper; each use says why it is sound"
)]

use std::{
    ffi::CString,
    fs::File,
    io,
    marker::PhantomData,
    mem::{self, size_of},
    net::Ipv4Addr,
    os::{
        fd::{AsRawFd, FromRawFd as _, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{self, Command, ExitStatus},
    sync::Arc,
};

use nix::{
    pty::PtyMaster,
    unistd::{Gid, Pid, getgroups},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Filesystem ioctls of `linux/fs.h`, which `libc` does not define.
const FIFREEZE: libc::Ioctl = 0xC004_5877;
const FITHAW: libc::Ioctl = 0xC004_5878;
/// Random device ioctls of `linux/random.h`.
const RNDADDENTROPY: libc::Ioctl = 0x4008_5203;
const RNDRESEEDCRNG: libc::Ioctl = 0x5207;
/// Resizes a mounted ext4 filesystem, to a number of its blocks.
const EXT4_IOC_RESIZE_FS: libc::Ioctl = 0x4008_6610;

/// Largest number of a signal.
const LAST_SIGNAL: libc::c_int = 64;

/// Size of the kernel's `struct sigaction` on 64-bit machines, in words: handler, flags, restorer, signal set.
const KERNEL_SIGACTION_WORDS: usize = 4;

/// Most entropy that one call of [`add_entropy`] takes.
pub const MAX_ENTROPY_BYTES: usize = 512;

/// Reaps one exited child without blocking: `pid`, or any.
pub(crate) fn reap(pid: Option<Pid>) -> Option<(Pid, ExitStatus)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result and lives through the call.
    let reaped = unsafe { libc::waitpid(pid.map_or(-1, Pid::as_raw), &raw mut status, libc::WNOHANG) };
    (reaped > 0).then(|| (Pid::from_raw(reaped), ExitStatus::from_raw(status)))
}

/// Sends a signal, by number, to every process of a group; a group that is gone is no error.
pub(crate) fn signal_group(leader: Pid, number: i32) {
    // SAFETY: takes numbers only.
    unsafe { libc::killpg(leader.as_raw(), number) };
}

/// Lets this thread run before all ordinary ones. Threads and processes that it starts are ordinary.
///
/// # Errors
/// `EPERM` without the right to raise the priority.
pub(crate) fn run_before_all_others() -> io::Result<()> {
    // SAFETY: plain numbers, for which zero is a valid value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = 1;
    // SAFETY: the kernel reads one `sched_param`; 0 is this thread.
    check(unsafe {
        libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameters)
    })
}

/// Moves the time of day by seconds and nanoseconds, the latter from 0 to 999,999,999.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn step_clock(seconds: i64, nanoseconds: i64) -> io::Result<()> {
    adjust_clock(libc::ADJ_SETOFFSET | libc::ADJ_NANO, |request| {
        request.time = libc::timeval { tv_sec: seconds, tv_usec: nanoseconds };
    })
}

/// Moves the time of day little by little, as `adjtime` does; replaces what is left of an earlier move.
///
/// # Errors
/// Those of the kernel.
pub(crate) fn slew_clock(microseconds: i64) -> io::Result<()> {
    adjust_clock(libc::ADJ_OFFSET_SINGLESHOT, |request| request.offset = microseconds)
}

fn adjust_clock(modes: libc::c_uint, fill: impl FnOnce(&mut libc::timex)) -> io::Result<()> {
    // SAFETY: plain numbers, for which zero is a valid value.
    let mut request: libc::timex = unsafe { mem::zeroed() };
    request.modes = modes;
    fill(&mut request);
    // SAFETY: the kernel reads and writes one `timex`, which lives through the call.
    let state = unsafe { libc::clock_adjtime(libc::CLOCK_REALTIME, &raw mut request) };
    // A state of the clock, such as one that is not synchronised, is no error.
    check(state.min(0))
}

/// Who and where a child is to be, set between fork and exec.
#[derive(Debug)]
pub(crate) struct ChildSetup {
    /// Identity to take on; none keeps the daemon's own.
    pub identity: Option<Identity>,
    /// Working directory, entered as that identity.
    pub cwd: CString,
    /// The open `cgroup.procs` of the cgroup to move into.
    pub cgroup_procs: Option<OwnedFd>,
    /// What its standard input is.
    pub input: InputKind,
}

/// What the standard input of a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputKind {
    /// Something that is read.
    Plain,
    /// A terminal, to be the one that controls the child's session.
    Terminal,
}

/// Numeric identity of a process.
#[derive(Debug)]
pub(crate) struct Identity {
    /// User id.
    pub uid: libc::uid_t,
    /// Group id.
    pub gid: libc::gid_t,
    /// All groups.
    pub groups: Vec<libc::gid_t>,
}

/// Makes `command`'s child the leader of a new session, in its cgroup, with default signals, its identity and directory.
///
/// The order matters: the cgroup needs root, the directory is to be entered with the user's own rights.
pub(crate) fn set_up_child(command: &mut Command, setup: ChildSetup) {
    let enter = move || {
        if let Some(procs) = &setup.cgroup_procs {
            // Best effort: without it the process group alone is killed on a timeout.
            // SAFETY: the buffer is a constant of the given length.
            unsafe { libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) };
        }
        // SAFETY: takes no arguments.
        check(unsafe { libc::setsid() })?;
        // A signal that the daemon was started to ignore would be ignored by the command, too, and a shell could not change that.
        // The raw call: the C library's wrapper refuses the signals that it keeps for itself (from 32 on).
        let default = [0_u64; KERNEL_SIGACTION_WORDS];
        for signal in 1..=LAST_SIGNAL {
            // SAFETY: the pointer is to a zeroed array, at least as large as the kernel's structure, which means the default; the
            // last number is the size of the kernel's signal set. It fails for signals that nobody may handle.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    default.as_ptr(),
                    std::ptr::null::<u64>(),
                    8_usize,
                )
            };
        }
        if setup.input == InputKind::Terminal {
            // SAFETY: takes numbers only; the child's standard streams are in place already.
            check(unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) })?;
        }
        if let Some(identity) = &setup.identity {
            // The raw calls: the C library's wrappers would try to change other threads as well.
            // SAFETY: the pointer and length describe a vector that `setup` owns; the rest are numbers.
            unsafe {
                check(libc::syscall(libc::SYS_setgroups, identity.groups.len(), identity.groups.as_ptr()))?;
                check(libc::syscall(libc::SYS_setresgid, identity.gid, identity.gid, identity.gid))?;
                check(libc::syscall(libc::SYS_setresuid, identity.uid, identity.uid, identity.uid))?;
            }
        }
        // SAFETY: a zero-terminated string that `setup` owns.
        check(unsafe { libc::chdir(setup.cwd.as_ptr()) })
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made: plain system calls on memory
    // that was allocated before the fork, and errors that carry nothing but `errno`.
    unsafe { command.pre_exec(enter) };
}

/// Opens the other end of a pseudo-terminal, whatever is mounted where its name would be.
///
/// # Errors
/// `EIO` if the terminal is locked; otherwise what the kernel says.
pub(crate) fn open_terminal_peer(master: &impl AsRawFd, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let peer = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    check(peer)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(peer) })
}

/// Registers the daemon's end of a terminal with the runtime, in whose context this must be called.
///
/// # Errors
/// What the kernel says.
pub(crate) fn watch_terminal(master: PtyMaster) -> io::Result<AsyncFd<PtyMaster>> {
    // SAFETY: a `PtyMaster` owns its descriptor until it is dropped, and gives it to nobody.
    Ok(unsafe { AsyncFd::register(master) }?)
}

/// Sets the size of a terminal's window, in characters.
///
/// # Errors
/// What the kernel says.
pub(crate) fn set_window_size(terminal: &impl AsRawFd, cols: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one `winsize`.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
}

/// Another user's rights in the filesystem: those of this thread, until it is dropped.
///
/// What is made belongs to that user, and the kernel refuses what the user may not do. The other threads, and what
/// else this one may do, stay as they are.
#[derive(Debug)]
pub(crate) struct FsRights {
    before: Identity,
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl FsRights {
    /// Takes the rights of `identity`.
    ///
    /// # Errors
    /// `EPERM` if the daemon is not root; the thread then has the rights that it had.
    pub(crate) fn take(identity: &Identity) -> io::Result<Self> {
        let groups = getgroups()?.into_iter().map(Gid::as_raw).collect();
        let before = Identity { uid: set_fs_uid(UNCHANGED), gid: set_fs_gid(UNCHANGED), groups };
        set_groups(&identity.groups)?;
        let rights = Self { before, thread: PhantomData };
        set_fs_gid(identity.gid);
        set_fs_uid(identity.uid);
        // Neither call says whether it did anything. Should one have done nothing, dropping `rights` takes all back.
        if set_fs_gid(UNCHANGED) != identity.gid || set_fs_uid(UNCHANGED) != identity.uid {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        Ok(rights)
    }
}

impl Drop for FsRights {
    fn drop(&mut self) {
        set_fs_uid(self.before.uid);
        set_fs_gid(self.before.gid);
        let is_restored = set_groups(&self.before.groups).is_ok()
            && set_fs_uid(UNCHANGED) == self.before.uid
            && set_fs_gid(UNCHANGED) == self.before.gid;
        if !is_restored {
            // The thread would go on to serve others, with rights that are not its own.
            eprintln!("wrenn-guest: a thread could not get its rights back");
            process::abort();
        }
    }
}

/// No id: the calls below change nothing then.
const UNCHANGED: u32 = u32::MAX;

/// Sets the user id that counts in the filesystem, for this thread, and returns what it was.
fn set_fs_uid(uid: libc::uid_t) -> libc::uid_t {
    // SAFETY: takes a number only. What it returns is an id, which fits.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) as libc::uid_t }
}

/// Sets the group id that counts in the filesystem, for this thread, and returns what it was.
fn set_fs_gid(gid: libc::gid_t) -> libc::gid_t {
    // SAFETY: takes a number only. What it returns is an id, which fits.
    unsafe { libc::syscall(libc::SYS_setfsgid, gid) as libc::gid_t }
}

/// Sets the groups of this thread; the C library's wrapper would try to change other threads as well.
fn set_groups(groups: &[libc::gid_t]) -> io::Result<()> {
    // SAFETY: pointer and length describe a slice that lives through the call.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
}

/// Lets the runtime wait until there is something to read.
///
/// # Errors
/// What the kernel says, for example for want of memory.
pub(crate) fn watch_readable(fd: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: the descriptor is owned by what is registered, and so stays open and the same until that is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(registered?)
}

/// Mixes bytes into the kernel's random pool, credits them, and has the generator start anew from the pool.
///
/// Without the last a kernel whose generator is seeded already goes on with its old key for up to a minute: two
/// machines restored from one snapshot would draw the same numbers.
///
/// # Errors
/// `InvalidInput` above [`MAX_ENTROPY_BYTES`]; otherwise what the kernel says.
pub(crate) fn add_entropy(bytes: &[u8]) -> io::Result<()> {
    #[repr(C)]
    struct RandPoolInfo {
        entropy_bits: libc::c_int,
        size_bytes: libc::c_int,
        buffer: [u8; MAX_ENTROPY_BYTES],
    }
    let mut pool = RandPoolInfo { entropy_bits: 0, size_bytes: 0, buffer: [0; MAX_ENTROPY_BYTES] };
    let Some(buffer) = pool.buffer.get_mut(..bytes.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    buffer.copy_from_slice(bytes);
    // At most 512 bytes, so neither figure can overflow.
    pool.size_bytes = bytes.len() as libc::c_int;
    pool.entropy_bits = pool.size_bytes * 8;
    let device = File::options().write(true).open("/dev/urandom")?;
    // SAFETY: the kernel reads `size_bytes` bytes behind the two integers, which the buffer holds.
    check(unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const pool) })?;
    // SAFETY: the call ignores its argument.
    match check(unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG, 0) }) {
        // Not seeded yet: its first seed will be made of what was just added.
        Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(()),
        other => other,
    }
}

/// Grows the mounted ext4 filesystem that holds `directory` to `blocks` of its blocks; one that has as many
/// already stays as it is.
///
/// # Errors
/// `ENOTTY` if it is no ext4; otherwise what the kernel says.
pub(crate) fn grow_ext4(directory: &File, blocks: u64) -> io::Result<()> {
    // SAFETY: the kernel reads one 64-bit number.
    check(unsafe { libc::ioctl(directory.as_raw_fd(), EXT4_IOC_RESIZE_FS, &raw const blocks) })
}

/// Writes back the filesystem that holds `directory` and stops writes to it. Blocks until it is quiet.
///
/// # Errors
/// `EBUSY` if it is frozen already; otherwise what the kernel says.
pub(crate) fn freeze(directory: &File) -> io::Result<()> {
    // SAFETY: the call ignores its argument.
    check(unsafe { libc::ioctl(directory.as_raw_fd(), FIFREEZE, 0) })
}

/// Lets writes go on.
///
/// # Errors
/// `EINVAL` if it is not frozen; otherwise what the kernel says.
pub(crate) fn thaw(directory: &File) -> io::Result<()> {
    // SAFETY: the call ignores its argument.
    check(unsafe { libc::ioctl(directory.as_raw_fd(), FITHAW, 0) })
}

/// Gives an interface its IPv4 address.
///
/// # Errors
/// What the kernel says, for example `ENODEV`.
pub(crate) fn set_interface_address(
    socket: &impl AsRawFd,
    interface: &str,
    address: Ipv4Addr,
    prefix: u8,
) -> io::Result<()> {
    let mut request = interface_request(interface)?;
    request.ifr_ifru.ifru_addr = socket_address(address);
    // SAFETY: the kernel reads one `ifreq`, whose address member is set.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request) })?;
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    request.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::from(mask));
    // SAFETY: as above.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFNETMASK, &raw const request) })
}

/// Brings an interface up.
///
/// # Errors
/// What the kernel says, for example `ENODEV`.
pub(crate) fn set_interface_up(socket: &impl AsRawFd, interface: &str) -> io::Result<()> {
    let mut request = interface_request(interface)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads one `ifreq`, whose flags member is set.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

/// Sends everything that is not local to `gateway`.
///
/// # Errors
/// What the kernel says, for example `ENETUNREACH` if no interface is in the gateway's network.
pub(crate) fn add_default_route(socket: &impl AsRawFd, gateway: Ipv4Addr) -> io::Result<()> {
    // SAFETY: every field is a number, an array of numbers or a pointer, for which zero is a valid value.
    let mut route: libc::rtentry = unsafe { mem::zeroed() };
    route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = socket_address(gateway);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    // SAFETY: the kernel reads one `rtentry`.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &raw const route) })
}

fn interface_request(interface: &str) -> io::Result<libc::ifreq> {
    // SAFETY: every field is a number or an array of numbers, for which zero is a valid value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // One byte stays zero, as the kernel expects.
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = byte.cast_signed();
    }
    Ok(request)
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    const { assert!(size_of::<libc::sockaddr_in>() == size_of::<libc::sockaddr>()) };
    // SAFETY: the sizes are equal, and both are plain bytes to the kernel, told apart by the family.
    unsafe { mem::transmute(address) }
}

/// Turns the C convention of -1 and `errno` into a result.
fn check(result: impl Into<i64>) -> io::Result<()> {
    if result.into() == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
