//! The PSP opens a payment, or fails to.

use std::time::Duration;

use aegis::payments::{Created, open_again};
use aegis::postgres::payments::PaymentStatus;
use aegis::simulator::{Call, Fault};

use crate::scene::{Scene, wanted};

#[tokio::test]
async fn an_opened_payment_says_where_its_customer_pays() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000).await;
    assert_eq!(payment.status, PaymentStatus::Pending);
    assert!(payment.checkout_url.is_some());
    let events = ["aegis.payment.created", "aegis.payment.pending"];
    assert_eq!(scene.events().await, events);
}

#[tokio::test]
async fn a_psp_failure_leaves_the_row_retriable() {
    let scene = Scene::new().await;
    scene.arm(Fault::Lost, Call::Initialize);
    let payment = scene.opened("order-1", 1_000).await;
    assert_eq!(
        (payment.status, payment.attempts),
        (PaymentStatus::Created, 1)
    );
    assert!(payment.last_error.is_some());
    // The same request again goes on with the same row, once that is due.
    let asked = scene.ask_for(&wanted("order-1", 1_000)).await;
    assert_eq!(asked, Created::Before(payment.clone()));
    scene.pass(Duration::from_secs(1));
    let (pool, options, ledger) = (&scene.pool, &scene.options, &scene.ledger);
    let opened = open_again(pool, options, &scene.psp, ledger, payment, scene.now()).await;
    let opened = opened.unwrap();
    assert_eq!(
        (opened.status, opened.attempts),
        (PaymentStatus::Pending, 0)
    );
    assert_eq!(opened.last_error, None);
}

#[tokio::test]
async fn what_failed_waits_by_the_schedule_and_the_sixth_failure_is_the_last() {
    let scene = Scene::new().await;
    scene.arm(Fault::Lost, Call::Initialize);
    let payment = scene.opened("order-1", 1_000).await;
    for wait in [1, 2, 4, 8, 16] {
        let due = scene.read(&payment).await.next_attempt_at.unwrap();
        assert_eq!(due - scene.now(), Duration::from_secs(wait));
        scene.pass(Duration::from_secs(wait));
        scene.arm(Fault::Lost, Call::Initialize);
        assert_eq!(scene.sweep().await, 1);
    }
    let failed = scene.read(&payment).await;
    assert_eq!(
        (failed.status, failed.next_attempt_at),
        (PaymentStatus::Failed, None)
    );
    assert_eq!(scene.events().await.last().unwrap(), "aegis.payment.failed");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_and_nothing_is_opened_twice() {
    let scene = Scene::new().await;
    scene.arm(Fault::Timeout, Call::Initialize);
    let payment = scene.opened("order-1", 1_000).await;
    assert_eq!(payment.status, PaymentStatus::Created);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.sweep().await, 1);
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Pending);
    scene
        .psp
        .with_books(|books| assert_eq!(books.payments().count(), 1));
    let body = scene.pay("order-1");
    scene.told(&body).await;
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Succeeded);
}

#[tokio::test]
async fn a_process_that_died_after_the_commit_is_taken_over_once_its_lease_ends() {
    let scene = Scene::new().await;
    let payment = scene.created("order-1", 1_000).await;
    scene.pass(scene.options.lease);
    assert_eq!(scene.sweep().await, 1);
    assert_eq!(scene.read(&payment).await.status, PaymentStatus::Pending);
}

#[tokio::test]
async fn too_many_calls_are_no_failure_of_the_payment() {
    let scene = Scene::new().await;
    scene.arm(Fault::RateLimit, Call::Initialize);
    let payment = scene.opened("order-1", 1_000).await;
    assert_eq!(
        (payment.status, payment.attempts),
        (PaymentStatus::Created, 0)
    );
    assert!(payment.next_attempt_at.unwrap() > scene.now());
}

#[tokio::test]
async fn a_reference_that_is_the_psps_already_for_something_else_fails_the_payment() {
    let scene = Scene::new().await;
    // The reference is the PSP's already, for another amount.
    let foreign = aegis::psp::NewPayment {
        reference: "order-1".to_owned(),
        email: "x@example.com".to_owned(),
        amount: 77,
        currency: crate::scene::ngn(),
        callback_url: None,
        metadata: None,
    };
    aegis::psp::Psp::initialize(&scene.psp, &foreign)
        .await
        .unwrap();
    let Created::Now(payment) = scene.ask_for(&wanted("order-1", 1_000)).await else {
        panic!("not made");
    };
    let failed = scene.open(&payment, true).await;
    assert_eq!(failed.status, PaymentStatus::Failed);
    assert_eq!(scene.classes().await, ["amount"]);
}
