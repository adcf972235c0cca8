//! Starting a run: its list is frozen, or the one that was frozen under the key is taken.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::list::List;
use super::{Refusal, RunError, RunKey, due, news};
use crate::config::Config;
use crate::event::EventType;
use crate::ledger::{Currency, Ledger};
use crate::postgres::atomically;
use crate::postgres::audit::Actor;
use crate::postgres::payout_runs::{self as rows, NewRun, Run, Source, items};
use crate::resilience::failpoint;
use crate::view::hex;

/// What a run may pay without a second person. `None`: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Minor units of its currency.
    pub above_minor: Option<i64>,
    /// Items.
    pub above_count: Option<i64>,
}

impl Limits {
    /// As configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let limit = |limit: u64| i64::try_from(limit).ok().filter(|limit| *limit > 0);
        Self {
            above_minor: limit(config.payout_run.approval_above_minor),
            above_count: limit(config.payout_run.approval_above_count.into()),
        }
    }

    /// The stricter of both, each by itself.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            above_minor: least(self.above_minor, other.above_minor),
            above_count: least(self.above_count, other.above_count),
        }
    }

    /// Which of them a list is over, in words.
    #[must_use]
    pub fn exceeded_by(&self, list: &List) -> Option<String> {
        let currency = list.currency();
        if let Some(limit) = self.above_minor.filter(|limit| list.total() > *limit) {
            return Some(format!(
                "the total of {} {currency} is above {}",
                currency.format_minor(list.total()),
                currency.format_minor(limit)
            ));
        }
        let limit = self
            .above_count
            .filter(|limit| i64::from(list.count()) > *limit)?;
        Some(format!("{} payouts are more than {limit}", list.count()))
    }
}

/// A run to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its key.
    pub key: RunKey,
    /// What it pays.
    pub list: List,
    /// The limit that it is over, which has it wait for an approval.
    pub approval_reason: Option<String>,
    /// Whether aegisd works on it.
    pub in_background: bool,
}

/// What came of starting a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// Its list is frozen.
    Now(Run),
    /// It was there, with the same list.
    Before(Run),
    /// A rule says no; nothing was done.
    Refused(Refusal),
}

/// What somebody wants of a key.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// This list.
    List(&'a List),
    /// What is due, in a currency or any: the list that was frozen is it.
    Due(Option<Currency>),
}

impl Wanted<'_> {
    /// Sees that a run of the key is the one that is wanted.
    ///
    /// # Errors
    /// It is another one.
    pub fn is_met_by(&self, run: &Run) -> Result<(), Refusal> {
        let key = &run.key;
        let frozen = hex(&run.list_hash);
        let detail = match self {
            Self::List(list) if *list.hash() == run.list_hash => return Ok(()),
            Self::List(list) => format!(
                "the key {key} belongs to another list: {} payouts of {} {} with the hash {frozen}; \
                 this one has {} of {} {} and the hash {}. Start it under another key",
                run.count,
                run.currency.format_minor(run.total),
                run.currency,
                list.count(),
                list.currency().format_minor(list.total()),
                list.currency(),
                hex(list.hash())
            ),
            Self::Due(currency) if currency.is_some_and(|wanted| wanted != run.currency) => {
                format!(
                    "the key {key} belongs to a run in {}, list {frozen}: take a key for each \
                     currency",
                    run.currency
                )
            }
            Self::Due(_) if run.source == Source::List => format!(
                "the key {key} belongs to a list that was given, {frozen}, and not to what is due: \
                 take another key"
            ),
            Self::Due(_) => return Ok(()),
        };
        Err(Refusal::new("payout_run_key_reused", detail))
    }
}

/// Freezes a list under a key, in one COMMIT with the row of the audit log and the event. The same
/// list again, or what is due again, is the run that is there.
///
/// # Errors
/// [`RunError::Database`].
pub async fn start(
    pool: &PgPool,
    topic: &str,
    ledger: &Ledger,
    new: &Start,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Started, RunError> {
    let started = atomically!(pool, |conn| freeze(conn, topic, ledger, new, actor, now));
    failpoint::reach(failpoint::PAYOUT_RUN_FROZEN);
    started
}

async fn freeze(
    conn: &mut PgConnection,
    topic: &str,
    ledger: &Ledger,
    new: &Start,
    actor: &Actor,
    now: OffsetDateTime,
) -> Result<Started, RunError> {
    if let Some(before) = met(conn, ledger, new).await? {
        return Ok(before);
    }
    let list = &new.list;
    if list.source() == Source::Due {
        rows::lock::take_due(conn, ledger.id).await?;
        if !due::still(conn, ledger, list, now).await? {
            let detail = "what is due has changed since the list was made, by another run: \
                              nothing was done; start again";
            return Ok(Started::Refused(Refusal::new("list_changed", detail)));
        }
    }
    let run = NewRun {
        key: new.key.as_str(),
        source: list.source(),
        currency: list.currency(),
        count: list.count(),
        total: list.total(),
        list_hash: list.hash(),
        approval_reason: new.approval_reason.as_deref(),
        in_background: new.in_background,
    };
    if !rows::insert(conn, ledger.id, &run, actor, now).await? {
        let before = met(conn, ledger, new).await?;
        return before.ok_or_else(|| sqlx::Error::RowNotFound.into());
    }
    items::insert(conn, ledger.id, new.key.as_str(), list.items(), now).await?;
    let run = rows::find(conn, ledger.id, new.key.as_str()).await?;
    let run = run.ok_or(sqlx::Error::RowNotFound)?;
    let reason = run.approval_reason.as_deref();
    news::note(conn, ledger, &run, "payout_run.started", reason, actor, now).await?;
    let event = match reason {
        Some(_) => EventType::PayoutRunWaiting,
        None => EventType::PayoutRunStarted,
    };
    news::tell(conn, topic, ledger, &run, event, now).await?;
    Ok(Started::Now(run))
}

/// What is there under the key already.
async fn met(
    conn: &mut PgConnection,
    ledger: &Ledger,
    new: &Start,
) -> sqlx::Result<Option<Started>> {
    let run = rows::find(conn, ledger.id, new.key.as_str()).await?;
    let wanted = match new.list.source() {
        Source::Due => Wanted::Due(Some(new.list.currency())),
        Source::List => Wanted::List(&new.list),
    };
    Ok(run.map(|run| match wanted.is_met_by(&run) {
        Ok(()) => Started::Before(run),
        Err(refusal) => Started::Refused(refusal),
    }))
}
