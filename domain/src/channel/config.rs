//! Configurations of channels: the fields of each provider, and their rules.
//!
//! | provider | fields |
//! |---|---|
//! | `webhook` | `url` |
//! | `slack`, `discord`, `teams`, `googlechat` | `webhook_url`; `url` means the same |
//! | `telegram` | `bot_token`, `chat_id`; `api_url` for an API server of one's own |
//! | `matrix` | `homeserver_url`, `access_token`, `room_id` |
//!
//! Every value is a secret, or may hold one: errors name the field and never repeat the value.

use std::{collections::BTreeMap, fmt};

use url::Url;

use super::ChannelProvider;
use crate::limits::{MAX_CHANNEL_VALUE_BYTES, echo};

/// Address of Telegram's own API server.
const TELEGRAM: &str = "https://api.telegram.org";

/// A configuration that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config.{field}: {wrong}")]
pub struct ConfigError {
    field: String,
    wrong: String,
}

/// Destination of a channel.
#[derive(Clone, PartialEq, Eq)]
pub enum ChannelConfig {
    /// A program that checks signatures.
    Webhook {
        /// Its address.
        url: Url,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// Its address, which is a secret.
        url: Url,
    },
    /// A webhook of Discord.
    Discord {
        /// Its address, which is a secret.
        url: Url,
    },
    /// A workflow or incoming webhook of Microsoft Teams.
    Teams {
        /// Its address, which is a secret.
        url: Url,
    },
    /// A webhook of Google Chat.
    GoogleChat {
        /// Its address, which is a secret.
        url: Url,
    },
    /// A chat of Telegram.
    Telegram {
        /// Address of the API server.
        api_url: Url,
        /// The bot's credential.
        bot_token: String,
        /// Id or public name of the chat.
        chat_id: String,
    },
    /// A room of Matrix.
    Matrix {
        /// Address of the homeserver.
        homeserver_url: Url,
        /// Credential of a user who is in the room.
        access_token: String,
        /// Id of the room.
        room_id: String,
    },
}

impl fmt::Debug for ChannelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelConfig({})", self.provider())
    }
}

impl ChannelConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// If a field is missing, unknown or not valid; the error names it and does not have its value.
    pub fn read(provider: ChannelProvider, fields: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut fields = Fields { provider, left: fields.iter().collect() };
        let config = match provider {
            ChannelProvider::Webhook => Self::Webhook { url: fields.webhook_url("url", "webhook_url")? },
            ChannelProvider::Slack => Self::Slack { url: fields.webhook_url("webhook_url", "url")? },
            ChannelProvider::Discord => Self::Discord { url: fields.webhook_url("webhook_url", "url")? },
            ChannelProvider::Teams => Self::Teams { url: fields.webhook_url("webhook_url", "url")? },
            ChannelProvider::GoogleChat => {
                Self::GoogleChat { url: fields.webhook_url("webhook_url", "url")? }
            }
            ChannelProvider::Telegram => Self::Telegram {
                api_url: match fields.optional("api_url")? {
                    Some(text) => url("api_url", text)?,
                    None => url("api_url", TELEGRAM)?,
                },
                bot_token: fields.bot_token()?,
                chat_id: fields.required("chat_id")?.to_owned(),
            },
            ChannelProvider::Matrix => Self::Matrix {
                homeserver_url: url("homeserver_url", fields.required("homeserver_url")?)?,
                access_token: fields.access_token()?,
                room_id: fields.room_id()?,
            },
        };
        fields.all_taken()?;
        Ok(config)
    }

    /// Returns the kind of the receiver.
    pub const fn provider(&self) -> ChannelProvider {
        match self {
            Self::Webhook { .. } => ChannelProvider::Webhook,
            Self::Slack { .. } => ChannelProvider::Slack,
            Self::Discord { .. } => ChannelProvider::Discord,
            Self::Teams { .. } => ChannelProvider::Teams,
            Self::GoogleChat { .. } => ChannelProvider::GoogleChat,
            Self::Telegram { .. } => ChannelProvider::Telegram,
            Self::Matrix { .. } => ChannelProvider::Matrix,
        }
    }

    /// Returns the fields from which [`read`](Self::read) makes the same configuration.
    pub fn fields(&self) -> BTreeMap<String, String> {
        let fields: Vec<(&str, &str)> = match self {
            Self::Webhook { url } => vec![("url", url.as_str())],
            Self::Slack { url } | Self::Discord { url } | Self::Teams { url } | Self::GoogleChat { url } => {
                vec![("webhook_url", url.as_str())]
            }
            Self::Telegram { api_url, bot_token, chat_id } => {
                vec![("api_url", api_url.as_str()), ("bot_token", bot_token), ("chat_id", chat_id)]
            }
            Self::Matrix { homeserver_url, access_token, room_id } => vec![
                ("homeserver_url", homeserver_url.as_str()),
                ("access_token", access_token),
                ("room_id", room_id),
            ],
        };
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// Returns the fields that a provider's configuration takes, in words.
pub const fn fields_of(provider: ChannelProvider) -> &'static str {
    match provider {
        ChannelProvider::Webhook => "`url`",
        ChannelProvider::Slack
        | ChannelProvider::Discord
        | ChannelProvider::Teams
        | ChannelProvider::GoogleChat => "`webhook_url`",
        ChannelProvider::Telegram => {
            "`bot_token`, `chat_id` and, if it has an API server of its own, `api_url`"
        }
        ChannelProvider::Matrix => "`homeserver_url`, `access_token` and `room_id`",
    }
}

