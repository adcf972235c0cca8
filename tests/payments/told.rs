//! Webhooks beside the plain one.

use std::time::Duration;

use aegis::payments::webhook::{self, Received};
use aegis::psp::WebhookError;

use crate::common::merchant::{TERMS, merchant};
use crate::scene::{Scene, charge, wanted};

#[tokio::test]
async fn what_is_not_signed_by_the_psp_is_not_kept() {
    let scene = Scene::new().await;
    let body = charge(7, "order-1", 1_000, "NGN", None);
    let mut conn = scene.pool.acquire().await.unwrap();
    for (signature, error) in [
        (None, WebhookError::Unsigned),
        (Some("00"), WebhookError::Forged),
        (Some("not hex"), WebhookError::Forged),
    ] {
        let received = webhook::receive(&mut conn, &scene.psp, &body, signature, scene.now()).await;
        assert_eq!(received.unwrap(), Received::Unauthentic(error));
    }
    assert_eq!(scene.fates().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_signed_and_can_t_be_read_is_kept_for_a_person() {
    let scene = Scene::new().await;
    for body in [
        &b"no JSON at all \xff"[..],
        b"{}",
        br#"{"event": "charge.success"}"#,
    ] {
        assert_eq!(scene.arrives(body).await, Received::Stored);
    }
    assert_eq!(scene.work().await, 3);
    assert_eq!(scene.fates().await, ["discrepancy"; 3]);
    assert_eq!(scene.classes().await, ["unreadable"; 3]);
}

#[tokio::test]
async fn a_refund_that_is_heard_of_before_its_payment_waits_for_it() {
    let scene = Scene::new().await;
    scene.psp.with_books(|books| {
        books
            .top_up(100_000, crate::scene::ngn(), scene.now())
            .unwrap();
    });
    scene.opened("order-1", 1_000_000).await;
    let paid = scene.pay("order-1");
    let refund = aegis::psp::NewRefund {
        payment_reference: "order-1".to_owned(),
        amount: 1_000,
        currency: crate::scene::ngn(),
        customer_note: None,
        merchant_note: Some("n".to_owned()),
    };
    aegis::psp::Psp::refund(&scene.psp, &refund).await.unwrap();
    for webhook in scene.psp.take_webhooks() {
        scene.told(&webhook.body).await;
    }
    let fates = scene.fates().await;
    assert!(
        !fates.is_empty() && fates.iter().all(|fate| fate == "waiting"),
        "{fates:?}"
    );
    scene.told(&paid).await;
    scene.pass(Duration::from_secs(3_600));
    while scene.work().await > 0 {}
    let fates = scene.fates().await;
    assert!(fates.iter().all(|fate| fate != "waiting"), "{fates:?}");
}

#[tokio::test]
async fn one_that_can_t_be_handled_holds_up_no_other_and_is_tried_again() {
    let scene = Scene::new().await;
    merchant(scene.database.pool(), &scene.ledger, "cold", "NGN", TERMS).await;
    let mut new = wanted("frozen-1", 1_000_000);
    new.merchant = "cold".parse().unwrap();
    scene.ask_for(&new).await;
    scene
        .run("UPDATE wallets SET status = 'frozen' WHERE address = 'merchant:cold:pending'")
        .await;
    for n in 0..5_u64 {
        let reference = format!("order-{n}");
        scene.created(&reference, 1_000_000).await;
        scene
            .arrives(&charge(n, &reference, 1_000_000, "NGN", None))
            .await;
        if n == 2 {
            let body = charge(99, "frozen-1", 1_000_000, "NGN", None);
            scene.arrives(&body).await;
        }
    }
    scene.work().await;
    assert_eq!(scene.balance("merchant:acme:pending").await, 5 * 975_000);
    let waits: (i32, String) =
        sqlx::query_as("SELECT attempts, last_error FROM psp_webhooks WHERE status = 'waiting'")
            .fetch_one(&scene.pool)
            .await
            .unwrap();
    assert!(
        waits.0 == 1 && waits.1.contains("wallet_frozen"),
        "{waits:?}"
    );
    scene.run("UPDATE wallets SET status = 'active'").await;
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.work().await, 1);
    assert_eq!(scene.balance("merchant:cold:pending").await, 975_000);
}

#[tokio::test]
async fn what_can_t_be_handled_for_long_is_told_to_a_person_and_still_tried() {
    let scene = Scene::new().await;
    scene.created("order-1", 1_000_000).await;
    scene
        .run("UPDATE wallets SET status = 'frozen' WHERE address = 'platform:fees'")
        .await;
    scene
        .arrives(&charge(7, "order-1", 1_000_000, "NGN", None))
        .await;
    for wait in [0, 1, 2, 4, 8, 16] {
        scene.pass(Duration::from_secs(wait));
        assert_eq!(scene.work().await, 1);
    }
    assert_eq!(scene.classes().await, ["missing_here"]);
    scene.run("UPDATE wallets SET status = 'active'").await;
    scene.pass(Duration::from_secs(3_600));
    scene.work().await;
    assert_eq!(scene.balance("merchant:acme:pending").await, 975_000);
}

#[tokio::test]
async fn two_workers_at_once_credit_once() {
    let scene = Scene::new().await;
    for n in 0..40_u64 {
        let reference = format!("order-{n}");
        scene.created(&reference, 1_000_000).await;
        scene
            .arrives(&charge(n, &reference, 1_000_000, "NGN", None))
            .await;
    }
    tokio::join!(scene.work(), scene.work(), scene.work());
    while scene.work().await > 0 {}
    assert_eq!(scene.balance("merchant:acme:pending").await, 40 * 975_000);
    assert_eq!(scene.fates().await, vec!["applied"; 40]);
}

#[tokio::test]
async fn many_webhooks_are_handled_together() {
    let mut scene = Scene::new().await;
    scene.options.batch_webhooks_max = 100;
    let count = 250;
    for n in 0..count {
        let reference = format!("order-{n}");
        scene.created(&reference, 1_000_000).await;
        scene
            .arrives(&charge(n, &reference, 1_000_000, "NGN", Some(5)))
            .await;
    }
    let mut batches = 0;
    while scene.work().await > 0 {
        batches += 1;
    }
    assert_eq!(batches, 3);
    assert_eq!(scene.balance("merchant:acme:pending").await, 250 * 975_000);
}
