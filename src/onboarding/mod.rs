//! Merchants come in, agree on terms, are frozen and go on: each in one COMMIT with its wallets, its
//! event and its row in the audit log.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::event::EventType;
use crate::ledger::{Currency, Ledger, WalletRef};
use crate::merchant::{AgreedTerms, Merchant, MerchantId, MerchantStatus, Purse, house};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::outbox::{self, News};
use crate::postgres::{merchants, transact, wallets};
use crate::terms::Terms;

/// A merchant with the terms in force in each of its currencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The merchant.
    pub merchant: Merchant,
    /// In order of currency.
    pub terms: Vec<AgreedTerms>,
}

/// A merchant to be made.
#[derive(Clone, Debug)]
pub struct NewMerchant {
    /// Its permanent name.
    pub id: MerchantId,
    /// As people call it.
    pub name: String,
    /// Its first currency.
    pub currency: Currency,
    /// What was agreed on for it.
    pub terms: Terms,
}

/// What came of making one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    Now(Standing),
    /// It was there with the same name and terms.
    Before(Standing),
    /// It was there, and is another one: its name, or its terms in the currency, differ.
    Other(Standing),
}

/// Where all of this is told: the topic for settlements, and the PSP that money comes through.
#[derive(Clone, Debug)]
pub struct Office {
    /// Topic of the events.
    pub topic: String,
    /// The PSP's name, as in `psp:<name>`.
    pub psp: String,
}

