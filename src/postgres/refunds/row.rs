//! What a row holds.

use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::postgres::unreadable;
use crate::postgres::wallets::currency_of;

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundStatus {
    /// Its money is in transit, and nothing of it is at the PSP.
    Requested,
    /// The PSP took it.
    Sent,
    /// The money has left for the customer.
    Succeeded,
    /// It came to nothing; the money is back.
    Failed,
    /// Whether the PSP took it is not known; the money stays in transit.
    Unknown,
}

impl RefundStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Requested,
        Self::Sent,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
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
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Whether its money is in transit.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Sent | Self::Unknown)
    }

    /// Whether it counts into what went back of its payment.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        !matches!(self, Self::Failed)
    }
}

/// Whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Asked for here.
    Request,
    /// Made at the PSP, and heard of.
    Psp,
    /// A dispute was lost.
    Chargeback,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Request, Self::Psp, Self::Chargeback];

    /// The name in the schema and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Psp => "psp",
            Self::Chargeback => "chargeback",
        }
    }

    /// The origin of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// Who bears what goes back, minor units: `from_pending + from_available + from_owed +
/// fee_returned - penalty` is the amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Borne {
    /// The fee's share in the amount, whoever bears it.
    pub fee_share: i64,
    /// The fee that the platform gives back.
    pub fee_returned: i64,
    /// What the merchant pays the platform.
    pub penalty: i64,
    /// From what was paid, and not settled.
    pub from_pending: i64,
    /// From what was settled.
    pub from_available: i64,
    /// What the merchant had not got, and owes.
    pub from_owed: i64,
}

impl Borne {
    /// What the merchant bears, the penalty with it.
    #[must_use]
    pub const fn merchant(&self) -> i64 {
        let funds = self.from_pending.saturating_add(self.from_available);
        funds.saturating_add(self.from_owed)
    }

    /// What the platform bears; negative where it gains.
    #[must_use]
    pub const fn platform(&self) -> i64 {
        self.fee_returned.saturating_sub(self.penalty)
    }
}

/// A person's word on how a refund ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Who.
    pub by: String,
    /// When, UTC.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: String,
}

/// Money that goes back to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its id, and the note at the PSP.
    pub id: Uuid,
    /// Of which payment.
    pub payment_id: Uuid,
    /// The payment's merchant.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// Whose doing it is.
    pub origin: Origin,
    /// Minor units.
    pub amount: i64,
    /// Who bears it.
    pub borne: Borne,
    /// What the customer is told.
    pub customer_note: Option<String>,
    /// The PSP that it goes through.
    pub psp: String,
    /// The PSP's id of the refund, or of the dispute.
    pub psp_id: Option<String>,
    /// The PSP's last word.
    pub psp_status: Option<String>,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who asked for it, or told of it.
    pub requested_by: String,
    /// How it stands.
    pub status: RefundStatus,
    /// Since when a call sends it, UTC.
    pub sending_since: Option<OffsetDateTime>,
    /// The end of the last call that may have sent it without the PSP saying so, UTC.
    pub doubtful_until: Option<OffsetDateTime>,
    /// When the PSP's list was last read without it, UTC.
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
    /// When it was asked for or heard of, UTC.
    pub created_at: OffsetDateTime,
    /// When it last changed, UTC.
    pub updated_at: OffsetDateTime,
}

pub(super) fn refund_of(row: &PgRow) -> sqlx::Result<Refund> {
    let (merchant, status): (&str, &str) = (row.try_get("merchant")?, row.try_get("status")?);
    let origin: &str = row.try_get("origin")?;
    let resolved_by: Option<String> = row.try_get("resolved_by")?;
    let resolved_at: Option<OffsetDateTime> = row.try_get("resolved_at")?;
    let reason: Option<String> = row.try_get("reason")?;
    Ok(Refund {
        id: row.try_get("id")?,
        payment_id: row.try_get("payment_id")?,
        merchant: merchant
            .parse()
            .map_err(|_| unreadable("merchant", merchant))?,
        currency: currency_of(row.try_get("currency")?)?,
        origin: Origin::from_name(origin).ok_or_else(|| unreadable("refund origin", origin))?,
        amount: row.try_get("amount")?,
        borne: Borne {
            fee_share: row.try_get("fee_share")?,
            fee_returned: row.try_get("fee_returned")?,
            penalty: row.try_get("penalty")?,
            from_pending: row.try_get("from_pending")?,
            from_available: row.try_get("from_available")?,
            from_owed: row.try_get("from_owed")?,
        },
        customer_note: row.try_get("customer_note")?,
        psp: row.try_get("psp")?,
        psp_id: row.try_get("psp_id")?,
        psp_status: row.try_get("psp_status")?,
        correlation_id: row.try_get("correlation_id")?,
        traceparent: row.try_get("traceparent")?,
        requested_by: row.try_get("requested_by")?,
        status: RefundStatus::from_name(status)
            .ok_or_else(|| unreadable("refund status", status))?,
        sending_since: row.try_get("sending_since")?,
        doubtful_until: row.try_get("doubtful_until")?,
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
