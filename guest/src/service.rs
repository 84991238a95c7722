//! `guest.proto`, served to the host side of the tap and to nobody else.

use std::{io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use nix::{
    sys::utsname::uname,
    time::{ClockId, clock_gettime},
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use wrenn_base::blocking;
use wrenn_proto::guest::{
    ClockRequest, ClockResponse, ConnectEvent, ConnectInput, ExecEvent, ExecInput, ExecStart, FiguresRequest,
    FiguresResponse, FileEvent, FileInput, FreezeRequest, FreezeResponse, HelloRequest, HelloResponse,
    InitRequest, InitResponse, ShutdownRequest, ShutdownResponse, ThawRequest, ThawResponse,
    clock_request::Correction,
    exec_event::Event,
    exec_input::Input,
    guest_server::{Guest, GuestServer},
};

use crate::{
    accounts,
    boot::{Booted, Warnings},
    connections::{Connection, Connections},
    dial::dial,
    environment,
    exec::{Defaults, Engine, ExecError, Plan},
    figures, fs,
    lock::Lock,
    machine::{self, Freezer},
    run_folder::CoveredRun,
    wall_clock,
};

/// Half-open connections are noticed by a ping at this interval; those that a restored machine has are closed
/// when it is initialised.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Sessions that may be open at the same time; twice of what the host lets in.
const MAX_STREAMS: u32 = 256;
/// What one stream may have under way, unread. All of them together have as much each: one that nobody reads stops no
/// other.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// Largest frame of HTTP/2: fewer of them cost less.
const FRAME_BYTES: u32 = 256 * 1024;
/// Longest time to prepare the files of the machine; the host waits for 10 s.
const PREPARATION_LIMIT: Duration = Duration::from_secs(8);
/// Pause before another try when no connection can be accepted, for example for want of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The service of one machine.
#[derive(Debug)]
pub struct GuestService {
    engine: Engine,
    freezer: Freezer,
    covered_run: Option<Arc<CoveredRun>>,
    /// Parts of the machine that could not be prepared at boot; returned by every `Init`.
    boot_warnings: Warnings,
    defaults: Lock<Defaults>,
    connections: Connections,
}

impl GuestService {
    /// Serves commands with `engine`, and freezes with `freezer`.
    pub fn new(engine: Engine, freezer: Freezer, Booted { warnings, covered_run }: Booted) -> Self {
        Self {
            engine,
            freezer,
            covered_run: covered_run.map(Arc::new),
            boot_warnings: warnings,
            defaults: Lock::default(),
            connections: Connections::default(),
        }
    }

    /// Serves connections from `peer` until the listener fails for good. Others are closed unread.
    ///
    /// # Errors
    /// When the server cannot go on.
    pub async fn serve(self, listener: TcpListener, peer: IpAddr) -> Result<(), tonic::transport::Error> {
        let (accepted, connections) = mpsc::channel(1);
        let acceptor = tokio::spawn(accept(listener, peer, self.connections.clone(), accepted));
        let served = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(PING_INTERVAL))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .max_concurrent_streams(Some(MAX_STREAMS))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(MAX_STREAMS * STREAM_WINDOW_BYTES)
            .max_frame_size(Some(FRAME_BYTES))
            .add_service(GuestServer::new(self))
            .serve_with_incoming(ReceiverStream::new(connections).map(io::Result::Ok))
            .await;
        acceptor.abort();
        served
    }

    /// Starts a command, on a thread of its own: the capsule's files may be on a filesystem that hangs, and only
    /// this command is to wait for it.
    async fn start(
        &self,
        start: ExecStart,
        inputs: impl Stream<Item = ExecInput> + Send + Unpin + 'static,
    ) -> Result<mpsc::Receiver<ExecEvent>, ExecError> {
        let (engine, defaults) = (self.engine.clone(), self.defaults.lock().clone());
        let started = spawn_blocking(move || {
            let plan = Plan::new(start, &defaults, accounts::lookup)?;
            engine.start(plan, inputs)
        });
        started.await.unwrap_or_else(|panic| Err(ExecError::Start(io::Error::other(panic))))
    }
}

async fn accept(
    listener: TcpListener,
    peer: IpAddr,
    connections: Connections,
    accepted: mpsc::Sender<Connection>,
) {
    loop {
        match listener.accept().await {
            Ok((connection, from)) if from.ip() == peer => {
                // Answers are small and waited for.
                let _ = connection.set_nodelay(true);
                if accepted.send(connections.register(connection, from)).await.is_err() {
                    return;
                }
            }
            // Somebody inside the capsule; the connection closes here.
            Ok(_) => {}
            Err(error) => {
                eprintln!("wrenn-guest: cannot accept a connection: {error}");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

#[tonic::async_trait]
impl Guest for GuestService {
    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloResponse>, Status> {
        let kernel = uname().map_err(io::Error::from)?.release().to_string_lossy().into_owned();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Response::new(HelloResponse { version, kernel, uptime_ms: uptime_ms() }))
    }

    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let current = request.remote_addr();
        let init = request.into_inner();
        check(&init)?;
        if let Some(current) = current {
            self.connections.close_all_but(current);
        }
        if init.thaw {
            self.freezer.thaw().map_err(failed("thaw the root filesystem"))?;
        }
        if init.unix_time_ns > 0 {
            wall_clock::set(init.unix_time_ns).map_err(failed("set the clock"))?;
        }
        *self.defaults.lock() = Defaults { user: init.default_user, environment: init.default_env };
        let wanted = Preparation {
            entropy: init.entropy.into(),
            grow_root_to_bytes: init.grow_root_to_bytes,
            hostname: init.hostname,
            nameservers: init.nameservers,
        };
        let mut warnings = self.boot_warnings.clone();
        match timeout(PREPARATION_LIMIT, blocking(move || Ok(wanted.carry_out()))).await {
            Ok(prepared) => warnings.extend(prepared.map_err(failed("prepare the machine"))?),
            Err(_) => warnings.add("the machine is not prepared: its files do not answer"),
        }
        Ok(Response::new(InitResponse { warnings: warnings.into_texts() }))
    }

    type ExecStream = Pin<Box<dyn Stream<Item = Result<ExecEvent, Status>> + Send>>;

    async fn exec(
        &self,
        request: Request<Streaming<ExecInput>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let mut inputs = request.into_inner();
        let first = inputs.message().await?.and_then(|input| input.input);
        // A broken stream ends the inputs; that the caller is gone shows at the other end.
        let inputs = inputs.map_while(Result::ok);
        let events = match first {
            Some(Input::Start(start)) => self.start(start, inputs).await,
            Some(Input::Attach(attach)) => self.engine.attach(attach, inputs),
            Some(Input::List(_)) => Ok(self.engine.list()),
            Some(Input::SignalProcess(signal)) => self.engine.signal(signal),
            _ => Err(ExecError::NoOpening),
        };
        let events: Self::ExecStream = match events {
            Ok(events) => Box::pin(ReceiverStream::new(events).map(Ok)),
            Err(error) => {
                let failed = ExecEvent { event: Some(Event::Failed(error.into())) };
                Box::pin(tokio_stream::once(Ok(failed)))
            }
        };
        Ok(Response::new(events))
    }

    type FilesStream = Pin<Box<dyn Stream<Item = Result<FileEvent, Status>> + Send>>;

    async fn files(
        &self,
        request: Request<Streaming<FileInput>>,
    ) -> Result<Response<Self::FilesStream>, Status> {
        // A broken stream ends the inputs, and without their end nothing is written.
        let inputs = request.into_inner().map_while(Result::ok);
        let default_user = self.defaults.lock().user.clone();
        let events = fs::serve(inputs, default_user);
        Ok(Response::new(Box::pin(ReceiverStream::new(events).map(Ok))))
    }

    type DialStream = Pin<Box<dyn Stream<Item = Result<ConnectEvent, Status>> + Send>>;

    async fn dial(
        &self,
        request: Request<Streaming<ConnectInput>>,
    ) -> Result<Response<Self::DialStream>, Status> {
        // A broken stream ends the inputs; that the caller is gone shows at the other end.
        let events = dial(request.into_inner().map_while(Result::ok));
        Ok(Response::new(Box::pin(ReceiverStream::new(events).map(Ok))))
    }

    async fn freeze(&self, request: Request<FreezeRequest>) -> Result<Response<FreezeResponse>, Status> {
        let limit = Duration::from_millis(request.into_inner().max_freeze_ms.into());
        if let Some(run) = self.covered_run.clone()
            && let Err(error) = blocking(move || run.save()).await
        {
            // A full disk, most likely. The template is as good as one whose recipe left nothing there.
            eprintln!("wrenn-guest: cannot keep /run: {error}");
        }
        self.freezer.freeze(limit).await.map_err(failed("freeze the root filesystem"))?;
        Ok(Response::new(FreezeResponse {}))
    }

    async fn thaw(&self, _: Request<ThawRequest>) -> Result<Response<ThawResponse>, Status> {
        self.freezer.thaw().map_err(failed("thaw the root filesystem"))?;
        Ok(Response::new(ThawResponse {}))
    }

    async fn clock(&self, request: Request<ClockRequest>) -> Result<Response<ClockResponse>, Status> {
        let corrected = match request.into_inner().correction {
            Some(Correction::StepNs(offset_ns)) => wall_clock::step(offset_ns),
            Some(Correction::SlewNs(offset_ns)) => wall_clock::slew(offset_ns),
            None => Ok(()),
        };
        corrected.map_err(failed("correct the clock"))?;
        let unix_time_ns = wall_clock::read().map_err(failed("read the clock"))?;
        Ok(Response::new(ClockResponse { unix_time_ns }))
    }

    async fn figures(&self, _: Request<FiguresRequest>) -> Result<Response<FiguresResponse>, Status> {
        let figures = blocking(figures::read).await;
        Ok(Response::new(figures.map_err(failed("read its own figures"))?))
    }

    async fn shutdown(&self, _: Request<ShutdownRequest>) -> Result<Response<ShutdownResponse>, Status> {
        machine::shut_down_soon(self.freezer.clone());
        Ok(Response::new(ShutdownResponse {}))
    }
}

/// The part of `Init` that depends on the content of the disk, which belongs to the user: whatever they did to it, the machine is to be
/// reached. What is empty is left alone.
struct Preparation {
    entropy: Vec<u8>,
    grow_root_to_bytes: u64,
    hostname: String,
    nameservers: Vec<String>,
}

impl Preparation {
    /// Does what it can, and returns what it could not. Blocks.
    fn carry_out(self) -> Warnings {
        let Self { entropy, grow_root_to_bytes, hostname, nameservers } = self;
        let mut warnings = Warnings::default();
        let mut note = |what: &str, outcome: io::Result<()>| {
            warnings.note(outcome.map_err(|error| format!("cannot {what}: {error}")));
        };
        if !entropy.is_empty() {
            note("add entropy", machine::add_entropy(&entropy));
        }
        if grow_root_to_bytes > 0 {
            note("grow the root filesystem", machine::grow_root(grow_root_to_bytes));
        }
        if !hostname.is_empty() {
            note("write the hostname", machine::set_hostname(&hostname));
        }
        if !nameservers.is_empty() {
            note("write /etc/resolv.conf", machine::set_nameservers(&nameservers));
        }
        warnings
    }
}

/// Checks an `Init` as a whole, so that a wrong one changes nothing.
fn check(init: &InitRequest) -> Result<(), Status> {
    if init.unix_time_ns < 0 {
        return Err(Status::invalid_argument("unix_time_ns is negative"));
    }
    if init.entropy.len() > machine::MAX_ENTROPY_BYTES {
        return Err(Status::invalid_argument("entropy is too long"));
    }
    if !init.hostname.is_empty() && !machine::is_hostname(&init.hostname) {
        return Err(Status::invalid_argument("hostname is not a host name"));
    }
    if init.nameservers.iter().any(|server| server.parse::<IpAddr>().is_err()) {
        return Err(Status::invalid_argument("a nameserver is not an address"));
    }
    for (name, value) in &init.default_env {
        environment::check(name, value).map_err(|error| Status::invalid_argument(error.to_string()))?;
    }
    Ok(())
}

/// Puts what was tried in front of why it failed.
fn failed(what: &'static str) -> impl Fn(io::Error) -> Status {
    move |error| Status::internal(format!("cannot {what}: {error}"))
}

/// Time since the kernel started, in milliseconds; it stands still while the machine is paused.
pub fn uptime_ms() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        let milliseconds = time.tv_sec() * 1000 + time.tv_nsec() / 1_000_000;
        milliseconds.cast_unsigned()
    })
}
