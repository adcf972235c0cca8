//! Terms that are taken, and how they are written back.

use aegis::terms::{FeeFate, Schedule, Terms};
use time::macros::{date, time};

const FULL: &str = r#"{
    "chargeback": {"fee": "returned", "penalty": 250000, "below_zero_max": 1000000},
    "refund": {"fee": "returned", "below_zero_max": 500000},
    "payout": {"minimum": 100000, "schedule": "monthly", "day": 31, "recipient": "RCP_2x5j67tnnw1t98k"},
    "reserve": {"days": 90, "basis_points": 1000},
    "settlement": {"days": 2, "calendar": "business", "time_zone": "Asia/Kuwait",
        "cut_off": "16:30", "weekend": ["saturday", "friday"],
        "holidays": ["2027-02-26", "2027-02-25"]},
    "fee": {"cap": 200000, "basis_points": 150, "fixed": 10000, "minimum": 15000}
}"#;

const FULL_WRITTEN: &str = concat!(
    r#"{"fee":{"basis_points":150,"fixed":10000,"minimum":15000,"cap":200000},"#,
    r#""settlement":{"days":2,"calendar":"business","time_zone":"Asia/Kuwait","#,
    r#""cut_off":"16:30","weekend":["friday","saturday"],"#,
    r#""holidays":["2027-02-25","2027-02-26"]},"#,
    r#""reserve":{"basis_points":1000,"days":90},"#,
    r#""payout":{"minimum":100000,"schedule":"monthly","day":31,"#,
    r#""recipient":"RCP_2x5j67tnnw1t98k"},"#,
    r#""refund":{"fee":"returned","below_zero_max":500000},"#,
    r#""chargeback":{"fee":"returned","penalty":250000,"below_zero_max":1000000}}"#
);

#[test]
fn every_member_is_read() {
    let terms: Terms = FULL.parse().unwrap();
    let fee = terms.fee();
    assert_eq!((fee.basis_points(), fee.fixed()), (150, 10_000));
    assert_eq!((fee.minimum(), fee.cap()), (15_000, Some(200_000)));
    let settlement = terms.settlement();
    assert_eq!((settlement.days(), settlement.cut_off()), (2, time!(16:30)));
    assert_eq!(settlement.calendar().zone().name(), "Asia/Kuwait");
    // A Wednesday; Thursday is a holiday, then the weekend.
    assert_eq!(
        settlement.calendar().add_days(date!(2027 - 02 - 24), 1),
        Ok(date!(2027 - 02 - 28))
    );
    let reserve = terms.reserve().unwrap();
    assert_eq!((reserve.basis_points(), reserve.days()), (1_000, 90));
    let payout = terms.payout();
    assert_eq!(
        (payout.minimum(), payout.schedule()),
        (100_000, Schedule::Monthly(31))
    );
    assert_eq!(payout.recipient(), Some("RCP_2x5j67tnnw1t98k"));
    assert_eq!(terms.refund().fee(), FeeFate::Returned);
    assert_eq!(terms.refund().below_zero_max(), 500_000);
    assert_eq!(terms.chargeback().penalty(), 250_000);
}

#[test]
fn defaults_are_those_of_the_description_and_are_written_out() {
    let terms: Terms = r#"{
        "fee": {"basis_points": 0, "fixed": 0, "minimum": null, "cap": null},
        "settlement": {"days": 0, "calendar": "business", "time_zone": "UTC", "holidays": null},
        "reserve": null,
        "payout": {"minimum": 0, "schedule": "manual", "recipient": null}
    }"#
    .parse()
    .unwrap();
    let written = concat!(
        r#"{"fee":{"basis_points":0,"fixed":0,"minimum":0},"#,
        r#""settlement":{"days":0,"calendar":"business","time_zone":"UTC","cut_off":"00:00","#,
        r#""weekend":["saturday","sunday"],"holidays":[]},"#,
        r#""payout":{"minimum":0,"schedule":"manual"},"#,
        r#""refund":{"fee":"kept","below_zero_max":0},"#,
        r#""chargeback":{"fee":"kept","penalty":0,"below_zero_max":0}}"#
    );
    assert_eq!(terms.to_string(), written);
    assert_eq!(written.parse(), Ok(terms));
}

#[test]
fn the_same_terms_are_the_same_text_however_they_were_written() {
    let terms: Terms = FULL.parse().unwrap();
    assert_eq!(terms.to_string(), FULL_WRITTEN);
    assert_eq!(FULL_WRITTEN.parse(), Ok(terms.clone()));
    assert_eq!(serde_json::to_string(&terms).unwrap(), FULL_WRITTEN);
    // Escapes are read like what they stand for.
    let escaped = FULL.replace(r#""friday""#, r#""frid\u0061y""#);
    assert_eq!(escaped.parse(), Ok(terms));
}

#[test]
fn zones_that_are_links_keep_their_names() {
    for zone in [
        "Asia/Kuwait",
        "Asia/Riyadh",
        "Etc/UTC",
        "America/Argentina/Buenos_Aires",
    ] {
        let json = FULL.replace("Asia/Kuwait", zone);
        let terms: Terms = json.parse().unwrap();
        assert_eq!(terms.settlement().calendar().zone().name(), zone);
    }
}