fn refuse<T>(field: &str, wrong: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError { field: field.to_owned(), wrong: wrong.into() })
}

/// Fields that were not taken yet.
struct Fields<'a> {
    provider: ChannelProvider,
    left: BTreeMap<&'a String, &'a String>,
}

impl<'a> Fields<'a> {
    fn optional(&mut self, name: &str) -> Result<Option<&'a str>, ConfigError> {
        let Some(value) = self.left.remove(&name.to_owned()) else { return Ok(None) };
        let value = value.trim();
        if value.is_empty() {
            return refuse(name, "is empty; it must have a value");
        }
        if value.len() > MAX_CHANNEL_VALUE_BYTES {
            return refuse(name, format!("must have at most {MAX_CHANNEL_VALUE_BYTES} bytes"));
        }
        if value.chars().any(char::is_control) {
            return refuse(name, "must not have control characters");
        }
        Ok(Some(value))
    }

    fn required(&mut self, name: &str) -> Result<&'a str, ConfigError> {
        let provider = self.provider;
        let missing = || format!("is missing; a `{provider}` channel takes {}", fields_of(provider));
        self.optional(name)?.map_or_else(|| refuse(name, missing()), Ok)
    }

    /// Takes an address that has two names.
    fn webhook_url(&mut self, name: &str, alias: &str) -> Result<Url, ConfigError> {
        match self.optional(alias)? {
            Some(_) if self.left.contains_key(&name.to_owned()) => {
                refuse(alias, format!("means the same as `{name}`; give one of them"))
            }
            Some(value) => url(alias, value),
            None => url(name, self.required(name)?),
        }
    }

    fn bot_token(&mut self) -> Result<String, ConfigError> {
        const NAME: &str = "bot_token";
        let token = self.required(NAME)?;
        let is_token = |(id, secret): (&str, &str)| {
            let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            !id.is_empty()
                && !secret.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_digit())
                && secret.bytes().all(is_secret)
        };
        if !token.split_once(':').is_some_and(is_token) {
            return refuse(NAME, "is not a token like 123456:AbC-def, as @BotFather gives it");
        }
        Ok(token.to_owned())
    }

    fn access_token(&mut self) -> Result<String, ConfigError> {
        const NAME: &str = "access_token";
        let token = self.required(NAME)?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse(NAME, "must have visible ASCII characters only");
        }
        Ok(token.to_owned())
    }

    fn room_id(&mut self) -> Result<String, ConfigError> {
        const NAME: &str = "room_id";
        let room = self.required(NAME)?;
        if !room.starts_with('!') {
            return refuse(NAME, "is not the id of a room like !abc:example.org; an alias (#…) does not do");
        }
        Ok(room.to_owned())
    }

    fn all_taken(&self) -> Result<(), ConfigError> {
        let Some(name) = self.left.keys().next() else { return Ok(()) };
        let provider = self.provider;
        refuse(
            &echo(&name.chars().filter(|c| !c.is_control()).collect::<String>()),
            format!("is not known; a `{provider}` channel takes {}", fields_of(provider)),
        )
    }
}

fn url(field: &str, text: &str) -> Result<Url, ConfigError> {
    const EXAMPLE: &str = "must be an address like https://example.com/path";
    let Ok(url) = Url::parse(text) else { return refuse(field, format!("is not a URL; it {EXAMPLE}")) };
    match wrong_with(&url) {
        Some(wrong) => refuse(field, wrong),
        None => Ok(url),
    }
}

