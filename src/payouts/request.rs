//! Asking for a payout: its funds into transit and its reference written, in the caller's COMMIT.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{NewPayout, Options, Payout, PayoutError, PayoutStatus, Requested, tell};
use crate::engine::{Posting, post_own};
use crate::event::EventType;
use crate::ledger::{Details, Ledger, RejectionCode, WalletStatus, whole_microseconds};
use crate::merchant::{AgreedTerms, MerchantStatus, Purse, house};
use crate::postgres::psp_references::{self, SubjectKind};
use crate::postgres::{merchants, payouts};
use crate::resilience::failpoint;

/// Asks for a payout within the caller's transaction, which is to be rolled back on an error and
/// may be committed on a rejection: that is found before anything is written.
///
/// The rules, in the order in which they are looked at: `idempotency_key_reused`,
/// `amount_not_positive`, `merchant_not_found`, `merchant_frozen`, `currency_not_agreed`,
/// `recipient_missing`, `amount_below_minimum`, `wallet_frozen`, `insufficient_funds`.
///
/// # Errors
/// [`PayoutError`]. A unique violation, which [`crate::postgres::Undone`] knows, means that somebody
/// else was first with the key: run it again.
pub async fn request(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    new: &NewPayout,
    now: OffsetDateTime,
) -> Result<Requested, PayoutError> {
    let (hash, now) = (fingerprint(new), whole_microseconds(now));
    if let Some(before) = payouts::by_key(conn, ledger.id, new.key.as_str()).await? {
        return same_or_reused(conn, ledger, new, before, &hash).await;
    }
    let agreed = match terms(conn, ledger, new).await? {
        Ok(agreed) => agreed,
        Err(rejected) => return Ok(rejected),
    };
    let Some(recipient) = agreed.terms.payout().recipient() else {
        return Ok(rejected(
            "recipient_missing",
            format!(
                "merchant {} has no payout recipient in {}: agree on terms with one",
                new.merchant, new.currency
            ),
        ));
    };
    let minimum = agreed.terms.payout().minimum();
    if new.amount < minimum {
        return Ok(rejected(
            "amount_below_minimum",
            format!(
                "a payout of {} is below the {minimum} {} agreed on with merchant {}: pay more at \
                 once, or agree on other terms",
                new.amount, new.currency, new.merchant
            ),
        ));
    }
    let (paying, transit) = (
        new.merchant.wallet(Purse::Available),
        house::payouts_in_transit(),
    );
    let wallets = payouts::lock_wallets(conn, ledger.id, &paying, &transit, new.currency).await?;
    // The same request may have come in at the same time, and have had the money by now: it must
    // not be told that there is none.
    if let Some(before) = payouts::by_key(conn, ledger.id, new.key.as_str()).await? {
        return same_or_reused(conn, ledger, new, before, &hash).await;
    }
    if let Some(frozen) = wallets.iter().find(|w| w.status == WalletStatus::Frozen) {
        return Ok(rejected(
            RejectionCode::WalletFrozen.as_str(),
            format!("{} is frozen in {}", frozen.address, new.currency),
        ));
    }
    // The wallet itself may fall below 0, for refunds and chargebacks only.
    let wallet = wallets.iter().find(|wallet| wallet.address == paying);
    let spendable = wallet.map_or(0, |wallet| wallet.balance.saturating_sub(wallet.held));
    if spendable < new.amount {
        return Ok(rejected(
            RejectionCode::InsufficientFunds.as_str(),
            format!(
                "{paying} has {spendable} {} to pay out, and {} were asked for: pay out less, or \
                 after the next settlement",
                new.currency, new.amount
            ),
        ));
    }
    let payout = draft(options, new, &agreed, recipient, now);
    write(conn, options, ledger, new, &payout, &hash, now).await?;
    failpoint::reach(failpoint::PAYOUT_REQUESTS);
    Ok(Requested::Now(payout))
}

