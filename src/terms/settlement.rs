//! When a payment's money becomes the merchant's to have: periods, maturity, reserve.
//!
//! A period is a day of the merchant's, closed at its cut-off. A payment belongs to the first
//! counted day that closes after it, so one at the cut-off or later goes to the next day, and one
//! on a weekend or holiday to the next business day. The cut-off 00:00 is the midnight at the end of
//! the day: each payment belongs to its own date.
//!
//! T+N: the payments of period T mature together, as the Nth counted day after T begins, and not
//! before T has closed. So T+1 is there in the morning of the next day, T+0 at the cut-off of the
//! same one, and T+0 with a cut-off at midnight means the midnight after the payment. Since a whole
//! period matures at once and can take nothing in after, it can be settled once and for all.

use time::{Date, OffsetDateTime, Time};

use super::calendar::{BeyondCalendar, Calendar};
use super::fee::outside;
use super::share::{BASIS_POINTS_WHOLE, Parts, proportion};
use crate::ledger::InvalidField;

/// The longest that a payment can take to mature.
const DAYS_MAX: u16 = 365;
/// The longest that a reserve can be held.
const RESERVE_DAYS_MAX: u16 = 3_650;

/// T+N in a merchant's calendar.
///
/// ```
/// use aegis::terms::{Calendar, Settlement};
/// use time::Weekday::{Saturday, Sunday};
/// use time::macros::{date, datetime, time};
///
/// let lagos = "Africa/Lagos".parse().unwrap();
/// let calendar = Calendar::business(lagos, vec![Saturday, Sunday], vec![]).unwrap();
/// let settlement = Settlement::new(1, calendar, time!(17:00)).unwrap();
/// // A Friday, at 17:00 in Lagos: a payment of Monday's, mature when Tuesday begins.
/// let paid_at = datetime!(2026-11-20 16:00 UTC);
/// assert_eq!(settlement.period_of(paid_at), Ok(date!(2026-11-23)));
/// assert_eq!(settlement.matures_at(paid_at), Ok(datetime!(2026-11-23 23:00 UTC)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    days: u16,
    calendar: Calendar,
    cut_off: Time,
}

impl Settlement {
    /// Maturity `days` counted days (0 to 365) after the day on which a payment counts.
    ///
    /// # Errors
    /// More days, or a cut-off with seconds.
    pub fn new(days: i64, calendar: Calendar, cut_off: Time) -> Result<Self, Vec<InvalidField>> {
        let mut problems = Vec::new();
        if let Some(problem) = outside(days, 0, DAYS_MAX.into()) {
            problems.push(InvalidField::new("days", problem));
        }
        if (cut_off.second(), cut_off.nanosecond()) != (0, 0) {
            let problem = format!("is {cut_off}: write hours and minutes only");
            problems.push(InvalidField::new("cut_off", problem));
        }
        match u16::try_from(days) {
            Ok(days) if problems.is_empty() => Ok(Self {
                days,
                calendar,
                cut_off,
            }),
            _ => Err(problems),
        }
    }

    /// The N of T+N.
    #[must_use]
    pub fn days(&self) -> u16 {
        self.days
    }

    /// The days that count.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The local time from which payments count for the next day; midnight is the day's end.
    #[must_use]
    pub fn cut_off(&self) -> Time {
        self.cut_off
    }

    /// The period that a payment belongs to. A later payment never belongs to an earlier one.
    ///
    /// # Errors
    /// The calendar does not hold the time.
    pub fn period_of(&self, paid_at: OffsetDateTime) -> Result<Date, BeyondCalendar> {
        let period = self.calendar.open_at(paid_at, self.cut_off);
        period.ok_or(BeyondCalendar::at(paid_at))
    }

    /// When a period takes no more payments in: those at that instant belong to the next.
    ///
    /// # Errors
    /// The calendar does not hold the date.
    pub fn closes_at(&self, period: Date) -> Result<OffsetDateTime, BeyondCalendar> {
        let closes_at = self.calendar.closes_at(period, self.cut_off);
        closes_at.ok_or(BeyondCalendar { from: period })
    }

