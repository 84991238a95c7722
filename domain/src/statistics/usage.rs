//! Usage: the minutes that a team had resources, by day.
//!
//! Days are those of UTC, so each has 1440 minutes. A day without samples has zero of everything; days that have not begun
//! have no point.

use chrono::{Days, NaiveDate};

use crate::limits::{LimitError, echo};

/// Days of a period, at most.
pub const MAX_USAGE_DAYS: u32 = 366;
/// Days of a period unless a client says otherwise; the last one is today.
const DEFAULT_DAYS: u32 = 30;
/// Earliest day that a period may have.
const EARLIEST: NaiveDate = match NaiveDate::from_ymd_opt(1970, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// Resources that a team had, each multiplied by the seconds for which it had it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Reserved vCPUs.
    pub vcpu_seconds: u64,
    /// Reserved memory, in MiB.
    pub memory_mb_seconds: u64,
    /// Disks of capsules, in MiB.
    pub disk_mb_seconds: u64,
    /// Templates, in MiB.
    pub template_mb_seconds: u64,
}

/// Usage of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDay {
    /// The day, in UTC.
    pub date: NaiveDate,
    /// Usage until its end, or until now.
    pub totals: UsageTotals,
}

/// Days for which usage is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsagePeriod {
    from: NaiveDate,
    to: NaiveDate,
    today: NaiveDate,
}

/// Returns minutes of seconds.
pub fn minutes(seconds: u64) -> f64 {
    seconds as f64 / 60.0
}

fn refuse(field: &'static str, wrong: String) -> LimitError {
    LimitError { field, wrong }
}

/// Reads a date such as `2026-11-30`.
fn date(field: &'static str, text: &str) -> Result<NaiveDate, LimitError> {
    let has_form = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| has_form);
    let parsed = parsed.filter(|date| *date >= EARLIEST);
    parsed.ok_or_else(|| {
        let wrong = format!("`{}` is no date from {EARLIEST} on; use one such as `2026-11-30`", echo(text));
        refuse(field, wrong)
    })
}

/// Returns the day that is `days` before another one.
fn before(date: NaiveDate, days: u32) -> NaiveDate {
    date.checked_sub_days(Days::new(days.into())).unwrap_or(NaiveDate::MIN)
}

impl UsagePeriod {
    /// Makes a period of the dates that a client has given, both included. Without `to` it ends today, without `from` it has
    /// 30 days.
    ///
    /// # Errors
    /// If a text is no date, the period ends before it begins, or has more than [`MAX_USAGE_DAYS`].
    pub fn new(from: Option<&str>, to: Option<&str>, today: NaiveDate) -> Result<Self, LimitError> {
        let from = from.map(|text| date("from", text)).transpose()?;
        let to = to.map(|text| date("to", text)).transpose()?.unwrap_or(today);
        let from = from.unwrap_or_else(|| before(to, DEFAULT_DAYS - 1));
        let days = (to - from).num_days() + 1;
        if days < 1 {
            return Err(refuse("from", format!("{from} is after the end of the period ({to})")));
        }
        if days > MAX_USAGE_DAYS.into() {
            let earliest = before(to, MAX_USAGE_DAYS - 1);
            let wrong = format!(
                "the period has {days} days; it must have at most {MAX_USAGE_DAYS}, so begin at {earliest} or later"
            );
            return Err(refuse("from", wrong));
        }
        Ok(Self { from, to, today })
    }

    /// Returns the first day.
    pub fn from(&self) -> NaiveDate {
        self.from
    }

    /// Returns the last day.
    pub fn to(&self) -> NaiveDate {
        self.to
    }

