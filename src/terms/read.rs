//! Reads terms from JSON: the members, their words, and what contradicts what.

use std::borrow::Cow;

use time::{Time, Weekday};

use super::calendar::Calendar;
use super::fee::Fee;
use super::object::{Object, Value};
use super::payout::{Payout, Schedule};
use super::reversal::ReversalTerms;
use super::settlement::{Reserve, Settlement};
use super::words::{CalendarKind, DayOfMonth, ScheduleKind, Word};
use super::zone::Zone;
use super::{InvalidTerms, Terms};
use crate::ledger::InvalidField;

const BYTES_MAX: usize = 64 * 1024;
const WEEKEND: [Weekday; 2] = [Weekday::Saturday, Weekday::Sunday];

pub(super) fn terms(place: &str, json: &str) -> Result<Terms, InvalidTerms> {
    let whole = |problem| {
        let name = if place.is_empty() { "terms" } else { place };
        InvalidTerms {
            problems: vec![InvalidField::new(name, problem)],
        }
    };
    if json.len() > BYTES_MAX {
        let problem = format!("has {} bytes: write at most {BYTES_MAX}", json.len());
        return Err(whole(problem));
    }
    let mut object = Object::of(place, json).map_err(whole)?;
    let fee = object.required_section("fee", fee);
    let settlement = object.required_section("settlement", settlement);
    let reserve = object.section("reserve", reserve);
    let payout = object.required_section("payout", payout);
    let refund = object.section("refund", refund);
    let chargeback = object.section("chargeback", chargeback);
    if let (Some(settlement), Some(payout)) = (&settlement, &payout) {
        object.checked(together(settlement, payout));
    }
    let problems = object.finish();
    match (fee, settlement, payout) {
        (Some(fee), Some(settlement), Some(payout)) if problems.is_empty() => Ok(Terms {
            fee,
            settlement,
            reserve,
            payout,
            refund: refund.unwrap_or_default(),
            chargeback: chargeback.unwrap_or_default(),
        }),
        _ => Err(InvalidTerms { problems }),
    }
}

/// What two sections have to agree on.
fn together(settlement: &Settlement, payout: &Payout) -> Result<(), Vec<InvalidField>> {
    match payout.schedule() {
        Schedule::Weekly(weekday) if settlement.calendar().is_weekend(weekday) => {
            let problem = "is a day of settlement.weekend: write one on which business is done";
            Err(vec![InvalidField::new("payout.weekday", problem)])
        }
        _ => Ok(()),
    }
}

// A member that can't be read is noted, and stands as a harmless value in the checks of the others.

fn fee(object: &mut Object<'_>) -> Option<Fee> {
    let basis_points = object.required("basis_points").unwrap_or_default();
    let fixed = object.required("fixed").unwrap_or_default();
    let (minimum, cap) = (object.optional("minimum"), object.optional("cap"));
    object.checked(Fee::new(basis_points, fixed, minimum, cap))
}

fn settlement(object: &mut Object<'_>) -> Option<Settlement> {
    let days = object.required("days").unwrap_or_default();
    let kind = object.required("calendar");
    let zone: Option<Zone> = object.required("time_zone");
    let cut_off = object.optional("cut_off").unwrap_or(Time::MIDNIGHT);
    let weekend = object.list("weekend");
    let holidays = object.list("holidays");
    if kind == Some(CalendarKind::Calendar) {
        for (name, given) in [
            ("weekend", weekend.is_some()),
            ("holidays", holidays.is_some()),
        ] {
            if given {
                object.wrong(
                    name,
                    "has no meaning where the calendar is \"calendar\": leave it out, or write \
                     \"business\" there",
                );
            }
        }
    }
    // Stands in for a zone that can't be read, so that the rest is looked at.
    let known = zone.or_else(|| "UTC".parse().ok())?;
    let calendar = match kind {
        Some(CalendarKind::Calendar) => Some(Calendar::every_day(known)),
        _ => object.checked(Calendar::business(
            known,
            weekend.unwrap_or_else(|| WEEKEND.to_vec()),
            holidays.unwrap_or_default(),
        )),
    };
    let settlement = object.checked(Settlement::new(days, calendar?, cut_off));
    settlement.filter(|_| kind.is_some())
}

fn reserve(object: &mut Object<'_>) -> Option<Reserve> {
    let (basis_points, days) = (object.required("basis_points"), object.required("days"));
    object.checked(Reserve::new(basis_points.unwrap_or(1), days.unwrap_or(1)))
}

fn payout(object: &mut Object<'_>) -> Option<Payout> {
    let minimum = object.required("minimum").unwrap_or_default();
    let kind = object.required("schedule");
    // What the schedule doesn't need is taken too, since it may not be there.
    let (mut weekday, mut day) = (None, None);
    match kind {
        Some(ScheduleKind::Weekly) => weekday = object.required::<Weekday>("weekday"),
        _ => needless::<Weekday>(object, "weekday", kind, ScheduleKind::Weekly),
    }
    match kind {
        Some(ScheduleKind::Monthly) => day = object.required::<DayOfMonth>("day"),
        _ => needless::<DayOfMonth>(object, "day", kind, ScheduleKind::Monthly),
    }
    let schedule = match (kind, weekday, day) {
        (Some(ScheduleKind::Daily), ..) => Schedule::Daily,
        (_, Some(weekday), _) => Schedule::Weekly(weekday),
        (_, _, Some(DayOfMonth(day))) => Schedule::Monthly(day),
        _ => Schedule::Manual,
    };
    let recipient: Option<Cow<'_, str>> = object.optional("recipient");
    let recipient = recipient.map(Cow::into_owned);
    object.checked(Payout::new(minimum, schedule, recipient))
}

/// A member that another schedule has.
fn needless<'a, T: Value<'a>>(
    object: &mut Object<'a>,
    name: &'static str,
    kind: Option<ScheduleKind>,
    of: ScheduleKind,
) {
    if object.optional::<T>(name).is_some() && kind.is_some() {
        let problem = format!(
            "belongs to the schedule {:?} only: leave it out, or write that schedule",
            of.name()
        );
        object.wrong(name, problem);
    }
}

fn refund(object: &mut Object<'_>) -> Option<ReversalTerms> {
    let fee = object.required("fee").unwrap_or_default();
    let below_zero_max = object.required("below_zero_max").unwrap_or_default();
    object.checked(ReversalTerms::new(fee, 0, below_zero_max))
}

fn chargeback(object: &mut Object<'_>) -> Option<ReversalTerms> {
    let fee = object.required("fee").unwrap_or_default();
    let penalty = object.optional("penalty").unwrap_or_default();
    let below_zero_max = object.required("below_zero_max").unwrap_or_default();
    object.checked(ReversalTerms::new(fee, penalty, below_zero_max))
}
