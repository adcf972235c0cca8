//! Times as people type and read them, in UTC.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

/// Reads a time of RFC 3339, or a date, which means its first moment in UTC.
///
/// # Errors
/// Another form.
pub(crate) fn parse(text: &str) -> Result<OffsetDateTime, String> {
    if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(date.midnight().assume_utc());
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|time| time.checked_to_offset(UtcOffset::UTC))
        .ok_or_else(|| {
            "is not a time: write 2026-11-22T09:30:00Z, or 2026-11-22 for its first moment in UTC"
                .to_owned()
        })
}

/// Reads a time as [`parse`] does, or how long before `now` it was: `90s`, `45m`, `2h`, `3d`.
///
/// # Errors
/// Another form.
pub(crate) fn parse_since(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, String> {
    let before = || {
        let (number, seconds) = match text.split_at_checked(text.len().checked_sub(1)?)? {
            (number, "s") => (number, 1),
            (number, "m") => (number, 60),
            (number, "h") => (number, 3_600),
            (number, "d") => (number, 86_400),
            _ => return None,
        };
        let number: u32 = number.parse().ok()?;
        now.checked_sub(time::Duration::seconds(i64::from(number) * seconds))
    };
    match before() {
        Some(time) => Ok(time),
        None => parse(text).map_err(|error| format!("{error}, or how long ago: 45m, 2h, 3d")),
    }
}

/// For people: `2026-11-22 09:30:00Z`.
#[must_use]
pub(crate) fn format(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    let utc = time.to_offset(UtcOffset::UTC);
    utc.format(form).unwrap_or_else(|_| utc.to_string())
}

/// For programs: RFC 3339.
#[must_use]
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    let utc = time.to_offset(UtcOffset::UTC);
    utc.format(&Rfc3339).unwrap_or_else(|_| utc.to_string())
}

/// A length of time in its two largest units: `3 h 12 min`, `1.4 s`.
#[must_use]
pub(crate) fn duration(seconds: f64) -> String {
    // Durations of people's patience: no precision is lost that anybody would see.
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=59 => format!("{whole} s"),
        60..=3_599 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    #[test]
    fn a_date_means_its_first_moment_in_utc() {
        let midnight = parse("2026-11-22").unwrap();
        assert_eq!(midnight, parse("2026-11-22T01:00:00+01:00").unwrap());
        assert_eq!(format(midnight), "2026-11-22 00:00:00Z");
        assert_eq!(rfc3339(midnight), "2026-11-22T00:00:00Z");
        for text in ["", "yesterday", "22.11.2026", "2026-11-22 09:30"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_may_be_told_by_how_long_ago_it_was() {
        let now = parse("2026-11-22T10:00:00Z").unwrap();
        for (text, time) in [
            ("90s", "2026-11-22T09:58:30Z"),
            ("45m", "2026-11-22T09:15:00Z"),
            ("2h", "2026-11-22T08:00:00Z"),
            ("3d", "2026-11-19T10:00:00Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
        ] {
            assert_eq!(parse_since(text, now).unwrap(), parse(time).unwrap());
        }
        for text in ["", "h", "-2h", "2 h", "2w", "é", "99999999999d"] {
            assert!(parse_since(text, now).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_told_in_two_units() {
        assert_eq!(duration(1.44), "1.4 s");
        assert_eq!(duration(75.0), "1 min 15 s");
        assert_eq!(duration(7_380.0), "2 h 3 min");
        assert_eq!(duration(90_000.0), "1 d 1 h");
    }
}
