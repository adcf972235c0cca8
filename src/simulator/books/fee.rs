//! What the provider charges: <https://paystack.com/pricing>.

use crate::ledger::Currency;

/// A tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fees {
    /// Paystack's for local payments and transfers in Nigeria. Other currencies are charged 1.95 %
    /// a payment and nothing a transfer.
    #[default]
    Paystack,
    /// Nothing.
    None,
}

/// 100.00 naira, which payments under 2,500.00 are spared.
const NGN_FIXED: i64 = 10_000;
const NGN_FIXED_FROM: i64 = 250_000;
const NGN_MAX: i64 = 200_000;

impl Fees {
    /// Of a payment.
    #[must_use]
    pub fn of_payment(self, amount: i64, currency: Currency) -> i64 {
        match (self, currency.code()) {
            (Self::None, _) => 0,
            (Self::Paystack, "NGN") => {
                let fixed = if amount < NGN_FIXED_FROM {
                    0
                } else {
                    NGN_FIXED
                };
                (share(amount, 150).saturating_add(fixed)).min(NGN_MAX)
            }
            (Self::Paystack, _) => share(amount, 195),
        }
    }

    /// Of a transfer.
    #[must_use]
    pub fn of_transfer(self, amount: i64, currency: Currency) -> i64 {
        match (self, currency.code()) {
            (Self::Paystack, "NGN") if amount <= 500_000 => 1_000,
            (Self::Paystack, "NGN") if amount <= 5_000_000 => 2_500,
            (Self::Paystack, "NGN") => 5_000,
            _ => 0,
        }
    }
}

/// Basis points of an amount, rounded up, as the provider would. Never more than the amount.
fn share(amount: i64, basis_points: i64) -> i64 {
    let share = (i128::from(amount) * i128::from(basis_points) + 9_999) / 10_000;
    i64::try_from(share).unwrap_or(amount).min(amount)
}
