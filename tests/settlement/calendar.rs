//! Whole ways through the calendar: paid at, counted for, settled not before and then.

use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};

use crate::scene::Scene;

struct Way {
    name: &'static str,
    settlement: &'static str,
    paid_at: OffsetDateTime,
    period: Date,
    matures_at: OffsetDateTime,
}

fn terms(settlement: &str) -> String {
    format!(
        r#"{{"fee": {{"basis_points": 0, "fixed": 0}}, "settlement": {settlement},
             "payout": {{"minimum": 0, "schedule": "manual"}}}}"#
    )
}

fn ways() -> Vec<Way> {
    vec![
        Way {
            name: "the night that clocks go forward is an hour shorter",
            settlement: r#"{"days": 1, "calendar": "calendar", "time_zone": "Europe/Berlin"}"#,
            // 23:30 of the 28th in Berlin; the 29th begins at +1 and ends at +2.
            paid_at: datetime!(2026-03-28 22:30 UTC),
            period: date!(2026 - 03 - 28),
            matures_at: datetime!(2026-03-28 23:00 UTC),
        },
        Way {
            name: "a day later the offset is the summer's",
            settlement: r#"{"days": 1, "calendar": "calendar", "time_zone": "Europe/Berlin"}"#,
            paid_at: datetime!(2026-03-29 12:00 UTC),
            period: date!(2026 - 03 - 29),
            matures_at: datetime!(2026-03-29 22:00 UTC),
        },
        Way {
            name: "the night that clocks go back is an hour longer",
            settlement: r#"{"days": 1, "calendar": "calendar", "time_zone": "Europe/Berlin"}"#,
            paid_at: datetime!(2026-10-25 00:30 UTC),
            period: date!(2026 - 10 - 25),
            matures_at: datetime!(2026-10-25 23:00 UTC),
        },
        Way {
            name: "a month ends",
            settlement: r#"{"days": 2, "calendar": "calendar", "time_zone": "Africa/Lagos"}"#,
            paid_at: datetime!(2026-04-30 22:59 UTC),
            period: date!(2026 - 04 - 30),
            matures_at: datetime!(2026-05-01 23:00 UTC),
        },
        Way {
            name: "a leap day counts",
            settlement: r#"{"days": 1, "calendar": "calendar", "time_zone": "UTC"}"#,
            paid_at: datetime!(2028-02-28 10:00 UTC),
            period: date!(2028 - 02 - 28),
            matures_at: datetime!(2028-02-29 00:00 UTC),
        },
        Way {
            name: "no leap day, no 29th",
            settlement: r#"{"days": 1, "calendar": "calendar", "time_zone": "UTC"}"#,
            paid_at: datetime!(2027-02-28 10:00 UTC),
            period: date!(2027 - 02 - 28),
            matures_at: datetime!(2027-03-01 00:00 UTC),
        },
        Way {
            name: "a weekend counts for Monday and matures on Tuesday",
            settlement: r#"{"days": 1, "calendar": "business", "time_zone": "Africa/Lagos"}"#,
            paid_at: datetime!(2026-11-21 12:00 UTC),
            period: date!(2026 - 11 - 23),
            matures_at: datetime!(2026-11-23 23:00 UTC),
        },
        Way {
            name: "holidays are no business days, over the end of the year",
            settlement: r#"{"days": 2, "calendar": "business", "time_zone": "Africa/Lagos",
                "holidays": ["2026-12-25", "2026-12-26", "2027-01-01"]}"#,
            // Thursday; Friday is Christmas, so T+2 is Tuesday the 29th.
            paid_at: datetime!(2026-12-24 08:00 UTC),
            period: date!(2026 - 12 - 24),
            matures_at: datetime!(2026-12-28 23:00 UTC),
        },
        Way {
            name: "from the cut-off on it is the next day",
            settlement: r#"{"days": 1, "calendar": "calendar", "time_zone": "Africa/Lagos",
                "cut_off": "17:00"}"#,
            paid_at: datetime!(2026-11-20 16:00 UTC),
            period: date!(2026 - 11 - 21),
            matures_at: datetime!(2026-11-21 23:00 UTC),
        },
        Way {
            name: "T+0 is there at the cut-off of the same day",
            settlement: r#"{"days": 0, "calendar": "calendar", "time_zone": "Africa/Lagos",
                "cut_off": "17:00"}"#,
            paid_at: datetime!(2026-11-20 15:59 UTC),
            period: date!(2026 - 11 - 20),
            matures_at: datetime!(2026-11-20 16:00 UTC),
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_settled_when_it_matures_and_not_a_moment_before() {
    let moment = Duration::microseconds(1);
    for way in ways() {
        let Way { name, .. } = way;
        let scene = Scene::new(&terms(way.settlement)).await;
        scene.paid(70, way.paid_at).await;
        let early = scene.settle(way.matures_at - moment).await;
        assert!(early.is_empty(), "{name}: {early:?}");
        let settled = scene.settle(way.matures_at).await;
        assert_eq!(settled.len(), 1, "{name}");
        assert_eq!(settled[0].period, way.period, "{name}");
        assert_eq!(settled[0].matured_at, way.matures_at, "{name}");
        assert_eq!(scene.purses().await, [0, 70, 0, 0], "{name}");
    }
}
