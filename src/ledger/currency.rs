//! Currencies of ISO 4217 and amounts as people type them.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

/// A currency of ISO 4217 that money can be held in: it has a number of decimals.
///
/// Codes without decimals of their own (gold `XAU`, testing `XTS`, none `XXX`) are not currencies
/// here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency of a three-letter upper-case code, or `None` where ISO 4217 knows none.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let currency = iso_currency::Currency::from_code(code)?;
        currency.exponent().map(|_| Self(currency))
    }

    /// The three-letter code, such as `NGN`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the currency has: 0 for JPY, 2 for NGN, 3 for KWD.
    #[must_use]
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// Writes minor units as people read them: 125000 in NGN is `1250.00`.
    #[must_use]
    pub fn format_minor(self, minor: i64) -> String {
        Decimal::from_i128_with_scale(i128::from(minor), self.decimals()).to_string()
    }

    /// Reads an amount with exactly this currency's decimals into minor units.
    ///
    /// # Errors
    /// [`AmountError::Ambiguous`] where the decimals are missing or fewer than the currency's,
    /// since a guess would be wrong by powers of ten; [`AmountError::TooPrecise`] for more
    /// decimals; [`AmountError::NotANumber`] and [`AmountError::TooLarge`] for the rest.
    pub fn parse_amount(self, text: &str) -> Result<i64, AmountError> {
        let shown = || text.chars().take(64).collect::<String>();
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let pointed_at_nothing = fraction.is_empty() && unsigned.ends_with('.');
        if whole.is_empty() || pointed_at_nothing || !digits(whole) || !digits(fraction) {
            return Err(AmountError::NotANumber { text: shown() });
        }
        let decimals = usize::try_from(self.decimals()).unwrap_or_default();
        if fraction.len() > decimals {
            return Err(AmountError::TooPrecise {
                text: shown(),
                currency: self,
            });
        }
        let minor = Decimal::from_str_exact(text)
            .ok()
            .and_then(|decimal| i64::try_from(decimal.mantissa()).ok())
            .ok_or_else(|| AmountError::TooLarge { text: shown() })?;
        if fraction.len() < decimals {
            let zeros = "0".repeat(decimals.saturating_sub(fraction.len()));
            let point = if fraction.is_empty() { "." } else { "" };
            return Err(AmountError::Ambiguous {
                text: shown(),
                currency: self,
                as_major: format!("{text}{point}{zeros}"),
                as_minor: self.format_minor(minor),
                minor,
            });
        }
        Ok(minor)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::from_code(code).ok_or_else(|| {
            format!("{code:?} is not a currency of ISO 4217; write three upper-case letters, such as NGN")
        })
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Why a typed amount is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something other than digits, one point and a leading minus.
    #[error("{text:?} is not an amount: write digits and a point, such as 1250.00")]
    NotANumber {
        /// What was typed.
        text: String,
    },
    /// Fewer decimals than the currency has: two readings are possible.
    #[error(
        "{text:?} could mean {currency} {as_major} or {currency} {as_minor}: write the amount as \
         {as_major} with all decimals, or give minor units ({minor} is {currency} {as_minor})"
    )]
    Ambiguous {
        /// What was typed.
        text: String,
        /// The currency it was typed for.
        currency: Currency,
        /// The reading as whole units of the currency.
        as_major: String,
        /// The reading as minor units, written with decimals.
        as_minor: String,
        /// The reading as minor units.
        minor: i64,
    },
    /// More decimals than the currency has.
    #[error("{text:?} has more decimals than {currency} ({}) has", currency.decimals())]
    TooPrecise {
        /// What was typed.
        text: String,
        /// The currency it was typed for.
        currency: Currency,
    },
    /// Beyond the range of `i64` minor units.
    #[error("{text:?} is too large: amounts go up to {} minor units", i64::MAX)]
    TooLarge {
        /// What was typed.
        text: String,
    },
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    #[test]
    fn decimals_are_those_of_iso_4217() {
        for (code, decimals) in [("JPY", 0), ("NGN", 2), ("BRL", 2), ("KWD", 3)] {
            assert_eq!(currency(code).decimals(), decimals, "{code}");
        }
    }

    #[test]
    fn codes_without_decimals_or_in_lower_case_are_no_currencies() {
        for code in ["XAU", "XXX", "ngn", "NG", "", "NAIRA"] {
            assert_eq!(Currency::from_code(code), None, "{code}");
        }
    }

    #[test]
    fn an_amount_needs_exactly_the_decimals_of_its_currency() {
        assert_eq!(currency("NGN").parse_amount("1250.00"), Ok(125_000));
        assert_eq!(currency("JPY").parse_amount("1250"), Ok(1250));
        assert_eq!(currency("KWD").parse_amount("1.250"), Ok(1250));
        assert_eq!(currency("NGN").parse_amount("-0.01"), Ok(-1));
        assert!(matches!(
            currency("NGN").parse_amount("1.234"),
            Err(AmountError::TooPrecise { .. })
        ));
    }

    #[test]
    fn an_amount_without_its_decimals_is_refused_with_both_readings() {
        let error = currency("NGN")
            .parse_amount("1250")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("NGN 1250.00") && error.contains("NGN 12.50"),
            "{error}"
        );
        let error = currency("KWD").parse_amount("1.5").unwrap_err().to_string();
        assert!(
            error.contains("KWD 1.500") && error.contains("KWD 0.015"),
            "{error}"
        );
    }

    #[test]
    fn amounts_at_the_edges_of_i64_are_read_and_beyond_them_refused() {
        let ngn = currency("NGN");
        assert_eq!(ngn.parse_amount("92233720368547758.07"), Ok(i64::MAX));
        for text in [
            "92233720368547758.08",
            "99999999999999999999999999999999.00",
        ] {
            assert!(
                matches!(ngn.parse_amount(text), Err(AmountError::TooLarge { .. })),
                "{text}"
            );
        }
        for text in [
            "", "1e5", "1,250.00", " 1.00", "NaN", "1.2.3", "--1.00", "+1.00", ".",
        ] {
            assert!(
                matches!(ngn.parse_amount(text), Err(AmountError::NotANumber { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn formatting_and_reading_are_inverse() {
        for code in ["JPY", "NGN", "KWD"] {
            for minor in [0, 1, -1, 99, 100, 123_456_789, i64::MAX, i64::MIN + 1] {
                let text = currency(code).format_minor(minor);
                assert_eq!(
                    currency(code).parse_amount(&text),
                    Ok(minor),
                    "{code} {text}"
                );
            }
        }
    }
}
