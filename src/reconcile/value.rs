//! Amounts and times as files write them.

use time::format_description::FormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::ledger::Currency;

/// The largest fee of a line, minor units: as many as a file can have lines sum to less than 64 bits.
const FEE_MAX: i64 = 1_000_000_000_000;

/// Whole minor units.
pub(super) fn minor(field: &str, text: &str) -> Result<i64, String> {
    let amount = text.trim().parse().map_err(|_| {
        format!("{field} {text:?} is not a whole number of minor units, such as 125000")
    })?;
    with_an_opposite(field, text, amount)
}

/// What the other side has, the ledger has with the other sign.
fn with_an_opposite(field: &str, text: &str, amount: i64) -> Result<i64, String> {
    match amount.checked_neg() {
        Some(_) => Ok(amount),
        None => Err(format!("{field} {text:?} is beyond what can be booked")),
    }
}

/// A fee that can be summed up with those of all other lines.
pub(super) fn fee(fee: i64) -> Result<i64, String> {
    match fee.unsigned_abs() <= FEE_MAX.unsigned_abs() {
        true => Ok(fee),
        false => Err(format!(
            "the fee of {fee} minor units is beyond {FEE_MAX}, the most of a line"
        )),
    }
}

/// Units of the currency with at most its decimals, with or without commas between thousands:
/// `1,250.00`, `1250`. A column that says so leaves no doubt about what is meant.
pub(super) fn major(field: &str, text: &str, currency: Currency) -> Result<i64, String> {
    let wrong = || format!("{field} {text:?} is not an amount in {currency}, such as 1250.00");
    let plain = without_commas(text.trim()).ok_or_else(wrong)?;
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let decimals = usize::try_from(currency.decimals()).unwrap_or_default();
    // More digits are no mistake where they are zeros.
    let fraction = match fraction.split_at_checked(decimals) {
        Some((kept, rest)) if rest.bytes().all(|byte| byte == b'0') => kept,
        Some(_) => return Err(wrong()),
        None => fraction,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !are_digits(digits) || !are_digits(fraction) {
        return Err(wrong());
    }
    let amount = format!("{whole}{fraction:0<decimals$}")
        .parse()
        .map_err(|_| wrong())?;
    with_an_opposite(field, text, amount)
}

/// `None` where commas stand elsewhere than between thousands.
fn without_commas(text: &str) -> Option<String> {
    if !text.contains(',') {
        return Some(text.to_owned());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let mut groups = digits.split(',');
    let first = groups
        .next()
        .is_some_and(|first| (1..=3).contains(&first.len()));
    let fits = first && groups.all(|group| group.len() == 3) && !fraction.contains(',');
    fits.then(|| text.replace(',', ""))
}

/// A time of RFC 3339, `2026-11-22 09:30:00` (UTC), or a day.
pub(super) fn time(field: &str, text: &str) -> Result<OffsetDateTime, String> {
    const SECONDS: &[FormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    const MINUTES: &[FormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let text = text.trim();
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return in_range(field, day.midnight().assume_utc());
    }
    if let Some(time) = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .and_then(|time| time.checked_to_offset(UtcOffset::UTC))
    {
        return in_range(field, time);
    }
    let spaced = text.replacen('T', " ", 1);
    let spaced = spaced.split('.').next().unwrap_or_default();
    for format in [SECONDS, MINUTES] {
        if let Ok(time) = PrimitiveDateTime::parse(spaced, format) {
            return in_range(field, time.assume_utc());
        }
    }
    Err(format!(
        "{field} {text:?} is not a time: 2026-11-22T09:30:00Z, 2026-11-22 09:30:00 (UTC) or \
         2026-11-22"
    ))
}

fn in_range(field: &str, time: OffsetDateTime) -> Result<OffsetDateTime, String> {
    match time.year() {
        1970..=9998 => Ok(time),
        year => Err(format!("{field} is of the year {year}")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_with_the_decimals_of_its_currency() {
        let read = |text, code| major("amount", text, Currency::from_code(code).unwrap());
        for (text, code, minor) in [
            ("1250.00", "NGN", 125_000),
            ("1,250.00", "NGN", 125_000),
            ("1250", "NGN", 125_000),
            ("-12.5", "NGN", -1_250),
            ("-0.05", "NGN", -5),
            ("1250.00", "JPY", 1_250),
            ("1.234", "KWD", 1_234),
            ("1,234,567.8", "NGN", 123_456_780),
        ] {
            assert_eq!(read(text, code), Ok(minor), "{text}");
        }
        for text in [
            "", "-", ".", "1.234", "1,25", "12,34.00", "1 250", "1e3", "+1", "NGN 5",
        ] {
            assert!(read(text, "NGN").is_err(), "{text}");
        }
        assert!(read("99999999999999999999", "NGN").is_err());
        assert_eq!(read("-92233720368547758.07", "NGN"), Ok(-i64::MAX));
    }

    #[test]
    fn an_amount_that_has_no_opposite_is_refused() {
        let ngn = Currency::from_code("NGN").unwrap();
        for told in [
            minor("amount", "-9223372036854775808"),
            major("amount", "-92233720368547758.08", ngn),
        ] {
            assert!(told.unwrap_err().contains("beyond what can be booked"));
        }
        assert_eq!(fee(-FEE_MAX), Ok(-FEE_MAX));
        assert!(fee(FEE_MAX + 1).unwrap_err().contains("the most of a line"));
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let read = |text| time("booked_at", text).unwrap();
        assert_eq!(
            read("2026-11-22T10:30:00+01:00"),
            read("2026-11-22 09:30:00")
        );
        assert_eq!(read("2026-11-22"), read("2026-11-22T00:00:00.000Z"));
        for text in ["", "22.11.2026", "2026-02-30", "0001-01-01"] {
            assert!(time("booked_at", text).is_err(), "{text}");
        }
    }
}
