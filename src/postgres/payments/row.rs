//! What a row holds.

use sqlx::Row;
use sqlx::postgres::PgRow;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::{currency_of, hash_of};

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    /// Asked for; the PSP has not answered yet.
    Created,
    /// The customer can pay.
    Pending,
    /// The customer paid, and the merchant is credited.
    Succeeded,
    /// Came to nothing.
    Failed,
    /// The customer never paid.
    Abandoned,
    /// Paid, and a part of it given back.
    PartlyRefunded,
    /// Paid, and all of it given back.
    Refunded,
    /// Paid, and the customer disputes it.
    Disputed,
}

impl PaymentStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Pending,
        Self::Succeeded,
        Self::Failed,
        Self::Abandoned,
        Self::PartlyRefunded,
        Self::Refunded,
        Self::Disputed,
    ];

    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::PartlyRefunded => "partly_refunded",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Whether the money came, whatever became of it since.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        match self {
            Self::Succeeded | Self::PartlyRefunded | Self::Refunded | Self::Disputed => true,
            Self::Created | Self::Pending | Self::Failed | Self::Abandoned => false,
        }
    }
}

/// A payment. Amounts are minor units, times UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Never used again; a UUIDv7.
    pub id: Uuid,
    /// The key that it was asked for under.
    pub idempotency_key: String,
    /// Of the request.
    pub request_hash: [u8; 32],
    /// Whose money it is.
    pub merchant: MerchantId,
    /// Of all amounts.
    pub currency: Currency,
    /// The version of the merchant's terms under which it was made.
    pub terms_version: i32,
    /// Through whom it comes.
    pub psp: String,
    /// As the PSP knows it.
    pub reference: String,
    /// The customer's address.
    pub email: String,
    /// Where the customer goes after paying.
    pub callback_url: Option<String>,
    /// The caller's own JSON object, as text.
    pub metadata: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// What the customer pays: `fee + net`.
    pub amount: i64,
    /// The platform's part.
    pub fee: i64,
    /// The merchant's part.
    pub net: i64,
    /// How it stands.
    pub status: PaymentStatus,
    /// Where the customer pays.
    pub checkout_url: Option<String>,
    /// The PSP's own id, once it is paid.
    pub psp_id: Option<String>,
    /// What the PSP keeps of the amount, once it is known.
    pub psp_fee: Option<i64>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When the row changed last.
    pub updated_at: OffsetDateTime,
    /// When the PSP is called next; none: no call is due.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// While created: calls that failed. While pending: how often the PSP was asked.
    pub attempts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When the customer paid.
    pub paid_at: Option<OffsetDateTime>,
    /// The merchant's day that it counts for.
    pub period: Option<Date>,
    /// When it matures.
    pub matures_at: Option<OffsetDateTime>,
    /// Its part of `merchant:<m>:pending`.
    pub unsettled: i64,
    /// What settled it.
    pub settlement_id: Option<Uuid>,
    /// What went back of the amount, or is on its way back.
    pub refunded: i64,
}

/// A payment to write.
#[derive(Clone, Debug)]
pub struct NewRow<'a> {
    /// A UUIDv7.
    pub id: Uuid,
    /// The caller's.
    pub idempotency_key: &'a str,
    /// Of the request.
    pub request_hash: [u8; 32],
    /// Whose money it is.
    pub merchant: &'a MerchantId,
    /// Of all amounts.
    pub currency: Currency,
    /// The version of the terms in force.
    pub terms_version: i32,
    /// Through whom it comes.
    pub psp: &'a str,
    /// As the PSP will know it.
    pub reference: &'a str,
    /// The customer's address.
    pub email: &'a str,
    /// Where the customer goes after paying.
    pub callback_url: Option<&'a str>,
    /// A JSON object.
    pub metadata: Option<&'a str>,
    /// What it belongs to.
    pub correlation_id: Option<&'a str>,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
    /// Minor units, positive: `fee + net`.
    pub amount: i64,
    /// Minor units.
    pub fee: i64,
    /// Minor units.
    pub net: i64,
    /// UTC.
    pub created_at: OffsetDateTime,
    /// When somebody else may call the PSP for it.
    pub next_attempt_at: OffsetDateTime,
}

/// The columns of a [`Payment`], of `payments p`.
macro_rules! columns {
    () => {
        "p.id, p.idempotency_key, p.request_hash::bytea, p.merchant::text, p.currency::text,
         p.terms_version, p.psp, p.reference, p.email, p.callback_url, p.metadata::text,
         p.correlation_id, p.traceparent, p.amount, p.fee, p.net, p.status, p.checkout_url,
         p.psp_id, p.psp_fee, p.created_at, p.updated_at, p.next_attempt_at, p.attempts,
         p.last_error, p.paid_at, p.period, p.matures_at, p.unsettled, p.settlement_id, p.refunded"
    };
}
pub(super) use columns;

pub(super) fn payment_of(row: &PgRow) -> sqlx::Result<Payment> {
    let (merchant, status): (&str, &str) = (row.try_get("merchant")?, row.try_get("status")?);
    let attempts: i32 = row.try_get("attempts")?;
    Ok(Payment {
        id: row.try_get("id")?,
        idempotency_key: row.try_get("idempotency_key")?,
        request_hash: hash_of(row.try_get("request_hash")?)?,
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(row.try_get("currency")?)?,
        terms_version: row.try_get("terms_version")?,
        psp: row.try_get("psp")?,
        reference: row.try_get("reference")?,
        email: row.try_get("email")?,
        callback_url: row.try_get("callback_url")?,
        metadata: row.try_get("metadata")?,
        correlation_id: row.try_get("correlation_id")?,
        traceparent: row.try_get("traceparent")?,
        amount: row.try_get("amount")?,
        fee: row.try_get("fee")?,
        net: row.try_get("net")?,
        status: PaymentStatus::from_name(status)
            .ok_or_else(|| unreadable("payment status", status))?,
        checkout_url: row.try_get("checkout_url")?,
        psp_id: row.try_get("psp_id")?,
        psp_fee: row.try_get("psp_fee")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        attempts: u32::try_from(attempts).unwrap_or(0),
        last_error: row.try_get("last_error")?,
        paid_at: row.try_get("paid_at")?,
        period: row.try_get("period")?,
        matures_at: row.try_get("matures_at")?,
        unsettled: row.try_get("unsettled")?,
        settlement_id: row.try_get("settlement_id")?,
        refunded: row.try_get("refunded")?,
    })
}
