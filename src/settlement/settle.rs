//! One period of one merchant and currency.

use std::collections::{BTreeMap, HashMap};

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Brought, Options, SettlementError, Split, Standing, split};
use crate::engine::{Posting, post_own};
use crate::event::EventType;
use crate::ledger::{Currency, Details, Ledger, whole_microseconds};
use crate::merchant::{AgreedTerms, MerchantId, Purse};
use crate::postgres::outbox::{self, News};
use crate::postgres::settlements::{self, Due, Part, Reserve, Settlement};
use crate::postgres::{atomically, merchants, settlement_gate};
use crate::view::SettlementView;

/// How many payments a statement takes.
const PAYMENTS_AT_A_TIME: i64 = 20_000;

/// What settling a period would come to.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The period.
    pub due: Due,
    /// How many payments it has.
    pub payments: i64,
    /// What customers paid, minor units.
    pub gross: i64,
    /// What had gone back of it, minor units.
    pub refunded: i64,
    /// When the last of them matured, UTC.
    pub matured_at: OffsetDateTime,
    /// Where the money would go.
    pub split: Split,
}

/// Settles a period: `None` where there is nothing to settle, because it was settled before or has
/// not matured at `at`. The settlement is written down as made at `now`.
///
/// # Errors
/// [`SettlementError`]. After a lost connection it may have taken effect; a repeat finds out.
pub async fn settle(
    pool: &PgPool,
    options: &Options,
    ledger: &Ledger,
    due: &Due,
    at: OffsetDateTime,
    settled_by: &str,
    now: OffsetDateTime,
) -> Result<Option<Settlement>, SettlementError> {
    let now = whole_microseconds(now);
    atomically!(pool, |conn| within(
        conn, options, ledger, due, at, settled_by, now
    ))
}

async fn within(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    due: &Due,
    at: OffsetDateTime,
    settled_by: &str,
    now: OffsetDateTime,
) -> Result<Option<Settlement>, SettlementError> {
    settlement_gate::take(conn, ledger.id, &due.merchant, due.currency).await?;
    let waiting = settlements::parts(conn, ledger.id, due).await?;
    let matured_at = waiting.iter().map(|part| part.matures_at).max();
    let Some(matured_at) = matured_at.filter(|matured_at| *matured_at <= at) else {
        return Ok(None);
    };
    let id = Uuid::now_v7();
    let parts = sweep(conn, ledger, due, id, now).await?;
    let agreed = agreed(conn, ledger, due, &parts).await?;
    let (merchant, currency) = (&due.merchant, due.currency);
    let standing = standing(conn, ledger, merchant, currency, Lock::Yes).await?;
    let divided = divide(&parts, &agreed, standing)?;
    let transaction_id = post(conn, options, ledger, due, id, &divided).await?;
    let settlement = Settlement {
        id,
        merchant: due.merchant.clone(),
        currency: due.currency,
        period: due.period,
        matured_at,
        payments: sum(&parts, |part| part.payments)?,
        gross: sum(&parts, |part| part.gross)?,
        fee: sum(&parts, |part| part.fee)?,
        net: sum(&parts, |part| part.net)?,
        refunded: sum(&parts, |part| part.refunded)?,
        amount: divided.amount,
        owed_repaid: divided.owed_repaid,
        reserved: divided.reserved,
        released: divided.released,
        transaction_id,
        settled_at: now,
        settled_by: settled_by.to_owned(),
        reserves: reserves(due, &agreed, &divided)?,
    };
    settlements::insert(conn, ledger.id, &settlement).await?;
    let news = [news(ledger, &settlement)];
    outbox::tell(conn, ledger.id, &options.topic_settlements, &news, now).await?;
    Ok(Some(settlement))
}

/// How merchants would stand after what was previewed until then.
#[derive(Debug, Default)]
pub(super) struct Standings(HashMap<(MerchantId, Currency), Standing>);

