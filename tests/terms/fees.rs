//! Fees and shares: the parts sum to the whole.

use aegis::terms::{Charge, Fee, Reserve};
use proptest::prelude::*;

use crate::cases::cases;

/// Fees of every kind, and amounts that lie on their borders more often than by chance.
fn fee() -> impl Strategy<Value = Fee> {
    let amount = || prop_oneof![3 => 0..5_000_i64, 1 => 0..=i64::MAX, 1 => Just(0)];
    let cap = (any::<bool>(), amount());
    let parts = (0..=10_000_i64, amount(), amount(), cap);
    parts.prop_map(|(basis_points, fixed, minimum, (capped, above))| {
        let cap = capped.then(|| fixed.max(minimum).saturating_add(above));
        Fee::new(basis_points, fixed, Some(minimum), cap).unwrap()
    })
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 1..20_000_i64,
        2 => 1..=i64::MAX,
        1 => Just(1_i64),
        1 => i64::MAX - 10_000..=i64::MAX,
    ]
}

#[test]
fn fees_are_rounded_half_up_and_kept_within_their_bounds() {
    for (basis_points, fixed, minimum, cap, gross, fee) in [
        (150, 0, None, None, 10_000, 150),
        (150, 0, None, None, 33, 0),
        // 0.495, 0.51 and exactly a half.
        (150, 0, None, None, 34, 1),
        (100, 0, None, None, 50, 1),
        (100, 0, None, None, 150, 2),
        (100, 0, None, None, 149, 1),
        (150, 10_000, None, Some(200_000), 1_000_000, 25_000),
        (150, 10_000, None, Some(200_000), 12_666_666, 200_000),
        (150, 10_000, None, Some(200_000), i64::MAX, 200_000),
        (150, 0, Some(500), None, 1_000, 500),
        (150, 0, Some(500), None, 33_366, 500),
        (150, 0, Some(500), None, 33_367, 501),
        // Never above the amount.
        (150, 0, Some(500), None, 499, 499),
        (0, i64::MAX, None, None, 7, 7),
        (10_000, 1, None, None, 7, 7),
        (10_000, i64::MAX, None, None, i64::MAX, i64::MAX),
        (0, 0, None, None, i64::MAX, 0),
        (10_000, 0, None, Some(0), 500, 0),
        (5_000, 0, None, None, i64::MAX, i64::MAX / 2 + 1),
        (150, 100, Some(500), None, 0, 0),
        (150, 100, Some(500), None, -5, 0),
    ] {
        let charge = Fee::new(basis_points, fixed, minimum, cap)
            .unwrap()
            .charge(gross);
        let said = format!("{basis_points} bp + {fixed}, {minimum:?} to {cap:?}, of {gross}");
        assert_eq!(charge.fee(), fee, "{said}");
        assert_eq!(charge.net(), gross - fee, "{said}");
        assert_eq!(charge.gross(), gross, "{said}");
    }
}

#[test]
fn a_charge_that_was_stored_is_taken_back_only_if_its_fee_is_within_the_amount() {
    let stored = Charge::of(100, 5).unwrap();
    assert_eq!((stored.gross(), stored.fee(), stored.net()), (100, 5, 95));
    for (gross, fee) in [(100, 101), (100, -1), (-1, 0)] {
        assert_eq!(Charge::of(gross, fee), None, "{fee} of {gross}");
    }
}

/// A larger amount never has a smaller net, also where minimum, cap and amount take over.
#[test]
fn fee_and_net_grow_with_every_single_unit_of_small_amounts() {
    for basis_points in [0, 1, 99, 150, 3_333, 5_000, 9_999, 10_000] {
        for (fixed, minimum, cap) in [
            (0, None, None),
            (7, None, None),
            (0, Some(40), None),
            (7, Some(40), Some(41)),
            (0, Some(1), Some(1)),
            (300, None, Some(300)),
        ] {
            let fee = Fee::new(basis_points, fixed, minimum, cap).unwrap();
            let mut before = fee.charge(0);
            for gross in 1..3_000 {
                let charge = fee.charge(gross);
                assert!(charge.fee() >= before.fee(), "{fee:?}: fee of {gross}");
                assert!(charge.net() >= before.net(), "{fee:?}: net of {gross}");
                before = charge;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(4_000)))]

    #[test]
    fn fee_and_net_sum_to_every_amount_and_neither_is_negative(fee in fee(), gross in amount()) {
        let charge = fee.charge(gross);
        prop_assert_eq!(i128::from(charge.fee()) + i128::from(charge.net()), i128::from(gross));
        prop_assert!(charge.fee() >= 0 && charge.net() >= 0);
        prop_assert!(fee.cap().is_none_or(|cap| charge.fee() <= cap));
        prop_assert!(charge.fee() >= fee.minimum().min(gross));
    }

    #[test]
    fn a_larger_amount_has_no_smaller_fee_and_no_smaller_net(
        fee in fee(),
        one in amount(),
        other in amount(),
        step in 1..3_i64,
    ) {
        for (small, large) in [(one.min(other), one.max(other)), (one, one.saturating_add(step))] {
            let (small, large) = (fee.charge(small), fee.charge(large));
            prop_assert!(small.fee() <= large.fee());
            prop_assert!(small.net() <= large.net());
        }
    }

    #[test]
    fn refunds_that_reach_the_whole_return_the_fee_the_net_and_the_reserve(
        fee in fee(),
        gross in amount(),
        basis_points in 1..=10_000_i64,
        cuts in proptest::collection::vec(0..=i64::MAX, 0..10),
    ) {
        let charge = fee.charge(gross);
        let held = Reserve::new(basis_points, 90).unwrap().hold(charge.net());
        prop_assert_eq!(i128::from(held.held()) + i128::from(held.free()), i128::from(charge.net()));
        let mut cuts: Vec<i64> = cuts.iter().map(|cut| cut % gross).collect();
        cuts.push(gross);
        cuts.sort_unstable();
        let (mut before, mut fee, mut net, mut reserve, mut free) = (0, 0, 0, 0, 0);
        for cut in cuts {
            let step = charge.share(before, cut - before).unwrap();
            prop_assert_eq!(step.gross(), cut - before);
            prop_assert!(step.fee() >= 0 && step.net() >= 0);
            let parts = held.share(net, step.net()).unwrap();
            prop_assert!(parts.held() >= 0 && parts.free() >= 0);
            before = cut;
            fee += step.fee();
            net += step.net();
            reserve += parts.held();
            free += parts.free();
        }
        prop_assert_eq!((fee, net), (charge.fee(), charge.net()));
        prop_assert_eq!((reserve, free), (held.held(), held.free()));
        prop_assert_eq!(charge.share(before, 1), None);
    }
}
