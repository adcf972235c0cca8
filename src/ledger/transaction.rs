//! Transactions that can't be built unbalanced.

use std::collections::{HashMap, HashSet};

use super::{Currency, LegDraft, Rejection, RejectionCode, WalletRef};

/// The most legs that one transaction may have.
pub const LEGS_MAX: usize = 1_000;

/// One signed movement on one wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The wallet that moves.
    pub wallet: WalletRef,
    /// The currency of the movement, which has to be the wallet's.
    pub currency: Currency,
    /// Minor units, never zero: credit positive, debit negative.
    pub amount: i64,
}

/// Legs that sum to zero in every currency, each on a wallet of its own.
///
/// [`Transaction::new`] is the only way to get one, so nobody has to check again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    legs: Vec<Leg>,
}

impl Transaction {
    /// Checks the legs against the rules that need no wallet's state.
    ///
    /// # Errors
    /// The first broken rule in the order of [`RejectionCode`]: an amount of zero, one whose
    /// magnitude `i64` can't hold, a wallet named twice, an unknown currency, a sum other than
    /// zero, more than [`LEGS_MAX`] legs.
    pub fn new(drafts: &[LegDraft]) -> Result<Self, Rejection> {
        check_amounts(drafts)?;
        check_wallets(drafts)?;
        let legs = drafts
            .iter()
            .map(|draft| {
                Ok(Leg {
                    wallet: draft.wallet.clone(),
                    currency: known_currency(&draft.currency)?,
                    amount: draft.amount,
                })
            })
            .collect::<Result<Vec<_>, Rejection>>()?;
        check_balance(&legs)?;
        if legs.len() > LEGS_MAX {
            return Err(Rejection::new(
                RejectionCode::TooManyLegs,
                format!(
                    "{} legs stand in one transaction; the most is {LEGS_MAX}",
                    legs.len()
                ),
            ));
        }
        Ok(Self { legs })
    }

    /// The legs, in the order of the request.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }
}

fn known_currency(code: &str) -> Result<Currency, Rejection> {
    Currency::from_code(code).ok_or_else(|| {
        let shown: String = code.chars().take(16).collect();
        Rejection::new(
            RejectionCode::CurrencyUnknown,
            format!("{shown:?} is not a currency of ISO 4217; write its code, such as NGN"),
        )
    })
}

fn check_amounts(drafts: &[LegDraft]) -> Result<(), Rejection> {
    if drafts.iter().any(|draft| draft.amount == 0) {
        return Err(Rejection::new(
            RejectionCode::AmountNotPositive,
            "a leg's amount is 0; every leg has to move something",
        ));
    }
    if drafts
        .iter()
        .any(|draft| draft.amount.checked_neg().is_none())
    {
        return Err(Rejection::new(
            RejectionCode::AmountTooLarge,
            format!("an amount is beyond {} minor units", i64::MAX),
        ));
    }
    Ok(())
}

fn check_wallets(drafts: &[LegDraft]) -> Result<(), Rejection> {
    let mut seen = HashSet::with_capacity(drafts.len());
    for draft in drafts {
        let currency = match draft.wallet {
            WalletRef::Address(_) => draft.currency.as_str(),
            // An id names one wallet, whatever the currency beside it says.
            WalletRef::Id(_) => "",
        };
        if !seen.insert((&draft.wallet, currency)) {
            return Err(same_wallet(&draft.wallet));
        }
    }
    Ok(())
}

/// The rejection for a wallet that stands in two legs.
pub(super) fn same_wallet(wallet: &WalletRef) -> Rejection {
    Rejection::new(
        RejectionCode::SameWallet,
        format!("wallet {wallet} stands in two legs; sum them into one"),
    )
}

fn check_balance(legs: &[Leg]) -> Result<(), Rejection> {
    // i128 holds the sum of any number of i64 that fits in memory.
    let mut sums: HashMap<Currency, i128> = HashMap::new();
    for leg in legs {
        let sum = sums.entry(leg.currency).or_default();
        *sum = sum.saturating_add(i128::from(leg.amount));
    }
    let mut off: Vec<_> = sums.into_iter().filter(|(_, sum)| *sum != 0).collect();
    off.sort_unstable();
    if let Some((currency, sum)) = off.first() {
        return Err(Rejection::new(
            RejectionCode::Unbalanced,
            format!("the legs in {currency} sum to {sum} minor units instead of 0"),
        ));
    }
    if legs.len() < 2 {
        return Err(Rejection::new(
            RejectionCode::Unbalanced,
            "a transaction needs at least two legs",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn leg(wallet: &str, currency: &str, amount: i64) -> LegDraft {
        LegDraft {
            wallet: wallet.parse().unwrap(),
            currency: currency.to_owned(),
            amount,
        }
    }

    fn code(drafts: &[LegDraft]) -> Option<RejectionCode> {
        Transaction::new(drafts)
            .err()
            .map(|rejection| rejection.code)
    }

    #[test]
    fn legs_that_sum_to_zero_in_every_currency_make_a_transaction() {
        let drafts = [
            leg("a", "NGN", -300),
            leg("b", "NGN", 200),
            leg("c", "NGN", 100),
            leg("a", "USD", 5),
            leg("b", "USD", -5),
        ];
        assert_eq!(Transaction::new(&drafts).unwrap().legs().len(), 5);
    }

    #[test]
    fn each_static_rule_has_its_code() {
        use RejectionCode as R;
        let cases = [
            (vec![], R::Unbalanced),
            (
                vec![leg("a", "NGN", 0), leg("b", "NGN", 0)],
                R::AmountNotPositive,
            ),
            (
                vec![leg("a", "NGN", i64::MIN), leg("b", "NGN", 1)],
                R::AmountTooLarge,
            ),
            (vec![leg("a", "NGN", -1), leg("a", "NGN", 1)], R::SameWallet),
            (
                vec![leg("a", "NGX", -1), leg("b", "NGX", 1)],
                R::CurrencyUnknown,
            ),
            (vec![leg("a", "NGN", -1), leg("b", "NGN", 2)], R::Unbalanced),
            (vec![leg("a", "NGN", -1), leg("b", "USD", 1)], R::Unbalanced),
            (vec![leg("a", "NGN", -1)], R::Unbalanced),
        ];
        for (drafts, expected) in cases {
            assert_eq!(code(&drafts), Some(expected), "{drafts:?}");
        }
    }

    #[test]
    fn sums_beyond_i64_do_not_wrap_to_zero() {
        let mut drafts: Vec<_> = (0..4)
            .map(|n| leg(&format!("w{n}"), "NGN", i64::MAX))
            .collect();
        drafts.push(leg("x", "NGN", 4));
        assert_eq!(code(&drafts), Some(RejectionCode::Unbalanced));
    }

    #[test]
    fn more_legs_than_the_limit_are_rejected() {
        let drafts: Vec<_> = (0..=LEGS_MAX)
            .map(|n| {
                leg(
                    &format!("w{n}"),
                    "NGN",
                    if n == 0 { -(LEGS_MAX as i64) } else { 1 },
                )
            })
            .collect();
        assert_eq!(code(&drafts), Some(RejectionCode::TooManyLegs));
    }

    #[test]
    fn a_command_that_breaks_several_rules_gets_the_first_code() {
        let drafts = [leg("a", "NGX", 0), leg("a", "NGX", 5)];
        assert_eq!(code(&drafts), Some(RejectionCode::AmountNotPositive));
        let drafts = [leg("a", "NGX", 5), leg("a", "NGX", 5)];
        assert_eq!(code(&drafts), Some(RejectionCode::SameWallet));
    }
}
