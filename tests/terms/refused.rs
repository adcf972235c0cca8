//! Terms that are not taken: each problem named, all of them at once.

use aegis::terms::Terms;
use serde_json::{Value, json};

fn plain() -> Value {
    json!({
        "fee": {"basis_points": 150, "fixed": 100},
        "settlement": {"days": 1, "calendar": "business", "time_zone": "Africa/Lagos"},
        "payout": {"minimum": 0, "schedule": "daily"}
    })
}

/// The problems as `field: problem`.
fn problems(json: &str) -> Vec<String> {
    let invalid = json.parse::<Terms>().expect_err(json);
    invalid.problems.iter().map(ToString::to_string).collect()
}

/// The only problem of plain terms with one section written otherwise.
fn problem(section: &str, members: Value) -> String {
    let mut terms = plain();
    terms[section] = members;
    let mut problems = problems(&terms.to_string());
    assert_eq!(problems.len(), 1, "{terms}: {problems:?}");
    problems.remove(0)
}

#[test]
fn plain_terms_are_taken() {
    assert!(plain().to_string().parse::<Terms>().is_ok());
}

#[test]
fn fees_out_of_range_or_against_each_other_are_named() {
    for (members, expected) in [
        (
            json!({"basis_points": 10_001, "fixed": 0}),
            "fee.basis_points: is 10001: write an integer from 0 to 10000",
        ),
        (
            json!({"basis_points": -1, "fixed": 0}),
            "fee.basis_points: is -1: write an integer from 0 to 10000",
        ),
        (
            json!({"basis_points": 1.5, "fixed": 0}),
            "fee.basis_points: is 1.5: write an integer, without fraction and exponent",
        ),
        (
            json!({"basis_points": "150", "fixed": 0}),
            "fee.basis_points: is a string: write an integer",
        ),
        (
            json!({"fixed": 0}),
            "fee.basis_points: is missing: write an integer",
        ),
        (
            json!({"basis_points": 0}),
            "fee.fixed: is missing: write an integer",
        ),
        (
            json!({"basis_points": 0, "fixed": -5}),
            "fee.fixed: is -5: write minor units, 0 or more",
        ),
        (
            json!({"basis_points": 0, "fixed": null}),
            "fee.fixed: is null: write an integer",
        ),
        (
            json!({"basis_points": 0, "fixed": 9_223_372_036_854_775_808_u64}),
            "fee.fixed: is 9223372036854775808: write an integer from -9223372036854775808 to 9223372036854775807",
        ),
        (
            json!({"basis_points": 0, "fixed": 0, "minimum": -1}),
            "fee.minimum: is -1: write minor units, 0 or more",
        ),
        (
            json!({"basis_points": 0, "fixed": 0, "cap": -1}),
            "fee.cap: is -1: write minor units, 0 or more",
        ),
        (
            json!({"basis_points": 0, "fixed": 0, "minimum": 9, "cap": 8}),
            "fee.minimum: is 9, above the cap, 8: write at most 8",
        ),
        (
            json!({"basis_points": 0, "fixed": 9, "cap": 8}),
            "fee.cap: is 8, below the fixed part, 9: write at least 9, or leave it out",
        ),
        (
            json!({"basis_points": 0, "fixed": 0, "caps": 8}),
            "fee.caps: is not a field here: leave it out, the fields are basis_points, fixed, minimum, cap",
        ),
        (json!([]), "fee: is an array: write an object"),
        (json!("free"), "fee: is a string: write an object"),
    ] {
        assert_eq!(problem("fee", members), expected);
    }
}

