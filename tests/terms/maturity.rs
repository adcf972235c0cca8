//! Periods, maturity and reserves, by table.

use time::macros::datetime;

use crate::support::{assert_matures, at, date, settlement, terms};

const LAGOS: &str = r#""days": 1, "calendar": "business", "time_zone": "Africa/Lagos""#;

#[test]
fn a_payment_at_the_cut_off_or_later_counts_for_the_next_business_day() {
    assert_matures(&[(
        r#""days": 1, "calendar": "business", "time_zone": "Africa/Lagos", "cut_off": "17:00""#,
        &[
            (
                "2026-11-20T15:59:59.999999999Z",
                "2026-11-20",
                "2026-11-22T23:00:00Z",
            ),
            ("2026-11-20T16:00:00Z", "2026-11-23", "2026-11-23T23:00:00Z"),
            ("2026-11-21T10:00:00Z", "2026-11-23", "2026-11-23T23:00:00Z"),
            ("2026-11-22T20:00:00Z", "2026-11-23", "2026-11-23T23:00:00Z"),
            ("2026-11-23T15:59:59Z", "2026-11-23", "2026-11-23T23:00:00Z"),
            ("2026-11-23T16:00:00Z", "2026-11-24", "2026-11-24T23:00:00Z"),
            // The same instant, written in another offset.
            (
                "2026-11-23T08:00:00-08:00",
                "2026-11-24",
                "2026-11-24T23:00:00Z",
            ),
        ],
    )]);
}

