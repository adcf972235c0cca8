//! Shares of an amount in whole units: nothing is lost and nothing is made up.
//!
//! A whole of two parts is given back in steps by cumulative rounding: after each step the first
//! part returned so far is its exact share of all that was returned, rounded once. So the roundings
//! of the steps can't add up, and what is returned of a part when the whole is reached is the part.
//! For two parts this is the method of the largest remainder.
//!
//! Three parts at once would not do: as a whole grows by one, the largest remainder can take a unit
//! away from a part (the Alabama paradox), and a later refund would return less than nothing of
//! it. Fee, reserve and the rest are therefore two divisions, one inside the other.

/// How many basis points the whole has.
pub const BASIS_POINTS_WHOLE: i64 = 10_000;

/// `numerator` of `denominator` parts of `whole`, rounded half up.
///
/// None of them is negative, and the numerator is not above the denominator: so is the answer not
/// above the whole.
pub(super) fn proportion(whole: i64, numerator: i64, denominator: i64) -> i64 {
    // A product of two i64 always fits i128.
    let product = i128::from(whole) * i128::from(numerator);
    let denominator = i128::from(denominator.max(1));
    let (floor, rest) = (product / denominator, product % denominator);
    let up = i128::from(rest >= denominator - rest);
    i64::try_from(floor + up).unwrap_or(whole)
}

/// A whole of two parts, none of them negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) whole: i64,
    pub(super) first: i64,
}

impl Parts {
    /// `None` where the first part is not within the whole.
    pub(super) fn new(whole: i64, first: i64) -> Option<Self> {
        (0..=whole)
            .contains(&first)
            .then_some(Self { whole, first })
    }

    pub(super) fn second(self) -> i64 {
        // Within the whole by construction.
        self.whole.saturating_sub(self.first)
    }

    /// The parts of the next `amount` where `before` of the whole has gone already.
    ///
    /// `None` where they are negative or go beyond the whole.
    pub(super) fn next(self, before: i64, amount: i64) -> Option<Self> {
        let after = before.checked_add(amount)?;
        if before < 0 || amount < 0 || after > self.whole {
            return None;
        }
        let until = |returned| proportion(self.first, returned, self.whole);
        Self::new(amount, until(after).checked_sub(until(before))?)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_half_is_rounded_up_and_less_than_a_half_down() {
        for (whole, numerator, denominator, share) in [
            (1, 4_999, 10_000, 0),
            (1, 5_000, 10_000, 1),
            (3, 5_000, 10_000, 2),
            (1, 1, 3, 0),
            (2, 1, 3, 1),
            (0, 0, 0, 0),
            (i64::MAX, 10_000, 10_000, i64::MAX),
            (i64::MAX, 1, i64::MAX, 1),
            (i64::MAX, i64::MAX, i64::MAX, i64::MAX),
        ] {
            let given = proportion(whole, numerator, denominator);
            assert_eq!(given, share, "{numerator}/{denominator} of {whole}");
        }
    }

    #[test]
    fn a_portion_beyond_the_whole_or_below_zero_is_none() {
        let parts = Parts::new(100, 30).unwrap();
        for (before, amount) in [(0, 101), (100, 1), (-1, 1), (1, -1), (i64::MAX, 1)] {
            assert_eq!(parts.next(before, amount), None, "{amount} after {before}");
        }
        assert_eq!(Parts::new(100, 101), None);
        assert_eq!(Parts::new(100, -1), None);
        assert_eq!(Parts::new(-1, 0), None);
    }

    proptest! {
        #[test]
        fn steps_that_reach_the_whole_return_each_part_whole(
            whole in 1..=i64::MAX,
            first in 0..=i64::MAX,
            cuts in proptest::collection::vec(0..=i64::MAX, 0..12),
        ) {
            let parts = Parts::new(whole, first % whole).unwrap();
            let mut cuts: Vec<i64> = cuts.iter().map(|cut| cut % whole).collect();
            cuts.push(whole);
            cuts.sort_unstable();
            let (mut before, mut first, mut second) = (0, 0, 0);
            for cut in cuts {
                let step = parts.next(before, cut - before).unwrap();
                prop_assert!(step.first >= 0 && step.second() >= 0);
                first += step.first;
                second += step.second();
                before = cut;
            }
            prop_assert_eq!((first, second), (parts.first, parts.second()));
        }
    }
}