#[test]
fn settlement_out_of_range_or_against_itself_is_named() {
    let with = |name: &str, value: Value| {
        let mut members = plain()["settlement"].take();
        members[name] = value;
        problem("settlement", members)
    };
    let no_date = "is no such date: write a date of the years 1970 to 9998, such as \"2026-12-25\"";
    let no_time = "is no such time: write a time from \"00:00\", the end of the day, to \"23:59\"";
    let no_zone = "is not a time zone of the tz database: write a name such as Africa/Lagos";
    for (name, value, expected) in [
        (
            "days",
            json!(-1),
            "days: is -1: write an integer from 0 to 365",
        ),
        (
            "days",
            json!(366),
            "days: is 366: write an integer from 0 to 365",
        ),
        (
            "calendar",
            json!("lunar"),
            r#"calendar: is "lunar": write "business" or "calendar""#,
        ),
        (
            "calendar",
            json!(7),
            r#"calendar: is a number: write "business" or "calendar""#,
        ),
        (
            "time_zone",
            json!("Africa/Atlantis"),
            &format!("time_zone: \"Africa/Atlantis\" {no_zone}"),
        ),
        (
            "time_zone",
            json!(""),
            &format!("time_zone: \"\" {no_zone}"),
        ),
        (
            "time_zone",
            json!("Etc/Unknown"),
            &format!("time_zone: \"Etc/Unknown\" {no_zone}"),
        ),
        (
            "time_zone",
            json!("../../etc/passwd"),
            &format!("time_zone: \"../../etc/passwd\" {no_zone}"),
        ),
        (
            "time_zone",
            json!("+01:00"),
            &format!("time_zone: \"+01:00\" {no_zone}"),
        ),
        (
            "time_zone",
            json!("africa/lagos"),
            "time_zone: \"africa/lagos\" is written otherwise: write \"Africa/Lagos\"",
        ),
        (
            "cut_off",
            json!("24:00"),
            &format!("cut_off: \"24:00\" {no_time}"),
        ),
        (
            "cut_off",
            json!("5pm"),
            &format!("cut_off: \"5pm\" {no_time}"),
        ),
        (
            "cut_off",
            json!("7:30"),
            &format!("cut_off: \"7:30\" {no_time}"),
        ),
        (
            "cut_off",
            json!("17:00:00"),
            &format!("cut_off: \"17:00:00\" {no_time}"),
        ),
        (
            "weekend",
            json!("friday"),
            "weekend: is a string: write an array",
        ),
        (
            "weekend",
            json!(["Friday"]),
            r#"weekend[0]: is "Friday": write a day of the week, such as "friday""#,
        ),
        (
            "weekend",
            json!(["friday", "friday"]),
            "weekend[1]: stands twice: write it once",
        ),
        (
            "weekend",
            json!([
                "monday",
                "tuesday",
                "wednesday",
                "thursday",
                "friday",
                "saturday",
                "sunday"
            ]),
            "weekend: holds all seven days: leave out those on which business is done",
        ),
        (
            "holidays",
            json!(["2026-12-25", "2026-12-26", "2026-12-25"]),
            "holidays[2]: stands twice: write it once",
        ),
        (
            "holidays",
            json!(["2027-02-29"]),
            &format!("holidays[0]: \"2027-02-29\" {no_date}"),
        ),
        (
            "holidays",
            json!(["25.12.2026"]),
            &format!("holidays[0]: \"25.12.2026\" {no_date}"),
        ),
        (
            "holidays",
            json!(["2026-12-25T00:00:00Z"]),
            &format!("holidays[0]: \"2026-12-25T00:00:00Z\" {no_date}"),
        ),
        (
            "holidays",
            json!(["+2026-12-25"]),
            &format!("holidays[0]: \"+2026-12-25\" {no_date}"),
        ),
        (
            "holidays",
            json!(["1969-12-25"]),
            &format!("holidays[0]: \"1969-12-25\" {no_date}"),
        ),
        (
            "holidays",
            json!([20_261_225]),
            "holidays[0]: is a number: write a date of the years 1970 to 9998, such as \"2026-12-25\"",
        ),
    ] {
        assert_eq!(with(name, value), format!("settlement.{expected}"));
    }
}

#[test]
fn weekends_and_holidays_are_refused_where_every_day_counts() {
    let members = json!({"days": 1, "calendar": "calendar", "time_zone": "UTC", "weekend": [], "holidays": []});
    let mut terms = plain();
    terms["settlement"] = members;
    let meaning = "has no meaning where the calendar is \"calendar\": leave it out, or write \"business\" there";
    let expected = ["weekend", "holidays"].map(|name| format!("settlement.{name}: {meaning}"));
    assert_eq!(problems(&terms.to_string()), expected);
}

#[test]
fn more_holidays_than_any_calendar_has_are_refused() {
    let first = time::macros::date!(2026 - 01 - 01);
    let days = (0..1_001).map(|n| (first + time::Duration::days(n)).to_string());
    let members = json!({"days": 1, "calendar": "business", "time_zone": "UTC", "holidays": days.collect::<Vec<_>>()});
    let expected = "settlement.holidays: has 1001 days: write at most 1000";
    assert_eq!(problem("settlement", members), expected);
}

