//! Time zones: the only place that knows `jiff`, whose copy of the tz database is compiled in, so
//! that the same program gives the same answers on every machine.
//!
//! One rule for daylight saving: a local time stands for the first instant at which the clocks of
//! the zone show it or have passed it. Where clocks skip it, that is the moment of the skip; where
//! they show it twice, the first of the two. So a later local time never stands for an earlier
//! instant.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use time::{Date, Month, OffsetDateTime, Time};

const NAME_BYTES_MAX: usize = 64;

/// A time zone of the tz database, such as `Africa/Lagos`.
#[derive(Clone)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The name as the tz database writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The date that the clocks show.
    pub(super) fn date_at(&self, at: OffsetDateTime) -> Option<Date> {
        let nanosecond = i32::try_from(at.nanosecond()).ok()?;
        let at = Timestamp::new(at.unix_timestamp(), nanosecond).ok()?;
        let date = self.rules.to_datetime(at).date();
        let month = Month::try_from(u8::try_from(date.month()).ok()?).ok()?;
        Date::from_calendar_date(date.year().into(), month, u8::try_from(date.day()).ok()?).ok()
    }

    /// The first instant at which the clocks show a local time or have passed it, in UTC.
    pub(super) fn first_instant(&self, date: Date, time: Time) -> Option<OffsetDateTime> {
        let local = self.rules.to_ambiguous_timestamp(civil(date, time)?);
        let earlier = local.earlier().ok()?;
        let at = match local.offset() {
            // The earlier reading of a time that is skipped lies before the skip.
            AmbiguousOffset::Gap { .. } => self.rules.following(earlier).next()?.timestamp(),
            AmbiguousOffset::Fold { .. } | AmbiguousOffset::Unambiguous { .. } => earlier,
        };
        OffsetDateTime::from_unix_timestamp(at.as_second()).ok()
    }

    /// When a day begins.
    pub(super) fn start_of(&self, date: Date) -> Option<OffsetDateTime> {
        self.first_instant(date, Time::MIDNIGHT)
    }

    /// Whether the zone has that day: Samoa went from 29 to 31 December 2011.
    pub(super) fn has(&self, date: Date) -> Option<bool> {
        Some(self.start_of(date)? < self.start_of(date.next_day()?)?)
    }
}

fn civil(date: Date, time: Time) -> Option<DateTime> {
    let small = |number: u8| i8::try_from(number).ok();
    DateTime::new(
        i16::try_from(date.year()).ok()?,
        small(date.month().into())?,
        small(date.day())?,
        small(time.hour())?,
        small(time.minute())?,
        0,
        0,
    )
    .ok()
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            let shown: String = text.chars().take(NAME_BYTES_MAX).collect();
            format!(
                "{shown:?} is not a time zone of the tz database: write a name such as Africa/Lagos"
            )
        };
        if text.len() > NAME_BYTES_MAX {
            return Err(unknown());
        }
        let rules = TimeZoneDatabase::bundled().get(text);
        let rules = rules.map_err(|_| unknown())?;
        // Names are found in any case, and one stands for "unknown".
        match rules.iana_name() {
            Some(name) if name == text => Ok(Self {
                name: name.to_owned(),
                rules,
            }),
            Some(name) => Err(format!("{text:?} is written otherwise: write {name:?}")),
            None => Err(unknown()),
        }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
