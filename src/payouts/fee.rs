//! A payout's fee that a statement tells of before the PSP's own answers do.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::advance::lock;
use super::apply::fee_moves;
use super::{Payout, PayoutError, PayoutStatus};
use crate::engine::Posting;
use crate::ledger::{Currency, Ledger, whole_microseconds};
use crate::postgres::payouts;

/// Writes the fee, minor units, into the payout's row: its currency, and what is to be posted for it.
/// One that has come back by now brought its fee back, too. `None`: its fee was known, or it is not
/// paid.
///
/// # Errors
/// [`PayoutError`]; the transaction is then to be rolled back.
pub async fn take_fee(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: Uuid,
    fee: i64,
    now: OffsetDateTime,
) -> Result<Option<(Currency, Vec<Posting>)>, PayoutError> {
    let payout = lock(conn, ledger, id).await?;
    let is_back = payout.status == PayoutStatus::Returned;
    if payout.psp_fee.is_some() || !(is_back || payout.status == PayoutStatus::Succeeded) {
        return Ok(None);
    }
    let payout = Payout {
        psp_fee: Some(fee),
        updated_at: whole_microseconds(now),
        ..payout
    };
    payouts::update(conn, ledger.id, payout.status, &payout).await?;
    let mut postings = vec![fee_moves(&payout, "psp_fee", fee)];
    if is_back {
        let back = fee.saturating_neg();
        postings.push(fee_moves(&payout, "psp_fee_returned", back));
    }
    Ok(Some((payout.currency, postings)))
}
