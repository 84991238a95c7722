//! `wrenn launch`: becomes another program, after setting what only the process itself can set.
//!
//! Order matters. The mounts need root and come first; changing the user clears the parent-death signal,
//! so that comes last; then the parent is looked at once more, because it may have died before.
//!
//! The mount namespace is how Postgres, which refuses to be root, reaches a data folder below `/root`: the
//! folder is bound to a path that it can enter, where only this process and its children see it. It leaves
//! nothing behind: the namespace ends with its last process.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    os::{
        fd::AsRawFd,
        unix::process::{CommandExt, parent_id},
    },
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, bail};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{User, initgroups, setgid, setuid},
};

/// How to become the program.
#[derive(Debug, Clone, clap::Args)]
pub struct Launch {
    /// Pid of the process with which this one ends.
    #[arg(long)]
    parent: u32,
    /// Signal that it gets when the parent ends.
    #[arg(long)]
    death_signal: Signal,
    /// User to run as.
    #[arg(long)]
    user: Option<String>,
    /// Folder to bind in a mount namespace of its own, as SOURCE=TARGET; in order.
    #[arg(long)]
    bind: Vec<Bind>,
    /// Program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

#[derive(Debug, Clone)]
struct Bind {
    source: PathBuf,
    target: PathBuf,
}

impl std::str::FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (source, target) = text.rsplit_once('=').ok_or("must be SOURCE=TARGET")?;
        Ok(Self { source: source.into(), target: target.into() })
    }
}

impl Launch {
    /// Runs `program` as a child that ends with this process.
    pub fn new(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut words = vec![program.as_ref().to_owned()];
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        let parent = std::process::id();
        Self { parent, death_signal: Signal::SIGKILL, user: None, bind: Vec::new(), program: words }
    }

    /// Ends it with this signal, not by killing it, when this process ends without a word.
    pub fn death_signal(mut self, signal: Signal) -> Self {
        self.death_signal = signal;
        self
    }

    /// Runs it as this user, with the user's groups.
    pub fn user(mut self, name: &str) -> Self {
        self.user = Some(name.to_owned());
        self
    }

    /// Lets the program, and nobody else, see `source` at `target`, which must exist.
    pub fn bind(mut self, source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        self.bind.push(Bind { source: source.into(), target: target.into() });
        self
    }

    /// The command that does it, in a process group of its own: Ctrl-C in a terminal reaches only us, and we
    /// end the others in order.
    pub fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("wrenn").arg("launch").process_group(0);
        command.args(["--parent", &self.parent.to_string(), "--death-signal", self.death_signal.as_str()]);
        if let Some(user) = &self.user {
            command.arg("--user").arg(user);
        }
        for Bind { source, target } in &self.bind {
            let mut both = source.as_os_str().to_owned();
            both.push("=");
            both.push(target);
            command.arg("--bind").arg(both);
        }
        command.arg("--").args(&self.program);
        command
    }

    /// Becomes the program; returns only if that fails.
    pub fn exec(&self) -> anyhow::Result<()> {
        if !self.bind.is_empty() {
            self.mount()?;
        }
        if let Some(name) = &self.user {
            become_user(name)?;
        }
        set_pdeathsig(self.death_signal).context("cannot ask to end with the parent")?;
        if parent_id() != self.parent {
            bail!("the parent, process {}, has ended", self.parent);
        }
        let [program, args @ ..] = self.program.as_slice() else { bail!("no program is named") };
        let error = Command::new(program).args(args).exec();
        Err(error).with_context(|| format!("cannot run {}", program.display()))
    }

    fn mount(&self) -> anyhow::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
        // Not private: an unmount outside must reach in here, or a volume of another installation stayed in use.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
            .context("cannot keep the mounts to itself")?;
        // Opened before the first mount, which may hide a later source.
        let sources = self
            .bind
            .iter()
            .map(|Bind { source, .. }| {
                File::open(source).with_context(|| format!("cannot open {}", source.display()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (Bind { source, target }, folder) in self.bind.iter().zip(&sources) {
            let from = format!("/proc/self/fd/{}", folder.as_raw_fd());
            mount(Some(from.as_str()), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .with_context(|| format!("cannot bind {} to {}", source.display(), target.display()))?;
        }
        std::env::set_current_dir("/").context("cannot enter /")
    }
}

fn become_user(name: &str) -> anyhow::Result<()> {
    let user = User::from_name(name)
        .with_context(|| format!("cannot look up user {name}"))?
        .with_context(|| format!("there is no user {name}"))?;
    let c_name = std::ffi::CString::new(name)?;
    initgroups(&c_name, user.gid).context("cannot set groups")?;
    setgid(user.gid).context("cannot set group")?;
    setuid(user.uid).context("cannot set user")
}
