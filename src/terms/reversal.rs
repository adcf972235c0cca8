//! Money that goes back to the customer: refunds and chargebacks, and whose it was.
//!
//! Of what the customer gets back, the merchant bears the net's share, and the fee's share too
//! where the fee is `kept`; where it is `returned` the platform bears that. A penalty passes from
//! the merchant to the platform besides. What the merchant has not got is owed, as far as
//! `below_zero_max` lets the balance fall, and netted by what comes in later.

use super::fee::{Charge, negative};
use crate::ledger::InvalidField;

/// What becomes of the fee when a payment is given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeeFate {
    /// The platform keeps it: the merchant gives back the whole amount.
    #[default]
    Kept,
    /// The platform gives its share back.
    Returned,
}

impl FeeFate {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Returned => "returned",
        }
    }
}

/// The terms under which a payment is given back. The default: the fee is kept, no penalty, nothing
/// falls below zero.
///
/// A refund is the merchant's wish, so one that would fall below the bound is refused. A chargeback
/// is the customer's bank's, and happens all the same: what is beyond the bound is the platform's
/// loss until the merchant makes it good.
///
/// ```
/// use aegis::terms::{Charge, FeeFate, ReversalTerms};
///
/// let terms = ReversalTerms::new(FeeFate::Returned, 2_000, 5_000).unwrap();
/// let reversal = terms.reversal(&Charge::of(10_000, 300).unwrap(), 0, 10_000).unwrap();
/// // The customer gets 10,000, the merchant gives 9,700 and the penalty of 2,000.
/// assert_eq!((reversal.merchant, reversal.platform), (11_700, -1_700));
/// assert!(terms.allows(6_700, reversal.merchant));
/// assert!(!terms.allows(6_699, reversal.merchant));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReversalTerms {
    fee: FeeFate,
    penalty: i64,
    below_zero_max: i64,
}

impl ReversalTerms {
    /// Terms with a penalty for each time, 0 for refunds.
    ///
    /// # Errors
    /// The fields that are negative.
    pub fn new(fee: FeeFate, penalty: i64, below_zero_max: i64) -> Result<Self, Vec<InvalidField>> {
        let amounts = [("penalty", penalty), ("below_zero_max", below_zero_max)];
        let problems: Vec<InvalidField> = amounts
            .into_iter()
            .filter_map(|(name, amount)| Some(InvalidField::new(name, negative(amount)?)))
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            fee,
            penalty,
            below_zero_max,
        })
    }

    /// What becomes of the fee.
    #[must_use]
    pub fn fee(&self) -> FeeFate {
        self.fee
    }

    /// What the merchant pays the platform each time.
    #[must_use]
    pub fn penalty(&self) -> i64 {
        self.penalty
    }

    /// How far below zero the merchant's balance may be driven.
    #[must_use]
    pub fn below_zero_max(&self) -> i64 {
        self.below_zero_max
    }

    /// Whether a balance may be debited by that much.
    #[must_use]
    pub fn allows(&self, balance: i64, debit: i64) -> bool {
        let after = i128::from(balance) - i128::from(debit);
        after >= -i128::from(self.below_zero_max)
    }

    /// Who gives the next `amount` of a payment back, where `before` of it went back already.
    ///
    /// `None` where the steps go beyond the payment or an amount beyond `i64`.
    #[must_use]
    pub fn reversal(&self, charge: &Charge, before: i64, amount: i64) -> Option<Reversal> {
        let share = charge.share(before, amount)?;
        let fee_returned = match self.fee {
            FeeFate::Kept => 0,
            FeeFate::Returned => share.fee(),
        };
        let platform = fee_returned.checked_sub(self.penalty)?;
        Some(Reversal {
            amount,
            merchant: amount.checked_sub(platform)?,
            platform,
            fee_returned,
        })
    }
}

/// What goes back to a customer, and who bears it: merchant + platform = amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// What the customer gets.
    pub amount: i64,
    /// What the merchant bears, the penalty with it.
    pub merchant: i64,
    /// What the platform bears: the fee that it gives back, less the penalty that it gets. Negative
    /// where it gains.
    pub platform: i64,
    /// The fee that is given back.
    pub fee_returned: i64,
}
