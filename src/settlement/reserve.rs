//! A reserve whose time has come.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{Options, SettlementError};
use crate::engine::{Posting, post_own};
use crate::event::EventType;
use crate::ledger::{Details, Ledger};
use crate::merchant::Purse;
use crate::postgres::atomically;
use crate::postgres::outbox::{self, News};
use crate::postgres::settlements::{self, DueReserve};

/// A reserve, and where it goes when it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What was held back.
    pub reserve: DueReserve,
    /// Of it, what pays back what the merchant owes, minor units.
    pub owed_repaid: i64,
    /// Of it, what becomes available, minor units.
    pub released: i64,
}

impl Release {
    /// Of a merchant that owes so much, 0 or more.
    pub(super) fn of(reserve: DueReserve, owes: i64) -> Self {
        let owed_repaid = owes.clamp(0, reserve.amount.max(0));
        Self {
            owed_repaid,
            // Within the amount, by the line above.
            released: reserve.amount.saturating_sub(owed_repaid),
            reserve,
        }
    }
}

/// Releases a reserve; `None` where it was released before. What the merchant owes is paid back
/// first.
///
/// # Errors
/// [`SettlementError`]. After a lost connection it may have taken effect; a repeat finds out.
pub async fn release(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    reserve: &DueReserve,
    now: OffsetDateTime,
) -> Result<Option<Release>, SettlementError> {
    atomically!(pool, |conn| within(conn, options, ledger, reserve, now))
}

async fn within(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    reserve: &DueReserve,
    now: OffsetDateTime,
) -> Result<Option<Release>, SettlementError> {
    let (of, version) = (reserve.settlement_id, reserve.terms_version);
    let held = settlements::reserve_for_release(conn, ledger.id, of, version).await?;
    let Some(held) = held else {
        return Ok(None);
    };
    let (merchant, currency) = (held.merchant.clone(), held.currency);
    let purses = [Purse::Owed, Purse::Available, Purse::Reserve];
    let addresses = purses.map(|purse| merchant.wallet(purse));
    let wallets = settlements::lock_wallets(conn, ledger.id, currency, &addresses).await?;
    let owes = wallets.first().map_or(0, |owed| owed.balance);
    let release = Release::of(held, owes.saturating_neg());
    let (held, repaid, released) = (&release.reserve, release.owed_repaid, release.released);
    let out = held.amount.checked_neg().ok_or(SettlementError::TooLarge)?;
    let details = Details {
        reference: Some(format!("reserve {merchant} {of}")),
        ..Details::default()
    };
    let posting = Posting::new(&format!("settlement:{of}:reserve:{version}"))
        .with_details(details)
        .leg(merchant.wallet(Purse::Reserve), currency, out)
        .leg(merchant.wallet(Purse::Owed), currency, repaid)
        .leg(merchant.wallet(Purse::Available), currency, released);
    let posted = post_own(conn, ledger, vec![posting], &options.topic_transactions).await?;
    let receipts = posted.map_err(SettlementError::Refused)?;
    let receipt = receipts.first().ok_or(sqlx::Error::RowNotFound)?;
    let transaction_id = receipt.transaction_id;
    settlements::release(conn, ledger.id, held, repaid, transaction_id, now).await?;
    let payload = json!({
        "ledger": ledger.name.as_str(),
        "settlement_id": of,
        "terms_version": version,
        "merchant": merchant.as_str(),
        "currency": currency.code(),
        "amount": held.amount,
        "owed_repaid": repaid,
        "released": released,
        "transaction_id": transaction_id,
    });
    let news = News {
        event_type: EventType::SettlementReserveReleased,
        subject: of.to_string(),
        correlation_id: None,
        traceparent: None,
        payload: payload.to_string(),
    };
    outbox::tell(conn, ledger.id, &options.topic_settlements, &[news], now).await?;
    Ok(Some(release))
}
