//! Clocks that are set: skipped and repeated hours, half hours, midnights and a whole day.

use crate::support::{assert_matures, at, date, settlement};

#[test]
fn days_of_23_and_25_hours_begin_at_their_own_midnights() {
    assert_matures(&[
        (
            r#""days": 1, "calendar": "calendar", "time_zone": "Europe/Berlin""#,
            &[
                ("2027-03-27T12:00:00Z", "2027-03-27", "2027-03-27T23:00:00Z"),
                ("2027-03-28T12:00:00Z", "2027-03-28", "2027-03-28T22:00:00Z"),
                ("2026-10-24T12:00:00Z", "2026-10-24", "2026-10-24T22:00:00Z"),
                ("2026-10-25T12:00:00Z", "2026-10-25", "2026-10-25T23:00:00Z"),
            ],
        ),
        (
            r#""days": 2, "calendar": "business", "time_zone": "America/New_York",
               "cut_off": "17:00""#,
            &[
                ("2027-03-12T21:59:59Z", "2027-03-12", "2027-03-16T04:00:00Z"),
                ("2027-03-12T22:00:00Z", "2027-03-15", "2027-03-17T04:00:00Z"),
                ("2027-03-15T20:59:59Z", "2027-03-15", "2027-03-17T04:00:00Z"),
                ("2027-03-15T21:00:00Z", "2027-03-16", "2027-03-18T04:00:00Z"),
                ("2026-10-30T20:59:59Z", "2026-10-30", "2026-11-03T05:00:00Z"),
                ("2026-11-02T21:59:59Z", "2026-11-02", "2026-11-04T05:00:00Z"),
            ],
        ),
    ]);
}

#[test]
fn a_cut_off_that_is_skipped_is_the_moment_of_the_skip() {
    assert_matures(&[
        (
            r#""days": 0, "calendar": "calendar", "time_zone": "Europe/Berlin", "cut_off": "02:30""#,
            &[
                ("2027-03-28T00:59:59Z", "2027-03-28", "2027-03-28T01:00:00Z"),
                ("2027-03-28T01:00:00Z", "2027-03-29", "2027-03-29T00:30:00Z"),
            ],
        ),
        (
            // Half an hour is skipped.
            r#""days": 1, "calendar": "calendar", "time_zone": "Australia/Lord_Howe",
               "cut_off": "02:15""#,
            &[
                ("2026-10-03T15:29:59Z", "2026-10-04", "2026-10-04T13:00:00Z"),
                ("2026-10-03T15:30:00Z", "2026-10-05", "2026-10-05T13:00:00Z"),
            ],
        ),
    ]);
}

#[test]
fn a_cut_off_that_comes_twice_is_the_first_of_the_two() {
    assert_matures(&[
        (
            r#""days": 0, "calendar": "calendar", "time_zone": "Europe/Berlin", "cut_off": "02:30""#,
            &[
                ("2026-10-25T00:29:59Z", "2026-10-25", "2026-10-25T00:30:00Z"),
                ("2026-10-25T00:30:00Z", "2026-10-26", "2026-10-26T01:30:00Z"),
                // The clock shows 02:10 again.
                ("2026-10-25T01:10:00Z", "2026-10-26", "2026-10-26T01:30:00Z"),
            ],
        ),
        (
            r#""days": 1, "calendar": "calendar", "time_zone": "America/New_York",
               "cut_off": "01:30""#,
            &[
                ("2026-11-01T05:29:59Z", "2026-11-01", "2026-11-02T05:00:00Z"),
                ("2026-11-01T06:15:00Z", "2026-11-02", "2026-11-03T05:00:00Z"),
            ],
        ),
        (
            r#""days": 1, "calendar": "calendar", "time_zone": "Australia/Lord_Howe",
               "cut_off": "01:45""#,
            &[
                ("2027-04-03T14:44:59Z", "2027-04-04", "2027-04-04T13:30:00Z"),
                ("2027-04-03T15:05:00Z", "2027-04-05", "2027-04-05T13:30:00Z"),
            ],
        ),
    ]);
}

#[test]
fn midnights_that_are_skipped_or_repeated_divide_days_once() {
    assert_matures(&[
        (
            // 00:00 became 01:00.
            r#""days": 1, "calendar": "calendar", "time_zone": "America/Sao_Paulo""#,
            &[
                ("2018-11-04T02:59:59Z", "2018-11-03", "2018-11-04T03:00:00Z"),
                ("2018-11-04T03:00:00Z", "2018-11-04", "2018-11-05T02:00:00Z"),
            ],
        ),
        (
            // 00:01 became 23:01 of the day before.
            r#""days": 1, "calendar": "calendar", "time_zone": "America/St_Johns""#,
            &[
                ("2010-11-07T02:29:59Z", "2010-11-06", "2010-11-07T02:30:00Z"),
                ("2010-11-07T02:45:00Z", "2010-11-07", "2010-11-08T03:30:00Z"),
            ],
        ),
    ]);
    let st_johns =
        settlement(r#""days": 1, "calendar": "calendar", "time_zone": "America/St_Johns""#);
    let today = st_johns.calendar().today(at("2010-11-07T02:45:00Z"));
    assert_eq!(today, Ok(date("2010-11-07")));
}

#[test]
fn a_day_that_the_zone_skipped_counts_in_no_calendar() {
    // Samoa had no 30 December 2011.
    assert_matures(&[
        (
            r#""days": 1, "calendar": "calendar", "time_zone": "Pacific/Apia", "cut_off": "17:00""#,
            &[
                ("2011-12-29T22:00:00Z", "2011-12-29", "2011-12-30T10:00:00Z"),
                ("2011-12-30T04:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z"),
                ("2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z"),
            ],
        ),
        (
            r#""days": 0, "calendar": "calendar", "time_zone": "Pacific/Apia""#,
            &[
                ("2011-12-30T09:59:59Z", "2011-12-29", "2011-12-30T10:00:00Z"),
                ("2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z"),
            ],
        ),
        (
            // It would have been a Friday.
            r#""days": 1, "calendar": "business", "time_zone": "Pacific/Apia""#,
            &[("2011-12-29T22:00:00Z", "2011-12-29", "2012-01-01T10:00:00Z")],
        ),
    ]);
}