impl Standings {
    pub(super) async fn of(
        &mut self,
        conn: &mut PgConnection,
        ledger: &Ledger,
        merchant: &MerchantId,
        currency: Currency,
    ) -> sqlx::Result<Standing> {
        if let Some(known) = self.0.get(&(merchant.clone(), currency)) {
            return Ok(*known);
        }
        standing(conn, ledger, merchant, currency, Lock::No).await
    }

    pub(super) fn set(&mut self, merchant: &MerchantId, currency: Currency, standing: Standing) {
        self.0.insert((merchant.clone(), currency), standing);
    }
}

/// What [`settle`] would come to after what was previewed before; `None` where there is nothing to
/// settle.
///
/// # Errors
/// [`SettlementError`].
pub(super) async fn preview(
    conn: &mut PgConnection,
    ledger: &Ledger,
    due: &Due,
    at: OffsetDateTime,
    standings: &mut Standings,
) -> Result<Option<Preview>, SettlementError> {
    let parts = settlements::parts(conn, ledger.id, due).await?;
    let matured_at = parts.iter().map(|part| part.matures_at).max();
    let Some(matured_at) = matured_at.filter(|matured_at| *matured_at <= at) else {
        return Ok(None);
    };
    let agreed = agreed(conn, ledger, due, &parts).await?;
    let (merchant, currency) = (&due.merchant, due.currency);
    let standing = standings.of(conn, ledger, merchant, currency).await?;
    let split = divide(&parts, &agreed, standing)?;
    let afterwards = standing.after(split.owed_repaid, split.released);
    standings.set(merchant, currency, afterwards);
    Ok(Some(Preview {
        due: due.clone(),
        payments: sum(&parts, |part| part.payments)?,
        gross: sum(&parts, |part| part.gross)?,
        refunded: sum(&parts, |part| part.refunded)?,
        matured_at,
        split,
    }))
}

