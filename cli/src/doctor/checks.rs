//! The programs that Wrenn calls.

use std::{env, path::PathBuf, process::Command};

use super::finding::Check;
use crate::{
    process::find_program,
    services::{REDIS, newest_postgres, queue_server},
};

/// A program, what tells its version, what it is for and the Debian package that has it.
struct Program {
    name: &'static str,
    version: &'static [&'static str],
    purpose: &'static str,
    package: &'static str,
    needed: Needed,
}

#[derive(PartialEq, Eq)]
enum Needed {
    ToRun,
    /// Only by scripts/image, and only until the images exist.
    ToMakeImages,
}

/// Name of the program that runs capsules.
pub(super) const QEMU: &str = "qemu-system-x86_64";

const PROGRAMS: &[Program] = &[
    Program {
        name: QEMU,
        version: &["--version"],
        purpose: "runs capsules",
        package: "qemu-system-x86",
        needed: Needed::ToRun,
    },
    Program {
        name: "ip",
        version: &["-V"],
        purpose: "makes capsules' networks",
        package: "iproute2",
        needed: Needed::ToRun,
    },
    Program {
        name: "nft",
        version: &["--version"],
        purpose: "separates capsules' networks",
        package: "nftables",
        needed: Needed::ToRun,
    },
    Program {
        name: "mkfs.xfs",
        version: &["-V"],
        purpose: "makes a volume with reflinks",
        package: "xfsprogs",
        needed: Needed::ToRun,
    },
    Program {
        name: "resize2fs",
        version: &[],
        purpose: "grows capsules' disks",
        package: "e2fsprogs",
        needed: Needed::ToRun,
    },
    Program {
        name: "losetup",
        version: &["--version"],
        purpose: "attaches the volume",
        package: "mount",
        needed: Needed::ToRun,
    },
    Program {
        name: "mmdebstrap",
        version: &["--version"],
        purpose: "makes the base image",
        package: "mmdebstrap",
        needed: Needed::ToMakeImages,
    },
    Program {
        name: "cpio",
        version: &["--version"],
        purpose: "makes the initramfs",
        package: "cpio",
        needed: Needed::ToMakeImages,
    },
];

/// Whether all programs are there.
pub(super) fn programs() -> Vec<Check> {
    let mut checks: Vec<Check> = PROGRAMS.iter().map(check).collect();
    if env::var_os("DATABASE_URL").is_some() {
        checks.push(Check::ok("postgres", "the one of DATABASE_URL"));
        checks.push(Check::ok("redis-server", "the one of REDIS_URL"));
        return checks;
    }
    checks.push(match newest_postgres() {
        Some(folder) => Check::ok("postgres", format!("{} (keeps the state)", folder.display())),
        None => Check::fail("postgres", "not installed (keeps the state)", install("postgresql")),
    });
    let queue = queue_server().unwrap_or(REDIS);
    checks.push(check(&Program {
        name: queue.program,
        version: &["--version"],
        purpose: "queues builds",
        package: queue.program,
        needed: Needed::ToRun,
    }));
    checks
}

fn check(program: &Program) -> Check {
    let Program { name, version, purpose, package, needed } = program;
    match (find(name), needed) {
        (Some(path), _) => {
            let found = first_line(&path, version).unwrap_or_else(|| path.display().to_string());
            Check::ok(name, format!("{found} ({purpose})"))
        }
        (None, Needed::ToRun) => Check::fail(name, format!("not installed ({purpose})"), install(package)),
        (None, Needed::ToMakeImages) => {
            Check::warn(name, format!("not installed ({purpose})"), install(package))
        }
    }
}

/// The command that installs a package.
pub(super) fn install(package: &str) -> String {
    format!("apt-get install {package}")
}

/// Path of a program, as a shell would find it.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    // The agent takes the QEMU that is named, too.
    if let (QEMU, Some(named)) = (name, env::var_os("WRENN_QEMU").filter(|named| !named.is_empty())) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    find_program(name)
}

fn first_line(program: &PathBuf, arguments: &[&str]) -> Option<String> {
    if arguments.is_empty() {
        return None;
    }
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}
