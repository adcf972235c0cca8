//! The items of runs: each is a payout that is to be, or why there is none.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::outcome;
use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::currency_of;

/// An item to freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Who is paid.
    pub merchant: MerchantId,
    /// How much, minor units.
    pub amount: i64,
    /// The caller's name for it.
    pub reference: Option<String>,
    /// The day of the merchant's schedule that it pays.
    pub due_on: Option<Date>,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not requested yet, or on its way.
    Waiting,
    /// The recipient has the money.
    Succeeded,
    /// It came to nothing.
    Failed,
    /// Whether the PSP paid is not known.
    Unknown,
    /// Given up with the run before it was requested.
    Cancelled,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// An item as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its place in the list, from 1.
    pub number: i32,
    /// Who is paid.
    pub merchant: MerchantId,
    /// How much, minor units.
    pub amount: i64,
    /// The caller's name for it.
    pub reference: Option<String>,
    /// The day of the merchant's schedule that it pays.
    pub due_on: Option<Date>,
    /// What became of it.
    pub outcome: Outcome,
    /// Its payout, once that is requested.
    pub payout_id: Option<Uuid>,
    /// How the payout stands, in its own words.
    pub payout_status: Option<String>,
    /// Why a rule said no, for programs.
    pub code: Option<String>,
    /// Why it came to nothing, or what went wrong last.
    pub detail: Option<String>,
}

fn item_of(row: &PgRow) -> sqlx::Result<Item> {
    let (merchant, outcome): (&str, &str) = (row.try_get("merchant")?, row.try_get("outcome")?);
    Ok(Item {
        number: row.try_get("number")?,
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        amount: row.try_get("amount")?,
        reference: row.try_get("reference")?,
        due_on: row.try_get("due_on")?,
        outcome: Outcome::from_name(outcome).ok_or_else(|| unreadable("outcome", outcome))?,
        payout_id: row.try_get("payout_id")?,
        payout_status: row.try_get("payout_status")?,
        code: row.try_get("code")?,
        detail: row.try_get("detail")?,
    })
}

/// Freezes the items of a run, numbered from 1 in their order.
///
/// # Errors
/// Where the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
    items: &[NewItem],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let merchants: Vec<&str> = items.iter().map(|item| item.merchant.as_str()).collect();
    let amounts: Vec<i64> = items.iter().map(|item| item.amount).collect();
    let references: Vec<Option<&str>> =
        items.iter().map(|item| item.reference.as_deref()).collect();
    let due: Vec<Option<Date>> = items.iter().map(|item| item.due_on).collect();
    sqlx::query(
        "INSERT INTO payout_run_items (
             ledger_id, run_key, number, merchant, amount, reference, due_on, updated_at)
         SELECT $1, $2, n.place::integer, n.merchant, n.amount, n.reference, n.due_on, $7
         FROM unnest($3::text[], $4::bigint[], $5::text[], $6::date[]) WITH ORDINALITY
             AS n (merchant, amount, reference, due_on, place)",
    )
    .bind(ledger_id)
    .bind(run_key)
    .bind(merchants)
    .bind(amounts)
    .bind(references)
    .bind(due)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Items of a run in order, behind a number.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
    outcomes: &[Outcome],
    after: i32,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    let names: Vec<&str> = outcomes.iter().map(|outcome| outcome.as_str()).collect();
    sqlx::query(concat!(
        "SELECT * FROM (
             SELECT i.number, i.merchant::text AS merchant, i.amount, i.reference, i.due_on,
                    i.payout_id, p.status AS payout_status, i.code,
                    coalesce(i.detail, p.last_error) AS detail, ",
        outcome!(),
        " AS outcome
             FROM payout_run_items i
             LEFT JOIN payouts p ON p.ledger_id = i.ledger_id AND p.id = i.payout_id
             WHERE i.ledger_id = $1 AND i.run_key = $2 AND i.number > $3
         ) o WHERE o.outcome = ANY($4) ORDER BY o.number LIMIT $5"
    ))
    .bind(ledger_id)
    .bind(run_key)
    .bind(after)
    .bind(names)
    .bind(limit)
    .fetch_all(conn)
    .await?
    .iter()
    .map(item_of)
    .collect()
}

