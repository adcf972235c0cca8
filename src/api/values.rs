//! What the fields of a body can hold, each read from its text.

use std::borrow::Cow;
use std::str::FromStr;

use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fields::{Text, Wrong, kind_of, shown};
use crate::dlq::discard::Reason;
use crate::ledger::{
    Address, Currency, IdempotencyKey, LedgerName, Metadata, RejectionCode, WalletRef,
};
use crate::merchant::{MerchantId, MerchantName};
use crate::payments::{CallbackUrl, Email, PaymentReference};
use crate::payout_runs::RunKey;
use crate::refunds::CustomerNote;
use crate::transit::Verdict;

/// A value that a field can hold.
pub(super) trait Field<'a>: Sized {
    /// What to write, as the end of a sentence.
    const FORM: &'static str;

    /// Reads the value's text.
    fn read(raw: &'a RawValue) -> Result<Self, Wrong>;
}

fn of_another_kind<'a, T: Field<'a>>(raw: &RawValue) -> Wrong {
    Wrong::new(format!("is {}: write {}", kind_of(raw), T::FORM))
}

impl<'a> Field<'a> for Cow<'a, str> {
    const FORM: &'static str = "a string";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        text::<Self>(raw)
    }
}

fn text<'a, T: Field<'a>>(raw: &'a RawValue) -> Result<Cow<'a, str>, Wrong> {
    if !raw.get().starts_with('"') {
        return Err(of_another_kind::<T>(raw));
    }
    match serde_json::from_str::<Text<'a>>(raw.get()) {
        Ok(Text(text)) => Ok(text),
        Err(_) => Err(Wrong::new(
            "holds an escape that is no character: write it plainly",
        )),
    }
}

/// A string that is parsed into something narrower.
fn parsed<'a, T: Field<'a> + FromStr<Err = String>>(raw: &'a RawValue) -> Result<T, Wrong> {
    text::<T>(raw)?.parse().map_err(Wrong::new)
}

/// Makes a type that is parsed from text a field.
macro_rules! parsed_fields {
    ($($type:ty: $form:literal;)*) => {$(
        impl<'a> Field<'a> for $type {
            const FORM: &'static str = $form;

            fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
                parsed(raw)
            }
        }
    )*};
}

parsed_fields! {
    WalletRef: "a wallet's address, such as merchant:acme:available, or its id";
    Address: "a wallet's address, such as merchant:acme:available";
    MerchantId: "a merchant's id, such as acme";
    MerchantName: "a name of 1 to 255 printable characters";
    PaymentReference: "1 to 100 letters, digits, hyphens, dots and equals signs";
    Email: "an address, such as ada@example.com";
    CallbackUrl: "the address of a page, such as https://shop.example.com/back";
    CustomerNote: "what the customer is told, in 1 to 255 characters";
    RunKey: "a key, such as 2026-11-22-evening";
    LedgerName: "a ledger's name: 1 to 64 characters of a-z, 0-9, _ and -";
    IdempotencyKey: "a key of 1 to 255 printable characters";
    Reason: "why, in 1 to 1,000 characters";
    Searched: "1 to 255 printable characters";
    Time: "a time of RFC 3339, such as 2026-11-22T09:30:00Z";
}

impl<'a> Field<'a> for Currency {
    const FORM: &'static str = "a currency code of ISO 4217, such as \"NGN\"";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        currency(&text::<Self>(raw)?)
    }
}

/// Reads a currency's code.
pub(super) fn currency(code: &str) -> Result<Currency, Wrong> {
    Currency::from_code(code).ok_or_else(|| {
        let problem = format!(
            "{:?} is not a currency of ISO 4217: write three upper-case letters, such as NGN",
            shown(code)
        );
        Wrong::with_code(RejectionCode::CurrencyUnknown, problem)
    })
}

/// An amount in minor units.
pub(super) struct Minor(pub i64);

