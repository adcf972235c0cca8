//! The platform's fee for a payment.
//!
//! `basis_points` of the amount, rounded half up, plus `fixed`; at least `minimum`, at most `cap`,
//! and never more than the amount, so that a payment alone never costs a merchant money. What is
//! left is the net: fee + net = gross for every amount.
//!
//! Half up, since that is what a merchant's calculator says, and an invoice can be checked line by
//! line. Rounding down would lose the platform half a unit a payment on average; rounding half to
//! even is right on average too, but 50 and 150 at 1 % would be rounded in opposite ways.
//!
//! A larger amount never has a smaller fee, and never a smaller net: for one unit more, each of the
//! steps above adds one unit to the fee at most, also where the minimum, the cap or the amount itself
//! takes over.

use super::share::{BASIS_POINTS_WHOLE, Parts, proportion};
use crate::ledger::InvalidField;

/// What a payment costs the merchant. Amounts are minor units of the merchant's currency.
///
/// ```
/// use aegis::terms::Fee;
///
/// // 1.5 % and 100.00, at most 2,000.00.
/// let fee = Fee::new(150, 10_000, None, Some(200_000)).unwrap();
/// let charge = fee.charge(1_000_033);
/// assert_eq!((charge.fee(), charge.net()), (25_000, 975_033));
/// assert_eq!(fee.charge(50_000_000).fee(), 200_000);
/// assert_eq!(fee.charge(60).net(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    basis_points: i64,
    fixed: i64,
    minimum: i64,
    cap: Option<i64>,
}

impl Fee {
    /// A fee of `basis_points` (0 to 10,000) and `fixed`, at least `minimum` (0 unless said) and at
    /// most `cap` (none unless said).
    ///
    /// # Errors
    /// Each field that is out of its range or contradicts another.
    pub fn new(
        basis_points: i64,
        fixed: i64,
        minimum: Option<i64>,
        cap: Option<i64>,
    ) -> Result<Self, Vec<InvalidField>> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, problem| problems.push(InvalidField::new(field, problem));
        if let Some(problem) = outside(basis_points, 0, BASIS_POINTS_WHOLE) {
            wrong("basis_points", problem);
        }
        let amounts = [("fixed", Some(fixed)), ("minimum", minimum), ("cap", cap)];
        for (name, amount) in amounts {
            if let Some(problem) = amount.and_then(negative) {
                wrong(name, problem);
            }
        }
        if let Some(cap) = cap.filter(|cap| *cap >= 0) {
            if let Some(minimum) = minimum.filter(|minimum| *minimum > cap) {
                let problem = format!("is {minimum}, above the cap, {cap}: write at most {cap}");
                wrong("minimum", problem);
            }
            if fixed > cap {
                let problem = format!(
                    "is {cap}, below the fixed part, {fixed}: write at least {fixed}, or leave it out"
                );
                wrong("cap", problem);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            basis_points,
            fixed,
            minimum: minimum.unwrap_or_default(),
            cap,
        })
    }

    /// Basis points of the amount, 0 to 10,000.
    #[must_use]
    pub fn basis_points(&self) -> i64 {
        self.basis_points
    }

    /// What is added for each payment.
    #[must_use]
    pub fn fixed(&self) -> i64 {
        self.fixed
    }

    /// The least fee, where the amount is not smaller.
    #[must_use]
    pub fn minimum(&self) -> i64 {
        self.minimum
    }

    /// The highest fee.
    #[must_use]
    pub fn cap(&self) -> Option<i64> {
        self.cap
    }

    /// Divides a payment into fee and net. An amount of zero or less bears no fee.
    #[must_use]
    pub fn charge(&self, gross: i64) -> Charge {
        let whole = gross.max(0);
        let fee = proportion(whole, self.basis_points, BASIS_POINTS_WHOLE)
            .saturating_add(self.fixed)
            .max(self.minimum)
            .min(self.cap.unwrap_or(i64::MAX))
            .min(whole);
        Charge(Parts {
            whole: gross,
            first: fee,
        })
    }
}

/// A payment's amount as fee and net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge(pub(super) Parts);

impl Charge {
    /// The charge of a payment that was divided before, and maybe under other terms.
    ///
    /// `None` where the fee is negative or above the amount.
    #[must_use]
    pub fn of(gross: i64, fee: i64) -> Option<Self> {
        Parts::new(gross, fee).map(Self)
    }

    /// What was paid: fee and net together.
    #[must_use]
    pub fn gross(&self) -> i64 {
        self.0.whole
    }

    /// The platform's part.
    #[must_use]
    pub fn fee(&self) -> i64 {
        self.0.first
    }

    /// The merchant's part.
    #[must_use]
    pub fn net(&self) -> i64 {
        self.0.second()
    }

    /// The share of fee and net in the next `amount` that is given back, where `before` of the
    /// payment was given back already.
    ///
    /// However a payment is given back in steps, the shares sum to its fee and its net once they
    /// reach the whole. `None` where an amount is negative or the steps go beyond the payment.
    ///
    /// ```
    /// use aegis::terms::Charge;
    ///
    /// let charge = Charge::of(100, 5).unwrap();
    /// let fees = [(0, 33), (33, 33), (66, 34)].map(|(before, amount)| {
    ///     charge.share(before, amount).unwrap().fee()
    /// });
    /// assert_eq!(fees, [2, 1, 2]);
    /// assert_eq!(charge.share(66, 35), None);
    /// ```
    #[must_use]
    pub fn share(&self, before: i64, amount: i64) -> Option<Self> {
        self.0.next(before, amount).map(Self)
    }
}

/// What is wrong with a number that has to be within bounds.
pub(super) fn outside(number: i64, least: i64, most: i64) -> Option<String> {
    (!(least..=most).contains(&number))
        .then(|| format!("is {number}: write an integer from {least} to {most}"))
}

/// What is wrong with an amount that can't be negative.
pub(super) fn negative(amount: i64) -> Option<String> {
    (amount < 0).then(|| format!("is {amount}: write minor units, 0 or more"))
}
