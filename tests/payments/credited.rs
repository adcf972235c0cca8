//! What is credited, where, and how often.

use std::time::Duration;

use aegis::payments::webhook::Received;
use aegis::postgres::payments::PaymentStatus;
use time::macros::{date, datetime};

use crate::common::merchant::{TERMS, merchant};
use crate::scene::{Scene, charge};

#[tokio::test]
async fn a_payment_that_was_paid_is_credited_net_and_the_fee_is_the_platforms() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    let body = scene.pay("order-1");
    scene.told(&body).await;
    let paid = scene.read(&payment).await;
    assert_eq!(paid.status, PaymentStatus::Succeeded);
    assert_eq!((paid.unsettled, paid.next_attempt_at), (975_000, None));
    assert_eq!(paid.period, Some(date!(2026 - 11 - 24)));
    assert_eq!(paid.matures_at, Some(datetime!(2026-11-25 00:00 UTC)));
    let kept = paid.psp_fee.unwrap();
    assert!(kept > 0);
    assert_eq!(scene.balances().await, (975_000, 25_000, kept - 1_000_000));
    assert_eq!(scene.balance("platform:psp_fees").await, -kept);
    assert_eq!(
        scene.events().await.last().unwrap(),
        "aegis.payment.succeeded"
    );
}

#[tokio::test]
async fn a_webhook_delivered_twice_within_half_an_hour_credits_once() {
    let scene = Scene::new().await;
    scene.opened("order-1", 1_000_000).await;
    let body = scene.pay("order-1");
    assert_eq!(scene.arrives(&body).await, Received::Stored);
    assert_eq!(scene.work().await, 1);
    let once = scene.balances().await;
    scene.pass(Duration::from_secs(20 * 60));
    assert_eq!(scene.arrives(&body).await, Received::Before);
    assert_eq!(scene.work().await, 0);
    assert_eq!(scene.balances().await, once);
    assert_eq!(once.0, 975_000);
}

#[tokio::test]
async fn a_success_that_comes_as_another_event_credits_once_and_is_looked_at() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    scene
        .told(&charge(7, "order-1", 1_000_000, "NGN", None))
        .await;
    scene
        .told(&charge(8, "order-1", 1_000_000, "NGN", None))
        .await;
    assert_eq!(scene.balance("merchant:acme:pending").await, 975_000);
    assert_eq!(scene.fates().await, ["applied", "discrepancy"]);
    assert_eq!(scene.classes().await, ["duplicate"]);
    assert_eq!(scene.read(&payment).await.psp_id.as_deref(), Some("7"));
}

#[tokio::test]
async fn a_credit_never_reaches_a_wallet_of_another_currency() {
    let scene = Scene::new().await;
    merchant(scene.database.pool(), &scene.ledger, "globex", "KES", TERMS).await;
    scene.opened("order-1", 1_000_000).await;
    // Paid in a currency that some merchant has wallets in.
    scene
        .told(&charge(7, "order-1", 1_000_000, "KES", None))
        .await;
    assert_eq!(scene.fates().await, ["discrepancy"]);
    assert_eq!(scene.classes().await, ["currency"]);
    let moved: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger_entries")
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert_eq!(moved, 0);
    // The right one is credited all the same, and to NGN alone.
    let body = scene.pay("order-1");
    scene.told(&body).await;
    let currencies: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT currency::text FROM ledger_entries")
            .fetch_all(&scene.pool)
            .await
            .unwrap();
    assert_eq!(currencies, ["NGN"]);
}

#[tokio::test]
async fn another_amount_is_a_discrepancy_and_no_posting() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    for amount in [999_999, 1_000_001] {
        scene.told(&charge(7, "order-1", amount, "NGN", None)).await;
    }
    assert_eq!(scene.balances().await, (0, 0, 0));
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Pending);
    // Both webhooks are one event to the PSP, so that the second is a repeat.
    assert_eq!(scene.classes().await, ["amount"]);
    let events = scene.events().await;
    assert_eq!(events.last().unwrap(), "aegis.discrepancy.opened");
}

#[tokio::test]
async fn an_unknown_reference_is_a_discrepancy_and_no_posting() {
    let scene = Scene::new().await;
    scene
        .told(&charge(7, "nobody-s", 1_000_000, "NGN", None))
        .await;
    assert_eq!(scene.fates().await, ["discrepancy"]);
    assert_eq!(scene.classes().await, ["unknown_reference"]);
    assert_eq!(scene.balances().await, (0, 0, 0));
}