/// Returns the reason for which nothing is sent to a URL, apart from its address.
pub fn wrong_with(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "https" | "http") {
        return Some("has another scheme than https and http");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some("has no host; it must be an address like https://example.com/path");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("has a user or a password; addresses must have neither");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_provider_takes_its_fields() {
        for (provider, fields) in [
            ("webhook", vec![("url", "https://example.com/hook?a=b")]),
            ("webhook", vec![("webhook_url", "http://example.com:8080/")]),
            ("slack", vec![("webhook_url", "https://hooks.slack.com/services/T/B/x")]),
            ("discord", vec![("url", " https://discord.com/api/webhooks/1/x ")]),
            ("teams", vec![("webhook_url", "https://example.webhook.office.com/x")]),
            (
                "googlechat",
                vec![("webhook_url", "https://chat.googleapis.com/v1/spaces/x/messages?key=k&token=t")],
            ),
            ("telegram", vec![("bot_token", "123:Ab-c_d"), ("chat_id", "-100123")]),
            (
                "telegram",
                vec![("bot_token", "1:a"), ("chat_id", "@ops"), ("api_url", "http://10.0.0.1:8081")],
            ),
            (
                "matrix",
                vec![("homeserver_url", "https://m.org"), ("access_token", "syt_x"), ("room_id", "!a:m.org")],
            ),
        ] {
            let provider: ChannelProvider = provider.parse().unwrap();
            let config = ChannelConfig::read(provider, &map(&fields)).unwrap();
            assert_eq!(config.provider(), provider);
            assert_eq!(ChannelConfig::read(provider, &config.fields()), Ok(config.clone()));
            let shown = format!("{config:?}");
            assert!(fields.iter().all(|(_, value)| !shown.contains(value.trim())), "{shown}");
        }
    }

    #[test]
    fn errors_name_the_field_and_keep_its_value_to_themselves() {
        const SECRET: &str = "s3cret";
        for (provider, fields, expected) in [
            ("webhook", vec![], "config.url: is missing; a `webhook` channel takes `url`"),
            ("webhook", vec![("url", "s3cret")], "config.url: is not a URL"),
            ("webhook", vec![("url", "")], "config.url: is empty"),
            ("webhook", vec![("url", "ftp://s3cret.example.com")], "config.url: has another scheme"),
            (
                "webhook",
                vec![("url", "https://me:s3cret@example.com")],
                "config.url: has a user or a password",
            ),
            ("webhook", vec![("url", "https://example.com/s3cret\n1")], "config.url: must not have control"),
            ("webhook", vec![("url", "https://a.org"), ("secret", SECRET)], "config.secret: is not known"),
            (
                "slack",
                vec![("webhook_url", "https://a.org"), ("url", "https://b.org")],
                "config.url: means the same",
            ),
            ("telegram", vec![("chat_id", "1")], "config.bot_token: is missing"),
            (
                "telegram",
                vec![("bot_token", "1:s3cret/../x"), ("chat_id", "1")],
                "config.bot_token: is not a token",
            ),
            ("telegram", vec![("bot_token", "1:s3cret")], "config.chat_id: is missing"),
            (
                "matrix",
                vec![("homeserver_url", "https://m.org"), ("access_token", "s3cret x"), ("room_id", "!a")],
                "config.access_token: must have visible",
            ),
            (
                "matrix",
                vec![("homeserver_url", "https://m.org"), ("access_token", SECRET), ("room_id", "#a:m.org")],
                "config.room_id: is not the id of a room",
            ),
        ] {
            let error =
                ChannelConfig::read(provider.parse().unwrap(), &map(&fields)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains(SECRET), "{error}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_CHANNEL_VALUE_BYTES));
        let error = ChannelConfig::read(ChannelProvider::Webhook, &map(&[("url", &long)])).unwrap_err();
        assert!(error.to_string().contains("at most 2048 bytes"), "{error}");
        let name = "x\u{1b}[2J".repeat(100);
        let error =
            ChannelConfig::read(ChannelProvider::Slack, &map(&[("url", "https://a.org"), (&name, "")]));
        let error = error.unwrap_err().to_string();
        assert!(!error.contains('\u{1b}') && error.len() < 200, "{error}");
    }
}