/// Row, reference, money and event.
async fn write(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    new: &NewPayout,
    payout: &Payout,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<(), PayoutError> {
    let (id, psp, reference) = (payout.id, &payout.psp, &payout.reference);
    let kind = SubjectKind::Payout;
    if !psp_references::take(conn, psp, reference, ledger.id, kind, id).await? {
        let told = format!("the new reference {reference} is taken already at the PSP {psp}");
        return Err(sqlx::Error::Protocol(told).into());
    }
    payouts::insert(conn, ledger.id, payout, new.key.as_str(), hash).await?;
    let posting = Posting::new(&format!("payout:{id}:requested"))
        .leg(
            payout.merchant.wallet(Purse::Available),
            payout.currency,
            payout.amount.saturating_neg(),
        )
        .leg(house::payouts_in_transit(), payout.currency, payout.amount)
        .with_details(details(payout));
    let topic = &options.topic_transactions;
    if let Err(rejection) = post_own(conn, ledger, vec![posting], topic).await? {
        return Err(PayoutError::Refused { id, rejection });
    }
    tell(
        conn,
        options,
        ledger,
        payout,
        EventType::PayoutRequested,
        now,
    )
    .await?;
    Ok(())
}

/// The terms that a payout is asked for under, or why there are none.
async fn terms(
    conn: &mut PgConnection,
    ledger: &Ledger,
    new: &NewPayout,
) -> sqlx::Result<Result<AgreedTerms, Requested>> {
    let (merchant, currency) = (&new.merchant, new.currency);
    if new.amount <= 0 {
        let detail = format!("the amount {} is not above 0", new.amount);
        return Ok(Err(rejected(
            RejectionCode::AmountNotPositive.as_str(),
            detail,
        )));
    }
    let Some(found) = merchants::hold_still(conn, ledger.id, merchant).await? else {
        let detail = format!("there is no merchant {merchant} in ledger {}", ledger.name);
        return Ok(Err(rejected("merchant_not_found", detail)));
    };
    if found.status == MerchantStatus::Frozen {
        let detail =
            format!("merchant {merchant} is frozen and is not paid out: unfreeze it first");
        return Ok(Err(rejected("merchant_frozen", detail)));
    }
    let agreed = merchants::terms_now(conn, ledger.id, merchant, currency).await?;
    Ok(agreed.ok_or_else(|| {
        rejected(
            "currency_not_agreed",
            format!("merchant {merchant} has no terms in {currency}: agree on some first"),
        )
    }))
}

async fn same_or_reused(
    conn: &mut PgConnection,
    ledger: &Ledger,
    new: &NewPayout,
    before: Payout,
    hash: &[u8; 32],
) -> Result<Requested, PayoutError> {
    match payouts::request_hash(conn, ledger.id, before.id).await? == *hash {
        true => Ok(Requested::Before(before)),
        false => Ok(rejected(
            RejectionCode::IdempotencyKeyReused.as_str(),
            format!(
                "the key {:?} stands for payout {} of {} {} to {}: take another key for another \
                 payout",
                new.key.as_str(),
                before.id,
                before.amount,
                before.currency,
                before.merchant
            ),
        )),
    }
}

fn rejected(code: &'static str, detail: String) -> Requested {
    Requested::Rejected { code, detail }
}

fn draft(
    options: &Options,
    new: &NewPayout,
    agreed: &AgreedTerms,
    recipient: &str,
    now: OffsetDateTime,
) -> Payout {
    let id = Uuid::now_v7();
    Payout {
        id,
        merchant: new.merchant.clone(),
        currency: new.currency,
        terms_version: agreed.version,
        amount: new.amount,
        psp: options.psp_name.clone(),
        reference: id.to_string(),
        recipient: recipient.to_owned(),
        label: new.label.clone(),
        run: new.run.clone(),
        correlation_id: new.correlation_id.clone(),
        traceparent: new.traceparent.clone(),
        requested_by: new.requested_by.clone(),
        status: PayoutStatus::Requested,
        psp_code: None,
        psp_fee: None,
        doubt: None,
        refused: false,
        not_known_at: None,
        next_attempt_at: Some(now),
        attempts: 0,
        waits: 0,
        last_error: None,
        resolution: None,
        created_at: now,
        updated_at: now,
    }
}

/// What makes a request another one. Who asks and what it belongs to may differ in a repeat.
fn fingerprint(new: &NewPayout) -> [u8; 32] {
    let amount = new.amount.to_string();
    let (run_key, number) = match &new.run {
        Some(run) => (run.run_key.as_str(), run.number.to_string()),
        None => ("", String::new()),
    };
    let label = new.label.as_deref().unwrap_or_default();
    let parts = [
        new.merchant.as_str(),
        new.currency.code(),
        &amount,
        label,
        run_key,
        &number,
    ];
    let mut hash = Sha256::new();
    hash.update([u8::from(new.label.is_some()), u8::from(new.run.is_some())]);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What stands beside the legs of a payout's transactions.
pub(super) fn details(payout: &Payout) -> Details {
    Details {
        reference: Some(payout.reference.clone()),
        correlation_id: payout.correlation_id.clone(),
        traceparent: payout.traceparent.clone(),
        ..Details::default()
    }
}
