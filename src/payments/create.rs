//! A payment is asked for: decided and written in one COMMIT, before any PSP hears of it.

use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CallbackUrl, Email, Options, PaymentError, PaymentReference, news};
use crate::event::EventType;
use crate::ledger::{Currency, IdempotencyKey, Ledger, Metadata};
use crate::merchant::{MerchantId, MerchantStatus};
use crate::postgres::payments::{self, NewRow, Payment};
use crate::postgres::psp_references::{self, SubjectKind};
use crate::postgres::{atomically, merchants};

/// A payment to be made.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// Makes a repeat safe.
    pub key: IdempotencyKey,
    /// Whose money it will be.
    pub merchant: MerchantId,
    /// Minor units.
    pub amount: i64,
    /// Of the amount.
    pub currency: Currency,
    /// The customer's address.
    pub email: Email,
    /// As the PSP is to know it; unless said, the payment's id.
    pub reference: Option<PaymentReference>,
    /// Where the customer goes after paying.
    pub callback_url: Option<CallbackUrl>,
    /// The caller's own.
    pub metadata: Option<Metadata>,
    /// What it belongs to. Not part of the fingerprint.
    pub correlation_id: Option<String>,
    /// W3C trace context, likewise.
    pub traceparent: Option<String>,
}

/// What came of asking for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    Now(Payment),
    /// It had been asked for under this key, and stands so.
    Before(Payment),
    /// A rule says no; nothing was written.
    Rejected(Refused),
}

/// A rule's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Stable, for programs.
    pub code: &'static str,
    /// What happened, to which thing, and what to do about it.
    pub detail: String,
}

impl Created {
    fn rejected(code: &'static str, detail: String) -> Self {
        Self::Rejected(Refused { code, detail })
    }
}

/// Writes a payment with its reference and its event, so that the PSP can be called for it. The fee
/// is that of the terms in force, whose version the payment keeps.
///
/// Looked for in this order: `idempotency_key_reused`, `amount_not_positive`, `merchant_not_found`,
/// `merchant_frozen`, `currency_not_agreed`, `reference_taken`.
///
/// # Errors
/// Where the database fails. After a lost connection the key tells whether it took effect.
pub async fn create(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    new: &NewPayment,
    now: OffsetDateTime,
) -> Result<Created, PaymentError> {
    atomically!(pool, |conn| decide(conn, options, ledger, new, now))
}

async fn decide(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    new: &NewPayment,
    now: OffsetDateTime,
) -> Result<Created, PaymentError> {
    let hash = new.fingerprint();
    if let Some(before) = before(conn, ledger, new, hash).await? {
        return Ok(before);
    }
    if new.amount <= 0 {
        let detail = format!("The amount is {}: a payment is of 1 or more.", new.amount);
        return Ok(Created::rejected("amount_not_positive", detail));
    }
    let NewPayment {
        merchant, currency, ..
    } = new;
    // Held still, so that a payment is never made after the merchant was frozen.
    let Some(found) = merchants::hold_still(conn, ledger.id, merchant).await? else {
        let detail = format!("There is no merchant {merchant} in ledger {}.", ledger.name);
        return Ok(Created::rejected("merchant_not_found", detail));
    };
    if found.status == MerchantStatus::Frozen {
        let detail = format!("The merchant {merchant} is frozen: it takes no payments.");
        return Ok(Created::rejected("merchant_frozen", detail));
    }
    let terms = merchants::terms_now(conn, ledger.id, merchant, *currency).await?;
    let Some(agreed) = terms else {
        let detail = format!(
            "The merchant {merchant} has agreed on no terms in {currency}: agree on them first."
        );
        return Ok(Created::rejected("currency_not_agreed", detail));
    };
    let id = Uuid::now_v7();
    let own = id.to_string();
    let reference = new
        .reference
        .as_ref()
        .map_or(&*own, PaymentReference::as_str);
    let kind = SubjectKind::Payment;
    if !psp_references::take(conn, &options.psp, reference, ledger.id, kind, id).await? {
        // Perhaps by the same request, which came in at the same time.
        if let Some(before) = before(conn, ledger, new, hash).await? {
            return Ok(before);
        }
        let detail = format!(
            "The reference {reference} stands for something else at {} already: write another \
             one, or none.",
            options.psp
        );
        return Ok(Created::rejected("reference_taken", detail));
    }
    let charge = agreed.terms.fee().charge(new.amount);
    let row = NewRow {
        id,
        idempotency_key: new.key.as_str(),
        request_hash: hash,
        merchant,
        currency: *currency,
        terms_version: agreed.version,
        psp: &options.psp,
        reference,
        email: new.email.as_str(),
        callback_url: new.callback_url.as_ref().map(CallbackUrl::as_str),
        metadata: new.metadata.as_ref().map(Metadata::as_str),
        correlation_id: new.correlation_id.as_deref(),
        traceparent: new.traceparent.as_deref(),
        amount: new.amount,
        fee: charge.fee(),
        net: charge.net(),
        created_at: now,
        // Whoever asked calls the PSP right away; others do if that ends without a word.
        next_attempt_at: now + options.lease,
    };
    payments::insert(conn, ledger.id, &row).await?;
    let written = payments::find(conn, ledger.id, id).await?;
    let payment = written.ok_or(sqlx::Error::RowNotFound)?;
    let event = EventType::PaymentCreated;
    news::tell(conn, options, ledger, event, &payment, now).await?;
    Ok(Created::Now(payment))
}

/// What an earlier request under the same key came to.
async fn before(
    conn: &mut PgConnection,
    ledger: &Ledger,
    new: &NewPayment,
    hash: [u8; 32],
) -> sqlx::Result<Option<Created>> {
    let found = payments::find_by_key(conn, ledger.id, new.key.as_str()).await?;
    Ok(found.map(|payment| match payment.request_hash == hash {
        true => Created::Before(payment),
        false => {
            let detail = format!(
                "The key {} stands for payment {}, which is another one: write a new key.",
                new.key, payment.id
            );
            Created::rejected("idempotency_key_reused", detail)
        }
    }))
}

impl NewPayment {
    /// Equal requests, equal fingerprints.
    fn fingerprint(&self) -> [u8; 32] {
        let amount = self.amount.to_string();
        let parts = [
            Some(self.merchant.as_str()),
            Some(self.currency.code()),
            Some(amount.as_str()),
            Some(self.email.as_str()),
            self.reference.as_ref().map(PaymentReference::as_str),
            self.callback_url.as_ref().map(CallbackUrl::as_str),
            self.metadata.as_ref().map(Metadata::as_str),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths keep neighbours apart, and what is absent from what is empty.
            let length = part.map_or(u64::MAX, |text| text.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        hash.finalize().into()
    }
}
