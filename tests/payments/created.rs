//! A payment is asked for.

use aegis::payments::{Created, NewPayment};
use aegis::postgres::payments::PaymentStatus;

use crate::common::merchant::{TERMS, merchant};
use crate::scene::{Scene, wanted};

fn code(created: &Created) -> &str {
    match created {
        Created::Rejected(refused) => refused.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_payment_is_written_with_its_reference_and_its_event_before_the_psp_hears_of_it() {
    let scene = Scene::new().await;
    let payment = scene.created("order-1", 1_000_000).await;
    assert_eq!(payment.status, PaymentStatus::Created);
    assert_eq!((payment.fee, payment.net), (25_000, 975_000));
    assert_eq!(payment.terms_version, 1);
    assert_eq!(scene.events().await, ["aegis.payment.created"]);
    let kept: String = sqlx::query_scalar("SELECT subject_id::text FROM psp_references")
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert_eq!(kept, payment.id.to_string());
    scene
        .psp
        .with_books(|books| assert_eq!(books.payments().count(), 0));
    // Nobody else calls the PSP while whoever asked does.
    assert_eq!(scene.sweep().await, 0);
    let event: String = sqlx::query_scalar(
        "SELECT payload::text FROM transaction_outbox WHERE event_type = 'aegis.payment.created'",
    )
    .fetch_one(&scene.pool)
    .await
    .unwrap();
    assert!(
        event.contains("order-1") && !event.contains("ada@"),
        "{event}"
    );
}

#[tokio::test]
async fn the_same_key_is_the_same_payment_and_another_request_is_rejected() {
    let scene = Scene::new().await;
    let payment = scene.created("order-1", 1_000).await;
    let again = NewPayment {
        correlation_id: Some("another".to_owned()),
        ..wanted("order-1", 1_000)
    };
    assert_eq!(scene.ask_for(&again).await, Created::Before(payment));
    let other = scene.ask_for(&wanted("order-1", 1_001)).await;
    assert_eq!(code(&other), "idempotency_key_reused");
}

#[tokio::test]
async fn the_same_key_from_many_sides_at_once_is_one_payment() {
    let scene = Scene::new().await;
    let new = wanted("order-1", 5_000);
    let asked = (0..8).map(|_| scene.ask_for(&new));
    let made = futures_util::future::join_all(asked).await;
    let ids: std::collections::BTreeSet<_> = made
        .iter()
        .map(|made| match made {
            Created::Now(payment) | Created::Before(payment) => payment.id,
            Created::Rejected(refused) => panic!("{refused:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(scene.events().await, ["aegis.payment.created"]);
}

#[tokio::test]
async fn rules_say_no_and_leave_no_trace() {
    let scene = Scene::new().await;
    scene.created("taken", 1_000).await;
    merchant(scene.database.pool(), &scene.ledger, "cold", "NGN", TERMS).await;
    scene
        .run("UPDATE merchants SET status = 'frozen' WHERE id = 'cold'")
        .await;
    let base = wanted("k", 1_000);
    let with = |change: &dyn Fn(&mut NewPayment)| {
        let mut new = base.clone();
        change(&mut new);
        new
    };
    for (expected, new) in [
        ("amount_not_positive", with(&|new| new.amount = 0)),
        ("amount_not_positive", with(&|new| new.amount = -5)),
        (
            "merchant_not_found",
            with(&|new| new.merchant = "nobody".parse().unwrap()),
        ),
        (
            "merchant_frozen",
            with(&|new| new.merchant = "cold".parse().unwrap()),
        ),
        (
            "currency_not_agreed",
            with(&|new| new.currency = "KES".parse().unwrap()),
        ),
        (
            "reference_taken",
            with(&|new| new.reference = Some("taken".parse().unwrap())),
        ),
    ] {
        assert_eq!(code(&scene.ask_for(&new).await), expected);
    }
    // None of them took the key.
    assert!(matches!(scene.ask_for(&base).await, Created::Now(_)));
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM payments")
        .fetch_one(&scene.pool)
        .await
        .unwrap();
    assert_eq!(rows, 2);
}

#[tokio::test]
async fn a_payment_keeps_the_terms_that_it_was_made_under() {
    let scene = Scene::new().await;
    let payment = scene.opened("order-1", 1_000_000).await;
    let dearer = TERMS.replace("\"basis_points\": 150", "\"basis_points\": 900");
    let (office, actor) = (
        crate::common::merchant::office(),
        crate::common::merchant::tester(),
    );
    let call = aegis::onboarding::Call {
        office: &office,
        ledger: &scene.ledger,
        actor: &actor,
        now: scene.now(),
    };
    let (acme, dearer) = ("acme".parse().unwrap(), dearer.parse().unwrap());
    let pool = scene.database.pool();
    aegis::onboarding::agree(pool, call, &acme, crate::scene::ngn(), &dearer)
        .await
        .unwrap();
    let body = scene.pay("order-1");
    scene.told(&body).await;
    let paid = scene.read(&payment).await;
    assert_eq!((paid.terms_version, paid.fee), (1, 25_000));
    assert_eq!(scene.created("order-2", 1_000_000).await.terms_version, 2);
    assert_eq!(scene.balance("platform:fees").await, 25_000);
}
