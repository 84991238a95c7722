//! One tunnel: a session of the control plane, carried to a guest and back.
//!
//! ```text
//!   control plane ─ TunnelDown ─▶ feed ─ 8 inputs ──▶ guest
//!                 ◀── TunnelUp ── 8 frames ── drain ◀─
//! ```
//!
//! The first frame says what kind of session it is; from then on nothing but the order of its frames is looked at.
//! Both directions are bounded: whoever does not read stops the other one, and nothing piles up here. The
//! tunnel ends with the session's own last event or with a [`TunnelError`]; if the control plane goes away first
//! the session is dropped, and the guest ends what is not meant to outlive it.

use std::{future::Future, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, transport::Channel};
use tracing::Instrument as _;
use wrenn_base::trace;
use wrenn_proto::{
    agent::{
        OpenTunnel, TunnelDown, TunnelError, TunnelErrorKind, TunnelReady, TunnelUp,
        control_plane_client::ControlPlaneClient, tunnel_down::Frame as Down, tunnel_up::Frame as Up,
    },
    guest::{ExecInput, exec_input},
    session::{Event, Input},
};

use crate::{
    guest::{Events, GuestError, Inputs},
    machines::{Access, Gone},
};

/// Frames that may wait in each direction.
const QUEUE_FRAMES: usize = 8;
/// How long the control plane may take to take the tunnel up, and to say what it is for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the guest may take to say a first word. Long, as it may be the last one, too: of a large folder's removal.
const FIRST_EVENT_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How much longer than the command's own limit the guest may take to end it.
const GUEST_GRACE: Duration = Duration::from_secs(30);
/// How long after a guest fell silent its machine's death may be noticed.
const DEATH_NOTICE: Duration = Duration::from_secs(2);
/// How long the control plane may take to read the last frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest frame that is taken from the control plane, in bytes.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why a tunnel ends before its session does.
enum Broken {
    /// The control plane went away; there is nobody to tell.
    CallerGone,
    /// The control plane is told.
    Error(TunnelErrorKind, String),
}

impl Broken {
    fn protocol(message: &str) -> Self {
        Self::Error(TunnelErrorKind::GuestProtocol, message.to_owned())
    }
}

impl From<GuestError> for Broken {
    fn from(error: GuestError) -> Self {
        let kind = match &error {
            GuestError::Unreachable(_) => TunnelErrorKind::GuestUnreachable,
            GuestError::TimedOut { .. } | GuestError::Protocol(_) => TunnelErrorKind::GuestProtocol,
        };
        Self::Error(kind, error.to_string())
    }
}

/// Opens a tunnel and carries it to its end.
pub(super) async fn carry(channel: &Channel, open: OpenTunnel, access: Access) {
    let span = tracing::info_span!("tunnel", tunnel_id = open.tunnel_id, sandbox_id = open.sandbox_id);
    trace::continue_from(&span, &open.traceparent);
    let carried = async {
        let (up, frames) = mpsc::channel(QUEUE_FRAMES);
        let down = match take_up(channel, &open.tunnel_id, &up, frames).await {
            Ok(down) => down,
            Err(error) => return tracing::warn!(error, "the control plane did not take the tunnel up"),
        };
        serve(down, up, access).await;
    };
    carried.instrument(span).await;
}

async fn take_up(
    channel: &Channel,
    tunnel_id: &str,
    up: &mpsc::Sender<TunnelUp>,
    frames: mpsc::Receiver<TunnelUp>,
) -> Result<Streaming<TunnelDown>, String> {
    let ready = TunnelUp { frame: Some(Up::Ready(TunnelReady {})) };
    up.try_send(ready).map_err(|error| error.to_string())?;
    let mut request = Request::new(ReceiverStream::new(frames));
    let tunnel_id = tunnel_id.parse().map_err(|_| "its id cannot be sent back".to_owned())?;
    request.metadata_mut().insert("x-wrenn-tunnel", tunnel_id);
    let mut client = ControlPlaneClient::new(channel.clone()).max_decoding_message_size(FRAME_MAX_BYTES);
    let opened = timeout(OPEN_TIMEOUT, client.tunnel(request)).await;
    let opened = opened.map_err(|_| "no answer".to_owned())?;
    Ok(opened.map_err(|status| status.to_string())?.into_inner())
}

/// Serves an open tunnel.
async fn serve(mut down: Streaming<TunnelDown>, up: mpsc::Sender<TunnelUp>, access: Access) {
    let ended = tokio::select! {
        // That the machine is gone explains everything else that happens at the same time.
        biased;
        reason = access.gone.wait() => Err(Broken::Error(TunnelErrorKind::MachineGone, reason)),
        ended = session(&mut down, &up, &access) => ended,
        () = up.closed() => Err(Broken::CallerGone),
    };
    match ended {
        Ok(()) => {}
        Err(Broken::CallerGone) => return tracing::debug!("the control plane left the tunnel"),
        Err(Broken::Error(kind, message)) => {
            tracing::info!(kind = kind.as_str_name(), message, "tunnel is broken");
            let error = TunnelError { kind: kind.into(), message };
            let frame = TunnelUp { frame: Some(Up::Error(error)) };
            // Should nobody read for that long, nobody is told.
            let _ = timeout(CLOSE_TIMEOUT, up.send(frame)).await;
        }
    }
    drop(up);
    // To drop the stream now would cancel the call, with the last frames still under way.
    let _ = timeout(CLOSE_TIMEOUT, async { while let Ok(Some(_)) = down.message().await {} }).await;
}

