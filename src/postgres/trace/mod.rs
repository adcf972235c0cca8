//! What is known of one thing on money's way, and where the way leads from there.
//!
//! Each table is a source in a file of its own with up to three functions: `named` finds what a
//! person may mean by a reference, `tell` says what is known of one thing and what it is linked with,
//! and further ones find what belongs to something else. [`named`] and [`tell`] here ask them all, so
//! that another source is a file and a line in each. Every list is bounded by [`ROWS_MAX`].

mod audit;
mod dead_letters;
mod discrepancies;
mod events;
mod flow;
mod payments;
mod payouts;
mod refunds;
mod runs;
mod settlements;
mod statements;
mod transactions;
mod webhooks;

use std::fmt;
use std::str::FromStr;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::ledger::{Ledger, PostedEntry};

/// The most rows that are read of one list.
pub const ROWS_MAX: i64 = 200;

/// A thing on money's way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// Money in.
    Payment(Uuid),
    /// Money back to a customer.
    Refund(Uuid),
    /// What moved from pending to available.
    Settlement(Uuid),
    /// Money out.
    Payout(Uuid),
    /// Payouts that were asked for together: the run's key.
    PayoutRun(String),
    /// A line of a PSP's or a bank's statement.
    StatementLine(Uuid),
    /// A transaction of the ledger.
    Transaction(Uuid),
    /// What a PSP told by itself.
    Webhook(i64),
    /// An event that the bus has not got yet, or a consumer could not handle yet.
    Event(Uuid),
    /// A message that could not be handled.
    DeadLetter(i64),
    /// What does not agree between the ledger and the world.
    Discrepancy(i64),
}

impl Thing {
    /// What kind of thing it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Payment(_) => "payment",
            Self::Refund(_) => "refund",
            Self::Settlement(_) => "settlement",
            Self::Payout(_) => "payout",
            Self::PayoutRun(_) => "payout_run",
            Self::StatementLine(_) => "statement_line",
            Self::Transaction(_) => "transaction",
            Self::Webhook(_) => "webhook",
            Self::Event(_) => "event",
            Self::DeadLetter(_) => "dead_letter",
            Self::Discrepancy(_) => "discrepancy",
        }
    }

    /// Its id among those of its kind.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Payment(id)
            | Self::Refund(id)
            | Self::Settlement(id)
            | Self::Payout(id)
            | Self::StatementLine(id)
            | Self::Transaction(id)
            | Self::Event(id) => id.to_string(),
            Self::PayoutRun(key) => key.clone(),
            Self::Webhook(number) | Self::DeadLetter(number) | Self::Discrepancy(number) => {
                number.to_string()
            }
        }
    }
}

/// `payment:0195f3c2-…`, as the audit log names things.
impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}

impl FromStr for Thing {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, id) = text.split_once(':').ok_or(())?;
        let uuid = || id.parse::<Uuid>().map_err(|_| ());
        let number = || id.parse::<i64>().map_err(|_| ());
        Ok(match kind {
            "payment" => Self::Payment(uuid()?),
            "refund" => Self::Refund(uuid()?),
            "settlement" => Self::Settlement(uuid()?),
            "payout" => Self::Payout(uuid()?),
            "payout_run" => Self::PayoutRun(id.to_owned()),
            "statement_line" => Self::StatementLine(uuid()?),
            "transaction" => Self::Transaction(uuid()?),
            "webhook" => Self::Webhook(number()?),
            "event" => Self::Event(uuid()?),
            "dead_letter" => Self::DeadLetter(number()?),
            "discrepancy" => Self::Discrepancy(number()?),
            _ => return Err(()),
        })
    }
}

/// Something that happened to a thing, or will.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When, UTC.
    pub at: OffsetDateTime,
    /// To what.
    pub thing: Thing,
    /// What happened, such as `payment.paid`.
    pub what: String,
    /// How the thing stands now; told with the last moment of a thing that has a state.
    pub state: Option<String>,
    /// Minor units and the currency's code.
    pub sum: Option<(i64, String)>,
    /// What a transaction moved.
    pub entries: Vec<PostedEntry>,
    /// By which names others know it.
    pub names: Vec<(&'static str, String)>,
    /// What else there is to say.
    pub detail: Option<String>,
}

impl Moment {
    fn new(thing: &Thing, what: impl Into<String>, at: OffsetDateTime) -> Self {
        Self {
            at,
            thing: thing.clone(),
            what: what.into(),
            state: None,
            sum: None,
            entries: Vec::new(),
            names: Vec::new(),
            detail: None,
        }
    }

    fn state(self, state: impl Into<String>) -> Self {
        let state = Some(state.into());
        Self { state, ..self }
    }

    fn sum(self, amount: i64, currency: &str) -> Self {
        let sum = Some((amount, currency.to_owned()));
        Self { sum, ..self }
    }

    fn detail(self, detail: Option<String>) -> Self {
        Self { detail, ..self }
    }

