//! What a broken host might send: the guest answers with an error, and goes on.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;
use wrenn_proto::guest::{
    ConnectInput, ExecInput, FileInput, HelloRequest, Lifetime, ProcessAttach, ProcessList, ProcessSignal,
    Signal, TerminalSize, connect_event, connect_input, exec_event::Event, exec_input::Input, file_event,
    file_input,
};
use wrenn_testkit::wait::{eventually, in_time};

use crate::support::{TestGuest, by_tag, is_alive, kept, shell};

#[tokio::test]
async fn garbage_on_the_port_is_closed() {
    let guest = TestGuest::start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    for garbage in [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        vec![0; 100_000],
        (0..=255).cycle().take(100_000).collect(),
        [preface.as_slice(), &[0xff; 4096]].concat(),
        // A frame of 16 MB, of which nothing follows.
        [preface.as_slice(), &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat(),
        preface[..10].to_vec(),
    ] {
        let mut connection = TcpStream::connect(guest.address()).await.unwrap();
        // It may be closed before everything is written.
        let _ = connection.write_all(&garbage).await;
        let _ = connection.shutdown().await;
        let closed = async { while matches!(connection.read(&mut [0; 4096]).await, Ok(1..)) {} };
        in_time(&format!("{:?} … is closed", &garbage[..10]), closed).await;
    }
    guest.connect().hello(HelloRequest {}).await.unwrap();
}

#[tokio::test]
async fn sessions_that_begin_with_anything_but_an_opening_fail() {
    let guest = TestGuest::start().await;
    let mut client = guest.connect();
    for wrong in [
        Some(Input::Stdin(b"x".to_vec().into())),
        Some(Input::Signal(Signal { number: 9 })),
        Some(Input::Resize(TerminalSize { cols: 0, rows: u32::MAX })),
        None,
    ] {
        let input = ExecInput { input: wrong };
        let mut events = client.exec(tokio_stream::once(input)).await.unwrap().into_inner();
        let event = events.message().await.unwrap().and_then(|event| event.event);
        assert!(matches!(event, Some(Event::Failed(_))), "{event:?}");
        assert!(events.message().await.unwrap().is_none());
    }
    for wrong in [
        Some(file_input::Input::Data(b"x".to_vec().into())),
        Some(file_input::Input::Start(Default::default())),
        None,
    ] {
        let input = FileInput { input: wrong };
        let mut events = client.files(tokio_stream::once(input)).await.unwrap().into_inner();
        let event = events.message().await.unwrap().and_then(|event| event.event);
        assert!(matches!(event, Some(file_event::Event::Failed(_))), "{event:?}");
    }
    for wrong in [Some(connect_input::Input::Data(b"x".to_vec().into())), None] {
        let input = ConnectInput { input: wrong };
        let mut events = client.dial(tokio_stream::once(input)).await.unwrap().into_inner();
        let event = events.message().await.unwrap().and_then(|event| event.event);
        assert!(matches!(event, Some(connect_event::Event::Failed(_))), "{event:?}");
    }
    // No session at all.
    let nothing = client.exec(tokio_stream::empty()).await.unwrap().into_inner().message().await;
    assert!(matches!(nothing, Ok(Some(_))), "{nothing:?}");
}

#[tokio::test]
async fn openings_of_nonsense_fail_and_later_ones_mean_nothing() {
    let guest = TestGuest::start().await;
    for wrong in [
        Input::Attach(ProcessAttach::default()),
        Input::Attach(ProcessAttach { process: by_tag("nobody"), terminal: true }),
        Input::SignalProcess(ProcessSignal::default()),
        Input::SignalProcess(ProcessSignal {
            process: by_tag("nobody"),
            signal: Some(Signal { number: -9 }),
        }),
    ] {
        let mut session = guest.begin(wrong.clone()).await;
        let event = session.next().await;
        assert!(matches!(event, Event::Failed(_)), "{wrong:?}: {event:?}");
    }
    let mut session = guest.open(kept("cat")).await;
    let pid = session.started().await;
    for odd in [
        Input::List(ProcessList {}),
        Input::Start(shell("touch /tmp/never")),
        Input::Signal(Signal { number: 12345 }),
        Input::Resize(TerminalSize { cols: 10, rows: 10 }),
        Input::Stdin(b"still there\n".to_vec().into()),
    ] {
        session.send(odd).await;
    }
    assert!(session.until("still there\n").await.ends_with("still there\n"));
    session.send(Input::Signal(Signal { number: 9 })).await;
    eventually("the process is gone", async || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_its_own_session() {
    let guest = TestGuest::start().await;
    let mut bystander = guest.open(kept("cat")).await;
    bystander.started().await;
    let mut client = guest.connect().max_encoding_message_size(usize::MAX);
    let huge = ExecInput { input: Some(Input::Start(shell("x".repeat(5 << 20)))) };
    let refused = async { client.exec(tokio_stream::once(huge)).await?.into_inner().message().await };
    let refused = in_time("an answer", refused).await;
    assert!(refused.as_ref().is_err_and(|status| status.code() == Code::OutOfRange), "{refused:?}");
    bystander.send(Input::Stdin(b"here\n".to_vec().into())).await;
    bystander.until("here\n").await;
    let list = guest.list().await;
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].lifetime(), Lifetime::Kept);
    bystander.send(Input::Signal(Signal { number: 9 })).await;
}
