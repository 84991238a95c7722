//! The processes of a simulated guest: they can be listed, signalled and taken up again, as those of a real one.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wrenn_proto::guest::{
    CloseStdin, ExecExited, ExecInput, ExecStart, ExecStarted, Lifetime, ProcessInfo, ProcessSelector,
    exec_event::Event, exec_input::Input, process_selector::By,
};

use crate::guest::Inputs;

/// Output that is kept of a process, in bytes.
const KEPT_BYTES: usize = 256 * 1024;
/// Signals that end a process: SIGINT, SIGKILL, SIGTERM.
const DEADLY: [i32; 3] = [2, 9, 15];

/// A process of a simulated guest.
#[derive(Debug)]
pub(super) struct SimProcess {
    pub(super) info: ProcessInfo,
    inputs: mpsc::Sender<ExecInput>,
    signals: mpsc::UnboundedSender<i32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    output: VecDeque<Event>,
    kept_bytes: usize,
    dropped_bytes: u64,
    /// Set when nothing follows.
    end: Option<End>,
    readers: Vec<mpsc::Sender<Event>>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Exited(ExecExited),
    /// It fell silent.
    Silent,
}

/// What a reader reads.
pub(super) struct Place {
    kept: Vec<Event>,
    following: mpsc::Receiver<Event>,
}

/// What the process itself has.
pub(super) struct ProcessEnds {
    pub(super) inputs: mpsc::Receiver<ExecInput>,
    pub(super) signals: mpsc::UnboundedReceiver<i32>,
}

fn length(event: &Event) -> usize {
    match event {
        Event::Stdout(bytes) | Event::Stderr(bytes) => bytes.len(),
        _ => 0,
    }
}

impl SimProcess {
    pub(super) fn new(
        pid: u32,
        start: &ExecStart,
        user: String,
        now: SystemTime,
    ) -> (Arc<Self>, ProcessEnds) {
        let (inputs, input_end) = mpsc::channel(4);
        let (signals, signal_end) = mpsc::unbounded_channel();
        let started_at =
            now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
        let tag = if start.tag.is_empty() { format!("process-{pid}") } else { start.tag.clone() };
        let info = ProcessInfo {
            pid,
            tag,
            cmd: start.cmd.clone(),
            args: start.args.clone(),
            terminal: start.terminal.is_some(),
            lifetime: start.lifetime,
            user,
            started_at,
        };
        let process = Self { info, inputs, signals, state: Mutex::default() };
        (Arc::new(process), ProcessEnds { inputs: input_end, signals: signal_end })
    }

    pub(super) fn is_meant(&self, selector: Option<&ProcessSelector>) -> bool {
        match selector.and_then(|selector| selector.by.as_ref()) {
            Some(By::Pid(pid)) => self.info.pid == *pid,
            Some(By::Tag(tag)) => self.info.tag == *tag,
            None => false,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.state.lock().end.is_none()
    }

    pub(super) fn signal(&self, number: i32) {
        // One that has ended hears nothing.
        let _ = self.signals.send(number);
    }

    /// Hands what the process says to those who read it, until it has ended; an attached one ends with its caller.
    pub(super) async fn distribute(&self, mut output: mpsc::Receiver<Event>) {
        let owner = match self.info.lifetime() {
            Lifetime::Attached => self.state.lock().readers.first().cloned(),
            Lifetime::Kept | Lifetime::Background => None,
        };
        let owner_left = async {
            match owner {
                Some(owner) => owner.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(owner_left);
        loop {
            let event = tokio::select! {
                event = output.recv() => event,
                () = &mut owner_left => None,
            };
            let Some(event) = event else { break };
            for reader in self.note(&event) {
                // One that left is forgotten below.
                let _ = reader.send(event.clone()).await;
            }
        }
        let mut state = self.state.lock();
        state.end.get_or_insert(End::Silent);
        state.readers.clear();
    }

    /// Keeps an event, and returns who is to be told.
    fn note(&self, event: &Event) -> Vec<mpsc::Sender<Event>> {
        let mut state = self.state.lock();
        state.readers.retain(|reader| !reader.is_closed());
        if let Event::Exited(exited) = event {
            state.end = Some(End::Exited(*exited));
        } else {
            state.kept_bytes += length(event);
            state.output.push_back(event.clone());
        }
        while state.kept_bytes > KEPT_BYTES
            && let Some(oldest) = state.output.pop_front()
        {
            state.kept_bytes -= length(&oldest);
            state.dropped_bytes += length(&oldest) as u64;
        }
        state.readers.clone()
    }

    /// From now on somebody reads.
    pub(super) fn listen(&self) -> Place {
        let started = ExecStarted { pid: self.info.pid, tag: self.info.tag.clone() };
        let mut state = self.state.lock();
        let mut kept = vec![Event::Started(started)];
        if state.dropped_bytes > 0 {
            kept.push(Event::DroppedBytes(state.dropped_bytes));
        }
        kept.extend(state.output.iter().cloned());
        let (reader, following) = mpsc::channel(4);
        match state.end {
            Some(End::Exited(exited)) => kept.push(Event::Exited(exited)),
            Some(End::Silent) => {}
            None => state.readers.push(reader),
        }
        Place { kept, following }
    }

    /// Lets somebody read what was kept and what follows, and tell the process something.
    pub(super) async fn converse(
        &self,
        place: Place,
        mut inputs: Inputs<ExecInput>,
        events: mpsc::Sender<Event>,
    ) {
        let Place { kept, mut following } = place;
        let hear = async {
            while let Some(input) = inputs.next().await {
                match input.input {
                    Some(Input::Signal(signal)) => self.signal(signal.number),
                    _ => drop(self.inputs.send(input).await),
                }
            }
            if self.info.lifetime() == Lifetime::Attached {
                let _ = self.inputs.send(Input::CloseStdin(CloseStdin {}).into()).await;
            }
            std::future::pending().await
        };
        let tell = async {
            for event in kept {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            loop {
                let event = tokio::select! {
                    event = following.recv() => event,
                    () = events.closed() => None,
                };
                let Some(event) = event else { return };
                if events.send(event).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = hear => {}
            () = tell => {}
        }
    }
}

/// Runs what a process does until it has ended, or a signal ends it.
pub(super) async fn until_killed(
    run: impl Future<Output = ()>,
    mut signals: mpsc::UnboundedReceiver<i32>,
    events: mpsc::Sender<Event>,
) {
    let killed = async {
        loop {
            match signals.recv().await {
                Some(number) if DEADLY.contains(&number) => {
                    let exited = ExecExited { exit_code: 128 + number, ..ExecExited::default() };
                    let _ = events.send(Event::Exited(exited)).await;
                    return;
                }
                Some(number) => drop(events.send(Event::Stderr(format!("signal {number}\n").into())).await),
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = run => {}
        () = killed => {}
    }
}
