//! Payouts and the calls to the PSP about them.

mod attempts;
mod read;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::standing::came_to;
use super::storable;
use crate::ledger::{Address, Currency, Wallet};
use crate::merchant::MerchantId;

pub use attempts::{Attempt, AttemptKind, Outcome, attempts, begin_attempt, end_attempt};
pub use read::{Filter, by_key, find, list, lock, next_due, of_run, open_attempts, request_hash};

/// How a payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayoutStatus {
    /// Its funds are in transit, and nothing of it is at the PSP.
    Requested,
    /// The PSP took it.
    Sent,
    /// The recipient has the money.
    Succeeded,
    /// It came to nothing; the funds are back.
    Failed,
    /// Whether the PSP took it is not known; the funds stay in transit.
    Unknown,
    /// It had succeeded, and came back.
    Returned,
}

impl PayoutStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Requested,
        Self::Sent,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Returned,
    ];

    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Returned => "returned",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Whether the funds are in transit.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Sent | Self::Unknown)
    }
}

/// Which payout of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunItem {
    /// The run's key.
    pub run_key: String,
    /// Its place in the run's list.
    pub number: i32,
}

/// A person's word on how a payout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Who.
    pub by: String,
    /// When, UTC.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: String,
}

/// Calls after which the PSP may have it, without having said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// When the first of them began, UTC.
    pub since: OffsetDateTime,
    /// When the last of them was over, UTC.
    pub until: OffsetDateTime,
}

/// Money on its way to a merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Its id.
    pub id: Uuid,
    /// To whom.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// The terms that it was asked for under.
    pub terms_version: i32,
    /// Minor units.
    pub amount: i64,
    /// The PSP that it goes through.
    pub psp: String,
    /// As the PSP knows it.
    pub reference: String,
    /// The PSP's name for where it goes.
    pub recipient: String,
    /// The caller's own name for it.
    pub label: Option<String>,
    /// The run that it is a part of.
    pub run: Option<RunItem>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who asked for it.
    pub requested_by: String,
    /// How it stands.
    pub status: PayoutStatus,
    /// The PSP's code for it; none: it never acknowledged the reference.
    pub psp_code: Option<String>,
    /// What the PSP took for itself, once that is known and booked, minor units.
    pub psp_fee: Option<i64>,
    /// Calls that may have sent it without the PSP saying so.
    pub doubt: Option<Doubt>,
    /// Whether the PSP refused it after such a call.
    pub refused: bool,
    /// When the PSP last said that it doesn't know the reference, UTC.
    pub not_known_at: Option<OffsetDateTime>,
    /// When the PSP is called next, UTC; none: never again.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// Calls so far.
    pub attempts: i32,
    /// Waits since it last changed how it stands.
    pub waits: i32,
    /// What went wrong last, or stands in its way.
    pub last_error: Option<String>,
    /// What a person said.
    pub resolution: Option<Resolution>,
    /// When it was asked for, UTC.
    pub created_at: OffsetDateTime,
    /// When it last changed, UTC.
    pub updated_at: OffsetDateTime,
}

/// Writes a new payout, whose reference is taken already.
///
/// # Errors
/// Where the database fails; a unique violation where somebody was first with the key.
pub async fn insert(
    conn: &mut PgConnection,
    ledger_id: i32,
    payout: &Payout,
    key: &str,
    request_hash: &[u8; 32],
) -> sqlx::Result<()> {
    let (run_key, run_number) = payout
        .run
        .as_ref()
        .map(|item| (item.run_key.as_str(), item.number))
        .unzip();
    sqlx::query(
        "INSERT INTO payouts (
             ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version,
             amount, psp, reference, recipient, label, run_key, run_number, correlation_id,
             traceparent, requested_by, status, next_attempt_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $19, $20, $20)",
    )
    .bind(ledger_id)
    .bind(payout.id)
    .bind(key)
    .bind(&request_hash[..])
    .bind(payout.merchant.as_str())
    .bind(payout.currency.code())
    .bind(payout.terms_version)
    .bind(payout.amount)
    .bind(&payout.psp)
    .bind(&payout.reference)
    .bind(&payout.recipient)
    .bind(payout.label.as_deref())
    .bind(run_key)
    .bind(run_number)
    .bind(payout.correlation_id.as_deref())
    .bind(payout.traceparent.as_deref())
    .bind(storable(&payout.requested_by))
    .bind(payout.status.as_str())
    .bind(payout.next_attempt_at)
    .bind(payout.created_at)
    .execute(conn)
    .await?;
    came_to("aegis_payouts_total", payout.status.as_str(), 1);
    Ok(())
}

/// Writes how a locked payout stands now: whether it still stood as `before` said.
///
/// # Errors
/// Where the database fails.
pub async fn update(
    conn: &mut PgConnection,
    ledger_id: i32,
    before: PayoutStatus,
    payout: &Payout,
) -> sqlx::Result<bool> {
    let (since, until) = payout.doubt.map(|doubt| (doubt.since, doubt.until)).unzip();
    let resolution = payout.resolution.as_ref();
    let done = sqlx::query(
        "UPDATE payouts SET
             status = $4, psp_code = $5, psp_fee = $6, doubtful_since = $7, doubtful_until = $8,
             not_known_at = $9, next_attempt_at = $10, attempts = $11, waits = $12,
             last_error = $13, resolved_by = $14, resolved_at = $15, reason = $16, updated_at = $17,
             refused = $18
         WHERE ledger_id = $1 AND id = $2 AND status = $3",
    )
    .bind(ledger_id)
    .bind(payout.id)
    .bind(before.as_str())
    .bind(payout.status.as_str())
    .bind(payout.psp_code.as_deref().map(storable))
    .bind(payout.psp_fee)
    .bind(since)
    .bind(until)
    .bind(payout.not_known_at)
    .bind(payout.next_attempt_at)
    .bind(payout.attempts)
    .bind(payout.waits)
    .bind(payout.last_error.as_deref().map(storable))
    .bind(resolution.map(|resolution| storable(&resolution.by)))
    .bind(resolution.map(|resolution| resolution.at))
    .bind(resolution.map(|resolution| storable(&resolution.reason)))
    .bind(payout.updated_at)
    .bind(payout.refused)
    .execute(conn)
    .await?;
    if before != payout.status {
        came_to(
            "aegis_payouts_total",
            payout.status.as_str(),
            done.rows_affected(),
        );
    }
    Ok(done.rows_affected() == 1)
}

/// Locks the wallets that a payout moves, in order of their ids as every posting does.
///
/// # Errors
/// Where the database fails.
pub async fn lock_wallets(
    conn: &mut PgConnection,
    ledger_id: i32,
    paying: &Address,
    transit: &Address,
    currency: Currency,
) -> sqlx::Result<Vec<Wallet>> {
    sqlx::query(
        "SELECT * FROM wallets
         WHERE ledger_id = $1 AND address IN ($2, $3) AND currency = $4
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(paying.as_str())
    .bind(transit.as_str())
    .bind(currency.code())
    .fetch_all(conn)
    .await?
    .iter()
    .map(super::wallets::from_row)
    .collect()
}
