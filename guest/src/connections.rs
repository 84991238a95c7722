//! The connections that are being served, so that those of a former life can be closed.
//!
//! ```text
//!   before the pause    host ══ connection 1 ══ guest
//!   after the restore   host ══ connection 2 ══ guest ── connection 1 ── nobody
//! ```
//!
//! A restored machine wakes up with connections whose other end is gone, and would learn that only when it sends
//! something. `Init` is what a host says first after a restore: whatever does not belong to the connection it came
//! on is of a former life, and is closed. A machine that was snapshotted and lives on is told on the connection that
//! it had, which stays, and with it the commands that run on it.

use std::{
    collections::HashMap,
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::lock::Lock;

/// All connections, told apart by the address of their other end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<Lock<HashMap<SocketAddr, OwnedFd>>>);

/// One connection; it leaves the list when it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    from: SocketAddr,
    list: Connections,
}

impl Connections {
    /// Adds a connection to the list.
    pub(crate) fn register(&self, stream: TcpStream, from: SocketAddr) -> Connection {
        // One that cannot be listed, for want of descriptors, is served all the same.
        if let Ok(socket) = stream.as_fd().try_clone_to_owned() {
            self.0.lock().insert(from, socket);
        }
        Connection { stream, from, list: self.clone() }
    }

    /// Ends all connections but the one from `current`; whoever serves them sees their end.
    pub(crate) fn close_all_but(&self, current: SocketAddr) {
        self.0.lock().retain(|&from, socket| {
            if from == current {
                return true;
            }
            // One that has ended already is as good.
            if let Ok(socket) = socket.try_clone() {
                let _ = std::net::TcpStream::from(socket).shutdown(Shutdown::Both);
            }
            false
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.list.0.lock().remove(&self.from);
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
