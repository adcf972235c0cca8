//! Books what the PSP kept, where the ledger had not heard of it. Comes last in a run: it locks
//! payments, payouts and the wallets that everybody posts to.

use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Options, ReconcileError};
use crate::engine::{Posting, REQUEST_COMMANDS_MAX, post_own};
use crate::ledger::{Currency, Ledger};
use crate::merchant::house;
use crate::payouts;
use crate::postgres::reconciliations::{self as lines, Scope};
use crate::postgres::{ATTEMPTS_MAX, Undone as _};

/// A sum in a currency, minor units.
type Fees = Vec<(Currency, i64)>;

/// Books them: a payout's as its own transaction, the others in one of each currency. What was taken,
/// by currency. Is tried again by itself where the server undoes it: the file is read already.
pub(super) async fn book(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    scope: &Scope<'_>,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Fees, ReconcileError> {
    if scope.psp.is_none() {
        return Ok(Vec::new());
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut savepoint = conn.begin().await?;
        match attempt(&mut savepoint, options, ledger, scope, id, now).await {
            Ok(booked) => {
                savepoint.commit().await?;
                return Ok(booked);
            }
            Err(error) if error.is_undone() && attempts < ATTEMPTS_MAX => {
                savepoint.rollback().await?;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    scope: &Scope<'_>,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Fees, ReconcileError> {
    let mut booked: Fees = Vec::new();
    let mut add = |currency: Currency, amount: i64| match booked
        .iter_mut()
        .find(|(known, _)| *known == currency)
    {
        Some((_, sum)) => *sum = sum.saturating_add(amount),
        None => booked.push((currency, amount)),
    };
    let mut postings = Vec::new();
    for fee in lines::fees_of_payouts(conn).await? {
        match payouts::take_fee(conn, ledger, fee.payout_id, fee.amount, now).await? {
            Some((currency, of_payout)) => {
                add(currency, fee.amount);
                postings.extend(of_payout);
            }
            None => lines::fee_was_known(conn, scope, fee.line_id).await?,
        }
    }
    let psp = house::psp(scope.psp.unwrap_or_default());
    for fee in lines::take_fees(conn, scope, now).await? {
        let currency: Currency = fee
            .currency
            .parse()
            .map_err(|problem: String| ReconcileError::refused("currency_unknown", problem))?;
        add(currency, fee.amount);
        postings.push(
            Posting::new(&format!("reconciliation:{id}:psp_fees:{currency}"))
                .leg(house::psp_fees(), currency, fee.amount.saturating_neg())
                .leg(psp.clone(), currency, fee.amount),
        );
    }
    while !postings.is_empty() {
        let next = postings.split_off(postings.len().min(REQUEST_COMMANDS_MAX));
        post_own(conn, ledger, postings, &options.topic_transactions).await??;
        postings = next;
    }
    booked.sort_by_key(|(currency, _)| currency.code());
    Ok(booked)
}
