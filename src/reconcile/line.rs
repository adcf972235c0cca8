//! A line of a statement, whatever file it came in.

use time::OffsetDateTime;

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
