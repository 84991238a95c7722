//! One tunnel: an exec of the control plane, carried to a guest and back.
//!
//! ```text
//!   control plane ─ TunnelDown ─▶ feed ─ 8 inputs ──▶ guest
//!                 ◀── TunnelUp ── 8 frames ── drain ◀─
//! ```
//!
//! Both directions are bounded: whoever does not read stops the other one, and nothing piles up here. The
//! tunnel ends with the exec's own last event or with a [`TunnelError`]; if the control plane goes away first
//! the exec is dropped, and with it the command in the guest.

use std::{future::Future, time::Duration};

use futures_util::StreamExt as _;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, transport::Channel};
use tracing::Instrument as _;
use wrenn_proto::{
    agent::{
        OpenTunnel, TunnelDown, TunnelError, TunnelErrorKind, TunnelReady, TunnelUp,
        control_plane_client::ControlPlaneClient, tunnel_down, tunnel_up,
    },
    guest::{ExecInput, ExecStart, exec_event::Event, exec_input::Input},
};

use super::authorize;
use crate::machines::{Access, backend::GuestError};

/// Frames that may wait in each direction.
const QUEUE_FRAMES: usize = 8;
/// How long the control plane may take to take the tunnel up, and to say what it is for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How much longer than the command's own limit the guest may take to end it.
const GUEST_GRACE: Duration = Duration::from_secs(30);
/// How long after a guest fell silent its machine's death may be noticed.
const DEATH_NOTICE: Duration = Duration::from_secs(2);
/// How long the control plane may take to read the last frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest frame that is taken from the control plane, in bytes.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why a tunnel ends before its exec does.
enum Broken {
    /// The control plane went away; there is nobody to tell.
    CallerGone,
    /// The control plane is told.
    Error(TunnelErrorKind, String),
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
pub(super) async fn carry(channel: &Channel, host_token: &str, open: OpenTunnel, access: Access) {
    let span = tracing::info_span!("tunnel", tunnel_id = open.tunnel_id, sandbox_id = open.sandbox_id);
    let carried = async {
        let (up, frames) = mpsc::channel(QUEUE_FRAMES);
        let down = match take_up(channel, host_token, &open.tunnel_id, &up, frames).await {
            Ok(down) => down,
            Err(error) => return tracing::warn!(error, "the control plane did not take the tunnel up"),
        };
        serve(down, up, access).await;
    };
    carried.instrument(span).await;
}

async fn take_up(
    channel: &Channel,
    host_token: &str,
    tunnel_id: &str,
    up: &mpsc::Sender<TunnelUp>,
    frames: mpsc::Receiver<TunnelUp>,
) -> Result<Streaming<TunnelDown>, String> {
    let ready = TunnelUp { frame: Some(tunnel_up::Frame::Ready(TunnelReady {})) };
    up.try_send(ready).map_err(|error| error.to_string())?;
    let mut request = authorize(Request::new(ReceiverStream::new(frames)), host_token)
        .map_err(|status| status.to_string())?;
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
        ended = exec(&mut down, &up, &access) => ended,
        () = access.gone.cancelled() => {
            Err(Broken::Error(TunnelErrorKind::MachineGone, "the machine ended".into()))
        }
        () = up.closed() => Err(Broken::CallerGone),
    };
    match ended {
        Ok(()) => {}
        Err(Broken::CallerGone) => return tracing::debug!("the control plane left the tunnel"),
        Err(Broken::Error(kind, message)) => {
            tracing::info!(kind = kind.as_str_name(), message, "tunnel is broken");
            let error = TunnelError { kind: kind.into(), message };
            let frame = TunnelUp { frame: Some(tunnel_up::Frame::Error(error)) };
            // Should nobody read for that long, nobody is told.
            let _ = timeout(CLOSE_TIMEOUT, up.send(frame)).await;
        }
    }
    drop(up);
    // To drop the stream now would cancel the call, with the last frames still under way.
    let _ = timeout(CLOSE_TIMEOUT, async { while let Ok(Some(_)) = down.message().await {} }).await;
}

/// Runs the exec of a tunnel; returns when its last event is handed over.
async fn exec(
    down: &mut Streaming<TunnelDown>,
    up: &mpsc::Sender<TunnelUp>,
    access: &Access,
) -> Result<(), Broken> {
    let first = timeout(OPEN_TIMEOUT, next_input(down)).await;
    let first = first.map_err(|_| Broken::CallerGone)??;
    let Some(Input::Start(start)) = &first.input else {
        return Err(Broken::Error(
            TunnelErrorKind::GuestProtocol,
            "an exec must begin with its start".into(),
        ));
    };
    let limit = limit_of(start);
    let (inputs, fed) = mpsc::channel(QUEUE_FRAMES);
    // The queue is empty and its other end is at hand, so this cannot fail.
    let _ = inputs.try_send(first);
    let events = access.guest.exec(ReceiverStream::new(fed));
    let feed = async {
        loop {
            let input = next_input(down).await?;
            // A guest that has stopped to listen still talks; what it says decides.
            let _ = inputs.send(input).await;
        }
    };
    let drain = async {
        let mut events = events.await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let is_last = matches!(event.event, Some(Event::Exited(_) | Event::Failed(_)));
            let frame = TunnelUp { frame: Some(tunnel_up::Frame::Exec(event)) };
            up.send(frame).await.map_err(|_| Broken::CallerGone)?;
            if is_last {
                return Ok(());
            }
        }
        Err(GuestError::Protocol("the exec ended without an exit".into()).into())
    };
    tokio::select! {
        fed = feed => { let fed: Result<std::convert::Infallible, Broken> = fed; fed.map(|never| match never {}) }
        drained = blame_death(drain, access) => drained,
        () = limit => Err(Broken::Error(TunnelErrorKind::GuestProtocol, "the guest did not end the command".into())),
    }
}

/// Ends some time after the command's own limit; never if it has none.
fn limit_of(start: &ExecStart) -> impl Future<Output = ()> + use<> {
    let limit = (start.timeout_sec > 0)
        .then(|| Duration::from_secs(start.timeout_sec.into()).saturating_add(GUEST_GRACE));
    async move {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    }
}

/// Gives a failed exec the time in which the death of the machine would be noticed, since that would be the cause.
async fn blame_death(exec: impl Future<Output = Result<(), Broken>>, access: &Access) -> Result<(), Broken> {
    let result = exec.await;
    if matches!(result, Err(Broken::Error(..)))
        && timeout(DEATH_NOTICE, access.gone.cancelled()).await.is_ok()
    {
        return Err(Broken::Error(TunnelErrorKind::MachineGone, "the machine ended".into()));
    }
    result
}

async fn next_input(down: &mut Streaming<TunnelDown>) -> Result<ExecInput, Broken> {
    loop {
        match down.message().await {
            Ok(Some(TunnelDown { frame: Some(tunnel_down::Frame::Exec(input)) })) => return Ok(input),
            Ok(Some(_)) => tracing::warn!("ignoring a frame that this version does not know"),
            Ok(None) | Err(_) => return Err(Broken::CallerGone),
        }
    }
}
