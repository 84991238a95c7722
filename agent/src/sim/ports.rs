//! The ports of a simulated machine: those of the loopback address on which the test itself listens.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use wrenn_proto::{
    guest::{
        ConnectEnd, ConnectEvent, ConnectFailed, ConnectFailure, ConnectInput, ConnectOpened,
        connect_event::Event, connect_input::Input,
    },
    ids::SandboxId,
};

use super::world::SimWorld;
use crate::guest::{GuestError, Inputs};

/// How often a connection looks whether its machine is still there.
const LIFE_POLL: Duration = Duration::from_millis(20);

/// Connects as a guest would; the connection ends with its machine.
pub(super) fn connect(
    world: std::sync::Arc<SimWorld>,
    id: SandboxId,
    inputs: Inputs<ConnectInput>,
) -> ReceiverStream<Result<ConnectEvent, GuestError>> {
    let (events, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let died = async {
            while world.is_up(id) {
                sleep(LIFE_POLL).await;
            }
        };
        tokio::select! {
            () = carry(inputs, &events) => {}
            () = died => {}
            () = events.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn carry(mut inputs: Inputs<ConnectInput>, events: &mpsc::Sender<Result<ConnectEvent, GuestError>>) {
    let say = |event: Event| async { events.send(Ok(event.into())).await.is_ok() };
    let Some(Input::Open(open)) = inputs.next().await.and_then(|input| input.input) else { return };
    let port = u16::try_from(open.port).unwrap_or_default();
    let Ok(socket) = TcpStream::connect(("127.0.0.1", port)).await else {
        let message = format!("nothing listens on port {port} of the capsule");
        let kind = ConnectFailure::Refused.into();
        say(Event::Failed(ConnectFailed { kind, message })).await;
        return;
    };
    if !say(Event::Opened(ConnectOpened {})).await {
        return;
    }
    let (mut read, mut write) = socket.into_split();
    let down = async {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) if say(Event::Data(buffer[..length].to_vec().into())).await => {}
                Ok(_) => return,
            }
        }
        say(Event::End(ConnectEnd {})).await;
    };
    let up = async {
        while let Some(input) = inputs.next().await {
            match input.input {
                Some(Input::Data(bytes)) if write.write_all(&bytes).await.is_ok() => {}
                _ => break,
            }
        }
        let _ = write.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = down => {}
        () = up => {}
    }
}
