//! Three currencies with 0, 2 and 3 decimals; amounts are integers in minor units throughout.

use crate::stage::numbers;

/// A currency of the marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Currency {
    Jpy,
    Kwd,
    Ngn,
}

impl Currency {
    /// All of them, in the order in which reports list them.
    pub(crate) const ALL: [Self; 3] = [Self::Jpy, Self::Kwd, Self::Ngn];

    /// The code of ISO 4217.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Jpy => "JPY",
            Self::Kwd => "KWD",
            Self::Ngn => "NGN",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// Its place in [`Self::ALL`], for tables with a line a currency.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn decimals(self) -> usize {
        match self {
            Self::Jpy => 0,
            Self::Ngn => 2,
            Self::Kwd => 3,
        }
    }

    /// The smallest order and how far the largest is from it, minor units.
    pub(crate) fn order_range(self) -> (u64, u64) {
        match self {
            Self::Jpy => (300, 48_000),
            Self::Ngn => (150_000, 24_000_000),
            Self::Kwd => (750, 94_000),
        }
    }

    /// What the platform keeps of an order: basis points and a fixed part, capped. Rounded down,
    /// and the merchant gets the rest, so that the parts always sum to the whole.
    pub(crate) fn fee(self, gross: i64) -> i64 {
        let (basis_points, fixed, cap) = match self {
            Self::Jpy => (360, 0, i64::MAX),
            Self::Ngn => (150, 10_000, 200_000),
            Self::Kwd => (250, 100, i64::MAX),
        };
        (gross * basis_points / 10_000 + fixed).min(cap)
    }

    /// Minor units as people read them: 123456 is 123,456 in JPY, 1,234.56 in NGN, 123.456 in KWD.
    pub(crate) fn show(self, minor: i64) -> String {
        numbers::amount(minor, self.decimals())
    }
}