/// The numbers of the items that were not requested yet, in order.
///
/// # Errors
/// Where the database fails.
pub async fn not_requested(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
) -> sqlx::Result<Vec<i32>> {
    sqlx::query_scalar(
        "SELECT number FROM payout_run_items
         WHERE ledger_id = $1 AND run_key = $2 AND status = 'waiting' ORDER BY number",
    )
    .bind(ledger_id)
    .bind(run_key)
    .fetch_all(conn)
    .await
}

/// An item that is about to be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Who is paid.
    pub merchant: MerchantId,
    /// In the run's currency.
    pub currency: Currency,
    /// How much, minor units.
    pub amount: i64,
    /// The caller's name for it.
    pub reference: Option<String>,
    /// Who started the run.
    pub started_by: String,
}

/// Takes an item that was not requested yet, of a run that pays, until the end of the transaction:
/// `None` where it was, or the run does not pay any more.
///
/// # Errors
/// Where the database fails.
pub async fn claim(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
    number: i32,
) -> sqlx::Result<Option<Claimed>> {
    // The run's row first, as whoever gives it up does.
    let run = sqlx::query(
        "SELECT started_by, currency::text AS currency FROM payout_runs
         WHERE ledger_id = $1 AND key = $2 AND status = 'running' FOR SHARE",
    )
    .bind(ledger_id)
    .bind(run_key)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(run) = run else { return Ok(None) };
    let row = sqlx::query(
        "SELECT merchant::text AS merchant, amount, reference FROM payout_run_items
         WHERE ledger_id = $1 AND run_key = $2 AND number = $3 AND status = 'waiting'
         FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(run_key)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let merchant: &str = row.try_get("merchant")?;
    Ok(Some(Claimed {
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(run.try_get("currency")?)?,
        amount: row.try_get("amount")?,
        reference: row.try_get("reference")?,
        started_by: run.try_get("started_by")?,
    }))
}

/// Says which payout a claimed item became.
///
/// # Errors
/// Where the database fails.
pub async fn requested(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
    number: i32,
    payout_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE payout_run_items SET status = 'requested', payout_id = $4, updated_at = $5
         WHERE ledger_id = $1 AND run_key = $2 AND number = $3 AND status = 'waiting'",
    )
    .bind(ledger_id)
    .bind(run_key)
    .bind(number)
    .bind(payout_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Says why a claimed item became no payout.
///
/// # Errors
/// Where the database fails.
pub async fn rejected(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
    number: i32,
    (code, detail): (&str, &str),
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE payout_run_items SET status = 'rejected', code = $4, detail = $5, updated_at = $6
         WHERE ledger_id = $1 AND run_key = $2 AND number = $3 AND status = 'waiting'",
    )
    .bind(ledger_id)
    .bind(run_key)
    .bind(number)
    .bind(code)
    .bind(detail)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives up all items of a run that were not requested yet: how many.
///
/// # Errors
/// Where the database fails.
pub async fn cancel(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
    now: OffsetDateTime,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "UPDATE payout_run_items SET status = 'cancelled', updated_at = $3
         WHERE ledger_id = $1 AND run_key = $2 AND status = 'waiting'",
    )
    .bind(ledger_id)
    .bind(run_key)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A payout of a run that is not at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnItsWay {
    /// The payout.
    pub payout_id: Uuid,
    /// When its next step is due, UTC.
    pub next_attempt_at: OffsetDateTime,
    /// Whether it is not known what became of it.
    pub is_unknown: bool,
}

/// The payouts of a run that are not at their ends.
///
/// # Errors
/// Where the database fails.
pub async fn on_their_way(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
) -> sqlx::Result<Vec<OnItsWay>> {
    sqlx::query(
        "SELECT p.id, p.next_attempt_at, p.status = 'unknown' AS is_unknown
         FROM payout_run_items i
         JOIN payouts p ON p.ledger_id = i.ledger_id AND p.id = i.payout_id
         WHERE i.ledger_id = $1 AND i.run_key = $2 AND p.status IN ('requested', 'sent', 'unknown')
         ORDER BY i.number",
    )
    .bind(ledger_id)
    .bind(run_key)
    .fetch_all(conn)
    .await?
    .iter()
    .map(|row| {
        Ok(OnItsWay {
            payout_id: row.try_get("id")?,
            next_attempt_at: row.try_get("next_attempt_at")?,
            is_unknown: row.try_get("is_unknown")?,
        })
    })
    .collect()
}
