//! The way of money.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::EntryView;
use crate::ledger::Ledger;
use crate::postgres::trace::{Moment, Thing};

/// All that is known of a reference.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TraceView {
    /// As it was asked for.
    pub reference: String,
    /// The ledger's name.
    pub ledger: String,
    /// What the reference stands for.
    pub found: Vec<ThingView>,
    /// How many things are told of.
    pub things: usize,
    /// True where there is more than the bounds let in.
    pub cut: bool,
    /// In order of time; some may lie ahead.
    pub moments: Vec<MomentView>,
}

/// A thing on money's way.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ThingView {
    /// `payment`, `refund`, `settlement`, `payout`, `payout_run`, `statement_line`, `transaction`,
    /// `webhook`, `event`, `dead_letter` or `discrepancy`.
    pub kind: &'static str,
    /// Its id among those of its kind.
    pub id: String,
}

/// Something that happened, or will.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MomentView {
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What kind of thing it happened to.
    pub kind: &'static str,
    /// The thing's id.
    pub id: String,
    /// What happened, such as `payment.paid`; `payment.stands` tells when it changed last.
    pub what: String,
    /// How the thing stands now.
    pub state: Option<String>,
    /// Minor units.
    pub amount: Option<i64>,
    /// ISO 4217 code of the amount.
    pub currency: Option<String>,
    /// By which names others know it: `reference`, `idempotency_key`, `correlation_id`, `psp_id`, …
    #[schema(value_type = Object)]
    pub names: BTreeMap<&'static str, String>,
    /// What a transaction moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub entries: Vec<EntryView>,
    /// What else there is to say, for people.
    pub detail: Option<String>,
}

impl TraceView {
    /// The view of what is known of a reference in this ledger.
    #[must_use]
    pub fn new(
        ledger: &Ledger,
        reference: &str,
        found: &[Thing],
        moments: &[Moment],
        (things, cut): (usize, bool),
    ) -> Self {
        Self {
            reference: reference.to_owned(),
            ledger: ledger.name.to_string(),
            found: found.iter().map(ThingView::from).collect(),
            things,
            cut,
            moments: moments.iter().map(MomentView::from).collect(),
        }
    }
}

impl From<&Thing> for ThingView {
    fn from(thing: &Thing) -> Self {
        Self {
            kind: thing.kind(),
            id: thing.id(),
        }
    }
}

impl From<&Moment> for MomentView {
    fn from(moment: &Moment) -> Self {
        let (amount, currency) = moment.sum.clone().unzip();
        Self {
            at: moment.at.to_offset(time::UtcOffset::UTC),
            kind: moment.thing.kind(),
            id: moment.thing.id(),
            what: moment.what.clone(),
            state: moment.state.clone(),
            amount,
            currency,
            names: moment.names.iter().cloned().collect(),
            entries: moment.entries.iter().map(EntryView::from).collect(),
            detail: moment.detail.clone(),
        }
    }
}
