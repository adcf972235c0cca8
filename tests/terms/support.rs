//! Terms made from the parts that a test is about.

use aegis::terms::{Settlement, Terms};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Terms with those members of `settlement`, `payout` and what follows.
pub(crate) fn terms(settlement: &str, payout: &str, more: &str) -> Terms {
    let json = format!(
        r#"{{"fee": {{"basis_points": 150, "fixed": 100}},
            "settlement": {{{settlement}}}, "payout": {{"minimum": 0, {payout}}}{more}}}"#
    );
    json.parse()
        .unwrap_or_else(|invalid| panic!("{json}: {invalid}"))
}

/// Settlement alone.
pub(crate) fn settlement(members: &str) -> Settlement {
    let terms = terms(members, r#""schedule": "manual""#, "");
    terms.settlement().clone()
}

pub(crate) fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|_| panic!("{text}"))
}

pub(crate) fn date(text: &str) -> Date {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .unwrap_or_else(|_| panic!("{text}"))
}

/// Settlement members, and for each payment its period and its maturity.
pub(crate) type Rows<'a> = &'a [(&'a str, &'a [(&'a str, &'a str, &'a str)])];

pub(crate) fn assert_matures(rows: Rows<'_>) {
    for (members, payments) in rows {
        let settlement = settlement(members);
        for (paid_at, period, matures_at) in *payments {
            let given = settlement.period_of(at(paid_at)).unwrap();
            assert_eq!(given, date(period), "period of {paid_at} under {members}");
            let given = settlement.matures_at(at(paid_at)).unwrap();
            assert_eq!(
                given,
                at(matures_at),
                "maturity of {paid_at} under {members}"
            );
        }
    }
}
