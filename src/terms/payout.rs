//! When a merchant is paid out, and from how much on.
//!
//! A schedule names days: every one, one a week, or one a month (the last, where the month is
//! shorter). One that the calendar leaves out moves on to the next counted day, never back, also
//! into the next month; two that meet there are one. Days that nobody ran are made up for by one
//! payout, on whichever day that is.

use time::util::days_in_month;
use time::{Date, Duration, OffsetDateTime, Weekday};

use super::calendar::{BeyondCalendar, Calendar};
use super::fee::negative;
use crate::ledger::InvalidField;

/// On which days payouts are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// On every counted day.
    Daily,
    /// On that day of every week.
    Weekly(Weekday),
    /// On that day of every month, 1 to 31, or its last where it has fewer.
    Monthly(u8),
    /// Never by itself.
    Manual,
}

impl Schedule {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly(_) => "weekly",
            Self::Monthly(_) => "monthly",
            Self::Manual => "manual",
        }
    }

    /// The last day of the schedule up to `date`, wherever the weekends are.
    fn last_to(self, date: Date) -> Option<Date> {
        match self {
            Self::Daily => Some(date),
            Self::Weekly(weekday) => {
                let ahead = date.weekday().number_days_from_monday().checked_add(7)?;
                let back = ahead.checked_sub(weekday.number_days_from_monday())? % 7;
                date.checked_sub(Duration::days(back.into()))
            }
            Self::Monthly(day) => match in_month(date, day)? {
                due if due <= date => Some(due),
                _ => in_month(date.replace_day(1).ok()?.previous_day()?, day),
            },
            Self::Manual => None,
        }
    }

    /// The first day of the schedule after `date`.
    fn next_after(self, date: Date) -> Option<Date> {
        match self {
            Self::Daily => date.next_day(),
            Self::Weekly(_) => self.last_to(date)?.checked_add(Duration::WEEK),
            Self::Monthly(day) => match in_month(date, day)? {
                due if due > date => Some(due),
                _ => {
                    let last = days_in_month(date.month(), date.year());
                    in_month(date.replace_day(last).ok()?.next_day()?, day)
                }
            },
            Self::Manual => None,
        }
    }
}

/// That day of a date's month, or the last.
fn in_month(date: Date, day: u8) -> Option<Date> {
    let last = days_in_month(date.month(), date.year());
    date.replace_day(day.min(last)).ok()
}

/// How a merchant is paid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    minimum: i64,
    schedule: Schedule,
    recipient: Option<String>,
}

impl Payout {
    /// Payouts of `minimum` or more, to the recipient of that name at the PSP.
    ///
    /// # Errors
    /// A negative minimum, a day of no month, a recipient that is not 1 to 255 printable characters.
    pub fn new(
        minimum: i64,
        schedule: Schedule,
        recipient: Option<String>,
    ) -> Result<Self, Vec<InvalidField>> {
        let mut problems = Vec::new();
        if let Some(problem) = negative(minimum) {
            problems.push(InvalidField::new("minimum", problem));
        }
        if let Schedule::Monthly(day) = schedule
            && !(1..=31).contains(&day)
        {
            let problem = format!("is {day}: write a day of the month, 1 to 31");
            problems.push(InvalidField::new("day", problem));
        }
        let printable = |text: &String| {
            (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control)
        };
        if !recipient.as_ref().is_none_or(printable) {
            let problem = "is not 1 to 255 printable characters: write the PSP's code for it";
            problems.push(InvalidField::new("recipient", problem));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            minimum,
            schedule,
            recipient,
        })
    }

    /// The least that is paid out.
    #[must_use]
    pub fn minimum(&self) -> i64 {
        self.minimum
    }

    /// The days.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// The PSP's code for where the money goes.
    #[must_use]
    pub fn recipient(&self) -> Option<&str> {
        self.recipient.as_deref()
    }

    /// Whether so much is paid out: the minimum or more, and never nothing.
    #[must_use]
    pub fn is_enough(&self, available: i64) -> bool {
        available >= self.minimum.max(1)
    }

    /// The first due day after `date`; `None` where payouts are asked for by hand.
    ///
    /// # Errors
    /// The calendar ends before.
    pub fn next_due(
        &self,
        calendar: &Calendar,
        date: Date,
    ) -> Result<Option<Date>, BeyondCalendar> {
        if self.schedule == Schedule::Manual {
            return Ok(None);
        }
        // One of the days before may have moved on to after `date`.
        if let Some(day) = self.schedule.last_to(date) {
            let due = calendar.roll_on(day)?;
            if due > date {
                return Ok(Some(due));
            }
        }
        let day = self.schedule.next_after(date);
        let day = day.ok_or(BeyondCalendar { from: date })?;
        calendar.roll_on(day).map(Some)
    }

    /// The last due day that has begun by `now` and lies after `since`; `None` where nothing is
    /// due. `since` is the due day that was paid last, or the day on which the merchant began.
    ///
    /// # Errors
    /// The calendar does not hold the time.
    pub fn due(
        &self,
        calendar: &Calendar,
        since: Date,
        now: OffsetDateTime,
    ) -> Result<Option<Date>, BeyondCalendar> {
        // What is planned up to the last counted day has moved on to that day at most.
        let counted = calendar.roll_back(calendar.today(now)?)?;
        match self.schedule.last_to(counted) {
            Some(day) => Ok(Some(calendar.roll_on(day)?).filter(|due| *due > since)),
            None => Ok(None),
        }
    }

    /// Whether a payout is due at `now`: see [`Payout::due`].
    ///
    /// # Errors
    /// The calendar does not hold the time.
    pub fn is_due(
        &self,
        calendar: &Calendar,
        since: Date,
        now: OffsetDateTime,
    ) -> Result<bool, BeyondCalendar> {
        Ok(self.due(calendar, since, now)?.is_some())
    }
}
