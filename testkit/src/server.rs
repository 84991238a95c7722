//! Servers on threads of their own: an actix system must not run on the thread of the test, which waits for it.

use std::thread::JoinHandle;

use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::oneshot;
use wrenn_actors::{Config, ControlPlane};
use wrenn_base::{Clock, Rng};
use wrenn_store::Store;
use wrenn_supervision::Root;

/// Connections of a control plane to its database.
const CONNECTIONS: u32 = 5;

/// Thread with an actix system, on which something is served. It is stopped when this is dropped.
#[derive(Debug)]
pub struct ServerThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// End of a server's time: it has been told to stop.
#[derive(Debug)]
pub struct Stopped(oneshot::Receiver<()>);

impl Stopped {
    /// Waits until the server is told to stop.
    pub async fn wait(self) {
        // A sender that is dropped says the same.
        let _ = self.0.await;
    }
}

impl ServerThread {
    /// Starts a server, and returns what it reports once it is ready.
    ///
    /// # Panics
    /// If the server ends before it is ready.
    pub async fn start<T, F>(
        serve: impl FnOnce(oneshot::Sender<T>, Stopped) -> F + Send + 'static,
    ) -> (Self, T)
    where
        T: Send + 'static,
        F: Future<Output = ()>,
    {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(serve(ready, Stopped(stopped)));
        });
        let server = Self { stop: Some(stop), thread: Some(thread) };
        (server, started.await.expect("the server starts"))
    }

    /// Tells the server to stop, without waiting for its end.
    pub fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops the server and waits for its end, while the test goes on with what else it does.
    ///
    /// # Panics
    /// If the server has panicked.
    pub async fn stop(self) {
        tokio::task::spawn_blocking(move || drop(self)).await.expect("the server ends well");
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.tell_to_stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("it runs").expect("the server ends well");
        }
    }
}

/// Starts a control plane on a test's database, with connections of its own, and lets `serve` use it until it stops.
///
/// # Panics
/// If the control plane does not start, or one of its actors reaches the root.
pub async fn control_plane<F>(
    pool: &PgPool,
    config: Config,
    serve: impl FnOnce(ControlPlane, Stopped) -> F + Send + 'static,
) -> (ServerThread, ControlPlane)
where
    F: Future<Output = ()>,
{
    let options = (*pool.connect_options()).clone();
    ServerThread::start(move |ready, stopped| async move {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_lazy_with(options);
        let root = Root::new(|exited| panic!("reached the root: {exited:?}"));
        let store = Store::from_pool(pool.clone());
        let control_plane =
            ControlPlane::start(store, config, Clock::process(), Rng::process(), &root).await.unwrap();
        ready.send(control_plane.clone()).unwrap_or_else(|_| panic!("the test is gone"));
        serve(control_plane.clone(), stopped).await;
        control_plane.shutdown().await;
        pool.close().await;
    })
    .await
}
