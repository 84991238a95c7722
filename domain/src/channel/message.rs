//! Messages: the request that a receiver gets for an event.
//!
//! A webhook gets the event as JSON, signed. The others get a line of text. Names and metadata come from whoever made the
//! capsule, so they are cut, and characters with a meaning to the provider are escaped or replaced: nothing in them is a
//! link, a format or a mention.

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use url::Url;

use super::{SigningSecret, Target, config::ChannelConfig};
use crate::{
    action::Method,
    ids::{DeliveryId, EventId, TeamId},
};

/// Type of the event that a test of a channel sends.
pub const TEST: &str = "channel.test";
/// Longest text of a value in a message, in characters.
const VALUE_CHARACTERS: usize = 64;
/// Most entries of metadata in a message.
const ENTRIES: usize = 5;

/// An event as receivers get it.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Its id, the same for all channels and attempts.
    pub id: EventId,
    /// Name of the event.
    pub event: String,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// The team whose event it is.
    pub team_id: TeamId,
    /// Facts.
    pub data: Map<String, Value>,
}

/// A request for a receiver.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Method.
    pub method: Method,
    /// Address, which may hold a secret.
    pub url: Url,
    /// Headers, apart from those of the connection.
    pub headers: Vec<(&'static str, String)>,
    /// JSON text.
    pub body: String,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Returns the request that tells a channel's receiver of an event, as of `now`.
pub fn request(
    target: &Target,
    notification: &Notification,
    delivery: DeliveryId,
    now: DateTime<Utc>,
) -> Outgoing {
    let post = |url: &Url, body: Value| Outgoing {
        method: Method::Post,
        url: url.clone(),
        headers: Vec::new(),
        body: body.to_string(),
    };
    let text = || text_of(notification);
    match &target.config {
        ChannelConfig::Webhook { url } => {
            signed(post(url, event(notification)), notification, target.secret.as_ref(), delivery, now)
        }
        // Without `mrkdwn` nothing is a format, and escaped brackets are no mention.
        ChannelConfig::Slack { url } => {
            post(url, json!({"text": without_brackets(&text()), "mrkdwn": false}))
        }
        ChannelConfig::Discord { url } => {
            post(url, json!({"content": escaped(&text()), "allowed_mentions": {"parse": []}}))
        }
        ChannelConfig::Teams { url } => post(url, adaptive_card(&escaped(&text()))),
        ChannelConfig::GoogleChat { url } => post(url, json!({"text": plain(&text())})),
        ChannelConfig::Telegram { api_url, bot_token, chat_id } => post(
            &below(api_url, &[&format!("bot{bot_token}"), "sendMessage"]),
            json!({"chat_id": chat_id, "text": text(), "link_preview_options": {"is_disabled": true}}),
        ),
        ChannelConfig::Matrix { homeserver_url, access_token, room_id } => {
            let delivery = delivery.to_string();
            let path = ["_matrix", "client", "v3", "rooms", room_id, "send", "m.room.message", &delivery];
            Outgoing {
                // The homeserver takes a transaction once, however often it is sent.
                method: Method::Put,
                headers: vec![("authorization", format!("Bearer {access_token}"))],
                ..post(
                    &below(homeserver_url, &path),
                    json!({"msgtype": "m.notice", "body": text(), "m.mentions": {}}),
                )
            }
        }
    }
}

/// Returns the body of a webhook's delivery.
fn event(notification: &Notification) -> Value {
    json!({
        "id": notification.id,
        "type": notification.event,
        "created_at": notification.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "team_id": notification.team_id,
        "data": notification.data,
    })
}

/// Adds the headers of a webhook's delivery.
fn signed(
    mut request: Outgoing,
    notification: &Notification,
    secret: Option<&SigningSecret>,
    delivery: DeliveryId,
    now: DateTime<Utc>,
) -> Outgoing {
    let timestamp = now.timestamp().to_string();
    request.headers = vec![
        ("x-wrenn-event", notification.event.clone()),
        ("x-wrenn-delivery", delivery.to_string()),
        ("x-wrenn-timestamp", timestamp.clone()),
    ];
    let signature = secret.and_then(|secret| signature(secret, &timestamp, &request.body));
    request.headers.extend(signature.map(|signature| ("x-wrenn-signature", signature)));
    request
}

/// Returns `v1=` and the HMAC-SHA256 of the time, a dot and the body.
fn signature(secret: &SigningSecret, timestamp: &str, body: &str) -> Option<String> {
    // A key of any length will do.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()).ok()?;
    for part in [timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    Some(format!("v1={}", hex::encode(mac.finalize().into_bytes())))
}

/// Returns the address of a path below another address, whose query it loses.
fn below(url: &Url, path: &[&str]) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Addresses with a host have a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// Returns the event in a line for people, in which no `@` mentions anybody.
fn text_of(notification: &Notification) -> String {
    let fact = |name: &str| notification.data.get(name).and_then(Value::as_str).map(cut);
    let of = |kind: &str, name: &str| format!("{kind} {}", fact(name).unwrap_or_default());
    let capsule = || of("Capsule", "capsule_id");
    let subject = match notification.event.as_str() {
        "capsule.created" => format!("{} was created", capsule()),
        "capsule.running" => format!("{} is running", capsule()),
        "capsule.paused" => format!("{} was paused", capsule()),
        "capsule.destroyed" => format!("{} was destroyed", capsule()),
        "template.snapshot.created" => format!("{} is ready", of("Template", "name")),
        "template.snapshot.deleted" => format!("{} was deleted", of("Template", "name")),
        "host.up" => format!("{} is up", of("Host", "host_id")),
        "host.down" => format!("{} is down", of("Host", "host_id")),
        TEST => "This is a test of a notification channel".to_owned(),
        other => cut(other),
    };
    let mut facts: Vec<String> =
        fact("template").map(|name| format!("template {name}")).into_iter().collect();
    if let Some(Value::Object(metadata)) = notification.data.get("metadata") {
        let entry = |(name, value): (&String, &Value)| {
            format!("{}={}", cut(name), cut(value.as_str().unwrap_or_default()))
        };
        facts.extend(metadata.iter().take(ENTRIES).map(entry));
    }
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    // A character without a width keeps a name behind an `@` from being one.
    format!("Wrenn: {subject}{facts}.").replace('@', "@\u{200b}")
}

/// Truncates a text, and removes its control characters.
fn cut(text: &str) -> String {
    let mut characters = text.chars().filter(|c| !c.is_control());
    let mut cut: String = characters.by_ref().take(VALUE_CHARACTERS).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

/// Escapes what Slack reads as a mention or a link.
fn without_brackets(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escapes every character of Markdown.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]()<>#+-!|~:".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Replaces the characters that Google Chat, which knows no escape, reads as a mention, a link or a format.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            '*' => '∗',
            '~' => '∼',
            '`' => '\'',
            c => c,
        })
        .collect()
}

