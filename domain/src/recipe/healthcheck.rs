//! The healthcheck of a build: a command that says whether what was started is ready.

use std::time::Duration;

use super::duration::parse_duration;

/// Check that a template is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// Run under `/bin/sh -c`; 0 means ready.
    pub command: String,
    /// Between the end of one try and the next.
    pub interval: Duration,
    /// For one try.
    pub timeout: Duration,
    /// During which a failed try does not count.
    pub start_period: Duration,
    /// Failed tries in a row, after the start period, with which the build has failed.
    pub retries: u32,
}

/// Fault of a healthcheck.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HealthcheckError {
    /// There is no command.
    #[error(
        "no command follows; write `[--interval=3s] [--timeout=10s] [--start-period=30s] [--retries=3] command`"
    )]
    NoCommand,
    /// An option that there is not.
    #[error(
        "there is no option `{0}`; the options are `--interval=3s`, `--timeout=10s`, `--start-period=30s` and `--retries=3`, with `=`"
    )]
    Option(String),
    /// An option that is given twice.
    #[error("the option `{0}` is given twice")]
    Twice(String),
    /// A time that is none, or out of range.
    #[error("{option}: `{text}` must be a time from {least} to 1h, like `30s` or `5m`")]
    Duration {
        /// Which option.
        option: &'static str,
        /// Text that was given.
        text: String,
        /// The shortest one.
        least: &'static str,
    },
    /// A number that is none, or out of range.
    #[error("--retries: `{0}` must be a number from 1 to 100")]
    Retries(String),
    /// A character that no command has.
    #[error("the character {0:?} cannot be in a command; remove it")]
    Character(char),
}

impl Healthcheck {
    /// Reads `--interval=3s --timeout=10s --start-period=30s --retries=3 command`; the options may be left out.
    ///
    /// # Errors
    /// See [`HealthcheckError`].
    pub fn parse(text: &str) -> Result<Self, HealthcheckError> {
        if let Some(character) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(HealthcheckError::Character(character));
        }
        let mut check = Self {
            command: String::new(),
            interval: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            start_period: Duration::from_secs(30),
            retries: 3,
        };
        let mut given = Vec::new();
        let mut rest = text.trim();
        while rest.starts_with("--") {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let (option, value) =
                word.split_once('=').ok_or_else(|| HealthcheckError::Option(word.to_owned()))?;
            if given.contains(&option) {
                return Err(HealthcheckError::Twice(option.to_owned()));
            }
            match option {
                "--interval" => check.interval = within("--interval", value, Duration::from_millis(100))?,
                "--timeout" => check.timeout = within("--timeout", value, Duration::from_millis(100))?,
                "--start-period" => check.start_period = within("--start-period", value, Duration::ZERO)?,
                "--retries" => {
                    let retries = value.parse().ok().filter(|retries| (1..=100).contains(retries));
                    check.retries = retries.ok_or_else(|| HealthcheckError::Retries(value.to_owned()))?;
                }
                _ => return Err(HealthcheckError::Option(word.to_owned())),
            }
            given.push(option);
            rest = after.trim_start();
        }
        if rest.is_empty() {
            return Err(HealthcheckError::NoCommand);
        }
        check.command = rest.to_owned();
        Ok(check)
    }

    /// The longest that it can take to say whether the template is ready.
    pub fn budget(&self) -> Duration {
        // A try that begins within the start period may outlast it.
        self.start_period + (self.timeout + self.interval) * (self.retries + 1)
    }
}

fn within(option: &'static str, text: &str, least: Duration) -> Result<Duration, HealthcheckError> {
    let longest = Duration::from_secs(3600);
    let duration = parse_duration(text).filter(|duration| (least..=longest).contains(duration));
    let least = if least.is_zero() { "0s" } else { "100ms" };
    duration.ok_or_else(|| HealthcheckError::Duration { option, text: text.to_owned(), least })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let check = Healthcheck::parse("curl -f http://localhost:8080 || exit 1").unwrap();
        assert_eq!(check.command, "curl -f http://localhost:8080 || exit 1");
        assert_eq!((check.interval.as_secs(), check.timeout.as_secs(), check.retries), (3, 10, 3));
        let check =
            Healthcheck::parse("--interval=500ms --timeout=1m --start-period=0s --retries=1 true --x=1")
                .unwrap();
        assert_eq!(check.command, "true --x=1");
        assert_eq!((check.interval.as_millis(), check.timeout.as_secs()), (500, 60));
        assert_eq!(check.budget(), Duration::from_secs(121));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("", "no command"),
            ("--retries=3", "no command"),
            ("--retries 3 true", "with `=`"),
            ("--retry=3 true", "`--retry=3`"),
            ("--retries=0 true", "1 to 100"),
            ("--retries=-1 true", "1 to 100"),
            ("--interval=5 true", "--interval"),
            ("--interval=0s true", "100ms"),
            ("--timeout=2h true", "--timeout"),
            ("--timeout=1s --timeout=2s true", "twice"),
            ("tr\0ue", "cannot be"),
        ] {
            let error = Healthcheck::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