#[tokio::test]
async fn a_webhook_that_arrives_before_our_own_call_returned_works() {
    let scene = Scene::new().await;
    let payment = scene.created("order-1", 1_000_000).await;
    // The PSP has it and its customer has paid, and we have heard nothing of the call.
    scene
        .told(&charge(7, "order-1", 1_000_000, "NGN", None))
        .await;
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Succeeded);
    let after = scene.open(&payment, true).await;
    assert_eq!(after.status, PaymentStatus::Succeeded);
    assert!(after.checkout_url.is_some());
    assert_eq!(
        scene.events().await,
        ["aegis.payment.created", "aegis.payment.succeeded"]
    );
    assert_eq!(scene.balance("merchant:acme:pending").await, 975_000);
}

#[tokio::test]
async fn money_that_comes_after_all_is_credited() {
    let scene = Scene::new().await;
    for (reference, status) in [("a", "failed"), ("b", "abandoned")] {
        let payment = scene.opened(reference, 1_000_000).await;
        sqlx::query("UPDATE payments SET status = $1, next_attempt_at = NULL WHERE id = $2")
            .bind(status)
            .bind(payment.id)
            .execute(&scene.pool)
            .await
            .unwrap();
        let body = scene.pay(reference);
        scene.told(&body).await;
        assert_eq!(scene.read(&payment).await.status, PaymentStatus::Succeeded);
    }
    assert_eq!(scene.balance("merchant:acme:pending").await, 2 * 975_000);
}

#[tokio::test]
async fn a_payment_of_a_settled_period_counts_for_the_next_one() {
    let scene = Scene::new().await;
    let first = scene.opened("order-1", 1_000_000).await;
    let late = scene.opened("order-2", 1_000_000).await;
    let body = scene.pay("order-1");
    let late_body = scene.pay("order-2");
    scene.told(&body).await;
    sqlx::query("UPDATE payments SET unsettled = 0, settlement_id = id WHERE id = $1")
        .bind(first.id)
        .execute(&scene.pool)
        .await
        .unwrap();
    scene.told(&late_body).await;
    let late = scene.read(&late).await;
    assert_eq!(late.period, Some(date!(2026 - 11 - 25)));
    assert_eq!(late.matures_at, Some(datetime!(2026-11-26 00:00 UTC)));
}

#[tokio::test]
async fn a_payment_that_succeeds_waits_for_the_settlement_of_its_merchant() {
    let scene = Scene::new().await;
    scene.opened("order-1", 1_000_000).await;
    let body = scene.pay("order-1");
    scene.arrives(&body).await;
    let mut run = scene.database.pool().begin().await.unwrap();
    let acme = "acme".parse().unwrap();
    let (ledger, currency) = (scene.ledger.id, crate::scene::ngn());
    aegis::postgres::settlement_gate::take(&mut run, ledger, &acme, currency)
        .await
        .unwrap();
    let ends = async {
        scene.database.wait_until_blocked().await;
        assert_eq!(scene.balance("merchant:acme:pending").await, 0);
        run.commit().await.unwrap();
    };
    tokio::join!(scene.work(), ends);
    // Where the wait was too long, the webhook is due again later.
    scene.pass(Duration::from_secs(3_600));
    while scene.work().await > 0 {}
    assert_eq!(scene.balance("merchant:acme:pending").await, 975_000);
}

#[tokio::test]
async fn a_fee_of_the_psps_that_comes_later_is_booked_once() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    let id = scene
        .psp
        .with_books(|books| books.payment("order-1").unwrap().id);
    scene
        .told(&charge(id, "order-1", 1_000_000, "NGN", None))
        .await;
    assert_eq!(scene.read(&payment).await.psp_fee, None);
    drop(scene.pay("order-1"));
    for _ in 0..2 {
        let (pool, options, psp) = (&scene.pool, &scene.options, &scene.psp);
        aegis::payments::requery(pool, options, psp, &scene.ledger, payment.id, scene.now())
            .await
            .unwrap();
    }
    let fee = scene.read(&payment).await.psp_fee.unwrap();
    assert_eq!(scene.balance("platform:psp_fees").await, -fee);
    assert_eq!(scene.balances().await, (975_000, 25_000, fee - 1_000_000));
}
