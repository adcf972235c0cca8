//! The PSP is asked about payments that nothing was heard of.

use std::time::Duration;

use aegis::payments::{PaymentError, requery};
use aegis::postgres::payments::PaymentStatus;
use aegis::simulator::{Call, Fault};

use crate::scene::Scene;

#[tokio::test]
async fn a_payment_whose_webhook_was_lost_is_asked_about_and_credited_once() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    let body = scene.pay("order-1");
    assert_eq!(scene.sweep().await, 0);
    scene.pass(scene.options.ask_after);
    assert_eq!(scene.sweep().await, 1);
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Succeeded);
    // It comes after all.
    scene.told(&body).await;
    assert_eq!(scene.fates().await, ["ignored"]);
    assert_eq!(scene.balance("merchant:acme:pending").await, 975_000);
}

#[tokio::test]
async fn waits_between_questions_grow_until_the_payment_is_given_up() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    let mut waits = Vec::new();
    while let Some(due) = scene.read(&payment).await.next_attempt_at {
        let wait = (due - scene.now()).unsigned_abs();
        waits.push(wait.as_secs());
        scene.pass(wait);
        assert_eq!(scene.sweep().await, 1);
    }
    assert_eq!(waits[..4], [600, 1_200, 2_400, 4_800]);
    assert_eq!(waits.iter().sum::<u64>(), 86_400);
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Abandoned);
    assert_eq!(
        scene.events().await.last().unwrap(),
        "aegis.payment.abandoned"
    );
}

#[tokio::test]
async fn a_question_without_an_answer_abandons_nothing() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    scene.pass(scene.options.abandon_after);
    scene.arm(Fault::Lost, Call::Verify);
    assert_eq!(scene.sweep().await, 1);
    let asked = scene.read(&payment).await;
    assert_eq!(asked.status, PaymentStatus::Pending);
    assert_eq!(
        asked.next_attempt_at,
        Some(scene.now() + Duration::from_secs(60))
    );
}

#[tokio::test]
async fn another_amount_in_the_answer_is_a_discrepancy() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    scene.arm(Fault::WrongAmount, Call::Pay);
    drop(scene.pay("order-1"));
    scene.pass(scene.options.ask_after);
    scene.sweep().await;
    assert_eq!(scene.classes().await, ["amount"]);
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Pending);
    assert_eq!(scene.balances().await, (0, 0, 0));
}

#[tokio::test]
async fn a_payment_that_the_psp_does_not_know_is_a_discrepancy() {
    let scene = Scene::new().await;
    let payment = scene.created("order-1", 1_000_000).await;
    sqlx::query("UPDATE payments SET status = 'pending', next_attempt_at = $1")
        .bind(scene.now())
        .execute(&scene.pool)
        .await
        .unwrap();
    scene.sweep().await;
    assert_eq!(scene.classes().await, ["missing_there"]);
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Pending);
}

#[tokio::test]
async fn a_person_may_ask_at_any_time() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    sqlx::query("UPDATE payments SET status = 'abandoned', next_attempt_at = NULL")
        .execute(&scene.pool)
        .await
        .unwrap();
    drop(scene.pay("order-1"));
    let ask = || {
        let (pool, options, psp) = (&scene.pool, &scene.options, &scene.psp);
        requery(pool, options, psp, &scene.ledger, payment.id, scene.now())
    };
    scene.arm(Fault::Lost, Call::Verify);
    assert!(matches!(ask().await, Err(PaymentError::Psp(_))));
    for _ in 0..2 {
        let asked = ask().await.unwrap().unwrap();
        assert_eq!(asked.status, PaymentStatus::Succeeded);
    }
    assert_eq!(scene.balance("merchant:acme:pending").await, 975_000);
}
