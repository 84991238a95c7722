//! What is to be run, worked out from the request before anything is started.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use wrenn_proto::guest::{self as wire, ExecStart, TerminalSize};

use super::{ExecError, WindowSize};
use crate::{
    accounts::{Account, LookupError},
    environment,
};

/// Longest tag, in bytes.
pub(super) const MAX_TAG_BYTES: usize = 128;
/// What programs are told that a terminal understands, unless the environment says something else.
const TERMINAL_KIND: &str = "xterm-256color";

/// What `Init` set for every command.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// User of commands that name none; empty means root.
    pub user: String,
    /// Environment below the command's own.
    pub environment: HashMap<String, String>,
}

/// How long the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Its caller's stream: it is killed when the caller goes away.
    Attached,
    /// Its own: the caller may go away and come back, and its output is kept meanwhile.
    Kept,
    /// Its own, without input: the stream ends as soon as it runs.
    Background,
}

impl From<Lifetime> for wire::Lifetime {
    fn from(lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Attached => Self::Attached,
            Lifetime::Kept => Self::Kept,
            Lifetime::Background => Self::Background,
        }
    }
}

/// The standard input of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// The bytes that its callers send.
    Open,
    /// `/dev/null`. Programs that search a pipe rather than a folder depend on it.
    Null,
}

/// Where the process starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkingDirectory {
    /// Where the request says; it must exist.
    Requested(PathBuf),
    /// The user's home, or `/` if there is none.
    Home(PathBuf),
}

/// A command as it was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedCommand {
    /// A script of the shell, or a program.
    pub cmd: String,
    /// Arguments of a program.
    pub args: Vec<String>,
}

/// A checked request: everything that can be known without touching processes.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The command as requested, for whoever asks what runs.
    pub request: RequestedCommand,
    /// Program, looked up in the command's own `PATH` unless it contains a slash.
    pub program: String,
    /// Its arguments, without the program itself.
    pub args: Vec<String>,
    /// User to run as.
    pub account: Account,
    /// Complete environment.
    pub environment: BTreeMap<String, String>,
    /// Where it starts.
    pub cwd: WorkingDirectory,
    /// After which it is killed; none for no limit.
    pub timeout: Option<Duration>,
    /// Who keeps it alive.
    pub lifetime: Lifetime,
    /// Its standard input.
    pub stdin: Stdin,
    /// Name to find it by; empty to have one made up.
    pub tag: String,
    /// Size of the terminal that it runs in; none for pipes.
    pub terminal: Option<WindowSize>,
}

impl Plan {
    /// Checks a request and fills in the defaults; `lookup` finds the user.
    ///
    /// # Errors
    /// The request's own faults: an empty command, zero bytes, bad variables, an unknown user.
    pub fn new(
        start: ExecStart,
        defaults: &Defaults,
        lookup: impl FnOnce(&str) -> Result<Account, LookupError>,
    ) -> Result<Self, ExecError> {
        if start.cmd.is_empty() {
            return Err(ExecError::NoCommand);
        }
        for (what, text) in [("cmd", &start.cmd), ("cwd", &start.cwd), ("user", &start.user)] {
            if text.contains('\0') {
                return Err(ExecError::ZeroByte { what });
            }
        }
        if start.args.iter().any(|arg| arg.contains('\0')) {
            return Err(ExecError::ZeroByte { what: "args" });
        }

        let lifetime = match start.lifetime() {
            wire::Lifetime::Attached => Lifetime::Attached,
            wire::Lifetime::Kept => Lifetime::Kept,
            wire::Lifetime::Background => Lifetime::Background,
        };
        if start.tag.len() > MAX_TAG_BYTES || start.tag.chars().any(char::is_control) {
            return Err(ExecError::BadTag);
        }
        let terminal = start.terminal.map(window_size).transpose()?;
        let stdin =
            if start.no_stdin || lifetime == Lifetime::Background { Stdin::Null } else { Stdin::Open };
        if terminal.is_some() && stdin == Stdin::Null {
            return Err(ExecError::NoInputForTerminal);
        }
        let user = [start.user.as_str(), defaults.user.as_str(), "root"];
        let account = lookup(user.into_iter().find(|name| !name.is_empty()).unwrap_or("root"))?;
        let mut environment = environment::compose(&account, &defaults.environment, &start.envs)?;
        if terminal.is_some() {
            environment.entry("TERM".to_owned()).or_insert_with(|| TERMINAL_KIND.to_owned());
        }
        let request = RequestedCommand { cmd: start.cmd.clone(), args: start.args.clone() };
        let (program, args) = if start.has_args || !start.args.is_empty() {
            (start.cmd, start.args)
        } else {
            ("/bin/sh".to_owned(), vec!["-c".to_owned(), start.cmd])
        };
        let cwd = if start.cwd.is_empty() {
            WorkingDirectory::Home(account.home.clone())
        } else {
            // Joining keeps an absolute path as it is; a relative one is meant from home.
            WorkingDirectory::Requested(account.home.join(start.cwd))
        };
        Ok(Self {
            request,
            program,
            args,
            account,
            environment,
            cwd,
            timeout: (start.timeout_sec > 0).then(|| Duration::from_secs(start.timeout_sec.into())),
            lifetime,
            stdin,
            tag: start.tag,
            terminal,
        })
    }
}