    /// Returns the usage of each day that has begun, oldest first. Days of which nothing is known have none; those outside of
    /// the period are left out.
    pub fn points(&self, known: &[UsageDay]) -> Vec<UsageDay> {
        let days = self.from.iter_days().take_while(|date| *date <= self.to.min(self.today));
        let totals = |date: NaiveDate| known.iter().find(|day| day.date == date).map(|day| day.totals);
        days.map(|date| UsageDay { date, totals: totals(date).unwrap_or_default() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn period(from: Option<&str>, to: Option<&str>) -> Result<UsagePeriod, LimitError> {
        UsagePeriod::new(from, to, day("2026-11-30"))
    }

    #[test]
    fn a_period_ends_today_and_has_thirty_days_unless_a_client_says_otherwise() {
        for (from, to, expected) in [
            (None, None, ("2026-11-01", "2026-11-30")),
            (Some("2026-11-30"), None, ("2026-11-30", "2026-11-30")),
            (Some("2026-03-01"), None, ("2026-03-01", "2026-11-30")),
            (None, Some("2026-03-01"), ("2026-01-31", "2026-03-01")),
            (Some("2024-02-28"), Some("2024-03-01"), ("2024-02-28", "2024-03-01")),
            (Some("2025-11-30"), None, ("2025-11-30", "2026-11-30")),
            (None, Some("1970-01-01"), ("1969-12-03", "1970-01-01")),
            (Some("9999-12-31"), Some("9999-12-31"), ("9999-12-31", "9999-12-31")),
        ] {
            let period = period(from, to).unwrap();
            assert_eq!((period.from(), period.to()), (day(expected.0), day(expected.1)), "{from:?} {to:?}");
        }
    }

    #[test]
    fn bad_dates_are_refused_with_the_name_of_their_field() {
        for bad in [
            "",
            "today",
            "2026-11-31",
            "2026-02-29",
            "2026-1-1",
            "26-11-30",
            "2026/11/30",
            "2026-11-30T00:00:00Z",
            " 2026-11-3",
            "+2026-11-3",
            "-026-11-30",
            "1969-12-31",
            "0000-01-01",
            "12026-11-30",
            "2026-11-30 ",
            "２０２６-11-30",
        ] {
            assert_eq!(period(Some(bad), None).unwrap_err().field, "from", "{bad}");
            assert_eq!(period(None, Some(bad)).unwrap_err().field, "to", "{bad}");
        }
        for (from, to, wrong) in [
            ("2026-12-01", None, "is after the end of the period (2026-11-30)"),
            ("2026-11-30", Some("2026-11-29"), "is after the end of the period (2026-11-29)"),
            ("2025-11-29", None, "the period has 367 days; it must have at most 366, so begin at 2025-11-30"),
            ("1970-01-01", Some("9999-12-31"), "at most 366"),
        ] {
            let error = period(Some(from), to).unwrap_err();
            assert_eq!(error.field, "from");
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn each_day_that_has_begun_has_a_point_and_unknown_ones_are_zero() {
        let totals = |vcpu_seconds| UsageTotals { vcpu_seconds, ..UsageTotals::default() };
        let known = [
            UsageDay { date: day("2026-11-27"), totals: totals(1) },
            UsageDay { date: day("2026-11-30"), totals: totals(2) },
            UsageDay { date: day("2026-12-01"), totals: totals(3) },
        ];
        let points = period(Some("2026-11-28"), Some("2026-12-31")).unwrap().points(&known);
        let expected = [("2026-11-28", 0), ("2026-11-29", 0), ("2026-11-30", 2)];
        let expected = expected.map(|(date, seconds)| UsageDay { date: day(date), totals: totals(seconds) });
        assert_eq!(points, expected);
        assert_eq!(period(Some("2026-12-01"), Some("2026-12-31")).unwrap().points(&known), []);
        assert_eq!(period(Some("2025-11-30"), None).unwrap().points(&known).len(), 366);
    }

    #[test]
    fn minutes_are_exact_to_the_second() {
        assert_eq!(minutes(0), 0.0);
        assert_eq!(minutes(90), 1.5);
        assert_eq!(minutes(86_400), 1440.0);
    }
}
