//! Where uploads wait for the streams of the agents.

use std::{collections::HashMap, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use wrenn_proto::{
    agent::TemplatePart,
    ids::{HostId, TemplateId, TransferId},
};

use crate::host::text::harmless;

/// Uploads that are under way: whoever wants the same template waits for the same lock.
pub(crate) type Uploads = Mutex<HashMap<TemplateId, Arc<tokio::sync::Mutex<()>>>>;

/// Parts that wait to be stored.
const QUEUE: usize = 4;

/// Where uploads wait for the agents' streams. Clones share one desk.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransferDesk {
    waiting: Arc<Mutex<HashMap<TransferId, Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    host: HostId,
    acceptor: TransferAcceptor,
}

/// A place at the desk; leaves it when dropped.
#[derive(Debug)]
pub(super) struct TransferTicket {
    pub(super) id: TransferId,
    desk: TransferDesk,
    parts: mpsc::Receiver<Result<TemplatePart, String>>,
    stored: Option<oneshot::Sender<Result<(), String>>>,
}

impl TransferTicket {
    /// Waits for the next part, or for the reason why there is none; none if the stream has ended, or will never come.
    pub(super) async fn next(&mut self) -> Option<Result<TemplatePart, String>> {
        self.parts.recv().await
    }

    /// Tells the agent what became of its parts.
    pub(super) fn answer(&mut self, stored: Result<(), String>) {
        if let Some(reply) = self.stored.take() {
            // An agent that is gone needs no answer.
            let _ = reply.send(stored);
        }
    }
}

impl Drop for TransferTicket {
    fn drop(&mut self) {
        self.desk.waiting.lock().remove(&self.id);
    }
}

impl TransferDesk {
    /// Takes a place for a stream that `host` shall open.
    pub(super) fn expect(&self, host: HostId) -> TransferTicket {
        let (sender, parts) = mpsc::channel(QUEUE);
        let (reply, stored) = oneshot::channel();
        let id = TransferId::new();
        let acceptor = TransferAcceptor { parts: sender, stored };
        self.waiting.lock().insert(id, Waiting { host, acceptor });
        TransferTicket { id, desk: self.clone(), parts, stored: Some(reply) }
    }

    /// Gives the place to the stream that `host` opened; none if it has no such place.
    pub(crate) fn accept(&self, host: HostId, id: TransferId) -> Option<TransferAcceptor> {
        let mut waiting = self.waiting.lock();
        if waiting.get(&id)?.host != host {
            return None;
        }
        waiting.remove(&id).map(|waiting| waiting.acceptor)
    }

    /// Tells the one who waits that the agent will not open the stream.
    pub(crate) fn refuse(&self, host: HostId, id: TransferId, reason: &str) {
        if let Some(acceptor) = self.accept(host, id) {
            // The queue is empty; whoever waited may have left.
            let _ = acceptor.parts.try_send(Err(harmless(reason)));
        }
    }

    /// Tells all who wait for this host that its link ended.
    pub(crate) fn link_ended(&self, host: HostId) {
        self.waiting.lock().retain(|_, waiting| waiting.host != host);
    }
}

/// A stream that was expected.
#[derive(Debug)]
pub struct TransferAcceptor {
    parts: mpsc::Sender<Result<TemplatePart, String>>,
    stored: oneshot::Receiver<Result<(), String>>,
}

impl TransferAcceptor {
    /// Passes the parts on until the stream ends, and waits until they are stored.
    ///
    /// # Errors
    /// Why they are not.
    pub async fn run<E>(
        self,
        mut parts: impl Stream<Item = Result<TemplatePart, E>> + Unpin + Send,
    ) -> Result<(), String> {
        let Self { parts: sender, mut stored } = self;
        let pass = async {
            while let Some(Ok(part)) = parts.next().await {
                if sender.send(Ok(part)).await.is_err() {
                    break;
                }
            }
        };
        let answer = tokio::select! {
            biased;
            // Why it is not stored may be known before all of it has come.
            answer = &mut stored => answer,
            () = pass => {
                drop(sender);
                stored.await
            }
        };
        answer.unwrap_or_else(|_| Err("the upload was given up".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn part() -> Result<TemplatePart, Infallible> {
        Ok(TemplatePart { part: None })
    }

    #[tokio::test]
    async fn a_stream_reaches_who_waits_for_it_and_hears_what_came_of_it() {
        let (desk, host) = (TransferDesk::default(), HostId::new());
        let mut ticket = desk.expect(host);
        assert!(desk.accept(HostId::new(), ticket.id).is_none(), "another host has no place");
        let acceptor = desk.accept(host, ticket.id).unwrap();
        assert!(desk.accept(host, ticket.id).is_none(), "a place is given once");
        let run = tokio::spawn(acceptor.run(stream::iter((0..10).map(|_| part()))));
        for _ in 0..10 {
            assert!(matches!(ticket.next().await, Some(Ok(_))));
        }
        assert!(ticket.next().await.is_none());
        ticket.answer(Ok(()));
        assert_eq!(run.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn one_who_gives_up_ends_the_stream_with_the_reason() {
        let (desk, host) = (TransferDesk::default(), HostId::new());
        let endless = || stream::repeat_with(part);
        let mut ticket = desk.expect(host);
        let run = tokio::spawn(desk.accept(host, ticket.id).unwrap().run(endless()));
        ticket.next().await;
        ticket.answer(Err("enough".to_owned()));
        assert_eq!(run.await.unwrap(), Err("enough".to_owned()));
        let ticket = desk.expect(host);
        let run = tokio::spawn(desk.accept(host, ticket.id).unwrap().run(endless()));
        drop(ticket);
        assert!(run.await.unwrap().is_err());
        assert!(desk.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn a_refusal_and_the_end_of_the_link_end_the_wait() {
        let (desk, host) = (TransferDesk::default(), HostId::new());
        let (mut refused, mut other) = (desk.expect(host), desk.expect(HostId::new()));
        let theirs = other.desk.waiting.lock()[&other.id].host;
        desk.refuse(theirs, TransferId::new(), "not asked for");
        desk.refuse(host, refused.id, "gone\0");
        assert!(matches!(refused.next().await, Some(Err(why)) if why.starts_with("gone")));
        assert!(refused.next().await.is_none());
        let mut lost = desk.expect(host);
        desk.link_ended(host);
        assert!(lost.next().await.is_none());
        assert!(futures_util::FutureExt::now_or_never(other.next()).is_none(), "other hosts' go on");
    }
}