/// Checks the size of a window.
///
/// # Errors
/// [`ExecError::BadWindow`].
pub(super) fn window_size(size: TerminalSize) -> Result<WindowSize, ExecError> {
    let TerminalSize { cols, rows } = size;
    let length = |length: u32| u16::try_from(length).ok().filter(|length| *length > 0);
    match (length(cols), length(rows)) {
        (Some(cols), Some(rows)) => Ok(WindowSize { cols, rows }),
        _ => Err(ExecError::BadWindow { cols, rows }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::find;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/sh\n";

    fn plan(start: ExecStart) -> Result<Plan, ExecError> {
        let defaults = Defaults { user: "dev".to_owned(), ..Defaults::default() };
        Plan::new(start, &defaults, |user| {
            find(user, PASSWD, "").ok_or_else(|| LookupError::Unknown(user.to_owned()))
        })
    }

    fn start(cmd: &str) -> ExecStart {
        ExecStart { cmd: cmd.to_owned(), ..ExecStart::default() }
    }

    #[test]
    fn a_command_without_args_runs_under_a_shell() {
        let plan = plan(start("echo $HOME")).unwrap();
        assert_eq!(
            (plan.program.as_str(), plan.args.as_slice()),
            ("/bin/sh", &["-c".into(), "echo $HOME".into()][..])
        );
    }

    #[test]
    fn a_command_with_args_even_none_is_executed_directly() {
        let direct = plan(ExecStart { has_args: true, ..start("/bin/true") }).unwrap();
        assert_eq!((direct.program.as_str(), direct.args.len()), ("/bin/true", 0));
        let direct = plan(ExecStart { args: vec!["-l".into()], has_args: true, ..start("ls") }).unwrap();
        assert_eq!((direct.program.as_str(), direct.args.as_slice()), ("ls", &["-l".into()][..]));
    }

    #[test]
    fn the_user_is_the_requests_then_the_default_then_root() {
        assert_eq!(plan(start("id")).unwrap().account.name, "dev");
        assert_eq!(plan(ExecStart { user: "root".into(), ..start("id") }).unwrap().account.uid, 0);
        let no_default =
            Plan::new(start("id"), &Defaults::default(), |user| Ok(find(user, PASSWD, "").unwrap()));
        assert_eq!(no_default.unwrap().account.name, "root");
        let unknown = plan(ExecStart { user: "ghost".into(), ..start("id") }).unwrap_err();
        assert!(matches!(unknown, ExecError::User(LookupError::Unknown(_))));
    }

    #[test]
    fn a_relative_directory_is_meant_from_home() {
        let at = |cwd: &str| plan(ExecStart { cwd: cwd.into(), ..start("pwd") }).unwrap().cwd;
        assert_eq!(at(""), WorkingDirectory::Home("/home/dev".into()));
        assert_eq!(at("src"), WorkingDirectory::Requested("/home/dev/src".into()));
        assert_eq!(at("/srv"), WorkingDirectory::Requested("/srv".into()));
    }

    #[test]
    fn programs_in_a_terminal_are_told_its_kind_unless_the_request_says_another() {
        let terminal = Some(TerminalSize { cols: 80, rows: 24 });
        assert!(!plan(start("sh")).unwrap().environment.contains_key("TERM"));
        let default = plan(ExecStart { terminal, ..start("sh") }).unwrap();
        assert_eq!(default.terminal, Some(WindowSize { cols: 80, rows: 24 }));
        assert_eq!(default.environment["TERM"], TERMINAL_KIND);
        let envs = HashMap::from([("TERM".to_owned(), "dumb".to_owned())]);
        let own = plan(ExecStart { terminal, envs, ..start("sh") }).unwrap();
        assert_eq!(own.environment["TERM"], "dumb");
    }

    #[test]
    fn a_command_reads_nothing_when_the_request_says_so_or_nobody_could_write() {
        let background = wire::Lifetime::Background.into();
        assert_eq!(plan(start("cat")).unwrap().stdin, Stdin::Open);
        assert_eq!(plan(ExecStart { no_stdin: true, ..start("cat") }).unwrap().stdin, Stdin::Null);
        assert_eq!(plan(ExecStart { lifetime: background, ..start("cat") }).unwrap().stdin, Stdin::Null);
    }

    #[test]
    fn zero_means_no_timeout() {
        assert_eq!(plan(start("true")).unwrap().timeout, None);
        let limited = plan(ExecStart { timeout_sec: 5, ..start("true") }).unwrap();
        assert_eq!(limited.timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_wrong_request_is_refused() {
        let bad = [
            start(""),
            start("a\0b"),
            ExecStart { args: vec!["\0".into()], has_args: true, ..start("ls") },
            ExecStart { cwd: "/\0".into(), ..start("ls") },
            ExecStart { user: "r\0".into(), ..start("ls") },
            ExecStart { envs: HashMap::from([("A=".to_owned(), String::new())]), ..start("ls") },
            ExecStart { tag: "a\nb".into(), ..start("ls") },
            ExecStart { tag: "x".repeat(MAX_TAG_BYTES + 1), ..start("ls") },
            ExecStart { terminal: Some(TerminalSize { cols: 0, rows: 24 }), ..start("ls") },
            ExecStart { terminal: Some(TerminalSize { cols: 80, rows: 65_536 }), ..start("ls") },
            ExecStart {
                terminal: Some(TerminalSize { cols: 80, rows: 24 }),
                lifetime: wire::Lifetime::Background.into(),
                ..start("ls")
            },
            ExecStart { terminal: Some(TerminalSize { cols: 80, rows: 24 }), no_stdin: true, ..start("ls") },
        ];
        for request in bad {
            let error = plan(request.clone()).unwrap_err();
            assert_eq!(error.kind(), wrenn_proto::guest::ExecFailure::Invalid, "{request:?}: {error}");
        }
    }
}
