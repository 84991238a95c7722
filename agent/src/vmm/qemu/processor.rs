//! The processor that guests see, described by QEMU itself.
//!
//! QEMU starts as for a machine, with the same machine type, accelerator and `-cpu`, but stopped and without a disk.
//! `query-cpu-model-expansion` then lists the CPUID of such a processor. Under KVM that is the part of the host's CPUID which
//! KVM passes on. `/proc/cpuinfo` would be no substitute: kernel options change it and leave most of a guest's CPUID alone.
//!
//! Measured with QEMU 7.2 and 10.0: 40 to 90 ms, once for each start of the agent.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    process::Stdio,
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use super::{
    args::{FIRMWARE, MACHINE_TYPE, Processor},
    program::Program,
};
use crate::vmm::{
    CpuFingerprint,
    accel::Acceleration,
    qmp::{Qmp, QmpError},
};

/// Longest wait for QEMU's control channel and for its answer; generous, as a host may be very busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for the end of a QEMU that was killed.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Longest text of QEMU that an error quotes, in characters.
const SAID_MAX_CHARS: usize = 300;

/// Why QEMU did not describe the processor of its guests.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// QEMU could not be started.
    #[error("start it")]
    Start(#[source] io::Error),
    /// QEMU ended, refused or did not answer in time.
    #[error("query the processor model (its messages: {said:?})")]
    Query {
        /// Standard error of QEMU, truncated.
        said: String,
        /// Failure of the exchange.
        #[source]
        source: QmpError,
    },
}

/// Describes the processor of machines that run under `acceleration`.
///
/// # Errors
/// See [`ProcessorError`]. The process has ended in every case.
pub(super) async fn describe(
    program: &Program,
    acceleration: &Acceleration,
) -> Result<CpuFingerprint, ProcessorError> {
    let processor = Processor::new(program, acceleration);
    let (mut child, control) = start(program, &processor).map_err(ProcessorError::Start)?;
    let answer = query(control, processor.model()).await;
    // A failed kill means that it has ended.
    let _ = child.start_kill();
    let output = timeout(END_LIMIT, child.wait_with_output()).await;
    answer.map_err(|source| {
        let said = output.ok().and_then(Result::ok).map(|output| output.stderr).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().chars().take(SAID_MAX_CHARS).collect();
        ProcessorError::Query { said, source }
    })
}

/// Starts QEMU with a control channel on its standard input and output. Dropping the child kills it.
fn start(program: &Program, processor: &Processor) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let theirs = OwnedFd::from(theirs);
    // The command is dropped here, and its copies of the descriptor with it: the end of QEMU ends the stream.
    let child = Command::new(&program.path)
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-S", "-m", "16"])
        .args(["-machine", MACHINE_TYPE, "-bios", FIRMWARE])
        .args(["-accel", &processor.accelerator, "-cpu", processor.cpu])
        .args(["-chardev", "stdio,id=control,signal=off", "-mon", "chardev=control,mode=control"])
        .stdin(Stdio::from(theirs.try_clone()?))
        .stdout(Stdio::from(theirs))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

async fn query(control: UnixStream, model: &str) -> Result<CpuFingerprint, QmpError> {
    let (qmp, _) = Qmp::over(control, &[], ANSWER_LIMIT).await?;
    // The options after the model's name in `-cpu` apply to every processor of that model, the expanded one included.
    let arguments = json!({ "type": "full", "model": { "name": model } });
    let expansion = qmp.execute("query-cpu-model-expansion", arguments, ANSWER_LIMIT).await?;
    properties(&expansion)
        .map(CpuFingerprint::of_properties)
        .ok_or_else(|| QmpError::Protocol("a processor model without properties".into()))
}

fn properties(expansion: &Value) -> Option<&Map<String, Value>> {
    expansion.pointer("/model/props")?.as_object()
}
