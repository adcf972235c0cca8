//! Refunds and chargebacks: who bears what.

use aegis::terms::{Charge, FeeFate, Held, Reserve, ReversalTerms};
use proptest::prelude::*;

use crate::cases::cases;

#[test]
fn a_fee_that_is_kept_is_borne_by_the_merchant_and_one_that_is_returned_by_the_platform() {
    let charge = Charge::of(10_000, 300).unwrap();
    for (fee, penalty, before, amount, merchant, platform) in [
        (FeeFate::Kept, 0, 0, 10_000, 10_000, 0),
        (FeeFate::Returned, 0, 0, 10_000, 9_700, 300),
        (FeeFate::Returned, 0, 0, 3_333, 3_233, 100),
        (FeeFate::Returned, 0, 3_333, 3_333, 3_233, 100),
        (FeeFate::Returned, 0, 6_666, 3_334, 3_234, 100),
        (FeeFate::Kept, 2_500, 0, 10_000, 12_500, -2_500),
        (FeeFate::Returned, 2_500, 0, 10_000, 12_200, -2_200),
    ] {
        let terms = ReversalTerms::new(fee, penalty, 0).unwrap();
        let reversal = terms.reversal(&charge, before, amount).unwrap();
        let said = format!("{fee:?}, {penalty}, {amount} after {before}");
        assert_eq!(
            (reversal.merchant, reversal.platform),
            (merchant, platform),
            "{said}"
        );
        assert_eq!(reversal.amount, amount, "{said}");
        assert_eq!(reversal.fee_returned, platform + penalty, "{said}");
    }
}

#[test]
fn more_than_was_paid_is_not_given_back() {
    let charge = Charge::of(10_000, 300).unwrap();
    let terms = ReversalTerms::default();
    assert!(terms.reversal(&charge, 9_000, 1_000).is_some());
    for (before, amount) in [(9_000, 1_001), (10_000, 1), (0, -1), (i64::MAX, i64::MAX)] {
        assert_eq!(terms.reversal(&charge, before, amount), None, "{amount}");
    }
    let harsh = ReversalTerms::new(FeeFate::Kept, i64::MAX, 0).unwrap();
    assert_eq!(harsh.reversal(&charge, 0, 10_000), None, "beyond i64");
}

#[test]
fn a_balance_falls_as_far_below_zero_as_the_terms_allow() {
    let terms = |most| ReversalTerms::new(FeeFate::Kept, 0, most).unwrap();
    for (most, balance, debit, allowed) in [
        (0, 100, 100, true),
        (0, 100, 101, false),
        (500, 100, 600, true),
        (500, 100, 601, false),
        (500, -500, 0, true),
        (500, -501, 0, false),
        (i64::MAX, 0, i64::MAX, true),
        (i64::MAX, -1, i64::MAX, false),
        (i64::MAX, i64::MIN, i64::MAX, false),
    ] {
        let given = terms(most).allows(balance, debit);
        assert_eq!(given, allowed, "{balance} less {debit} within {most}");
    }
}

#[test]
fn a_reserve_is_held_of_what_there_is_and_never_of_a_debt() {
    let tenth = Reserve::new(1_000, 90).unwrap();
    for (net, held) in [(100, 10), (104, 10), (105, 11), (4, 0), (0, 0), (-100, 0)] {
        let parts = tenth.hold(net);
        assert_eq!((parts.held(), parts.free()), (held, net - held), "{net}");
    }
    let all = Reserve::new(10_000, 90).unwrap().hold(i64::MAX);
    assert_eq!((all.held(), all.free()), (i64::MAX, 0));
    assert_eq!(Held::of(100, 101), None);
    assert_eq!(Held::of(105, 11), Some(tenth.hold(105)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(256)))]

    #[test]
    fn what_merchant_and_platform_bear_is_what_the_customer_gets(
        gross in 1..=i64::MAX,
        fee in 0..=i64::MAX,
        before in 0..=i64::MAX,
        amount in 0..=i64::MAX,
        penalty in 0..1_000_000_i64,
        returned in any::<bool>(),
    ) {
        let charge = Charge::of(gross, fee % gross).unwrap();
        let before = before % gross;
        let amount = amount % (gross - before);
        let fate = if returned { FeeFate::Returned } else { FeeFate::Kept };
        let terms = ReversalTerms::new(fate, penalty, 0).unwrap();
        if let Some(reversal) = terms.reversal(&charge, before, amount) {
            let borne = i128::from(reversal.merchant) + i128::from(reversal.platform);
            prop_assert_eq!(borne, i128::from(amount));
            prop_assert!(reversal.merchant >= 0 && reversal.platform <= charge.fee());
        } else {
            prop_assert!(amount > i64::MAX - penalty);
        }
    }
}
