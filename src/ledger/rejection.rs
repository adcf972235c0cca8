//! Business refusals: data with stable codes, not errors.

use std::fmt;

/// Why a rule said no. The order of the variants is the order in which the rules are looked at:
/// a command that breaks several is answered with the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectionCode {
    /// The key stands for another request already.
    IdempotencyKeyReused,
    /// A transfer's amount is zero or negative, or a leg's amount is zero.
    AmountNotPositive,
    /// An amount that `i64` minor units can't hold.
    AmountTooLarge,
    /// The same wallet stands in two legs.
    SameWallet,
    /// Not a code of ISO 4217.
    CurrencyUnknown,
    /// Legs that don't sum to zero in every currency, or fewer than two.
    Unbalanced,
    /// More legs than a transaction may have.
    TooManyLegs,
    /// No wallet of that address or id in this ledger.
    WalletNotFound,
    /// The wallet exists, in another currency.
    CurrencyMismatch,
    /// The wallet takes part in nothing until it is unfrozen.
    WalletFrozen,
    /// The accounting period of the effective date is closed.
    PeriodClosed,
    /// The wallet would fall below its minimum balance.
    InsufficientFunds,
    /// The wallet's balance would leave the range of `i64`.
    BalanceOverflow,
    /// The command itself was fine, but another one of its atomic batch was rejected.
    BatchRejected,
}

impl RejectionCode {
    /// All codes, in the order in which they are looked for.
    pub const ALL: [Self; 14] = [
        Self::IdempotencyKeyReused,
        Self::AmountNotPositive,
        Self::AmountTooLarge,
        Self::SameWallet,
        Self::CurrencyUnknown,
        Self::Unbalanced,
        Self::TooManyLegs,
        Self::WalletNotFound,
        Self::CurrencyMismatch,
        Self::WalletFrozen,
        Self::PeriodClosed,
        Self::InsufficientFunds,
        Self::BalanceOverflow,
        Self::BatchRejected,
    ];

    /// The stable code, as it stands in answers, metrics and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::AmountNotPositive => "amount_not_positive",
            Self::AmountTooLarge => "amount_too_large",
            Self::SameWallet => "same_wallet",
            Self::CurrencyUnknown => "currency_unknown",
            Self::Unbalanced => "unbalanced",
            Self::TooManyLegs => "too_many_legs",
            Self::WalletNotFound => "wallet_not_found",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::WalletFrozen => "wallet_frozen",
            Self::PeriodClosed => "period_closed",
            Self::InsufficientFunds => "insufficient_funds",
            Self::BalanceOverflow => "balance_overflow",
            Self::BatchRejected => "batch_rejected",
        }
    }

    /// One sentence that says what the code means.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::IdempotencyKeyReused => "The idempotency key stands for another request",
            Self::AmountNotPositive => "The amount is not positive",
            Self::AmountTooLarge => "The amount is too large",
            Self::SameWallet => "The same wallet stands in two legs",
            Self::CurrencyUnknown => "The currency is unknown",
            Self::Unbalanced => "The legs do not sum to zero",
            Self::TooManyLegs => "There are too many legs",
            Self::WalletNotFound => "There is no such wallet",
            Self::CurrencyMismatch => "The wallet has another currency",
            Self::WalletFrozen => "The wallet is frozen",
            Self::PeriodClosed => "The accounting period is closed",
            Self::InsufficientFunds => "The wallet has insufficient funds",
            Self::BalanceOverflow => "The balance would leave its range",
            Self::BatchRejected => "Another command of the atomic batch was rejected",
        }
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for RejectionCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A rule's no: the code for programs, the detail for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable code.
    pub code: RejectionCode,
    /// What happened, to which thing, and what to do about it.
    pub detail: String,
}

impl Rejection {
    /// A rejection with its explanation.
    pub fn new(code: RejectionCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed_in_the_order_in_which_they_are_looked_for() {
        assert!(RejectionCode::ALL.is_sorted());
    }
}
