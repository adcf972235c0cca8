//! What holds for any terms: they survive being written and read, and time only goes forward.

use aegis::terms::Terms;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::{Date, Duration, OffsetDateTime};

use crate::cases::cases;

const ZONES: [&str; 12] = [
    "Africa/Lagos",
    "Africa/Casablanca",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kuwait",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "UTC",
];
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// The years in which payments fall: Apia's lost day, Lord Howe's half hours, leap days.
const FROM: i64 = 1_293_840_000;
const UNTIL: i64 = 1_893_456_000;

fn holidays() -> impl Strategy<Value = Vec<String>> {
    let day = (FROM / 86_400)..(UNTIL / 86_400);
    let days = proptest::collection::btree_set(day, 0..200);
    days.prop_map(|days| {
        let date = |day| {
            (OffsetDateTime::UNIX_EPOCH + Duration::days(day))
                .date()
                .to_string()
        };
        days.into_iter().map(date).collect()
    })
}

fn settlement() -> impl Strategy<Value = Value> {
    let zone = proptest::sample::select(&ZONES[..]);
    let cut_off = (0..24_u8, 0..60_u8, any::<bool>());
    let weekend = proptest::sample::subsequence(&DAYS[..], 0..=6);
    let parts = (0..12_u16, any::<bool>(), zone, cut_off, weekend, holidays());
    parts.prop_map(
        |(days, business, zone, (hour, minute, night), weekend, holidays)| {
            // Clocks are set at night.
            let hour = if night { hour % 4 } else { hour };
            let mut settlement = json!({
                "days": days, "calendar": "calendar", "time_zone": zone,
                "cut_off": format!("{hour:02}:{minute:02}"),
            });
            if business {
                settlement["calendar"] = "business".into();
                settlement["weekend"] = weekend.into();
                settlement["holidays"] = holidays.into();
            }
            settlement
        },
    )
}

fn payout() -> impl Strategy<Value = Value> {
    let recipient = proptest::option::of("[ -~é]{1,20}");
    (0..=i64::MAX, 0..4_u8, 1..=31_u8, recipient).prop_map(|(minimum, kind, day, recipient)| {
        let mut payout = json!({"minimum": minimum, "recipient": recipient});
        payout["schedule"] = ["daily", "monthly", "manual", "weekly"][usize::from(kind)].into();
        match kind {
            1 => payout["day"] = day.into(),
            3 => payout["weekday"] = DAYS[usize::from(day % 7)].into(),
            _ => {}
        }
        payout
    })
}

fn reversal() -> impl Strategy<Value = Value> {
    let fee = proptest::sample::select(&["kept", "returned"][..]);
    (fee, 0..=i64::MAX).prop_map(|(fee, most)| json!({"fee": fee, "below_zero_max": most}))
}

fn terms() -> impl Strategy<Value = Terms> {
    let fee = (
        0..=10_000_u16,
        0..9_000_u16,
        proptest::option::of(0..9_000_u16),
    );
    let reserve = proptest::option::of((1..=10_000_u16, 1..=3_650_u16));
    let (refund, chargeback) = (proptest::option::of(reversal()), reversal());
    let parts = (fee, settlement(), reserve, payout(), refund, chargeback);
    parts.prop_map(
        |(fee, mut settlement, reserve, payout, refund, chargeback)| {
            // A day of payouts is one of business.
            if let Some(weekend) = settlement["weekend"].as_array_mut() {
                weekend.retain(|day| *day != payout["weekday"]);
            }
            let (basis_points, fixed, cap) = fee;
            let cap = cap.map(|above| fixed + above);
            let reserve =
                reserve.map(|(points, days)| json!({"basis_points": points, "days": days}));
            let terms = json!({
                "fee": {"basis_points": basis_points, "fixed": fixed, "cap": cap},
                "settlement": settlement, "reserve": reserve, "payout": payout,
                "refund": refund, "chargeback": chargeback,
            });
            terms.to_string().parse().unwrap()
        },
    )
}

/// Times in pairs, often close together, since that is where borders are.
fn times() -> impl Strategy<Value = (OffsetDateTime, OffsetDateTime)> {
    let apart = prop_oneof![Just(0), 1..7_200_i64, 1..400_000_i64, 1..40_000_000_i64];
    (FROM..UNTIL, apart).prop_map(|(first, apart)| {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        (at(first), at(first + apart))
    })
}

fn day(at: OffsetDateTime, days: i64) -> Date {
    at.date() + Duration::days(days)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_500)))]

    #[test]
    fn terms_that_are_written_are_read_back_the_same(terms in terms()) {
        let written = terms.to_string();
        let read: Terms = written.parse().unwrap();
        prop_assert_eq!(read.to_string(), written);
        prop_assert_eq!(read, terms);
    }

    #[test]
    fn a_payment_matures_after_it_was_made_and_never_before_an_earlier_one(
        terms in terms(),
        (first, second) in times(),
    ) {
        let settlement = terms.settlement();
        let (period, next) = (settlement.period_of(first), settlement.period_of(second));
        let (period, next) = (period.unwrap(), next.unwrap());
        prop_assert!(period <= next);
        let closes_at = settlement.closes_at(period).unwrap();
        let matures_at = settlement.matures_at(first).unwrap();
        prop_assert!(first < closes_at && closes_at <= matures_at);
        prop_assert!(matures_at <= settlement.matures_at(second).unwrap());
        // The second belongs to the same period if and only if that is still open.
        prop_assert_eq!(period == next, second < closes_at);
        if let Some(released_at) = terms.released_at(period).unwrap() {
            prop_assert!(released_at >= matures_at);
            prop_assert!(released_at <= terms.released_at(next).unwrap().unwrap());
        }
    }

    #[test]
    fn counted_days_follow_one_another_and_are_counted_in_any_order(
        terms in terms(),
        (first, _) in times(),
        one in 0..40_u16,
        other in 0..40_u16,
    ) {
        let calendar = terms.settlement().calendar();
        let from = first.date();
        let at_once = calendar.add_days(from, one + other).unwrap();
        let in_steps = calendar.add_days(calendar.add_days(from, one).unwrap(), other).unwrap();
        prop_assert_eq!(at_once, in_steps);
        prop_assert_eq!(calendar.roll_on(at_once), Ok(at_once));
        prop_assert_eq!(calendar.roll_back(at_once), Ok(at_once));
        let next = calendar.add_days(at_once, 1).unwrap();
        let eve = next.previous_day().unwrap();
        prop_assert!(next > at_once);
        prop_assert_eq!(calendar.roll_back(eve), Ok(at_once));
    }

    /// The due days are those that one gets by going from each to the next.
    #[test]
    fn a_payout_is_due_on_the_last_of_the_days_that_follow_one_another(
        terms in terms(),
        (now, _) in times(),
        weeks in 0..9_i64,
    ) {
        let since = day(now, -7 * weeks);
        let today = terms.settlement().calendar().today(now).unwrap();
        let (mut last, mut walked) = (None, since);
        while let Some(next) = terms.next_payout(walked).unwrap() {
            prop_assert!(next > walked);
            if next > today {
                break;
            }
            last = Some(next);
            walked = next;
        }
        prop_assert_eq!(terms.payout_due(since, now).unwrap(), last);
        if let Some(due) = last {
            prop_assert_eq!(terms.payout_due(due, now).unwrap(), None);
        }
    }
}