#[test]
fn reserves_payouts_refunds_and_chargebacks_are_held_to_their_ranges() {
    for (section, members, expected) in [
        (
            "reserve",
            json!({"basis_points": 10_001, "days": 90}),
            "reserve.basis_points: is 10001: write an integer from 1 to 10000",
        ),
        (
            "reserve",
            json!({"basis_points": 0, "days": 90}),
            "reserve.basis_points: is 0: write an integer from 1 to 10000",
        ),
        (
            "reserve",
            json!({"basis_points": 1, "days": 0}),
            "reserve.days: is 0: write an integer from 1 to 3650",
        ),
        (
            "reserve",
            json!({"basis_points": 1}),
            "reserve.days: is missing: write an integer",
        ),
        (
            "payout",
            json!({"minimum": -1, "schedule": "daily"}),
            "payout.minimum: is -1: write minor units, 0 or more",
        ),
        (
            "payout",
            json!({"minimum": 0}),
            r#"payout.schedule: is missing: write "daily", "weekly", "monthly" or "manual""#,
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "hourly"}),
            r#"payout.schedule: is "hourly": write "daily", "weekly", "monthly" or "manual""#,
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "weekly"}),
            r#"payout.weekday: is missing: write a day of the week, such as "friday""#,
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "weekly", "weekday": 5}),
            r#"payout.weekday: is a number: write a day of the week, such as "friday""#,
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "weekly", "weekday": "sunday"}),
            "payout.weekday: is a day of settlement.weekend: write one on which business is done",
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "daily", "weekday": "friday"}),
            r#"payout.weekday: belongs to the schedule "weekly" only: leave it out, or write that schedule"#,
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "monthly"}),
            "payout.day: is missing: write a day of the month, 1 to 31",
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "monthly", "day": 32}),
            "payout.day: is 32: write an integer from 1 to 31",
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "monthly", "day": 0}),
            "payout.day: is 0: write an integer from 1 to 31",
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "manual", "day": 1}),
            r#"payout.day: belongs to the schedule "monthly" only: leave it out, or write that schedule"#,
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "daily", "recipient": ""}),
            "payout.recipient: is not 1 to 255 printable characters: write the PSP's code for it",
        ),
        (
            "payout",
            json!({"minimum": 0, "schedule": "daily", "recipient": "RCP\u{7}"}),
            "payout.recipient: is not 1 to 255 printable characters: write the PSP's code for it",
        ),
        (
            "refund",
            json!({"fee": "halved", "below_zero_max": 0}),
            r#"refund.fee: is "halved": write "kept" or "returned""#,
        ),
        (
            "refund",
            json!({"fee": "kept"}),
            "refund.below_zero_max: is missing: write an integer",
        ),
        (
            "refund",
            json!({"fee": "kept", "below_zero_max": -1}),
            "refund.below_zero_max: is -1: write minor units, 0 or more",
        ),
        (
            "refund",
            json!({"fee": "kept", "below_zero_max": 0, "penalty": 1}),
            "refund.penalty: is not a field here: leave it out, the fields are fee, below_zero_max",
        ),
        (
            "chargeback",
            json!({"fee": "kept", "penalty": -1, "below_zero_max": 0}),
            "chargeback.penalty: is -1: write minor units, 0 or more",
        ),
    ] {
        assert_eq!(problem(section, members), expected);
    }
}

#[test]
fn all_problems_are_named_at_once_under_the_place_of_the_terms() {
    let json = r#"{
        "fee": {"basis_points": 20000, "fixed": 50, "minimum": 90, "cap": 40, "cap": 41},
        "settlement": {"days": 1.0, "calendar": "business", "cut_off": "25:00",
            "holidays": ["soon", "2026-12-25", "2026-12-25"]},
        "payout": {"minimum": 0, "schedule": "weekly", "weekday": "sunday", "email": "a@b.c"},
        "reserves": {}
    }"#;
    let invalid = Terms::read_at("terms", json).unwrap_err();
    let fields: Vec<&str> = invalid
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "terms.fee.cap",
            "terms.fee.basis_points",
            "terms.fee.minimum",
            "terms.fee.cap",
            "terms.settlement.days",
            "terms.settlement.time_zone",
            "terms.settlement.cut_off",
            "terms.settlement.holidays[0]",
            "terms.settlement.holidays[2]",
            "terms.payout.email",
            "terms.payout.weekday",
            "terms.reserves",
        ]
    );
    let text = invalid.to_string();
    let first = "the terms can't be taken: terms.fee.cap: stands twice: write it once; terms.fee.";
    assert!(text.starts_with(first), "{text}");
}

#[test]
fn what_is_no_object_of_terms_is_refused_as_a_whole() {
    let long = format!("{{\"fee\": {}", " ".repeat(70_000));
    for (json, expected) in [
        ("", "terms: is not JSON"),
        ("{", "terms: is not JSON"),
        ("{} {}", "terms: is not JSON"),
        ("[]", "terms: is an array: write an object"),
        ("null", "terms: is null: write an object"),
        ("{}", "fee: is missing: write an object"),
        (r#"{"fee": null}"#, "fee: is null: write an object"),
        (&long, "terms: has 70008 bytes: write at most 65536"),
    ] {
        let problems = problems(json);
        assert!(problems[0].starts_with(expected), "{json:?}: {problems:?}");
    }
    let many = (0..40).map(|n| format!("\"m{n}\": 0")).collect::<Vec<_>>();
    let problems = problems(&format!("{{{}}}", many.join(",")));
    assert!(
        problems.contains(&"*: are more than 32 members".to_owned()),
        "{problems:?}"
    );
}
