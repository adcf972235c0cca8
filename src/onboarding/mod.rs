//! Merchants come in, agree on terms, are frozen and go on: each in one COMMIT with its wallets, its
//! event and its row in the audit log.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::config::Config;
use crate::event::EventType;
use crate::ledger::{Address, Currency, Ledger, Wallet};
use crate::merchant::{AgreedTerms, Merchant, MerchantId, MerchantStatus, Purse, house};
use crate::postgres::audit::{self, Actor, Deed};
use crate::postgres::outbox::{self, News};
use crate::postgres::{atomically, merchants, wallets};
use crate::terms::Terms;

/// The most wallets of one merchant that are read: four in each of many currencies.
const WALLETS_MAX: i64 = 400;

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

impl Default for Office {
    fn default() -> Self {
        Self {
            topic: "aegis.settlements".to_owned(),
            psp: "paystack".to_owned(),
        }
    }
}

impl Office {
    /// As configured. Paystack is the only PSP so far.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            topic: config.kafka.topic_settlements.clone(),
            ..Self::default()
        }
    }
}

/// Who wants something done, where, and when.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Where it is told.
    pub office: &'a Office,
    /// In which ledger.
    pub ledger: &'a Ledger,
    /// Who, and from where.
    pub actor: &'a Actor,
    /// When, UTC.
    pub now: OffsetDateTime,
}

/// What came of other terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// They are in force from now on.
    Now(AgreedTerms),
    /// They were in force already.
    Before(AgreedTerms),
    /// A wallet is below by now what they let it fall to: its address, its balance, and the floor.
    BelowFloor {
        /// The wallet.
        address: Address,
        /// Its balance less what is held, minor units.
        balance: i64,
        /// What the terms would let it fall to, minor units.
        floor: i64,
    },
    /// There is no such merchant.
    NoMerchant,
}

/// Makes a merchant with its wallets.
///
/// # Errors
/// Where the database fails.
pub async fn create(pool: &PgPool, call: Call<'_>, new: &NewMerchant) -> sqlx::Result<Made> {
    atomically!(pool, |conn| make(conn, call, new))
}

