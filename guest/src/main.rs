//! The program that the kernel of a capsule starts as `/init`.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
};

use tokio::net::{TcpListener, TcpSocket};
use wrenn_base::Clock;
use wrenn_guest::{
    boot::{self, BootError},
    exec::{Cgroups, Engine},
    machine::{self, Freezer},
    reaper::{ReapScope, Reaper},
    service::{GuestService, uptime_ms},
};
use wrenn_proto::{GUEST_GATEWAY, GUEST_IP, GUEST_PORT};

/// Connections that wait to be accepted.
const CONNECTION_BACKLOG: u32 = 64;

/// Why the machine cannot be a capsule.
#[derive(Debug, thiserror::Error)]
enum GuestError {
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot watch children: {0}")]
    Reaper(#[source] io::Error),
    #[error("cannot open the root filesystem: {0}")]
    Root(#[source] io::Error),
    #[error("cannot listen on port {GUEST_PORT}: {0}")]
    Listen(#[source] io::Error),
    #[error("cannot serve: {0}")]
    Serve(#[from] tonic::transport::Error),
    #[error("the server has ended")]
    Ended,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--version") {
        println!("{}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if !boot::is_pid_one() {
        eprintln!("wrenn-guest is started by the kernel of a capsule, as its first process.");
        return ExitCode::FAILURE;
    }
    let error = match run() {
        Err(error) => error,
        Ok(()) => GuestError::Ended,
    };
    eprintln!("wrenn-guest: fatal: {error}");
    machine::take_down()
}

fn run() -> Result<(), GuestError> {
    let booted = boot::boot()?;
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock of the guest is made")]
    let clock = Clock::process();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(GuestError::Runtime)?;
    runtime.block_on(async {
        let reaper = Reaper::start(ReapScope::Everyone).map_err(GuestError::Reaper)?;
        let cgroups = Cgroups::in_folder(Path::new(boot::EXEC_CGROUPS)).unwrap_or_else(|error| {
            eprintln!("wrenn-guest: commands run without cgroups: {error}");
            Cgroups::none()
        });
        let freezer = Freezer::open(Path::new("/"), clock.clone()).map_err(GuestError::Root)?;
        let service = GuestService::new(Engine::new(reaper, cgroups, clock), freezer, booted);
        let listener = listen().map_err(GuestError::Listen)?;
        println!("wrenn-guest {} ready after {} ms", env!("CARGO_PKG_VERSION"), uptime_ms());
        service.serve(listener, IpAddr::V4(GUEST_GATEWAY)).await?;
        Ok(())
    })
}

/// Listens on the address that the host knows; who may connect is checked with each connection.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((GUEST_IP.0, GUEST_PORT)))?;
    socket.listen(CONNECTION_BACKLOG)
}
