//! What stands in clearing wallets.

use aegis::engine::Posting;
use aegis::merchant::house;
use aegis::postgres::audit::Actor;
use aegis::postgres::discrepancies::{self, Class, Finding, Sum};
use aegis::reconcile::clearing::{Standing, standings};
use aegis::reconcile::resolve;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::scene::{Scene, ngn, noon, options, payment};

async fn of(scene: &Scene, wallet: &str) -> Standing {
    let mut conn = scene.pool().acquire().await.unwrap();
    let all = standings(&mut conn, scene.ledger.id).await.unwrap();
    all.into_iter().find(|it| it.wallet == wallet).unwrap()
}

fn parts(standing: &Standing) -> Vec<(&str, i64, i64)> {
    let parts = standing.parts.iter();
    parts
        .map(|part| (part.what.as_str(), part.count, part.amount))
        .collect()
}

#[tokio::test]
async fn what_a_psp_holds_is_explained_by_its_statement_and_what_came_since() {
    let scene = Scene::new().await;
    assert!(of(&scene, "psp:paystack").await.is_explained());
    scene.paid("a", 1_000).await;
    let id = scene.asked("later", 50).await;
    scene
        .pay(id, "later", 50, datetime!(2026-11-23 08:00 UTC))
        .await;
    scene.plain(&[&payment("a", 1_000)]).await;
    let standing = of(&scene, "psp:paystack").await;
    assert_eq!(
        parts(&standing),
        [
            ("in_statement", 1, -1_000),
            ("not_in_statement_yet", 1, -50)
        ]
    );
    assert_eq!(standing.parts[0].since, Some(noon()));
    assert!(standing.since.is_some());
    assert_eq!((standing.balance, standing.unexplained()), (-1_050, 0));
    assert!(standing.is_explained());
}

#[tokio::test]
async fn what_a_statement_of_its_time_lacks_is_not_explained() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene.paid("b", 200).await;
    scene.plain(&[&payment("a", 1_000)]).await;
    let standing = of(&scene, "psp:paystack").await;
    assert_eq!((standing.unexplained(), standing.discrepancies), (-200, 1));
    assert!(!standing.is_explained());
}

#[tokio::test]
async fn a_wallet_in_transit_without_anything_on_its_way_is_not_explained() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    assert!(of(&scene, "payouts:in_transit").await.is_explained());
    let posting = Posting::new("test:lost")
        .leg(house::fees(), ngn(), -300)
        .leg(house::payouts_in_transit(), ngn(), 300);
    scene.post_as(posting, "", noon()).await;
    let standing = of(&scene, "payouts:in_transit").await;
    assert_eq!(standing.unexplained(), 300);
    assert!(!standing.is_explained());
}

/// Two persons agree that a difference is none.
async fn accept(scene: &Scene, id: i64) {
    let person = |name: &str| Actor {
        name: name.to_owned(),
        host: "here".to_owned(),
    };
    let (pool, ledger, now) = (scene.pool(), &scene.ledger, OffsetDateTime::now_utc());
    let proposed = resolve::propose(pool, ledger, id, &[], "ticket 7", &person("ann"), now)
        .await
        .unwrap();
    let seen = proposed.proposal_hash().unwrap();
    resolve::approve(pool, &options(), ledger, (id, &seen), &person("ben"), now)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_another_wallets_statement_lacked_explains_nothing_here() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    scene.to_bank("S1", 4_000, noon()).await;
    let header = "date,amount,currency,reference\n";
    scene
        .bank(&format!("{header}2026-11-22,1.00,NGN,other\n"))
        .await;
    for found in scene.discrepancies().await {
        accept(&scene, found.id).await;
    }
    assert!(scene.open().await.is_empty());
    scene.plain(&[&payment("a", 10_000)]).await;
    let standing = of(&scene, "psp:paystack").await;
    assert_eq!((standing.unexplained(), standing.discrepancies), (4_000, 1));
    // Of its own statement it does.
    let found = scene.discrepancies().await;
    let found = found.iter().find(|it| it.resolved_at.is_none()).unwrap();
    accept(&scene, found.id).await;
    let standing = of(&scene, "psp:paystack").await;
    assert!(standing.is_explained(), "{standing:?}");
}

#[tokio::test]
async fn a_webhooks_discrepancy_leaves_its_wallet_unexplained() {
    let scene = Scene::new().await;
    let id = scene.asked("a", 1_000).await;
    assert!(of(&scene, "psp:paystack").await.is_explained());
    let sum = |amount, currency: &str| {
        let currency = currency.to_owned();
        Some(Sum { amount, currency })
    };
    let finding = |class, identity, subject, found| Finding {
        class,
        source: "webhook",
        identity,
        psp: Some("paystack"),
        reference: Some("a"),
        subject: Some((subject, id)),
        expected: None,
        found,
        detail: "the PSP has another amount",
        occurred_at: None,
    };
    // One of a currency that no wallet is in, and one of none, are of each of the PSP's wallets.
    let findings = [
        finding(Class::Amount, "a", "payment", sum(900, "NGN")),
        finding(Class::Status, "b", "payout", None),
        finding(Class::UnknownReference, "c", "refund", sum(5, "XXX")),
    ];
    let mut conn = scene.pool().acquire().await.unwrap();
    for finding in &findings {
        let opened = discrepancies::open(&mut conn, scene.ledger.id, finding, noon()).await;
        assert!(opened.unwrap().is_some());
    }
    let standing = of(&scene, "psp:paystack").await;
    assert_eq!((standing.unexplained(), standing.discrepancies), (0, 3));
    assert!(!standing.is_explained());
    for wallet in ["payouts:in_transit", "refunds:in_transit"] {
        let standing = of(&scene, wallet).await;
        assert_eq!(standing.discrepancies, 1, "{standing:?}");
    }
    for found in scene.discrepancies().await {
        accept(&scene, found.id).await;
    }
    assert!(of(&scene, "psp:paystack").await.is_explained());
}