/// Returns the message that both workflows and incoming webhooks of Teams take.
fn adaptive_card(text: &str) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [{"type": "TextBlock", "text": text, "wrap": true}],
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::channel::ChannelProvider;

    fn target(provider: &str, fields: &[(&str, &str)]) -> Target {
        let fields: BTreeMap<String, String> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let provider: ChannelProvider = provider.parse().unwrap();
        let secret = (provider == ChannelProvider::Webhook).then(|| SigningSecret("whsec_x".to_owned()));
        Target { config: ChannelConfig::read(provider, &fields).unwrap(), secret }
    }

    fn notification(metadata: Value) -> Notification {
        let data =
            json!({"capsule_id": "cl-1", "status": "running", "template": "minimal", "metadata": metadata});
        Notification {
            id: EventId::new(),
            event: "capsule.running".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            team_id: TeamId::PLATFORM,
            data: data.as_object().unwrap().clone(),
        }
    }

    fn sent(target: &Target, notification: &Notification) -> (Outgoing, Value) {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let request = request(target, notification, DeliveryId::new(), now);
        let body = serde_json::from_str(&request.body).unwrap();
        (request, body)
    }

    #[test]
    fn a_webhook_gets_the_event_and_a_signature_of_it() {
        let notification = notification(json!({"a": "b"}));
        let (request, body) = sent(&target("webhook", &[("url", "https://a.org/x?y=z")]), &notification);
        assert_eq!((request.method, request.url.as_str()), (Method::Post, "https://a.org/x?y=z"));
        let expected = json!({
            "id": notification.id.to_string(), "type": "capsule.running", "created_at": "1970-01-01T00:00:00.000000Z",
            "team_id": TeamId::PLATFORM.to_string(), "data": notification.data,
        });
        assert_eq!(body, expected);
        let header = |name| &request.headers.iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!(header("x-wrenn-event"), "capsule.running");
        assert_eq!(header("x-wrenn-timestamp"), "1700000000");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_x").unwrap();
        mac.update(format!("1700000000.{}", request.body).as_bytes());
        let signature = hex::decode(header("x-wrenn-signature").strip_prefix("v1=").unwrap()).unwrap();
        mac.verify_slice(&signature).unwrap();
    }

    #[test]
    fn each_provider_gets_its_own_format() {
        let notification = notification(json!({}));
        const TEXT: &str = "Wrenn: Capsule cl-1 is running (template minimal).";
        let of = |provider, fields: &[(&str, &str)]| sent(&target(provider, fields), &notification);
        let url = [("webhook_url", "https://a.org/x")];
        assert_eq!(of("slack", &url).1, json!({"text": TEXT, "mrkdwn": false}));
        assert_eq!(of("googlechat", &url).1, json!({"text": TEXT}));
        let discord = of("discord", &url).1;
        assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
        assert_eq!(discord["content"].as_str().unwrap().replace('\\', ""), TEXT);
        let card = of("teams", &url).1["attachments"][0]["content"]["body"][0]["text"].clone();
        assert_eq!(card.as_str().unwrap().replace('\\', ""), TEXT);
        let (request, body) = of("telegram", &[("bot_token", "1:a"), ("chat_id", "-1")]);
        assert_eq!(request.url.as_str(), "https://api.telegram.org/bot1:a/sendMessage");
        assert_eq!((&body["chat_id"], &body["text"]), (&json!("-1"), &json!(TEXT)));
        let fields =
            [("homeserver_url", "https://m.org/base/?q"), ("access_token", "t"), ("room_id", "!a/b:m.org")];
        let (request, body) = of("matrix", &fields);
        assert_eq!(request.method, Method::Put);
        let begin = "https://m.org/base/_matrix/client/v3/rooms/!a%2Fb:m.org/send/m.room.message/dlv-";
        assert!(request.url.as_str().starts_with(begin), "{}", request.url);
        assert_eq!(request.headers, [("authorization", "Bearer t".to_owned())]);
        assert_eq!(body, json!({"msgtype": "m.notice", "body": TEXT, "m.mentions": {}}));
        assert!(!format!("{request:?}").contains("m.org"), "an address may hold a secret");
    }

    #[test]
    fn metadata_mentions_nobody_and_formats_nothing() {
        let hostile = json!({
            "a": "@everyone @here <!channel> <users/all> <@U1> [x](https://evil.example)",
            "a2": "*b* `c`\n\u{1b}[2J",
            "b": "x".repeat(10_000),
        });
        let notification = notification(hostile);
        let url = [("webhook_url", "https://a.org/x")];
        let body = |provider, fields: &[(&str, &str)]| sent(&target(provider, fields), &notification).1;
        let slack = body("slack", &url)["text"].as_str().unwrap().to_owned();
        let discord = body("discord", &url)["content"].as_str().unwrap().to_owned();
        let chat = body("googlechat", &url)["text"].as_str().unwrap().to_owned();
        let telegram =
            body("telegram", &[("bot_token", "1:a"), ("chat_id", "1")])["text"].as_str().unwrap().to_owned();
        for text in [&slack, &discord, &chat, &telegram] {
            assert!(!text.contains("@everyone") && !text.contains("@here"), "{text}");
            assert!(!text.contains('\n') && !text.contains('\u{1b}'), "{text}");
            assert!(text.chars().count() < 1000, "{text}");
        }
        let worst = json!(
            (0..10)
                .map(|n| (format!("{n}{}", "*".repeat(127)), json!("`".repeat(1024))))
                .collect::<Map<_, _>>()
        );
        let worst = sent(&target("discord", &url), &self::notification(worst)).1;
        assert!(worst["content"].as_str().unwrap().chars().count() <= 2000, "Discord takes no more");
        assert!(!slack.contains(['<', '>']) && !chat.contains(['<', '>', '*', '`']), "{slack} {chat}");
        assert!(discord.contains("\\[x\\]\\(https\\:") && discord.contains("\\*b\\*"), "{discord}");
    }
}
