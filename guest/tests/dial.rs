//! Connections to programs that listen on this machine, through the guest's own code.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use wrenn_guest::dial::dial;
use wrenn_proto::guest::{
    ConnectEnd, ConnectEvent, ConnectFailure, ConnectInput, ConnectOpen, connect_event::Event,
    connect_input::Input,
};
use wrenn_testkit::wait::in_time;

struct Dialled {
    inputs: mpsc::Sender<ConnectInput>,
    events: mpsc::Receiver<ConnectEvent>,
}

impl Dialled {
    async fn to(port: u32) -> Self {
        let (inputs, fed) = mpsc::channel(4);
        let events = dial(ReceiverStream::new(fed));
        inputs.send(Input::Open(ConnectOpen { port }).into()).await.unwrap();
        Self { inputs, events }
    }

    async fn next(&mut self) -> Option<Event> {
        let event = in_time("an event, or the end of them", self.events.recv()).await;
        event.map(|event| event.event.unwrap())
    }

    async fn send(&self, input: Input) {
        self.inputs.send(input.into()).await.unwrap();
    }

    async fn failure(&mut self) -> (ConnectFailure, String) {
        match self.next().await {
            Some(Event::Failed(failed)) => (failed.kind(), failed.message),
            other => panic!("expected a failure, got {other:?}"),
        }
    }
}

async fn listener(address: &str) -> (TcpListener, u32) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port.into())
}

async fn accept(listener: &TcpListener) -> TcpStream {
    in_time("a connection", listener.accept()).await.unwrap().0
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_side_ends_by_itself() {
    for address in ["127.0.0.1", "::1"] {
        let (listener, port) = listener(address).await;
        let mut dialled = Dialled::to(port).await;
        let mut program = accept(&listener).await;
        assert!(matches!(dialled.next().await, Some(Event::Opened(_))), "{address}");

        dialled.send(Input::Data(Bytes::from_static(b"ping"))).await;
        dialled.send(Input::End(ConnectEnd {})).await;
        let mut heard = Vec::new();
        in_time("the end of what is said", program.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"ping");

        program.write_all(b"pong").await.unwrap();
        assert_eq!(dialled.next().await, Some(Event::Data(Bytes::from_static(b"pong"))));
        drop(program);
        assert!(matches!(dialled.next().await, Some(Event::End(_))));
        assert_eq!(dialled.next().await, None);
    }
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_refused_and_no_port_is_invalid() {
    let (listener, port) = listener("127.0.0.1").await;
    drop(listener);
    let (kind, message) = Dialled::to(port).await.failure().await;
    assert_eq!(kind, ConnectFailure::Refused);
    assert!(message.contains(&port.to_string()), "{message}");
    for port in [0, 65_536, u32::MAX] {
        assert_eq!(Dialled::to(port).await.failure().await.0, ConnectFailure::Invalid, "{port}");
    }
    let (inputs, fed) = mpsc::channel(1);
    let mut silent = Dialled { inputs, events: dial(ReceiverStream::new(fed)) };
    silent.send(Input::End(ConnectEnd {})).await;
    assert_eq!(silent.failure().await.0, ConnectFailure::Invalid);
}

#[tokio::test]
async fn a_caller_that_leaves_closes_the_connection() {
    let (listener, port) = listener("127.0.0.1").await;
    let mut dialled = Dialled::to(port).await;
    let mut program = accept(&listener).await;
    assert!(matches!(dialled.next().await, Some(Event::Opened(_))));
    drop(dialled);
    let read = in_time("the end of the connection", program.read(&mut [0; 8])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn a_program_that_breaks_off_is_told() {
    let (listener, port) = listener("127.0.0.1").await;
    let mut dialled = Dialled::to(port).await;
    let program = accept(&listener).await;
    assert!(matches!(dialled.next().await, Some(Event::Opened(_))));
    dialled.send(Input::Data(Bytes::from_static(b"unread"))).await;
    in_time("what is sent arrives", program.peek(&mut [0])).await.unwrap();
    // Closing with unread data resets the connection.
    drop(program);
    assert_eq!(dialled.failure().await.0, ConnectFailure::Broken);
}

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_program() {
    let (listener, port) = listener("127.0.0.1").await;
    let mut dialled = Dialled::to(port).await;
    let mut program = accept(&listener).await;
    assert!(matches!(dialled.next().await, Some(Event::Opened(_))));
    let total = 64 << 20;
    let writer = tokio::spawn(async move {
        let chunk = vec![7; 1 << 20];
        for _ in 0..total / chunk.len() {
            program.write_all(&chunk).await.unwrap();
        }
    });
    // It cannot end, as nothing is taken out of the queue; what waits is bounded by sockets and queue.
    while dialled.events.len() < dialled.events.max_capacity() {
        tokio::task::yield_now().await;
    }
    assert!(!writer.is_finished());
    let mut heard = 0;
    while heard < total {
        let Some(Event::Data(bytes)) = dialled.next().await else { panic!("data must follow") };
        assert!(bytes.iter().all(|byte| *byte == 7));
        heard += bytes.len();
    }
    writer.await.unwrap();
    assert!(matches!(dialled.next().await, Some(Event::End(_))));
}
