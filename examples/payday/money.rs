//! Two currencies, and the arithmetic of everybody who takes a share: the demo's own, which shares
//! no code with Aegis. Amounts are integers in minor units throughout.

use crate::stage::numbers;

/// A currency of the demo. Both have two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Currency {
    Ghs,
    Ngn,
}

/// Decimals of both.
pub(crate) const DECIMALS: usize = 2;

impl Currency {
    pub(crate) const ALL: [Self; 2] = [Self::Ghs, Self::Ngn];

    /// The code of ISO 4217.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Ghs => "GHS",
            Self::Ngn => "NGN",
        }
    }

    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// An order's amount: most are middling, some are a few coins, a few are large.
    pub(crate) fn order(self, rng: &mut fastrand::Rng) -> i64 {
        let (small, middle, large) = match self {
            Self::Ghs => (1..=99, 400..=60_000, 60_001..=1_500_000),
            Self::Ngn => (1..=20_000, 20_001..=4_000_000, 4_000_001..=60_000_000),
        };
        match rng.u8(..20) {
            0 => rng.i64(small),
            1 => rng.i64(large),
            _ => rng.i64(middle),
        }
    }

    /// What Paystack keeps of a payment: its price list, rounded up.
    pub(crate) fn psp_fee_of_payment(self, amount: i64) -> i64 {
        match self {
            Self::Ghs => rounded_up(amount * 195, 10_000),
            Self::Ngn => {
                let fixed = if amount < 250_000 { 0 } else { 10_000 };
                (rounded_up(amount * 150, 10_000) + fixed).min(200_000)
            }
        }
    }

    /// What Paystack takes for a transfer.
    pub(crate) fn psp_fee_of_transfer(self, amount: i64) -> i64 {
        match self {
            Self::Ghs => 0,
            Self::Ngn if amount <= 500_000 => 1_000,
            Self::Ngn if amount <= 5_000_000 => 2_500,
            Self::Ngn => 5_000,
        }
    }

    /// Minor units as people read them.
    pub(crate) fn show(self, minor: i64) -> String {
        numbers::amount(minor, DECIMALS)
    }
}

fn rounded_up(product: i64, by: i64) -> i64 {
    (product + by - 1) / by
}

/// `part` of `whole` of an amount, rounded to the nearest unit, a half upwards.
pub(crate) fn share(amount: i64, part: i64, whole: i64) -> i64 {
    let (product, whole) = (i128::from(amount) * i128::from(part), i128::from(whole));
    ((product * 2 + whole) / (whole * 2)) as i64
}