async fn make(conn: &mut PgConnection, call: Call<'_>, new: &NewMerchant) -> sqlx::Result<Made> {
    let ledger = call.ledger;
    if !merchants::create(conn, ledger.id, &new.id, &new.name, call.now).await? {
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
    put_in_force(conn, call, &new.id, new.currency, &new.terms).await?;
    let detail = json!({"name": new.name, "currency": new.currency.code()});
    let news = (EventType::MerchantCreated, "merchant.created");
    note(conn, call, &new.id, news, None, &detail).await?;
    let standing = read(conn, ledger, &new.id).await?;
    standing.map(Made::Now).ok_or(sqlx::Error::RowNotFound)
}

/// Agrees on terms from now on, for payments to come. The same terms as before are no new version.
///
/// # Errors
/// Where the database fails.
pub async fn agree(
    pool: &PgPool,
    call: Call<'_>,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
) -> sqlx::Result<Agreed> {
    atomically!(pool, |conn| agree_within(conn, call, id, currency, terms))
}

async fn agree_within(
    conn: &mut PgConnection,
    call: Call<'_>,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
) -> sqlx::Result<Agreed> {
    let ledger_id = call.ledger.id;
    if merchants::lock(conn, ledger_id, id).await?.is_none() {
        return Ok(Agreed::NoMerchant);
    }
    let in_force = merchants::terms_now(conn, ledger_id, id, currency).await?;
    if let Some(agreed) = in_force.filter(|agreed| agreed.terms == *terms) {
        return Ok(Agreed::Before(agreed));
    }
    if let Some(below) = below_floor(conn, call.ledger, id, currency, terms).await? {
        return Ok(below);
    }
    let version = put_in_force(conn, call, id, currency, terms).await?;
    let detail = json!({"currency": currency.code(), "version": version});
    let news = (EventType::MerchantTermsAgreed, "merchant.terms_agreed");
    note(conn, call, id, news, None, &detail).await?;
    let agreed = merchants::terms_at(conn, ledger_id, id, currency, version).await?;
    Ok(Agreed::Now(agreed))
}

/// A wallet that is below the floor that the terms would give it. Locked, it stays as it is.
async fn below_floor(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
) -> sqlx::Result<Option<Agreed>> {
    for purse in [Purse::Pending, Purse::Available] {
        let address = id.wallet(purse);
        let wallet = wallets::lock(conn, ledger.id, &address, currency).await?;
        if let (Some(wallet), Some(floor)) = (wallet, purse.floor(terms)) {
            let balance = wallet.balance.saturating_sub(wallet.held);
            if balance < floor {
                return Ok(Some(Agreed::BelowFloor {
                    address,
                    balance,
                    floor,
                }));
            }
        }
    }
    Ok(None)
}

/// Freezes a merchant, or lets it go on: the merchant, and whether that changed anything. `None`:
/// there is no such merchant.
///
/// # Errors
/// Where the database fails.
pub async fn set_status(
    pool: &PgPool,
    call: Call<'_>,
    id: &MerchantId,
    status: MerchantStatus,
    reason: &str,
) -> sqlx::Result<Option<(Merchant, bool)>> {
    atomically!(pool, |conn| set_within(conn, call, id, status, reason))
}

async fn set_within(
    conn: &mut PgConnection,
    call: Call<'_>,
    id: &MerchantId,
    status: MerchantStatus,
    reason: &str,
) -> sqlx::Result<Option<(Merchant, bool)>> {
    let ledger_id = call.ledger.id;
    let Some(merchant) = merchants::lock(conn, ledger_id, id).await? else {
        return Ok(None);
    };
    if merchant.status == status {
        return Ok(Some((merchant, false)));
    }
    merchants::set_status(conn, ledger_id, id, status, call.now).await?;
    let news = match status {
        MerchantStatus::Frozen => (EventType::MerchantFrozen, "merchant.frozen"),
        MerchantStatus::Active => (EventType::MerchantUnfrozen, "merchant.unfrozen"),
    };
    let detail = json!({"reason": reason});
    note(conn, call, id, news, Some(reason), &detail).await?;
    Ok(Some((Merchant { status, ..merchant }, true)))
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

/// The wallets of a merchant, in order of address and currency.
///
/// # Errors
/// Where the database fails.
pub async fn wallets_of(
    conn: &mut PgConnection,
    ledger: &Ledger,
    id: &MerchantId,
) -> sqlx::Result<Vec<Wallet>> {
    let filter = wallets::Filter {
        prefix: Some(format!("merchant:{id}:")),
        limit: WALLETS_MAX,
        ..wallets::Filter::default()
    };
    wallets::list(conn, ledger.id, &filter).await
}

/// Writes the terms, makes the wallets of their currency, and sets how deep each may fall.
async fn put_in_force(
    conn: &mut PgConnection,
    call: Call<'_>,
    id: &MerchantId,
    currency: Currency,
    terms: &Terms,
) -> sqlx::Result<i32> {
    let (ledger_id, by) = (call.ledger.id, &call.actor.name);
    let version = merchants::agree(conn, ledger_id, id, currency, terms, by, call.now).await?;
    for (address, floor) in house::all(&call.office.psp) {
        wallets::create(conn, ledger_id, &address, currency, floor).await?;
    }
    for purse in Purse::ALL {
        let (address, floor) = (id.wallet(purse), purse.floor(terms));
        let (wallet, _) = wallets::create(conn, ledger_id, &address, currency, floor).await?;
        if wallet.min_balance != floor {
            wallets::set_min_balance(conn, ledger_id, wallet.id, floor).await?;
        }
    }
    Ok(version)
}

/// Tells what happened, and writes down who did it.
async fn note(
    conn: &mut PgConnection,
    call: Call<'_>,
    id: &MerchantId,
    (event_type, action): (EventType, &str),
    reason: Option<&str>,
    detail: &Value,
) -> sqlx::Result<()> {
    let ledger = call.ledger;
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
    outbox::tell(conn, ledger.id, &call.office.topic, &[news], call.now).await?;
    let deed = Deed {
        at: call.now,
        actor: call.actor,
        action,
        target: &format!("merchant:{}/{id}", ledger.name),
        reason,
        detail: Some(detail),
    };
    audit::record(conn, deed).await
}
