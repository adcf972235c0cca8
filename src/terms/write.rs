//! Writes terms as JSON: one text for one meaning. Members stand in the order of the description,
//! defaults are written out, what isn't set is left out, days are sorted, no white space.

use std::fmt;

use serde::{Serialize, Serializer};
use time::{Date, Time, Weekday};

use super::Terms;
use super::calendar::Days;
use super::payout::Schedule;
use super::words::{CalendarKind, DATE, TIME, Word};

#[derive(Serialize)]
struct Written<'a> {
    fee: Fee,
    settlement: Settlement<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserve: Option<Reserve>,
    payout: Payout<'a>,
    refund: Reversal,
    chargeback: Reversal,
}

#[derive(Serialize)]
struct Fee {
    basis_points: i64,
    fixed: i64,
    minimum: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<i64>,
}

#[derive(Serialize)]
struct Settlement<'a> {
    days: u16,
    calendar: &'static str,
    time_zone: &'a str,
    #[serde(serialize_with = "written_time")]
    cut_off: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekend: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holidays: Option<Vec<WrittenDate>>,
}

#[derive(Serialize)]
struct Reserve {
    basis_points: i64,
    days: u16,
}

#[derive(Serialize)]
struct Payout<'a> {
    minimum: i64,
    schedule: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekday: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
}

#[derive(Serialize)]
struct Reversal {
    fee: &'static str,
    /// Refunds have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    penalty: Option<i64>,
    below_zero_max: i64,
}

struct WrittenDate(Date);

impl Serialize for WrittenDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.format(DATE).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

fn written_time<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time.format(TIME).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

impl<'a> Written<'a> {
    fn of(terms: &'a Terms) -> Self {
        Self {
            fee: Fee {
                basis_points: terms.fee.basis_points(),
                fixed: terms.fee.fixed(),
                minimum: terms.fee.minimum(),
                cap: terms.fee.cap(),
            },
            settlement: settlement(&terms.settlement),
            reserve: terms.reserve.map(|reserve| Reserve {
                basis_points: reserve.basis_points(),
                days: reserve.days(),
            }),
            payout: payout(&terms.payout),
            refund: Reversal {
                fee: terms.refund.fee().as_str(),
                penalty: None,
                below_zero_max: terms.refund.below_zero_max(),
            },
            chargeback: Reversal {
                fee: terms.chargeback.fee().as_str(),
                penalty: Some(terms.chargeback.penalty()),
                below_zero_max: terms.chargeback.below_zero_max(),
            },
        }
    }
}

fn settlement(terms: &super::Settlement) -> Settlement<'_> {
    let calendar = terms.calendar();
    let (kind, weekend, holidays) = match calendar.days() {
        Days::Every => (CalendarKind::Calendar, None, None),
        Days::Business { weekend, holidays } => (
            CalendarKind::Business,
            Some(weekend.iter().copied().map(Weekday::name).collect()),
            Some(holidays.iter().copied().map(WrittenDate).collect()),
        ),
    };
    Settlement {
        days: terms.days(),
        calendar: kind.name(),
        time_zone: calendar.zone().name(),
        cut_off: terms.cut_off(),
        weekend,
        holidays,
    }
}

fn payout(terms: &super::Payout) -> Payout<'_> {
    let (weekday, day) = match terms.schedule() {
        Schedule::Weekly(weekday) => (Some(weekday.name()), None),
        Schedule::Monthly(day) => (None, Some(day)),
        Schedule::Daily | Schedule::Manual => (None, None),
    };
    Payout {
        minimum: terms.minimum(),
        schedule: terms.schedule().as_str(),
        weekday,
        day,
        recipient: terms.recipient(),
    }
}

impl Serialize for Terms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::of(self).serialize(serializer)
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}