/// Runs the session of a tunnel; returns when its last event is handed over.
async fn session(
    down: &mut Streaming<TunnelDown>,
    up: &mpsc::Sender<TunnelUp>,
    access: &Access,
) -> Result<(), Broken> {
    let first = timeout(OPEN_TIMEOUT, next_frame(down)).await;
    let guest = access.guest.as_ref();
    let mut carrier = Carrier { down, up, gone: &access.gone };
    match first.map_err(|_| Broken::CallerGone)?? {
        Down::Exec(first) => {
            let limit = limit_of(&first);
            tokio::select! {
                ended = carrier.run(first, |inputs| guest.exec(inputs)) => ended,
                () = limit => Err(Broken::protocol("the guest did not end the command")),
            }
        }
        Down::File(first) => carrier.run(first, |inputs| guest.files(inputs)).await,
        Down::Connect(first) => carrier.run(first, |inputs| guest.connect(inputs)).await,
    }
}

/// Ends some time after the command's own limit; never if it has none.
fn limit_of(first: &ExecInput) -> impl Future<Output = ()> + use<> {
    let limit = match &first.input {
        Some(exec_input::Input::Start(start)) if start.timeout_sec > 0 => {
            Some(Duration::from_secs(start.timeout_sec.into()).saturating_add(GUEST_GRACE))
        }
        _ => None,
    };
    async move {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    }
}

/// Carries a session of any kind.
struct Carrier<'a> {
    down: &'a mut Streaming<TunnelDown>,
    up: &'a mpsc::Sender<TunnelUp>,
    gone: &'a Gone,
}

impl Carrier<'_> {
    async fn run<'g, I: Input>(
        &mut self,
        first: I,
        open: impl FnOnce(Inputs<I>) -> BoxFuture<'g, Result<Events<I::Event>, GuestError>>,
    ) -> Result<(), Broken> {
        if !first.is_opening() {
            return Err(Broken::protocol("a session must begin with its opening"));
        }
        let (inputs, fed) = mpsc::channel(QUEUE_FRAMES);
        // The queue is empty and its other end is at hand, so this cannot fail.
        let _ = inputs.try_send(first);
        let events = open(ReceiverStream::new(fed));
        let (down, up) = (&mut *self.down, self.up);
        let feed = async {
            loop {
                let input = I::from_frame(next_frame(down).await?);
                let input = input.filter(|input| !input.is_opening());
                let input = input.ok_or_else(|| Broken::protocol("an input out of order"))?;
                // A guest that has stopped to listen still talks; what it says decides.
                let _ = inputs.send(input).await;
            }
        };
        let guest = tracing::info_span!("guest");
        let drain = async { drain(events.await?, up).await }.instrument(guest);
        let drain = blame_death(self.gone, drain);
        tokio::select! {
            fed = feed => {
                let fed: Result<std::convert::Infallible, Broken> = fed;
                fed.map(|never| match never {})
            }
            drained = drain => drained,
        }
    }
}

/// Hands events over until the last one.
async fn drain<E: Event>(mut events: Events<E>, up: &mpsc::Sender<TunnelUp>) -> Result<(), Broken> {
    let silent = |_| Broken::protocol("the guest does not answer");
    let mut next = timeout(FIRST_EVENT_TIMEOUT, events.next()).await.map_err(silent)?;
    while let Some(event) = next {
        let event = event?;
        let is_last = event.is_last();
        let frame = TunnelUp { frame: Some(event.into_frame()) };
        up.send(frame).await.map_err(|_| Broken::CallerGone)?;
        if is_last {
            return Ok(());
        }
        next = events.next().await;
    }
    Err(Broken::protocol("the session ended without a last event"))
}

/// Gives a failed session the time in which the death of the machine would be noticed, since that would be the cause.
async fn blame_death(gone: &Gone, session: impl Future<Output = Result<(), Broken>>) -> Result<(), Broken> {
    let result = session.await;
    if matches!(result, Err(Broken::Error(..)))
        && let Ok(reason) = timeout(DEATH_NOTICE, gone.wait()).await
    {
        return Err(Broken::Error(TunnelErrorKind::MachineGone, reason));
    }
    result
}

async fn next_frame(down: &mut Streaming<TunnelDown>) -> Result<Down, Broken> {
    match down.message().await {
        Ok(Some(TunnelDown { frame: Some(frame) })) => Ok(frame),
        Ok(Some(TunnelDown { frame: None })) => {
            Err(Broken::protocol("a frame that this version of the agent does not know"))
        }
        Ok(None) | Err(_) => Err(Broken::CallerGone),
    }
}