impl<'a> Field<'a> for Minor {
    const FORM: &'static str = "an integer in minor units, such as 125000";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        let digits = raw.get();
        if !digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Err(of_another_kind::<Self>(raw));
        }
        if digits.contains(['.', 'e', 'E']) {
            let problem = format!(
                "{} is not an integer: write minor units without fraction and exponent, such as \
                 125000",
                shown(digits)
            );
            return Err(Wrong::new(problem));
        }
        // JSON's grammar holds already: what is left is too large.
        digits.parse().map(Self).map_err(|_| {
            let problem = format!(
                "{} is too large: write an integer from {} to {}",
                shown(digits),
                i64::MIN,
                i64::MAX
            );
            Wrong::with_code(RejectionCode::AmountTooLarge, problem)
        })
    }
}

impl<'a> Field<'a> for Verdict {
    const FORM: &'static str = Self::FORM;

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        let word = text::<Self>(raw)?;
        let verdict = word.parse();
        verdict.map_err(|_| Wrong::new(format!("is no verdict: write {}", Self::FORM)))
    }
}

impl<'a> Field<'a> for bool {
    const FORM: &'static str = "true or false";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(of_another_kind::<Self>(raw)),
        }
    }
}

impl<'a> Field<'a> for Metadata {
    const FORM: &'static str = "a JSON object";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        raw.get().parse::<Self>().map_err(Wrong::new)
    }
}

/// The items of an array.
pub(super) struct Items<'a>(pub Vec<&'a RawValue>);

impl<'a> Field<'a> for Items<'a> {
    const FORM: &'static str = "an array of objects";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        serde_json::from_str(raw.get())
            .map(Self)
            .map_err(|_| of_another_kind::<Self>(raw))
    }
}

/// Text that is looked for.
pub(super) struct Searched(pub String);

impl FromStr for Searched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control);
        match fits {
            true => Ok(Self(text.to_owned())),
            false => Err("is not 1 to 255 printable characters: write what to look for".to_owned()),
        }
    }
}

/// A number of things, 1 or more.
pub(super) struct Count(pub u32);

impl<'a> Field<'a> for Count {
    const FORM: &'static str = "an integer from 1 on, such as 50";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        let digits = raw.get();
        if !digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Err(of_another_kind::<Self>(raw));
        }
        let count = digits.parse().ok().filter(|count| *count > 0);
        count.map(Self).ok_or_else(|| {
            let problem = format!(
                "{} is not a count: write an integer from 1 to {}",
                shown(digits),
                u32::MAX
            );
            Wrong::new(problem)
        })
    }
}

/// The numbers of things.
pub(super) struct Numbers(pub Vec<i64>);

impl<'a> Field<'a> for Numbers {
    const FORM: &'static str = "an array of integers, such as [17, 18]";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        let numbers = serde_json::from_str(raw.get()).map(Self);
        numbers.map_err(|_| match raw.get().starts_with('[') {
            true => Wrong::new(format!("holds something else: write {}", Self::FORM)),
            false => of_another_kind::<Self>(raw),
        })
    }
}

/// The number of a thing.
pub(super) struct Number(pub i64);

impl<'a> Field<'a> for Number {
    const FORM: &'static str = "an integer";

    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        let number = raw.get().parse().map(Self);
        number.map_err(|_| of_another_kind::<Self>(raw))
    }
}

/// A time, UTC.
pub(super) struct Time(pub OffsetDateTime);

impl Time {
    /// Reads RFC 3339 within the years 1970 to 9998.
    pub(super) fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .filter(|time| (1970..=9998).contains(&time.year()))
            .map(Self)
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
            .ok_or_else(|| "is not a time of RFC 3339: write 2026-11-22T09:30:00Z".to_owned())
    }
}

/// Any JSON, as it was written.
pub(super) struct RawJson<'a>(pub &'a str);

impl<'a> Field<'a> for RawJson<'a> {
    const FORM: &'static str = "JSON";
    fn read(raw: &'a RawValue) -> Result<Self, Wrong> {
        Ok(Self(raw.get()))
    }
}
