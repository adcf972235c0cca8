//! A line of a statement, whatever file it came in.

use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::ledger::Currency;

/// The longest name that a line may bear, bytes.
const NAME_BYTES_MAX: usize = 255;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A customer paid.
    Payment,
    /// A merchant was paid out.
    Payout,
    /// A payout came back.
    PayoutReturn,
    /// A customer got money back.
    Refund,
    /// A refund came back.
    RefundReturn,
    /// A dispute was lost.
    Chargeback,
    /// The PSP paid what it held to the bank.
    Settlement,
    /// The platform's own money came in.
    TopUp,
    /// What the other side took for itself.
    Fee,
    /// Anything else: what a bank books.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Payment,
        Self::Payout,
        Self::PayoutReturn,
        Self::Refund,
        Self::RefundReturn,
        Self::Chargeback,
        Self::Settlement,
        Self::TopUp,
        Self::Fee,
        Self::Other,
    ];

    /// The name in the schema, in files and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Payout => "payout",
            Self::PayoutReturn => "payout_return",
            Self::Refund => "refund",
            Self::RefundReturn => "refund_return",
            Self::Chargeback => "chargeback",
            Self::Settlement => "settlement",
            Self::TopUp => "top_up",
            Self::Fee => "fee",
            Self::Other => "other",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How far the other side is with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It moved money.
    Booked,
    /// It may move money, or not. Such a line moves no state.
    Pending,
    /// It moved no money, and will not.
    Void,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins in the file, from 1.
    pub number: u64,
    /// Which statement of the file it stands in, from 0. Equal lines of one statement are as many
    /// bookings; equal lines of two statements are the same one.
    pub statement: i32,
    /// The account, as the file names it; empty where it names none.
    pub account: String,
    /// What it is about.
    pub kind: Kind,
    /// The name that both sides know it by.
    pub reference: Option<String>,
    /// The other side's own id.
    pub external_id: Option<String>,
    /// The PSP's payout to the bank that it is a part of.
    pub batch: Option<String>,
    /// Its currency.
    pub currency: Currency,
    /// What it did to what is held for us there, before fees: money that came is positive.
    pub amount: i64,
    /// What was taken besides, 0 or more; below 0: given back.
    pub fee: i64,
    /// When, UTC; of a day without a time its first moment.
    pub booked_at: OffsetDateTime,
    /// How far it is.
    pub standing: Standing,
}

impl Line {
    /// What makes it itself among the lines of `wallet`: account, kind, names, currency, amount and day,
    /// hashed. Equal lines have the same, in whatever file they stand.
    ///
    /// A PSP's own id is left out where the name is there that both sides know: not all of its exports
    /// have it. Banks use their ids again each year, and the day tells them apart.
    #[must_use]
    pub fn identity(&self, wallet: &str, is_psps: bool) -> Uuid {
        let reference = self.reference.as_deref();
        let external_id = self.external_id.as_deref();
        let names = match is_psps {
            true => [reference.or(external_id), None],
            false => [reference, external_id],
        };
        let mut hash = Sha256::new();
        for text in [
            wallet,
            &self.account,
            self.kind.as_str(),
            names[0].unwrap_or_default(),
            names[1].unwrap_or_default(),
            self.currency.code(),
        ] {
            // With its length, so that no text runs into the next one.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update(self.amount.to_be_bytes());
        let day = self.booked_at.to_offset(UtcOffset::UTC).to_julian_day();
        hash.update(day.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Uuid::from_bytes(id)
    }
}

/// A line that can't be read, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    /// Where it begins in the file, from 1.
    pub line: u64,
    /// What is wrong, and with which field.
    pub problem: String,
}

impl Broken {
    pub(super) fn new(line: u64, problem: impl Into<String>) -> Self {
        Self {
            line,
            problem: problem.into(),
        }
    }
}

/// A name as it may be kept: `None` where it is empty.
pub(super) fn name(field: &str, text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!("{field} is longer than {NAME_BYTES_MAX} bytes"));
    }
    if text.contains(char::is_control) {
        return Err(format!("{field} holds a control character"));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn line() -> Line {
        Line {
            number: 2,
            statement: 0,
            account: "main".to_owned(),
            kind: Kind::Payment,
            reference: Some("order-1".to_owned()),
            external_id: Some("77".to_owned()),
            batch: None,
            currency: "NGN".parse().unwrap(),
            amount: 500,
            fee: 8,
            booked_at: datetime!(2026-11-22 09:30 UTC),
            standing: Standing::Booked,
        }
    }

    #[test]
    fn where_a_line_stands_and_what_else_is_told_of_it_make_no_other_line() {
        let same = Line {
            number: 9,
            statement: 1,
            batch: Some("3".to_owned()),
            fee: 0,
            booked_at: datetime!(2026-11-22 23:59 UTC),
            external_id: None,
            ..line()
        };
        assert_eq!(same.identity("psp:a", true), line().identity("psp:a", true));
    }

    #[test]
    fn each_thing_that_makes_a_line_itself_tells_it_from_others() {
        let usd = "USD".parse().unwrap();
        let name = |name: &str| Some(name.to_owned());
        let others = [
            Line {
                account: String::new(),
                ..line()
            },
            Line {
                account: "mai".to_owned(),
                reference: name("norder-1"),
                ..line()
            },
            Line {
                kind: Kind::Refund,
                ..line()
            },
            Line {
                reference: name("order-2"),
                ..line()
            },
            Line {
                reference: None,
                ..line()
            },
            Line {
                external_id: name("78"),
                ..line()
            },
            Line {
                currency: usd,
                ..line()
            },
            Line {
                amount: -500,
                ..line()
            },
            Line {
                booked_at: datetime!(2026-11-23 00:00 UTC),
                ..line()
            },
        ];
        let mut seen = vec![
            line().identity("bank:a", false),
            line().identity("bank:b", false),
        ];
        for other in &others {
            let identity = other.identity("bank:a", false);
            assert!(!seen.contains(&identity), "{other:?}");
            seen.push(identity);
        }
    }

    #[test]
    fn a_psps_line_without_a_reference_goes_by_the_psps_own_id() {
        let nameless = |id: &str| Line {
            reference: None,
            external_id: Some(id.to_owned()),
            ..line()
        };
        let of = |line: Line| line.identity("psp:a", true);
        assert_ne!(of(nameless("77")), of(nameless("78")));
        assert_eq!(
            of(Line {
                external_id: None,
                ..line()
            }),
            of(line())
        );
    }
}