    /// The day on which the payments of a period mature: T+N.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn matures_on(&self, period: Date) -> Result<Date, BeyondCalendar> {
        self.calendar.add_days(period, self.days)
    }

    /// The instant at which the payments of a period mature, in UTC.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn period_matures_at(&self, period: Date) -> Result<OffsetDateTime, BeyondCalendar> {
        let begins_at = self.calendar.start_of(self.matures_on(period)?)?;
        Ok(begins_at.max(self.closes_at(period)?))
    }

    /// The instant at which a payment matures, in UTC: always after it, and never before that of an
    /// earlier payment.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn matures_at(&self, paid_at: OffsetDateTime) -> Result<OffsetDateTime, BeyondCalendar> {
        self.period_matures_at(self.period_of(paid_at)?)
    }
}

/// The part of matured money that is held back for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    basis_points: i64,
    days: u16,
}

impl Reserve {
    /// `basis_points` (1 to 10,000) of the net, held for `days` (1 to 3,650) from maturity.
    ///
    /// # Errors
    /// Each field that is out of its range.
    pub fn new(basis_points: i64, days: i64) -> Result<Self, Vec<InvalidField>> {
        let ranges = [
            ("basis_points", outside(basis_points, 1, BASIS_POINTS_WHOLE)),
            ("days", outside(days, 1, RESERVE_DAYS_MAX.into())),
        ];
        let problems: Vec<InvalidField> = ranges
            .into_iter()
            .filter_map(|(name, problem)| Some(InvalidField::new(name, problem?)))
            .collect();
        match u16::try_from(days) {
            Ok(days) if problems.is_empty() => Ok(Self { basis_points, days }),
            _ => Err(problems),
        }
    }

    /// Basis points of the net, 1 to 10,000.
    #[must_use]
    pub fn basis_points(&self) -> i64 {
        self.basis_points
    }

    /// For how many days, each of them counted, whatever the calendar.
    #[must_use]
    pub fn days(&self) -> u16 {
        self.days
    }

    /// Divides a net into what is held and what is free, rounded half up. Of zero or less nothing
    /// is held.
    ///
    /// ```
    /// use aegis::terms::Reserve;
    ///
    /// let reserve = Reserve::new(1_000, 90).unwrap();
    /// let net = reserve.hold(975_033);
    /// assert_eq!((net.held(), net.free()), (97_503, 877_530));
    /// ```
    #[must_use]
    pub fn hold(&self, net: i64) -> Held {
        let held = proportion(net.max(0), self.basis_points, BASIS_POINTS_WHOLE);
        Held(Parts {
            whole: net,
            first: held,
        })
    }

    /// When the reserve of a period is released, in UTC: as the day begins that many days after the
    /// payments matured, or the next counted day where the calendar leaves that one out.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn released_at(
        &self,
        settlement: &Settlement,
        period: Date,
    ) -> Result<OffsetDateTime, BeyondCalendar> {
        let matures_on = settlement.matures_on(period)?;
        let day = matures_on.checked_add(time::Duration::days(self.days.into()));
        let day = day.ok_or(BeyondCalendar { from: matures_on })?;
        settlement
            .calendar
            .start_of(settlement.calendar.roll_on(day)?)
    }
}

/// A net as what is held in reserve and what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held(Parts);

impl Held {
    /// The parts of a net that was divided before.
    ///
    /// `None` where what is held is negative or above the net.
    #[must_use]
    pub fn of(net: i64, held: i64) -> Option<Self> {
        Parts::new(net, held).map(Self)
    }

    /// A net of which nothing is held.
    pub(super) fn all_free(net: i64) -> Self {
        Self(Parts {
            whole: net,
            first: 0,
        })
    }

    /// What is held back.
    #[must_use]
    pub fn held(&self) -> i64 {
        self.0.first
    }

    /// What the merchant has at once.
    #[must_use]
    pub fn free(&self) -> i64 {
        self.0.second()
    }

    /// The share of both in the next `amount` of the net that is given back, as
    /// [`Charge::share`](super::Charge::share) has it.
    #[must_use]
    pub fn share(&self, before: i64, amount: i64) -> Option<Self> {
        self.0.next(before, amount).map(Self)
    }
}
