//! What the members of terms can hold, as it is read and written: numbers, words, dates and times.

use std::borrow::Cow;

use serde_json::value::RawValue;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Date, Time, Weekday};

use super::fee::outside;
use super::object::{Value, of_another_kind, shown, text};
use super::reversal::FeeFate;
use super::zone::Zone;

impl<'a> Value<'a> for i64 {
    const FORM: &'static str = "an integer";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let digits = raw.get();
        if !digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Err(of_another_kind::<Self>(raw));
        }
        if digits.contains(['.', 'e', 'E']) {
            let digits = shown(digits);
            return Err(format!(
                "is {digits}: write an integer, without fraction and exponent"
            ));
        }
        // JSON's grammar holds already: what is left is too large.
        digits.parse().map_err(|_| {
            let digits = shown(digits);
            format!(
                "is {digits}: write an integer from {} to {}",
                i64::MIN,
                i64::MAX
            )
        })
    }
}

impl<'a> Value<'a> for Cow<'a, str> {
    const FORM: &'static str = "a string";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        text::<Self>(raw)
    }
}

/// One of a few words.
pub(super) trait Word: Copy + 'static {
    const FORM: &'static str;
    const ALL: &'static [Self];

    fn name(self) -> &'static str;
}

impl<'a, T: Word> Value<'a> for T {
    const FORM: &'static str = <T as Word>::FORM;

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let word = text::<Self>(raw)?;
        let found = Self::ALL.iter().find(|known| known.name() == word);
        found
            .copied()
            .ok_or_else(|| format!("is {:?}: write {}", shown(&word), <T as Word>::FORM))
    }
}

/// How days are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalendarKind {
    Business,
    Calendar,
}

impl Word for CalendarKind {
    const FORM: &'static str = r#""business" or "calendar""#;
    const ALL: &'static [Self] = &[Self::Business, Self::Calendar];

    fn name(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Calendar => "calendar",
        }
    }
}

/// A schedule without its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScheduleKind {
    Daily,
    Weekly,
    Monthly,
    Manual,
}

impl Word for ScheduleKind {
    const FORM: &'static str = r#""daily", "weekly", "monthly" or "manual""#;
    const ALL: &'static [Self] = &[Self::Daily, Self::Weekly, Self::Monthly, Self::Manual];

    fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Manual => "manual",
        }
    }
}

impl Word for FeeFate {
    const FORM: &'static str = r#""kept" or "returned""#;
    const ALL: &'static [Self] = &[Self::Kept, Self::Returned];

    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Word for Weekday {
    const FORM: &'static str = r#"a day of the week, such as "friday""#;
    const ALL: &'static [Self] = &[
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

/// A day of the month, 1 to 31.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayOfMonth(pub(super) u8);

impl<'a> Value<'a> for DayOfMonth {
    const FORM: &'static str = "a day of the month, 1 to 31";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let day = i64::read(raw)?;
        match (outside(day, 1, 31), u8::try_from(day)) {
            (None, Ok(day)) => Ok(Self(day)),
            (problem, _) => Err(problem.unwrap_or_default()),
        }
    }
}

impl<'a> Value<'a> for Zone {
    const FORM: &'static str = "a time zone of the tz database, such as \"Africa/Lagos\"";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        text::<Self>(raw)?.parse()
    }
}

pub(super) const DATE: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]");
pub(super) const TIME: &[FormatItem<'_>] = format_description!("[hour]:[minute]");

impl<'a> Value<'a> for Date {
    const FORM: &'static str = "a date of the years 1970 to 9998, such as \"2026-12-25\"";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let text = text::<Self>(raw)?;
        // A year would be read with a sign too.
        let signed = !text.starts_with(|c: char| c.is_ascii_digit());
        Date::parse(&text, DATE)
            .ok()
            .filter(|_| !signed)
            .filter(|date| (1970..=9998).contains(&date.year()))
            .ok_or_else(|| format!("{:?} is no such date: write {}", shown(&text), Self::FORM))
    }
}

impl<'a> Value<'a> for Time {
    const FORM: &'static str = "a time from \"00:00\", the end of the day, to \"23:59\"";

    fn read(raw: &'a RawValue) -> Result<Self, String> {
        let text = text::<Self>(raw)?;
        Time::parse(&text, TIME)
            .map_err(|_| format!("{:?} is no such time: write {}", shown(&text), Self::FORM))
    }
}
