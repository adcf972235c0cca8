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
use jiff::tz::{TimeZone, TimeZoneDatabase};
use time::{Date, Month, OffsetDateTime, Time};

const NAME_BYTES_MAX: usize = 64;
const OFFSET_SECONDS_MAX: i64 = 26 * 3_600;

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
        let local = OffsetDateTime::new_utc(date, time).unix_timestamp();
        // No clock is further from UTC, so the instant lies behind this one, and each stretch of
        // time under one offset is looked at in turn.
        let mut from = local.checked_sub(OFFSET_SECONDS_MAX)?;
        let rules = &self.rules;
        let set_at = rules.following(Timestamp::from_second(from).ok()?);
        let set_at = set_at.map(|set| set.timestamp().as_second());
        for until in set_at.chain([i64::MAX]) {
            let offset = rules.to_offset(Timestamp::from_second(from).ok()?);
            let at = local.checked_sub(offset.seconds().into())?.max(from);
            if at < until {
                return OffsetDateTime::from_unix_timestamp(at).ok();
            }
            from = until;
        }
        None
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;
    use time::{Duration, PrimitiveDateTime};

    /// What the clocks show.
    fn shown(zone: &Zone, at: OffsetDateTime) -> PrimitiveDateTime {
        let offset = zone
            .rules
            .to_offset(Timestamp::from_second(at.unix_timestamp()).unwrap());
        let utc = PrimitiveDateTime::new(at.date(), at.time());
        utc + Duration::seconds(offset.seconds().into())
    }

    #[test]
    fn a_local_time_is_the_first_instant_at_which_clocks_show_it_or_have_passed_it_everywhere() {
        let from = Timestamp::from_second(0).unwrap();
        let until = Timestamp::from_second(1_893_456_000).unwrap();
        let (mut zones, mut skips) = (0, 0);
        for name in TimeZoneDatabase::bundled().available() {
            let zone: Zone = name.as_str().parse().unwrap();
            zones += 1;
            let set = zone.rules.following(from);
            for set in set.take_while(|set| set.timestamp() < until) {
                let set = OffsetDateTime::from_unix_timestamp(set.timestamp().as_second()).unwrap();
                let before = shown(&zone, set - Duration::MINUTE);
                for minutes in (-180..=180).step_by(13).chain([-60, 0, 1, 61]) {
                    let local = before + Duration::minutes(minutes);
                    let local = local.replace_second(0).unwrap();
                    let at = zone.first_instant(local.date(), local.time()).unwrap();
                    assert!(shown(&zone, at) >= local, "{name}: {local}");
                    let eve = shown(&zone, at - Duration::SECOND);
                    assert!(eve < local, "{name}: {local} was shown before");
                    skips += u32::from(shown(&zone, at) > local);
                }
            }
        }
        assert!(
            zones > 400 && skips > 500,
            "{zones} zones, {skips} skipped times"
        );
    }

    #[test]
    fn a_zone_has_every_day_but_those_that_it_skipped() {
        use time::macros::date;
        for (name, skipped) in [
            ("Pacific/Apia", date!(2011 - 12 - 30)),
            ("Pacific/Fakaofo", date!(2011 - 12 - 30)),
            ("Pacific/Kwajalein", date!(1993 - 08 - 21)),
            ("Pacific/Kiritimati", date!(1994 - 12 - 31)),
        ] {
            let zone: Zone = name.parse().unwrap();
            assert_eq!(zone.has(skipped), Some(false), "{name}");
            for day in [skipped.previous_day().unwrap(), skipped.next_day().unwrap()] {
                assert_eq!(zone.has(day), Some(true), "{name}: {day}");
            }
        }
    }
}
