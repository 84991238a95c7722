//! Runs one command in a capsule, straight through its guest: for trying and timing the guest by itself.
//!
//! ```text
//! cargo run -p wrenn-guest --example exec -- [--addr A] [--wait SEC] [--repeat N] [--init]
//!     [--freeze MS] [--thaw] [--shutdown]
//!     [--user U] [--cwd D] [--env K=V]… [--timeout SEC] [--background] [--direct] -- CMD [ARG]…
//! ```
//! Without `--direct` the words are joined and run by the shell. Output goes to standard output and
//! error, times to standard error; the exit code is the command's.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{self, Read, Write},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use tonic::transport::{Channel, Endpoint};
use wrenn_proto::{
    GUEST_IP, GUEST_PORT,
    guest::{
        ExecInput, ExecStart, FreezeRequest, HelloRequest, InitRequest, Lifetime, ShutdownRequest,
        ThawRequest, exec_event::Event, exec_input::Input, guest_client::GuestClient,
    },
};

struct Options {
    addr: String,
    wait: Duration,
    repeat: u32,
    init: bool,
    freeze_ms: Option<u32>,
    thaw: bool,
    shutdown: bool,
    start: ExecStart,
}

fn parse() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        addr: format!("http://{}:{GUEST_PORT}", GUEST_IP.0),
        wait: Duration::from_secs(10),
        repeat: 1,
        init: false,
        freeze_ms: None,
        thaw: false,
        shutdown: false,
        start: ExecStart { envs: HashMap::new(), ..ExecStart::default() },
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--addr" => options.addr = format!("http://{}", value()?),
            "--wait" => options.wait = Duration::from_secs(value()?.parse()?),
            "--repeat" => options.repeat = value()?.parse()?,
            "--init" => options.init = true,
            "--freeze" => options.freeze_ms = Some(value()?.parse()?),
            "--thaw" => options.thaw = true,
            "--shutdown" => options.shutdown = true,
            "--user" => options.start.user = value()?,
            "--cwd" => options.start.cwd = value()?,
            "--env" => {
                let pair = value()?;
                let (name, text) = pair.split_once('=').ok_or("--env takes K=V")?;
                options.start.envs.insert(name.to_owned(), text.to_owned());
            }
            "--timeout" => options.start.timeout_sec = value()?.parse()?,
            "--background" => options.start.set_lifetime(Lifetime::Background),
            "--direct" => options.start.has_args = true,
            "--" => break,
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    if options.start.has_args {
        options.start.cmd = args.next().ok_or("no command")?;
        options.start.args = args.collect();
    } else {
        options.start.cmd = args.collect::<Vec<_>>().join(" ");
    }
    Ok(options)
}

/// Connects as soon as the guest answers.
async fn connect(options: &Options) -> Result<GuestClient<Channel>, Box<dyn Error>> {
    let began = Instant::now();
    let endpoint = Endpoint::from_shared(options.addr.clone())?.connect_timeout(Duration::from_millis(250));
    loop {
        match endpoint.connect().await {
            Ok(channel) => return Ok(GuestClient::new(channel)),
            Err(error) if began.elapsed() > options.wait => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn entropy() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 64];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

async fn init(guest: &mut GuestClient<Channel>) -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let request = InitRequest {
        unix_time_ns: i64::try_from(now.as_nanos())?,
        entropy: entropy()?.into(),
        hostname: "capsule".to_owned(),
        ..InitRequest::default()
    };
    guest.init(request).await?;
    Ok(())
}

async fn exec(guest: &mut GuestClient<Channel>, start: ExecStart) -> Result<u8, Box<dyn Error>> {
    let input = ExecInput { input: Some(Input::Start(start)) };
    let mut events = guest.exec(tokio_stream::once(input)).await?.into_inner();
    while let Some(event) = events.message().await? {
        match event.event {
            Some(Event::Stdout(bytes)) => io::stdout().write_all(&bytes)?,
            Some(Event::Stderr(bytes)) => io::stderr().write_all(&bytes)?,
            Some(Event::Failed(failed)) => {
                return Err(format!("{:?}: {}", failed.kind(), failed.message).into());
            }
            Some(Event::Exited(exited)) => {
                if exited.timed_out {
                    eprintln!("timed out");
                }
                return Ok(u8::try_from(exited.exit_code).unwrap_or(u8::MAX));
            }
            // Started, or something that was not asked for.
            Some(_) | None => {}
        }
    }
    Ok(0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = parse()?;
    let began = Instant::now();
    let mut guest = connect(&options).await?;
    eprintln!("connected after {:?}", began.elapsed());
    let hello = guest.hello(HelloRequest {}).await?.into_inner();
    eprintln!("guest {}, kernel {}, up {} ms", hello.version, hello.kernel, hello.uptime_ms);
    if options.init {
        init(&mut guest).await?;
    }
    if options.thaw {
        guest.thaw(ThawRequest {}).await?;
    }
    if let Some(max_freeze_ms) = options.freeze_ms {
        guest.freeze(FreezeRequest { max_freeze_ms }).await?;
    }
    if options.shutdown {
        guest.shutdown(ShutdownRequest {}).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut times = Vec::new();
    let mut code = 0;
    for _ in 0..options.repeat {
        let began = Instant::now();
        code = exec(&mut guest, options.start.clone()).await?;
        times.push(began.elapsed());
    }
    times.sort();
    if let (Some(least), Some(most)) = (times.first(), times.last()) {
        eprintln!(
            "{} × exec: least {least:?}, median {:?}, most {most:?}",
            times.len(),
            times[times.len() / 2]
        );
    }
    Ok(ExitCode::from(code))
}
