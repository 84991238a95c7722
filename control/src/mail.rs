//! Mail over SMTP, sent off the path of requests.
//!
//! ```text
//!   use case ─▶ Mailer::send ─▶ queue, bounded ─▶ a few workers ─▶ SMTP server
//! ```
//!
//! A mail that cannot be delivered is tried again some times, then dropped. The queue is in memory: mail that a server has
//! not sent when it ends is lost, and its user asks for another one. No log has a mail's text, which holds a link.

use std::{fmt, sync::Arc, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    address::AddressError,
    message::{Mailbox, header::ContentType},
};
use tokio::sync::{Mutex, mpsc};
use url::{Host, Url};
use wrenn_base::{Chain, Clock};

/// Mail that waits to be sent.
const QUEUE: usize = 1000;
/// Mail that is sent at once.
const WORKERS: usize = 4;
/// Longest time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(20);
/// Waits before the further attempts.
const RETRY_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The reason for which mail cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    /// The address of the server is not valid.
    #[error("WRENN_SMTP_URL: not an address like smtps://user:password@mail.example.com")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Passwords and links would cross the network in the clear.
    #[error("WRENN_SMTP_URL: mail to {0} must be encrypted: use smtps://, or smtp:// with ?tls=required")]
    Plain(String),
    /// The sender is not valid.
    #[error("WRENN_MAIL_FROM: not a sender like `Wrenn <wrenn@example.com>`")]
    From(#[source] AddressError),
}

/// The way to send mail.
#[derive(Clone)]
pub struct MailConfig {
    transport: Transport,
    from: Mailbox,
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig").field("from", &self.from).finish_non_exhaustive()
    }
}

impl MailConfig {
    /// Reads the address of an SMTP server and the sender.
    ///
    /// # Errors
    /// See [`MailConfigError`].
    pub fn new(smtp_url: &str, from: &str) -> Result<Self, MailConfigError> {
        let url = Url::parse(smtp_url).map_err(|error| MailConfigError::Url(error.into()))?;
        let is_encrypted = url.scheme() == "smtps"
            || url.query_pairs().any(|(key, value)| key == "tls" && value == "required");
        if !is_encrypted && !is_loopback(&url) {
            return Err(MailConfigError::Plain(url.host_str().unwrap_or_default().to_owned()));
        }
        let transport = Transport::from_url(smtp_url).map_err(|error| MailConfigError::Url(error.into()))?;
        let from = from.parse().map_err(MailConfigError::From)?;
        Ok(Self { transport: transport.timeout(Some(ATTEMPT)).build(), from })
    }
}

/// Returns true if what is sent to the server does not leave the machine. Hosts of unknown schemes are texts.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
        }
        None => false,
    }
}

/// A mail in plain text.
pub(crate) struct Mail {
    /// Purpose of the mail, for logs.
    pub(crate) purpose: &'static str,
    pub(crate) to: String,
    pub(crate) subject: &'static str,
    /// Text, which may hold a secret.
    pub(crate) text: String,
}

/// Sends mail; clones share one queue. Its workers end once the last clone is dropped and the queue is empty.
#[derive(Debug, Clone)]
pub(crate) struct Mailer {
    queue: mpsc::Sender<Mail>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Starts the workers on the current runtime.
    pub(crate) fn start(config: &MailConfig, clock: &Clock) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..WORKERS {
            tokio::spawn(work(waiting.clone(), config.clone(), clock.clone()));
        }
        Self { queue }
    }

    /// Puts a mail into the queue. One that does not fit is dropped: its user asks for another one.
    pub(crate) fn send(&self, mail: Mail) {
        if let Err(error) = self.queue.try_send(mail) {
            let purpose = error.into_inner().purpose;
            tracing::error!(purpose, "mail queue is full, mail dropped");
        }
    }
}

async fn work(waiting: Arc<Mutex<mpsc::Receiver<Mail>>>, config: MailConfig, clock: Clock) {
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(mail) = next else { return };
        deliver(&config, &clock, mail).await;
    }
}

async fn deliver(config: &MailConfig, clock: &Clock, mail: Mail) {
    let purpose = mail.purpose;
    let message = match message(config, mail) {
        Ok(message) => message,
        Err(error) => {
            tracing::warn!(purpose, error = %Chain(&*error), "mail cannot be written, mail dropped");
            return;
        }
    };
    for (attempt, wait) in RETRY_AFTER.into_iter().map(Some).chain([None]).enumerate() {
        let sent = clock.timeout(ATTEMPT, config.transport.send(message.clone())).await;
        let is_final = match sent {
            Ok(Ok(_)) => {
                tracing::info!(purpose, attempt, "mail sent");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(purpose, attempt, error = %Chain(&error), "mail not sent");
                error.is_permanent()
            }
            Err(elapsed) => {
                tracing::warn!(purpose, attempt, error = %elapsed, "mail not sent");
                false
            }
        };
        match wait.filter(|_| !is_final) {
            Some(wait) => clock.sleep(wait).await,
            None => break,
        }
    }
    tracing::error!(purpose, "mail dropped");
}

fn message(
    config: &MailConfig,
    mail: Mail,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync + 'static>> {
    let to = Mailbox::new(None, mail.to.parse()?);
    let message = Message::builder()
        .from(config.from.clone())
        .to(to)
        .subject(mail.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text)?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_leaves_the_machine_encrypted_or_not_at_all() {
        let config = |url: &str| MailConfig::new(url, "Wrenn <wrenn@example.org>");
        for good in [
            "smtps://user:secret@mail.example.org",
            "smtp://mail.example.org:587?tls=required",
            "smtp://127.0.0.1:2525",
            "smtp://[::1]:2525",
            "smtp://localhost",
        ] {
            config(good).unwrap();
        }
        for bad in [
            "smtp://mail.example.org",
            "smtp://mail.example.org?tls=opportunistic",
            "smtp://127.0.0.1.example.org",
        ] {
            assert!(matches!(config(bad), Err(MailConfigError::Plain(_))), "{bad}");
        }
        assert!(config("mail.example.org").is_err());
        assert!(MailConfig::new("smtp://localhost", "nobody").is_err());
        let shown = format!("{:?}", config("smtps://user:secret@mail.example.org").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
