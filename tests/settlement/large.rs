//! A period of very many payments.

use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use crate::scene::{Scene, with};

const DAY: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);
const NEXT: OffsetDateTime = datetime!(2026-11-21 00:00 UTC);
const PAYMENTS: i64 = 100_000;

/// Writes that many payments of random amounts and fees: what they bring.
async fn many(scene: &Scene) -> (i64, i64) {
    let mut transaction = scene.pool.begin().await.unwrap();
    let conn = &mut *transaction;
    sqlx::query(
        "CREATE TEMPORARY TABLE made ON COMMIT DROP AS
         SELECT gen_random_uuid() AS id, amount, floor(amount * random() / 10)::bigint AS fee
         FROM (SELECT 1 + floor(random() * 1e8)::bigint AS amount
               FROM generate_series(1, $1)) AS a",
    )
    .bind(PAYMENTS)
    .execute(&mut *conn)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO psp_references
         SELECT 'paystack', id::text, $1, 'payment', id FROM made",
    )
    .bind(scene.ledger.id)
    .execute(&mut *conn)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO payments (
             ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version, psp,
             reference, email, amount, fee, net, status, created_at, updated_at, paid_at, period,
             matures_at, unsettled)
         SELECT $1, id, id::text, pg_catalog.sha256('x'), 'acme', 'NGN', 1, 'paystack', id::text,
                'a@example.com', amount, fee, amount - fee, 'succeeded', $2, $2, $2, '2026-11-20',
                $3, amount - fee
         FROM made",
    )
    .bind(scene.ledger.id)
    .bind(DAY)
    .bind(NEXT)
    .execute(&mut *conn)
    .await
    .unwrap();
    let (gross, net): (i64, i64) =
        sqlx::query_as("SELECT sum(amount)::bigint, sum(amount - fee)::bigint FROM made")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
    let (currency, merchant) = ("NGN".parse().unwrap(), "acme".parse().unwrap());
    let merchant: aegis::merchant::MerchantId = merchant;
    let posting = aegis::engine::Posting::new(&format!("test:many:{}", Uuid::now_v7()))
        .leg(aegis::merchant::house::psp("paystack"), currency, -net)
        .leg(
            merchant.wallet(aegis::merchant::Purse::Pending),
            currency,
            net,
        );
    aegis::engine::post_own(conn, &scene.ledger, vec![posting], "t")
        .await
        .unwrap()
        .expect("the ledger takes it");
    transaction.commit().await.unwrap();
    (gross, net)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_payments_are_settled_to_the_cent_in_one_commit() {
    let scene = Scene::new(&with(r#""reserve": {"basis_points": 1000, "days": 30}"#)).await;
    let (gross, net) = many(&scene).await;
    let settled = scene.settle(NEXT).await;
    let [one] = &settled[..] else {
        panic!("one period: {settled:?}");
    };
    assert_eq!(
        (one.payments, one.gross, one.amount),
        (PAYMENTS, gross, net)
    );
    assert_eq!((one.fee, one.net), (gross - net, net));
    let reserve = (net * 1_000 + 5_000) / 10_000;
    assert_eq!(scene.purses().await, [0, net - reserve, reserve, 0]);
    assert_eq!(scene.unsettled().await, 0);
    let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM payments WHERE settlement_id = $1")
        .bind(one.id)
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert_eq!(taken, PAYMENTS);
}