#[test]
fn a_cut_off_at_midnight_is_the_end_of_the_day() {
    assert_matures(&[(
        r#""days": 1, "calendar": "calendar", "time_zone": "Africa/Lagos", "cut_off": "00:00""#,
        &[
            ("2026-11-20T22:59:59Z", "2026-11-20", "2026-11-20T23:00:00Z"),
            ("2026-11-20T23:00:00Z", "2026-11-21", "2026-11-21T23:00:00Z"),
        ],
    )]);
    let said = settlement(&format!(r#"{LAGOS}, "cut_off": "00:00""#));
    assert_eq!(said, settlement(LAGOS));
}

#[test]
fn t_plus_0_matures_when_its_period_closes() {
    assert_matures(&[
        (
            r#""days": 0, "calendar": "business", "time_zone": "Africa/Lagos", "cut_off": "17:00""#,
            &[
                ("2026-11-20T15:59:59Z", "2026-11-20", "2026-11-20T16:00:00Z"),
                ("2026-11-20T16:00:00Z", "2026-11-23", "2026-11-23T16:00:00Z"),
            ],
        ),
        (
            r#""days": 0, "calendar": "business", "time_zone": "Africa/Lagos""#,
            &[("2026-11-20T10:00:00Z", "2026-11-20", "2026-11-20T23:00:00Z")],
        ),
    ]);
}

#[test]
fn holidays_in_a_row_month_ends_and_year_ends_are_rolled_over() {
    assert_matures(&[
        (
            r#""days": 1, "calendar": "business", "time_zone": "Africa/Lagos",
               "holidays": ["2027-01-01", "2026-12-25", "2026-12-28"]"#,
            &[
                ("2026-12-24T12:00:00Z", "2026-12-24", "2026-12-28T23:00:00Z"),
                ("2026-12-25T12:00:00Z", "2026-12-29", "2026-12-29T23:00:00Z"),
                ("2026-12-31T12:00:00Z", "2026-12-31", "2027-01-03T23:00:00Z"),
                ("2027-01-01T12:00:00Z", "2027-01-04", "2027-01-04T23:00:00Z"),
            ],
        ),
        (
            // The golden week.
            r#""days": 3, "calendar": "business", "time_zone": "Asia/Tokyo", "holidays":
               ["2026-04-29", "2026-05-03", "2026-05-04", "2026-05-05", "2026-05-06"]"#,
            &[("2026-04-28T00:00:00Z", "2026-04-28", "2026-05-06T15:00:00Z")],
        ),
        (
            r#""days": 1, "calendar": "calendar", "time_zone": "Asia/Tokyo""#,
            &[
                ("2026-12-31T14:59:59Z", "2026-12-31", "2026-12-31T15:00:00Z"),
                ("2026-12-31T15:00:00Z", "2027-01-01", "2027-01-01T15:00:00Z"),
            ],
        ),
    ]);
}

#[test]
fn leap_days_count_where_there_are_some() {
    assert_matures(&[
        (
            r#""days": 1, "calendar": "calendar", "time_zone": "Asia/Tokyo""#,
            &[
                ("2028-02-28T03:00:00Z", "2028-02-28", "2028-02-28T15:00:00Z"),
                ("2028-02-29T03:00:00Z", "2028-02-29", "2028-02-29T15:00:00Z"),
                ("2027-02-28T03:00:00Z", "2027-02-28", "2027-02-28T15:00:00Z"),
                ("2100-02-28T03:00:00Z", "2100-02-28", "2100-02-28T15:00:00Z"),
            ],
        ),
        (
            r#""days": 2, "calendar": "calendar", "time_zone": "UTC""#,
            &[
                ("2028-02-28T03:00:00Z", "2028-02-28", "2028-03-01T00:00:00Z"),
                ("2027-02-28T03:00:00Z", "2027-02-28", "2027-03-02T00:00:00Z"),
            ],
        ),
        (
            r#""days": 365, "calendar": "calendar", "time_zone": "UTC""#,
            &[("2028-02-29T03:00:00Z", "2028-02-29", "2029-02-28T00:00:00Z")],
        ),
    ]);
}

#[test]
fn the_weekend_is_what_the_terms_say() {
    assert_matures(&[
        (
            r#""days": 1, "calendar": "business", "time_zone": "Asia/Kuwait",
               "weekend": ["friday", "saturday"]"#,
            &[
                ("2026-11-26T09:00:00Z", "2026-11-26", "2026-11-28T21:00:00Z"),
                ("2026-11-27T09:00:00Z", "2026-11-29", "2026-11-29T21:00:00Z"),
                ("2026-11-29T09:00:00Z", "2026-11-29", "2026-11-29T21:00:00Z"),
            ],
        ),
        (
            r#""days": 1, "calendar": "business", "time_zone": "Asia/Kuwait", "weekend": [],
               "holidays": ["2026-11-28"]"#,
            &[("2026-11-27T09:00:00Z", "2026-11-27", "2026-11-28T21:00:00Z")],
        ),
    ]);
}

#[test]
fn a_reserve_is_released_that_many_days_after_maturity_on_a_counted_day() {
    for (days, calendar, held, period, released_at) in [
        // Matures on Monday the 23rd; 90 days later is a Sunday.
        (1, "business", 90, "2026-11-20", "2027-02-21T23:00:00Z"),
        (1, "calendar", 90, "2026-11-20", "2027-02-18T23:00:00Z"),
        (0, "calendar", 1, "2026-11-20", "2026-11-20T23:00:00Z"),
        (1, "calendar", 1, "2028-02-28", "2028-02-29T23:00:00Z"),
        (1, "calendar", 365, "2028-02-28", "2029-02-27T23:00:00Z"),
    ] {
        let members =
            format!(r#""days": {days}, "calendar": "{calendar}", "time_zone": "Africa/Lagos""#);
        let reserve = format!(r#", "reserve": {{"basis_points": 1000, "days": {held}}}"#);
        let terms = terms(&members, r#""schedule": "manual""#, &reserve);
        let given = terms.released_at(date(period)).unwrap();
        assert_eq!(given, Some(at(released_at)), "{held} days after {members}");
    }
    let none = terms(LAGOS, r#""schedule": "manual""#, "");
    assert_eq!(none.released_at(date("2026-11-20")), Ok(None));
}

#[test]
fn a_time_beyond_the_calendar_is_an_error_and_no_panic() {
    let ninety = settlement(r#""days": 90, "calendar": "business", "time_zone": "Africa/Lagos""#);
    for paid_at in [
        datetime!(9999-12-31 23:59:59 UTC),
        datetime!(9999-11-15 12:00 UTC),
        datetime!(-9999-01-01 00:00 UTC),
    ] {
        let beyond = ninety.matures_at(paid_at).unwrap_err().to_string();
        assert!(
            beyond.contains("the calendar ends with the year 9999"),
            "{beyond}"
        );
    }
}
