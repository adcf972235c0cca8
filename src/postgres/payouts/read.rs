//! Finding and locking payouts.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::attempts::attempt_of;
use super::{Attempt, Doubt, Payout, PayoutStatus, Resolution, RunItem};
use crate::ledger::Ledger;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::{currency_of, hash_of};

fn payout_of(row: &PgRow) -> sqlx::Result<Payout> {
    let (merchant, status): (&str, &str) = (row.try_get("merchant")?, row.try_get("status")?);
    let (run_key, run_number): (Option<String>, Option<i32>) =
        (row.try_get("run_key")?, row.try_get("run_number")?);
    let (since, until): (Option<OffsetDateTime>, Option<OffsetDateTime>) = (
        row.try_get("doubtful_since")?,
        row.try_get("doubtful_until")?,
    );
    let resolved_by: Option<String> = row.try_get("resolved_by")?;
    let resolved_at: Option<OffsetDateTime> = row.try_get("resolved_at")?;
    let reason: Option<String> = row.try_get("reason")?;
    Ok(Payout {
        id: row.try_get("id")?,
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(row.try_get("currency")?)?,
        terms_version: row.try_get("terms_version")?,
        amount: row.try_get("amount")?,
        psp: row.try_get("psp")?,
        reference: row.try_get("reference")?,
        recipient: row.try_get("recipient")?,
        label: row.try_get("label")?,
        run: run_key
            .zip(run_number)
            .map(|(run_key, number)| RunItem { run_key, number }),
        correlation_id: row.try_get("correlation_id")?,
        traceparent: row.try_get("traceparent")?,
        requested_by: row.try_get("requested_by")?,
        status: PayoutStatus::from_name(status)
            .ok_or_else(|| unreadable("payout status", status))?,
        psp_code: row.try_get("psp_code")?,
        psp_fee: row.try_get("psp_fee")?,
        doubt: since
            .zip(until)
            .map(|(since, until)| Doubt { since, until }),
        refused: row.try_get("refused")?,
        not_known_at: row.try_get("not_known_at")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        attempts: row.try_get("attempts")?,
        waits: row.try_get("waits")?,
        last_error: row.try_get("last_error")?,
        resolution: match (resolved_by, resolved_at, reason) {
            (Some(by), Some(at), Some(reason)) => Some(Resolution { by, at, reason }),
            _ => None,
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// The payout of that id.
///
/// # Errors
/// Where the database fails.
pub async fn find(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Payout>> {
    let found = sqlx::query("SELECT * FROM payouts WHERE ledger_id = $1 AND id = $2")
        .bind(ledger_id)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    found.as_ref().map(payout_of).transpose()
}

/// The payout of that id, which nobody else changes until the transaction ends.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<Option<Payout>> {
    let found =
        sqlx::query("SELECT * FROM payouts WHERE ledger_id = $1 AND id = $2 FOR NO KEY UPDATE")
            .bind(ledger_id)
            .bind(id)
            .fetch_optional(conn)
            .await?;
    found.as_ref().map(payout_of).transpose()
}

/// The payout that a key stands for.
///
/// # Errors
/// Where the database fails.
pub async fn by_key(
    conn: &mut PgConnection,
    ledger_id: i32,
    key: &str,
) -> sqlx::Result<Option<Payout>> {
    let found = sqlx::query("SELECT * FROM payouts WHERE ledger_id = $1 AND idempotency_key = $2")
        .bind(ledger_id)
        .bind(key)
        .fetch_optional(conn)
        .await?;
    found.as_ref().map(payout_of).transpose()
}

/// What the payout of that key was asked for by: the request's hash.
///
/// # Errors
/// Where the database fails.
pub async fn request_hash(
    conn: &mut PgConnection,
    ledger_id: i32,
    id: Uuid,
) -> sqlx::Result<[u8; 32]> {
    let hash: Vec<u8> = sqlx::query_scalar(
        "SELECT request_hash::bytea FROM payouts WHERE ledger_id = $1 AND id = $2",
    )
    .bind(ledger_id)
    .bind(id)
    .fetch_one(conn)
    .await?;
    hash_of(&hash)
}

/// The payouts of a run, in order of their places there.
///
/// # Errors
/// Where the database fails.
pub async fn of_run(
    conn: &mut PgConnection,
    ledger_id: i32,
    run_key: &str,
) -> sqlx::Result<Vec<Payout>> {
    sqlx::query(
        "SELECT * FROM payouts WHERE ledger_id = $1 AND run_key = $2
         ORDER BY ledger_id, run_key, run_number",
    )
    .bind(ledger_id)
    .bind(run_key)
    .fetch_all(conn)
    .await?
    .iter()
    .map(payout_of)
    .collect()
}

/// The calls about a payout that have no end yet.
///
/// # Errors
/// Where the database fails.
pub async fn open_attempts(
    conn: &mut PgConnection,
    ledger_id: i32,
    payout_id: Uuid,
) -> sqlx::Result<Vec<Attempt>> {
    sqlx::query(
        "SELECT number, kind, host, started_at, ended_at, outcome, detail FROM payout_attempts
         WHERE ledger_id = $1 AND payout_id = $2 AND ended_at IS NULL
         ORDER BY ledger_id, payout_id, number",
    )
    .bind(ledger_id)
    .bind(payout_id)
    .fetch_all(conn)
    .await?
    .iter()
    .map(attempt_of)
    .collect()
}

/// Locks the payout of any ledger whose call has been due the longest, and that is in nobody else's
/// hands.
///
/// # Errors
/// Where the database fails.
pub async fn next_due(
    conn: &mut PgConnection,
    psp: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<(Ledger, Uuid)>> {
    let found = sqlx::query(
        "SELECT p.id, p.ledger_id, l.name FROM payouts p JOIN ledgers l ON l.id = p.ledger_id
         WHERE p.next_attempt_at <= $1 AND p.psp = $2
         ORDER BY p.next_attempt_at LIMIT 1 FOR NO KEY UPDATE OF p SKIP LOCKED",
    )
    .bind(now)
    .bind(psp)
    .fetch_optional(conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let name: &str = row.try_get("name")?;
    let ledger = Ledger {
        id: row.try_get("ledger_id")?,
        name: name.parse().map_err(|_| unreadable("ledger", name))?,
    };
    Ok(Some((ledger, row.try_get("id")?)))
}

/// Which payouts to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this merchant.
    pub merchant: Option<MerchantId>,
    /// That stand so.
    pub status: Option<PayoutStatus>,
    /// Of this run.
    pub run_key: Option<String>,
    /// Only those older than this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

/// Payouts, the newest first.
///
/// # Errors
/// Where the database fails.
pub async fn list(
    conn: &mut PgConnection,
    ledger_id: i32,
    filter: &Filter,
) -> sqlx::Result<Vec<Payout>> {
    // Only what is asked for stands in the statement, so that each has the index that fits.
    let mut query = QueryBuilder::<Postgres>::new("SELECT * FROM payouts WHERE ledger_id = ");
    query.push_bind(ledger_id);
    let mut order = " ORDER BY ledger_id DESC, id DESC LIMIT ";
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.as_str());
        order = " ORDER BY ledger_id DESC, status DESC, id DESC LIMIT ";
    }
    if let Some(merchant) = &filter.merchant {
        query.push(" AND merchant = ").push_bind(merchant.as_str());
        if filter.status.is_none() {
            order = " ORDER BY ledger_id DESC, merchant DESC, id DESC LIMIT ";
        }
    }
    if let Some(run_key) = &filter.run_key {
        query.push(" AND run_key = ").push_bind(run_key);
    }
    if let Some(before) = filter.before {
        query.push(" AND id < ").push_bind(before);
    }
    query.push(order).push_bind(filter.limit);
    let rows = query.build().fetch_all(conn).await?;
    rows.iter().map(payout_of).collect()
}
