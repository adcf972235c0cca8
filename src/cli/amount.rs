//! Amounts as people type and read them.

use crate::ledger::{AmountError, Currency, InvalidField, Rejection, RejectionCode};

/// How much: exactly one of the two.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AmountArgs {
    /// Amount with exactly the currency's decimals: 1250.00 in NGN, 1250 in JPY
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    amount: Option<String>,
    /// Amount in minor units: 125000 is NGN 1250.00
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    minor: Option<String>,
}

impl AmountArgs {
    /// The amount in minor units.
    ///
    /// # Errors
    /// See [`Unread`].
    pub(crate) fn in_minor(&self, currency: &str) -> Result<i64, Unread> {
        match (&self.minor, &self.amount) {
            (Some(text), _) => read_minor(text),
            (None, Some(text)) => read(text, currency),
            (None, None) => Err(Unread::Field(InvalidField::new("amount", "is missing"))),
        }
    }
}

/// Why an amount can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// A rule says no to what it means, or to its currency, whose decimals nobody knows.
    Rule(Rejection),
    /// Two readings are possible.
    Ambiguous(InvalidField),
    /// Anything else that is wrong with the text.
    Field(InvalidField),
}

/// Reads an amount with exactly the currency's decimals into minor units.
///
/// # Errors
/// See [`Unread`].
pub(crate) fn read(text: &str, currency: &str) -> Result<i64, Unread> {
    let known: Currency = currency.parse().map_err(|problem: String| {
        Unread::Rule(Rejection::new(RejectionCode::CurrencyUnknown, problem))
    })?;
    known.parse_amount(text).map_err(|error| {
        let problem = error.to_string();
        match error {
            AmountError::TooLarge { .. } => too_large("amount", &problem),
            AmountError::Ambiguous { .. } => {
                Unread::Ambiguous(InvalidField::new("amount", problem))
            }
            AmountError::NotANumber { .. } | AmountError::TooPrecise { .. } => {
                Unread::Field(InvalidField::new("amount", problem))
            }
        }
    })
}

/// Reads minor units.
///
/// # Errors
/// See [`Unread`].
pub(crate) fn read_minor(text: &str) -> Result<i64, Unread> {
    let shown = || text.chars().take(64).collect::<String>();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let problem = format!(
            "{:?} is not a whole number of minor units: write digits only, such as 125000",
            shown()
        );
        return Err(Unread::Field(InvalidField::new("minor", problem)));
    }
    text.parse().map_err(|_| {
        let problem = format!(
            "{:?} is too large: amounts go up to {} minor units",
            shown(),
            i64::MAX
        );
        too_large("minor", &problem)
    })
}

fn too_large(field: &str, problem: &str) -> Unread {
    let detail = format!("{field}: {problem}");
    Unread::Rule(Rejection::new(RejectionCode::AmountTooLarge, detail))
}

/// Writes minor units with the currency's decimals. Sums may be beyond 64 bits.
#[must_use]
pub(crate) fn format(minor: i128, currency: Currency) -> String {
    let decimals = usize::try_from(currency.decimals()).unwrap_or_default();
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!(
        "{:0width$}",
        minor.unsigned_abs(),
        width = decimals.saturating_add(1)
    );
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    #[test]
    fn an_amount_beyond_64_bits_is_a_rules_no() {
        let code = |read| match read {
            Err(Unread::Rule(rejection)) => rejection.code,
            read => unreachable!("{read:?}"),
        };
        for text in ["9223372036854775808", "-9223372036854775809"] {
            assert_eq!(code(read_minor(text)), RejectionCode::AmountTooLarge);
        }
        for text in ["92233720368547758.08", "99999999999999999999999999999.00"] {
            assert_eq!(code(read(text, "NGN")), RejectionCode::AmountTooLarge);
        }
        assert_eq!(read_minor("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(read_minor("-9223372036854775808"), Ok(i64::MIN));
        for text in ["", "-", "5.0", "+5", "1e3", " 5", "99999999999999999999x"] {
            assert!(matches!(read_minor(text), Err(Unread::Field(_))), "{text}");
        }
    }

    #[test]
    fn sums_are_written_like_amounts_and_beyond_64_bits() {
        let cases = [
            ("NGN", 0, "0.00"),
            ("NGN", -5, "-0.05"),
            ("NGN", 125_000, "1250.00"),
            ("JPY", 1250, "1250"),
            ("KWD", 1, "0.001"),
            ("NGN", i128::from(i64::MAX) * 10, "922337203685477580.70"),
        ];
        for (code, minor, text) in cases {
            let currency = Currency::from_code(code).unwrap();
            assert_eq!(format(minor, currency), text);
            if let Ok(minor) = i64::try_from(minor) {
                assert_eq!(currency.format_minor(minor), text);
            }
        }
    }

    #[test]
    fn a_missing_decimal_is_told_apart_from_a_wrong_text() {
        assert_eq!(read("12.50", "NGN"), Ok(1250));
        assert!(matches!(read("1250", "NGN"), Err(Unread::Ambiguous(_))));
        assert!(matches!(read("12,50", "NGN"), Err(Unread::Field(_))));
        assert!(matches!(read("12.50", "NGX"), Err(Unread::Rule(_))));
    }
}
