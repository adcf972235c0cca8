//! Payout schedules, by table.

use aegis::terms::Terms;

use crate::support::{at, date, terms};

const LAGOS: &str = r#""days": 1, "calendar": "business", "time_zone": "Africa/Lagos",
    "holidays": ["2026-12-25", "2027-01-01"]"#;
const EVERY_DAY: &str = r#""days": 1, "calendar": "calendar", "time_zone": "Africa/Lagos""#;
const FRIDAYS: &str = r#""schedule": "weekly", "weekday": "friday""#;

fn due(terms: &Terms, since: &str, now: &str) -> Option<String> {
    let due = terms.payout_due(date(since), at(now)).unwrap();
    let is_due = terms
        .payout()
        .is_due(terms.settlement().calendar(), date(since), at(now));
    assert_eq!(is_due, Ok(due.is_some()));
    due.map(|day| day.to_string())
}

#[test]
fn the_next_due_day_is_one_of_the_schedule_or_the_next_counted_one() {
    let monthly = |day| format!(r#""schedule": "monthly", "day": {day}"#);
    let daily = r#""schedule": "daily""#;
    let (last, thirtieth, first) = (monthly(31), monthly(30), monthly(1));
    for (settlement, payout, after, next) in [
        (LAGOS, daily, "2026-11-26", "2026-11-27"),
        (LAGOS, daily, "2026-11-27", "2026-11-30"),
        (LAGOS, daily, "2026-12-24", "2026-12-28"),
        (EVERY_DAY, daily, "2026-11-27", "2026-11-28"),
        (LAGOS, FRIDAYS, "2026-11-20", "2026-11-27"),
        (LAGOS, FRIDAYS, "2026-11-21", "2026-11-27"),
        (LAGOS, FRIDAYS, "2026-12-18", "2026-12-28"),
        (LAGOS, FRIDAYS, "2026-12-25", "2026-12-28"),
        (LAGOS, FRIDAYS, "2026-12-27", "2026-12-28"),
        (LAGOS, FRIDAYS, "2026-12-28", "2027-01-04"),
        (LAGOS, &last, "2026-11-15", "2026-11-30"),
        (LAGOS, &last, "2026-11-30", "2026-12-31"),
        // Sundays: the month after.
        (LAGOS, &last, "2027-01-15", "2027-02-01"),
        (LAGOS, &last, "2027-01-31", "2027-02-01"),
        (LAGOS, &last, "2027-02-01", "2027-03-01"),
        (LAGOS, &last, "2028-02-01", "2028-02-29"),
        (EVERY_DAY, &last, "2027-01-31", "2027-02-28"),
        (EVERY_DAY, &thirtieth, "2027-01-30", "2027-02-28"),
        (EVERY_DAY, &thirtieth, "2027-02-28", "2027-03-30"),
        (EVERY_DAY, &first, "2026-12-31", "2027-01-01"),
        (EVERY_DAY, &first, "2026-12-01", "2027-01-01"),
    ] {
        let terms = terms(settlement, payout, "");
        let given = terms.next_payout(date(after)).unwrap();
        assert_eq!(
            given,
            Some(date(next)),
            "{payout} after {after} in {settlement}"
        );
    }
}

#[test]
fn due_days_that_meet_on_one_day_are_one() {
    let days = (21..=31).map(|day| format!(r#""2026-12-{day}""#));
    let holidays = days.chain([r#""2027-01-01""#.to_owned()]);
    let holidays = holidays.collect::<Vec<_>>().join(",");
    let members = format!(
        r#""days": 1, "calendar": "business", "time_zone": "Africa/Lagos", "holidays": [{holidays}]"#
    );
    let mondays = terms(&members, r#""schedule": "weekly", "weekday": "monday""#, "");
    for (after, next) in [
        ("2026-12-14", "2027-01-04"),
        ("2026-12-28", "2027-01-04"),
        ("2027-01-04", "2027-01-11"),
    ] {
        assert_eq!(
            mondays.next_payout(date(after)),
            Ok(Some(date(next))),
            "{after}"
        );
    }
    assert_eq!(due(&mondays, "2026-12-14", "2027-01-03T12:00:00Z"), None);
    let monday = due(&mondays, "2026-12-14", "2027-01-04T12:00:00Z");
    assert_eq!(monday.as_deref(), Some("2027-01-04"));
}

#[test]
fn a_payout_is_due_once_from_the_beginning_of_its_day_and_made_up_for_later() {
    let fridays = terms(LAGOS, FRIDAYS, "");
    for (since, now, expected) in [
        ("2026-11-20", "2026-11-26T22:59:59Z", None),
        ("2026-11-20", "2026-11-26T23:00:00Z", Some("2026-11-27")),
        ("2026-11-20", "2026-11-29T12:00:00Z", Some("2026-11-27")),
        ("2026-11-27", "2026-11-29T12:00:00Z", None),
        // Two weeks that nobody ran are one payout.
        ("2026-11-06", "2026-11-26T12:00:00Z", Some("2026-11-20")),
        // A holiday moves it to Monday.
        ("2026-12-18", "2026-12-25T12:00:00Z", None),
        ("2026-12-18", "2026-12-27T12:00:00Z", None),
        ("2026-12-18", "2026-12-28T12:00:00Z", Some("2026-12-28")),
        ("2026-12-28", "2026-12-31T12:00:00Z", None),
    ] {
        let given = due(&fridays, since, now);
        assert_eq!(given.as_deref(), expected, "{now} since {since}");
    }
}

#[test]
fn daily_payouts_follow_the_calendar_and_manual_ones_are_never_due() {
    let daily = terms(LAGOS, r#""schedule": "daily""#, "");
    let sunday = "2026-11-29T12:00:00Z";
    let friday = due(&daily, "2026-11-26", sunday);
    assert_eq!(friday.as_deref(), Some("2026-11-27"));
    assert_eq!(due(&daily, "2026-11-27", sunday), None);
    let every_day = terms(EVERY_DAY, r#""schedule": "daily""#, "");
    assert_eq!(
        due(&every_day, "2026-11-27", sunday).as_deref(),
        Some("2026-11-29")
    );
    let manual = terms(LAGOS, r#""schedule": "manual""#, "");
    assert_eq!(due(&manual, "2020-01-01", sunday), None);
    assert_eq!(manual.next_payout(date("2026-11-27")), Ok(None));
}

#[test]
fn a_due_day_that_the_zone_skipped_moves_on() {
    let apia = r#""days": 1, "calendar": "calendar", "time_zone": "Pacific/Apia""#;
    let fridays = terms(apia, FRIDAYS, "");
    let next = fridays.next_payout(date("2011-12-23"));
    assert_eq!(next, Ok(Some(date("2011-12-31"))));
    assert_eq!(due(&fridays, "2011-12-23", "2011-12-30T09:59:59Z"), None);
    let due = due(&fridays, "2011-12-23", "2011-12-30T10:00:00Z");
    assert_eq!(due.as_deref(), Some("2011-12-31"));
}

#[test]
fn less_than_the_minimum_and_nothing_are_not_paid_out() {
    let json = terms(LAGOS, FRIDAYS, "").to_string();
    let raised = json.replace(r#""payout":{"minimum":0"#, r#""payout":{"minimum":5000"#);
    let raised: Terms = raised.parse().unwrap();
    for (available, enough) in [(4_999, false), (5_000, true), (-1, false)] {
        assert_eq!(raised.payout().is_enough(available), enough, "{available}");
    }
    let none: Terms = json.parse().unwrap();
    assert!(!none.payout().is_enough(0) && none.payout().is_enough(1));
}