/// Takes a period's payments in one transaction, so many at a time that no statement takes long.
async fn sweep(
    conn: &mut PgConnection,
    ledger: &Ledger,
    due: &Due,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Vec<Part>, SettlementError> {
    let mut parts: BTreeMap<i32, Part> = BTreeMap::new();
    loop {
        let taken = settlements::sweep(conn, ledger.id, due, id, now, PAYMENTS_AT_A_TIME).await?;
        let payments: i64 = taken.iter().map(|part| part.payments).sum();
        for part in taken {
            let version = part.terms_version;
            let whole = match parts.remove(&version) {
                Some(before) => together(&before, &part).ok_or(SettlementError::TooLarge)?,
                None => part,
            };
            parts.insert(version, whole);
        }
        if payments < PAYMENTS_AT_A_TIME {
            return Ok(parts.into_values().collect());
        }
    }
}

fn together(one: &Part, other: &Part) -> Option<Part> {
    Some(Part {
        terms_version: one.terms_version,
        payments: one.payments.checked_add(other.payments)?,
        gross: one.gross.checked_add(other.gross)?,
        fee: one.fee.checked_add(other.fee)?,
        net: one.net.checked_add(other.net)?,
        refunded: one.refunded.checked_add(other.refunded)?,
        unsettled: one.unsettled.checked_add(other.unsettled)?,
        matures_at: one.matures_at.max(other.matures_at),
    })
}

fn sum(parts: &[Part], of: impl Fn(&Part) -> i64) -> Result<i64, SettlementError> {
    let mut sum: i64 = 0;
    for part in parts {
        sum = sum.checked_add(of(part)).ok_or(SettlementError::TooLarge)?;
    }
    Ok(sum)
}

/// The terms of each part, in the same order.
async fn agreed(
    conn: &mut PgConnection,
    ledger: &Ledger,
    due: &Due,
    parts: &[Part],
) -> sqlx::Result<Vec<AgreedTerms>> {
    let (id, currency) = (&due.merchant, due.currency);
    let mut agreed = Vec::with_capacity(parts.len());
    for part in parts {
        let version = part.terms_version;
        agreed.push(merchants::terms_at(conn, ledger.id, id, currency, version).await?);
    }
    Ok(agreed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lock {
    Yes,
    No,
}

fn divide(
    parts: &[Part],
    agreed: &[AgreedTerms],
    standing: Standing,
) -> Result<Split, SettlementError> {
    let brought = parts.iter().zip(agreed).map(|(part, agreed)| Brought {
        terms_version: part.terms_version,
        terms: &agreed.terms,
        unsettled: part.unsettled,
    });
    let brought: Vec<Brought<'_>> = brought.collect();
    split(&brought, standing).ok_or(SettlementError::TooLarge)
}

/// How the merchant stands. Locked, its wallets stay so until they are posted to; all that are posted
/// to are locked together, in the order of their ids.
async fn standing(
    conn: &mut PgConnection,
    ledger: &Ledger,
    merchant: &MerchantId,
    currency: Currency,
    lock: Lock,
) -> sqlx::Result<Standing> {
    let purses = [
        Purse::Available,
        Purse::Owed,
        Purse::Pending,
        Purse::Reserve,
    ];
    let addresses = purses.map(|purse| merchant.wallet(purse));
    let wallets = match lock {
        Lock::Yes => settlements::lock_wallets(conn, ledger.id, currency, &addresses).await?,
        Lock::No => settlements::wallets(conn, ledger.id, currency, &addresses).await?,
    };
    match &wallets[..] {
        [available, owed, ..] => Ok(Standing::of(available, owed)),
        _ => Err(sqlx::Error::RowNotFound),
    }
}

async fn post(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    due: &Due,
    id: Uuid,
    divided: &Split,
) -> Result<Option<Uuid>, SettlementError> {
    let Due {
        merchant, currency, ..
    } = due;
    let amount = divided.amount.checked_neg();
    let amount = amount.ok_or(SettlementError::TooLarge)?;
    let details = Details {
        reference: Some(format!("settlement {merchant} {}", due.period)),
        ..Details::default()
    };
    let posting = Posting::new(&format!("settlement:{id}"))
        .with_details(details)
        .leg(merchant.wallet(Purse::Pending), *currency, amount)
        .leg(merchant.wallet(Purse::Owed), *currency, divided.owed_repaid)
        .leg(merchant.wallet(Purse::Reserve), *currency, divided.reserved)
        .leg(
            merchant.wallet(Purse::Available),
            *currency,
            divided.released,
        );
    if posting.is_empty() {
        return Ok(None);
    }
    let posted = post_own(conn, ledger, vec![posting], &options.topic_transactions).await?;
    let receipts = posted.map_err(SettlementError::Refused)?;
    Ok(receipts.first().map(|receipt| receipt.transaction_id))
}

fn reserves(
    due: &Due,
    agreed: &[AgreedTerms],
    divided: &Split,
) -> Result<Vec<Reserve>, SettlementError> {
    let mut reserves = Vec::with_capacity(divided.reserves.len());
    for (terms_version, amount) in &divided.reserves {
        let of = agreed
            .iter()
            .find(|agreed| agreed.version == *terms_version);
        let due_at = match of {
            Some(agreed) => agreed.terms.released_at(due.period)?,
            None => None,
        };
        // Terms that hold something back say for how long.
        if let Some(due_at) = due_at {
            reserves.push(Reserve {
                terms_version: *terms_version,
                amount: *amount,
                due_at,
                released_at: None,
                owed_repaid: 0,
            });
        }
    }
    Ok(reserves)
}

fn news(ledger: &Ledger, settlement: &Settlement) -> News {
    let view = SettlementView::new(ledger, settlement);
    News {
        event_type: EventType::SettlementReleased,
        subject: settlement.id.to_string(),
        correlation_id: None,
        traceparent: None,
        // Texts and numbers can always be written.
        payload: serde_json::to_string(&view).unwrap_or_default(),
    }
}