/// Makes a merchant with its wallets.
///
/// # Errors
/// Where the database fails.
pub async fn create(
    pool: &PgPool,
    office: &Office,
    ledger: &Ledger,
    new: &NewMerchant,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<Made> {
    transact(pool, async |conn| {
        let made_now = merchants::create(conn, ledger.id, &new.id, &new.name, now).await?;
        if !made_now {
            let standing = read(conn, ledger, &new.id).await?;
            let standing = standing.ok_or(sqlx::Error::RowNotFound)?;
            let terms = standing.terms.iter().find(|t| t.currency == new.currency);
            let is_same = standing.merchant.name == new.name
                && terms.is_some_and(|agreed| agreed.terms == new.terms);
            return Ok(match is_same {
                true => Made::Before(standing),
                false => Made::Other(standing),
            });
        }
        put_in_force(
            conn,
            office,
            ledger,
            &new.id,
            new.currency,
            &new.terms,
            actor,
            now,
        )
        .await?;
        let detail = json!({"name": new.name, "currency": new.currency.code()});
        let event = (EventType::MerchantCreated, "merchant.created");
        note(
            conn, office, ledger, &new.id, event, actor, None, &detail, now,
        )
        .await?;
        let standing = read(conn, ledger, &new.id).await?;
        standing.map(Made::Now).ok_or(sqlx::Error::RowNotFound)
    })
    .await
}

/// Agrees on terms from now on, for payments to come: the version in force, and whether it is new.
/// The same terms as before are no new version. `None`: there is no such merchant.
///
/// # Errors
/// Where the database fails: a floor that a wallet is below by now is a violation of
/// `wallets_balance_above_minimum`.
#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
pub async fn agree(
    pool: &PgPool,
    office: &Office,
    ledger: &Ledger,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<Option<(AgreedTerms, bool)>> {
    transact(pool, async |conn| {
        if merchants::lock(conn, ledger.id, id).await?.is_none() {
            return Ok(None);
        }
        let in_force = merchants::terms_now(conn, ledger.id, id, currency).await?;
        if let Some(agreed) = in_force.filter(|agreed| agreed.terms == *terms) {
            return Ok(Some((agreed, false)));
        }
        let version = put_in_force(conn, office, ledger, id, currency, terms, actor, now).await?;
        let detail = json!({"currency": currency.code(), "version": version});
        let event = (EventType::MerchantTermsAgreed, "merchant.terms_agreed");
        note(conn, office, ledger, id, event, actor, None, &detail, now).await?;
        let agreed = merchants::terms_at(conn, ledger.id, id, currency, version).await?;
        Ok(Some((agreed, true)))
    })
    .await
}

/// Freezes a merchant, or lets it go on: the merchant, and whether that changed anything. `None`:
/// there is no such merchant.
///
/// # Errors
/// Where the database fails.
#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
pub async fn set_status(
    pool: &PgPool,
    office: &Office,
    ledger: &Ledger,
    id: &MerchantId,
    status: MerchantStatus,
    reason: &str,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<Option<(Merchant, bool)>> {
    transact(pool, async |conn| {
        let Some(merchant) = merchants::lock(conn, ledger.id, id).await? else {
            return Ok(None);
        };
        if merchant.status == status {
            return Ok(Some((merchant, false)));
        }
        merchants::set_status(conn, ledger.id, id, status, now).await?;
        let event = match status {
            MerchantStatus::Frozen => (EventType::MerchantFrozen, "merchant.frozen"),
            MerchantStatus::Active => (EventType::MerchantUnfrozen, "merchant.unfrozen"),
        };
        let detail = json!({"reason": reason});
        note(
            conn,
            office,
            ledger,
            id,
            event,
            actor,
            Some(reason),
            &detail,
            now,
        )
        .await?;
        Ok(Some((Merchant { status, ..merchant }, true)))
    })
    .await
}

/// A merchant as it stands.
///
/// # Errors
/// Where the database fails.
pub async fn read(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: &MerchantId,
) -> sqlx::Result<Option<Standing>> {
    let Some(merchant) = merchants::find(conn, ledger.id, id).await? else {
        return Ok(None);
    };
    let terms = merchants::terms_in_force(conn, ledger.id, id).await?;
    Ok(Some(Standing { merchant, terms }))
}

/// Writes the terms, makes the wallets of their currency, and sets how deep each may fall.
#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
async fn put_in_force(
    conn: &mut PgConnection,
    office: &Office,
    ledger: &Ledger,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
    actor: &Actor,
    now: OffsetDateTime,
) -> sqlx::Result<i32> {
    let version = merchants::agree(conn, ledger.id, id, currency, terms, &actor.name, now).await?;
    for (address, floor) in house::all(&office.psp) {
        wallets::create(conn, ledger.id, &address, currency, floor).await?;
    }
    for purse in Purse::ALL {
        let (address, floor) = (id.wallet(purse), purse.floor(terms));
        let (wallet, _) = wallets::create(conn, ledger.id, &address, currency, floor).await?;
        if wallet.min_balance != floor {
            wallets::set_min_balance(conn, ledger.id, wallet.id, floor).await?;
        }
    }
    Ok(version)
}

/// Tells what happened, and writes down who did it.
#[expect(clippy::too_many_arguments, reason = "each is one thing that was said")]
async fn note(
    conn: &mut PgConnection,
    office: &Office,
    ledger: &Ledger,
    id: &MerchantId,
    (event_type, action): (EventType, &str),
    actor: &Actor,
    reason: Option<&str>,
    detail: &Value,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let mut payload = json!({"merchant": id.as_str(), "ledger": ledger.name.as_str()});
    if let (Some(payload), Some(detail)) = (payload.as_object_mut(), detail.as_object()) {
        payload.extend(detail.clone());
    }
    let news = News {
        event_type,
        subject: format!("merchant:{id}"),
        correlation_id: None,
        traceparent: None,
        payload: payload.to_string(),
    };
    outbox::tell(conn, ledger.id, &office.topic, &[news], now).await?;
    let deed = Deed {
        at: now,
        actor,
        action,
        target: &format!("merchant:{}/{id}", ledger.name),
        reason,
        detail: Some(detail),
    };
    audit::record(conn, deed).await
}

/// The wallet of a merchant, which its making made.
///
/// # Errors
/// Where the database fails.
pub async fn purse(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: &MerchantId,
    purse: Purse,
    currency: Currency,
) -> sqlx::Result<Option<crate::ledger::Wallet>> {
    let wallet = WalletRef::Address(id.wallet(purse));
    let found = wallets::find(conn, ledger.id, &wallet, Some(currency)).await?;
    Ok(found.into_iter().next())
}