    fn name(mut self, name: &'static str, value: Option<String>) -> Self {
        self.names.extend(value.map(|value| (name, value)));
        self
    }
}

/// How one thing lies to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is about the same money.
    Same,
    /// It takes this and others together, or is where the money went next.
    Onward,
    /// It is one of many that this takes together, or where a part of the money came from.
    Back,
}

/// What is known of one thing.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What happened, in no order.
    pub moments: Vec<Moment>,
    /// What it is linked with.
    pub links: Vec<(Way, Thing)>,
    /// A list was longer than [`ROWS_MAX`].
    pub cut: bool,
    /// A list of what came together here was.
    pub cut_back: bool,
}

impl Told {
    fn moment(&mut self, moment: Moment) {
        self.moments.push(moment);
    }

    /// Adds links to rows of which one more than [`ROWS_MAX`] may have been read.
    fn link<T>(&mut self, way: Way, rows: Vec<T>, thing: impl Fn(T) -> Thing) {
        let max = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        let cut = rows.len() > max;
        self.cut |= cut && way != Way::Back;
        self.cut_back |= cut && way == Way::Back;
        let things = rows.into_iter().take(max).map(thing);
        self.links.extend(things.map(|thing| (way, thing)));
    }
}

/// What is looked for.
#[derive(Clone, Debug)]
struct Wanted<'a> {
    ledger: &'a Ledger,
    /// As it was typed.
    text: &'a str,
    uuid: Option<Uuid>,
    /// The PSPs that there are.
    psps: Vec<String>,
}

/// All that a reference can mean in a ledger: an id, a key, a reference, a correlation id. Things of
/// a kind follow each other; a list that was cut says so.
///
/// # Errors
/// Where the database fails.
pub async fn named(
    conn: &mut PgConnection,
    ledger: &Ledger,
    reference: &str,
) -> sqlx::Result<(Vec<Thing>, bool)> {
    let mut told = Told::default();
    if let Ok(thing) = reference.parse::<Thing>() {
        told.links.push((Way::Same, thing));
    }
    let wanted = Wanted {
        ledger,
        text: reference,
        uuid: reference.parse().ok(),
        psps: webhooks::psps(conn).await?,
    };
    payments::named(conn, &wanted, &mut told).await?;
    refunds::named(conn, &wanted, &mut told).await?;
    settlements::named(conn, &wanted, &mut told).await?;
    payouts::named(conn, &wanted, &mut told).await?;
    runs::named(conn, &wanted, &mut told).await?;
    statements::named(conn, &wanted, &mut told).await?;
    transactions::named(conn, &wanted, &mut told).await?;
    webhooks::named(conn, &wanted, &mut told).await?;
    events::named(conn, &wanted, &mut told).await?;
    dead_letters::named(conn, &wanted, &mut told).await?;
    discrepancies::named(conn, &wanted, &mut told).await?;
    let mut things = Vec::with_capacity(told.links.len());
    for (_, thing) in told.links {
        if !things.contains(&thing) {
            things.push(thing);
        }
    }
    Ok((things, told.cut))
}

/// All that is known of a thing; nothing where there is none of that id in the ledger.
///
/// # Errors
/// Where the database fails.
pub async fn tell(
    conn: &mut PgConnection,
    ledger: &Ledger,
    thing: &Thing,
) -> sqlx::Result<Option<Told>> {
    let mut told = Told::default();
    match thing {
        Thing::Payment(id) => payments::tell(conn, ledger, *id, &mut told).await?,
        Thing::Refund(id) => refunds::tell(conn, ledger, *id, &mut told).await?,
        Thing::Settlement(id) => settlements::tell(conn, ledger, *id, &mut told).await?,
        Thing::Payout(id) => payouts::tell(conn, ledger, *id, &mut told).await?,
        Thing::PayoutRun(key) => runs::tell(conn, ledger, key, &mut told).await?,
        Thing::StatementLine(id) => statements::tell(conn, ledger, *id, &mut told).await?,
        Thing::Transaction(id) => transactions::tell(conn, ledger, *id, &mut told).await?,
        Thing::Webhook(id) => webhooks::tell(conn, ledger, *id, &mut told).await?,
        Thing::Event(id) => events::tell(conn, ledger, *id, &mut told).await?,
        Thing::DeadLetter(id) => dead_letters::tell(conn, ledger, *id, &mut told).await?,
        Thing::Discrepancy(id) => discrepancies::tell(conn, ledger, *id, &mut told).await?,
    }
    if told.moments.is_empty() {
        return Ok(None);
    }
    audit::of(conn, ledger, thing, &mut told).await?;
    Ok(Some(told))
}

/// Events about these things that the bus has not got yet.
///
/// # Errors
/// Where the database fails.
pub async fn waiting_events(
    conn: &mut PgConnection,
    ledger: &Ledger,
    things: &[Thing],
) -> sqlx::Result<(Vec<Moment>, bool)> {
    events::about(conn, ledger, things).await
}
