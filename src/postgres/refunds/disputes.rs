//! Disputes.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::postgres::{storable, unreadable};

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisputeState {
    /// Not decided.
    Open,
    /// The money stays.
    Won,
    /// The money went back to the customer.
    Lost,
}

impl DisputeState {
    /// The name in the schema.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The PSP's name.
    pub psp: String,
    /// The PSP's id of it.
    pub psp_id: String,
    /// About which payment.
    pub payment_id: Uuid,
    /// What goes back if it is lost, minor units; none: not said.
    pub amount: Option<i64>,
    /// In the PSP's words.
    pub category: Option<String>,
    /// How it stands.
    pub state: DisputeState,
    /// The chargeback that it was lost by.
    pub refund_id: Option<Uuid>,
}

/// The dispute of that id, locked.
///
/// # Errors
/// Where the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    ledger_id: i32,
    psp: &str,
    psp_id: &str,
) -> sqlx::Result<Option<Dispute>> {
    let found = sqlx::query(
        "SELECT psp, psp_id, payment_id, amount, category, status, refund_id FROM disputes
         WHERE ledger_id = $1 AND psp = $2 AND psp_id = $3 FOR NO KEY UPDATE",
    )
    .bind(ledger_id)
    .bind(psp)
    .bind(storable(psp_id))
    .fetch_optional(conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let status: &str = row.try_get("status")?;
    let states = [DisputeState::Open, DisputeState::Won, DisputeState::Lost];
    Ok(Some(Dispute {
        psp: row.try_get("psp")?,
        psp_id: row.try_get("psp_id")?,
        payment_id: row.try_get("payment_id")?,
        amount: row.try_get("amount")?,
        category: row.try_get("category")?,
        state: states
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| unreadable("dispute status", status))?,
        refund_id: row.try_get("refund_id")?,
    }))
}

/// Writes a dispute as it stands now, be it new or not.
///
/// # Errors
/// Where the database fails.
pub async fn put(
    conn: &mut PgConnection,
    ledger_id: i32,
    dispute: &Dispute,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO disputes (
             ledger_id, psp, psp_id, payment_id, amount, category, status, refund_id, created_at,
             updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         ON CONFLICT ON CONSTRAINT disputes_pkey DO UPDATE SET
             amount = coalesce(excluded.amount, disputes.amount), status = excluded.status,
             refund_id = excluded.refund_id, updated_at = excluded.updated_at",
    )
    .bind(ledger_id)
    .bind(&dispute.psp)
    .bind(storable(&dispute.psp_id))
    .bind(dispute.payment_id)
    .bind(dispute.amount)
    .bind(dispute.category.as_deref().map(storable))
    .bind(dispute.state.as_str())
    .bind(dispute.refund_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a payment has a dispute that is not decided.
///
/// # Errors
/// Where the database fails.
pub async fn has_open(
    conn: &mut PgConnection,
    ledger_id: i32,
    payment_id: Uuid,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM disputes
                        WHERE ledger_id = $1 AND payment_id = $2 AND status = 'open')",
    )
    .bind(ledger_id)
    .bind(payment_id)
    .fetch_one(conn)
    .await
}
