//! Where the money of a period goes. Pure: sums in, sums out.

use crate::ledger::Wallet;
use crate::terms::Terms;

/// What the payments of a period under one version of the terms bring, minor units.
#[derive(Clone, Debug)]
pub struct Brought<'a> {
    /// The version's number.
    pub terms_version: i32,
    /// What it says.
    pub terms: &'a Terms,
    /// What of it is in pending; below 0 where more went back than had come.
    pub unsettled: i64,
}

/// How the merchant stands, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it owes, 0 or more.
    pub owes: i64,
    /// How far the available wallet may go down, 0 or more.
    pub room: i64,
}

impl Standing {
    /// From its wallets.
    #[must_use]
    pub fn of(available: &Wallet, owed: &Wallet) -> Self {
        let free = available.balance.saturating_sub(available.held);
        let floor = available.min_balance.unwrap_or(i64::MIN);
        Self {
            owes: owed.balance.saturating_neg().max(0),
            room: free.saturating_sub(floor).max(0),
        }
    }

    /// After so much of what it owes was paid back, and so much came to what is available.
    #[must_use]
    pub fn after(self, owed_repaid: i64, released: i64) -> Self {
        Self {
            owes: self.owes.saturating_sub(owed_repaid).max(0),
            room: self.room.saturating_add(released).max(0),
        }
    }
}

/// The parts of a sum that leaves pending; they sum to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What leaves pending; below 0: what comes to it.
    pub amount: i64,
    /// What pays back what is owed; below 0: what is owed more.
    pub owed_repaid: i64,
    /// What is held back, 0 or more.
    pub reserved: i64,
    /// What is available; below 0: what is taken from there.
    pub released: i64,
    /// What is held back under each version, those of nothing left out.
    pub reserves: Vec<(i32, i64)>,
}

/// Divides what a period brings.
///
/// What is owed is paid back first. Of what each version of the terms brings its own share is held
/// back, as far as there is anything left. Where more went back than came in, the available wallet
/// makes it up as far as it may go down, and the rest is owed. `None`: the sums leave the range of
/// amounts.
#[must_use]
pub fn split(brought: &[Brought<'_>], standing: Standing) -> Option<Split> {
    let mut amount: i64 = 0;
    for part in brought {
        amount = amount.checked_add(part.unsettled)?;
    }
    if amount <= 0 {
        let lacking = amount.checked_neg()?;
        let taken = lacking.min(standing.room);
        return Some(Split {
            amount,
            owed_repaid: taken.checked_sub(lacking)?,
            reserved: 0,
            released: taken.checked_neg()?,
            reserves: Vec::new(),
        });
    }
    let owed_repaid = amount.min(standing.owes);
    let mut left = amount.checked_sub(owed_repaid)?;
    let mut reserves = Vec::new();
    for part in brought {
        let held = part.terms.hold(part.unsettled).held().min(left);
        if held > 0 {
            left = left.checked_sub(held)?;
            reserves.push((part.terms_version, held));
        }
    }
    let reserved = reserves.iter().map(|(_, held)| held).sum();
    Some(Split {
        amount,
        owed_repaid,
        reserved,
        released: left,
        reserves,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(reserve: i64) -> Terms {
        let reserve = match reserve {
            0 => String::new(),
            points => format!(r#""reserve": {{"basis_points": {points}, "days": 30}},"#),
        };
        let json = format!(
            r#"{{"fee": {{"basis_points": 0, "fixed": 0}}, {reserve}
                 "settlement": {{"days": 1, "calendar": "calendar", "time_zone": "UTC"}},
                 "payout": {{"minimum": 0, "schedule": "manual"}}}}"#
        );
        json.parse().unwrap()
    }

    fn part(terms: &Terms, terms_version: i32, unsettled: i64) -> Brought<'_> {
        Brought {
            terms_version,
            terms,
            unsettled,
        }
    }

    const AT_EASE: Standing = Standing { owes: 0, room: 0 };

    #[test]
    fn each_version_of_the_terms_holds_back_its_own_share() {
        let (tenth, none) = (terms(1_000), terms(0));
        let brought = [part(&tenth, 1, 1_005), part(&none, 2, 2_000)];
        let divided = split(&brought, AT_EASE).unwrap();
        assert_eq!(divided.reserves, [(1, 101)]);
        assert_eq!((divided.amount, divided.released), (3_005, 2_904));
    }

    #[test]
    fn what_is_owed_is_paid_back_before_anything_is_held_or_released() {
        let tenth = terms(1_000);
        let standing = Standing { owes: 950, room: 0 };
        let divided = split(&[part(&tenth, 1, 1_000)], standing).unwrap();
        assert_eq!(divided.owed_repaid, 950);
        assert_eq!((divided.reserved, divided.released), (50, 0));
        let divided = split(&[part(&tenth, 1, 900)], standing).unwrap();
        assert_eq!((divided.owed_repaid, divided.released), (900, 0));
    }

    #[test]
    fn what_is_lacking_is_taken_from_available_and_beyond_its_room_owed() {
        let none = terms(0);
        let standing = Standing { owes: 7, room: 30 };
        let divided = split(&[part(&none, 1, -100)], standing).unwrap();
        assert_eq!((divided.released, divided.owed_repaid), (-30, -70));
        assert_eq!(divided.amount, -100);
    }

    #[test]
    fn a_version_that_brings_less_than_nothing_lowers_what_can_be_held() {
        let all = terms(10_000);
        let brought = [part(&all, 1, 100), part(&all, 2, -60)];
        let divided = split(&brought, AT_EASE).unwrap();
        assert_eq!(
            (divided.amount, divided.reserved, divided.released),
            (40, 40, 0)
        );
    }

    #[test]
    fn sums_beyond_the_range_of_amounts_are_not_divided() {
        let none = terms(0);
        let brought = [part(&none, 1, i64::MAX), part(&none, 2, 1)];
        assert_eq!(split(&brought, AT_EASE), None);
    }

    proptest! {
        #[test]
        fn the_parts_sum_to_what_leaves_pending(
            sums in prop::collection::vec((0_i64..=10_000, -1_000_000_i64..1_000_000), 1..5),
            owes in 0_i64..500_000, room in 0_i64..500_000,
        ) {
            let versions: Vec<(Terms, i64)> =
                sums.iter().map(|(points, sum)| (terms(*points), *sum)).collect();
            let brought: Vec<Brought<'_>> = versions
                .iter()
                .zip(1..)
                .map(|((terms, sum), version)| part(terms, version, *sum))
                .collect();
            let divided = split(&brought, Standing { owes, room }).unwrap();
            let total: i64 = sums.iter().map(|(_, sum)| sum).sum();
            prop_assert_eq!(divided.amount, total);
            prop_assert_eq!(
                divided.owed_repaid + divided.reserved + divided.released,
                total
            );
            prop_assert!(divided.owed_repaid <= owes);
            prop_assert!(divided.reserved >= 0 && divided.released >= -room);
            let by_version: i64 = divided.reserves.iter().map(|(_, held)| held).sum();
            prop_assert_eq!(by_version, divided.reserved);
            if total > 0 {
                prop_assert!(divided.owed_repaid >= 0 && divided.released >= 0);
            }
        }
    }
}
