//! Settlement terms: what a merchant pays, when its money matures, when it is paid out, and who
//! bears what goes back. Terms are data and pure rules: no I/O, no clock, no float.
//!
//! A payment keeps the terms under which it was made, so nothing here changes: other terms are
//! another value. Amounts are `i64` minor units of the merchant's currency, and no rule looks at its
//! decimals. Dates are the merchant's own, instants UTC.
//!
//! As JSON (`?`: may be left out; then the default after it):
//!
//! | member | |
//! |---|---|
//! | `fee.basis_points` | 0 to 10,000 of the amount, rounded half up |
//! | `fee.fixed` | added for each payment |
//! | `fee.minimum?` 0, `fee.cap?` none | bounds of the fee, which is never above the amount |
//! | `settlement.days` | the N of T+N, 0 to 365 |
//! | `settlement.calendar` | `business` or `calendar` days |
//! | `settlement.time_zone` | of the tz database, such as `Africa/Lagos` |
//! | `settlement.cut_off?` `00:00` | from then on payments count for the next day; `00:00` is the midnight at the day's end |
//! | `settlement.weekend?` `["saturday","sunday"]` | business calendars only; may be empty |
//! | `settlement.holidays?` `[]` | business calendars only: `["2026-12-25"]` |
//! | `reserve?` none: `basis_points`, `days` | 1 to 10,000 of the net, held 1 to 3,650 days from maturity |
//! | `payout.minimum` | the least that is paid out |
//! | `payout.schedule` | `daily`, `weekly`, `monthly` or `manual` |
//! | `payout.weekday` | with `weekly`, and only there: `friday` |
//! | `payout.day` | with `monthly`, and only there: 1 to 31, the last day of shorter months |
//! | `payout.recipient?` none | the PSP's code for where the money goes |
//! | `refund?`: `fee`, `below_zero_max` | `kept` (the default) or `returned`; how far refunds may drive the balance below zero, 0 by default |
//! | `chargeback?`: `fee`, `penalty?` 0, `below_zero_max` | the same, and what each one costs the merchant |

mod calendar;
mod fee;
mod object;
mod payout;
mod read;
mod reversal;
mod settlement;
mod share;
mod words;
mod write;
mod zone;

use std::fmt;
use std::str::FromStr;

use time::{Date, OffsetDateTime};

use crate::ledger::InvalidField;

pub use calendar::{BeyondCalendar, Calendar};
pub use fee::{Charge, Fee};
pub use payout::{Payout, Schedule};
pub use reversal::{FeeFate, Reversal, ReversalTerms};
pub use settlement::{Held, Reserve, Settlement};
pub use share::BASIS_POINTS_WHOLE;
pub use zone::Zone;

/// The terms of a merchant. Displayed and serialized, they are canonical JSON: equal terms, equal
/// text.
///
/// ```
/// use aegis::terms::Terms;
/// use time::macros::datetime;
///
/// let terms: Terms = r#"{
///     "fee": {"basis_points": 150, "fixed": 10000, "cap": 200000},
///     "settlement": {"days": 1, "calendar": "business", "time_zone": "Africa/Lagos"},
///     "payout": {"minimum": 100000, "schedule": "weekly", "weekday": "friday"}
/// }"#.parse().unwrap();
/// assert_eq!(terms.fee().charge(1_000_000).net(), 975_000);
/// // A Sunday counts for Monday and matures when Tuesday begins.
/// let matures_at = terms.settlement().matures_at(datetime!(2026-11-22 12:00 UTC));
/// assert_eq!(matures_at, Ok(datetime!(2026-11-23 23:00 UTC)));
/// assert_eq!(terms.to_string().parse(), Ok(terms));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    fee: Fee,
    settlement: Settlement,
    reserve: Option<Reserve>,
    payout: Payout,
    refund: ReversalTerms,
    chargeback: ReversalTerms,
}

impl Terms {
    /// Reads terms that stand in another document. Problems are named after their place there:
    /// at `terms`, a wrong cut-off is `terms.settlement.cut_off`.
    ///
    /// # Errors
    /// All problems at once.
    ///
    /// ```
    /// use aegis::terms::Terms;
    ///
    /// let invalid = Terms::read_at("terms", r#"{
    ///     "fee": {"basis_points": 10001, "fixed": 0},
    ///     "settlement": {"days": 1, "calendar": "calendar", "time_zone": "UTC", "cut_off": "5pm"},
    ///     "payout": {"minimum": 0, "schedule": "daily"}
    /// }"#).unwrap_err();
    /// let fields: Vec<&str> = invalid.problems.iter().map(|p| p.field.as_str()).collect();
    /// assert_eq!(fields, ["terms.fee.basis_points", "terms.settlement.cut_off"]);
    /// ```
    pub fn read_at(place: &str, json: &str) -> Result<Self, InvalidTerms> {
        read::terms(place, json)
    }

    /// What a payment costs.
    #[must_use]
    pub fn fee(&self) -> &Fee {
        &self.fee
    }

    /// When payments mature.
    #[must_use]
    pub fn settlement(&self) -> &Settlement {
        &self.settlement
    }

    /// What is held back of matured money.
    #[must_use]
    pub fn reserve(&self) -> Option<&Reserve> {
        self.reserve.as_ref()
    }

    /// How the merchant is paid out.
    #[must_use]
    pub fn payout(&self) -> &Payout {
        &self.payout
    }

    /// Who bears refunds.
    #[must_use]
    pub fn refund(&self) -> &ReversalTerms {
        &self.refund
    }

    /// Who bears chargebacks.
    #[must_use]
    pub fn chargeback(&self) -> &ReversalTerms {
        &self.chargeback
    }

    /// Divides a matured net: all of it is free where there is no reserve.
    #[must_use]
    pub fn hold(&self, net: i64) -> Held {
        match &self.reserve {
            Some(reserve) => reserve.hold(net),
            None => Held::all_free(net),
        }
    }

    /// When the reserve of a period is released, in UTC; `None` where there is no reserve.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn released_at(&self, period: Date) -> Result<Option<OffsetDateTime>, BeyondCalendar> {
        let released = |reserve: &Reserve| reserve.released_at(&self.settlement, period);
        self.reserve.as_ref().map(released).transpose()
    }

    /// The due day to pay out for at `now`, if any: see [`Payout::due`].
    ///
    /// # Errors
    /// The calendar does not hold the time.
    pub fn payout_due(
        &self,
        since: Date,
        now: OffsetDateTime,
    ) -> Result<Option<Date>, BeyondCalendar> {
        self.payout.due(self.settlement.calendar(), since, now)
    }

    /// The first due day after `date`: see [`Payout::next_due`].
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn next_payout(&self, date: Date) -> Result<Option<Date>, BeyondCalendar> {
        self.payout.next_due(self.settlement.calendar(), date)
    }
}

impl FromStr for Terms {
    type Err = InvalidTerms;

    fn from_str(json: &str) -> Result<Self, InvalidTerms> {
        read::terms("", json)
    }
}

/// Why terms are not taken: every problem, in the order of the members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidTerms {
    /// The problems, at least one.
    pub problems: Vec<InvalidField>,
}

impl fmt::Display for InvalidTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the terms can't be taken")?;
        for (n, problem) in self.problems.iter().enumerate() {
            write!(f, "{} {problem}", if n == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}
