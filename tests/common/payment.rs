//! Payments that were paid, for tests of what becomes of them.

use aegis::engine::{Posting, post_own};
use aegis::ledger::{Currency, Ledger};
use aegis::merchant::{MerchantId, Purse, house};
use aegis::postgres::merchants;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes a payment that succeeded, credited under the terms in force: its id.
pub async fn paid(
    pool: &PgPool,
    ledger: &Ledger,
    merchant: &str,
    currency: &str,
    amount: i64,
    paid_at: OffsetDateTime,
) -> Uuid {
    let (id, merchant): (Uuid, MerchantId) = (Uuid::now_v7(), merchant.parse().unwrap());
    let currency = Currency::from_code(currency).unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let conn = &mut *transaction;
    let agreed = merchants::terms_now(conn, ledger.id, &merchant, currency);
    let agreed = agreed.await.unwrap().expect("the merchant has terms");
    let charge = agreed.terms.fee().charge(amount);
    let settlement = agreed.terms.settlement();
    let period = settlement.period_of(paid_at).unwrap();
    let matures_at = settlement.matures_at(paid_at).unwrap();
    sqlx::query("INSERT INTO psp_references VALUES ('paystack', $1, $2, 'payment', $3)")
        .bind(id.to_string())
        .bind(ledger.id)
        .bind(id)
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO payments (
             ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version, psp,
             reference, email, amount, fee, net, status, created_at, updated_at, paid_at, period,
             matures_at, unsettled)
         VALUES ($1, $2, $3, pg_catalog.sha256('x'::bytea), $4, $5, $6, 'paystack', $3, 'a@example.com', $7, $8, $9,
                 'succeeded', $10, $10, $10, $11, $12, $9)",
    )
    .bind(ledger.id)
    .bind(id)
    .bind(id.to_string())
    .bind(merchant.as_str())
    .bind(currency.code())
    .bind(agreed.version)
    .bind(amount)
    .bind(charge.fee())
    .bind(charge.net())
    .bind(paid_at)
    .bind(period)
    .bind(matures_at)
    .execute(&mut *conn)
    .await
    .unwrap();
    let posting = Posting::new(&format!("payment:{id}:succeeded"))
        .leg(house::psp("paystack"), currency, -amount)
        .leg(merchant.wallet(Purse::Pending), currency, charge.net())
        .leg(house::fees(), currency, charge.fee());
    post_own(conn, ledger, vec![posting], "aegis.transactions")
        .await
        .unwrap()
        .expect("the ledger takes it");
    transaction.commit().await.unwrap();
    id
}
