//! What a trace leaves out.

use aegis::postgres::ledgers;
use aegis::trace::{self, Thing};

use crate::scene::{Scene, tells_of};

#[tokio::test]
async fn what_nobody_knows_is_nothing() {
    let scene = Scene::new().await;
    scene.paid(500, 0).await;
    let unknown = uuid::Uuid::now_v7();
    let refs = [
        "nobody".to_owned(),
        String::new(),
        "payment:x".to_owned(),
        unknown.to_string(),
        format!("payment:{unknown}"),
        "9223372036854775807".to_owned(),
    ];
    for reference in refs {
        let traced = scene.traced(&reference, trace::THINGS_DEFAULT).await;
        assert!(traced.is_none(), "{reference}");
    }
}

#[tokio::test]
async fn another_ledgers_things_are_not_told() {
    let scene = Scene::new().await;
    let payment = scene.paid(500, 0).await;
    let reference = payment.to_string();
    scene.webhook("evt-1", "charge.success", &reference).await;
    let mut conn = scene.pool.acquire().await.unwrap();
    let name = "europe".parse().unwrap();
    let (europe, _) = ledgers::create(&mut conn, &name).await.unwrap();
    for reference in [reference.as_str(), "evt-1", "webhook:1"] {
        let there = trace::trace(&mut conn, &europe, reference, 100).await;
        assert!(there.unwrap().is_none(), "{reference}");
    }
    drop(conn);
    assert!(scene.traced("evt-1", 100).await.is_some());
}

#[tokio::test]
async fn a_trace_is_bounded_and_says_so_where_it_was_cut() {
    let scene = Scene::new().await;
    for amount in 1..=6 {
        scene.paid(amount, 0).await;
    }
    let settlement = scene.settle(2).await[0].to_string();
    let all = scene.trace(&settlement).await;
    assert!(!all.cut);
    // Itself, its transaction, six payments and their transactions.
    assert_eq!(all.things, 14);
    let some = scene.traced(&settlement, 5).await.unwrap();
    assert!(some.cut);
    assert_eq!(some.things, 5);
}

#[tokio::test]
async fn a_settlement_of_many_is_cut_from_itself_but_not_from_one_of_its_payments() {
    let scene = Scene::new().await;
    let payment = scene.paid(1, 0).await;
    for amount in 2..=202 {
        scene.paid(amount, 0).await;
    }
    let settlement = scene.settle(2).await[0];
    let of_all = scene.traced(&settlement.to_string(), 2_000).await.unwrap();
    assert!(of_all.cut, "201 payments and more are not all read");
    let of_one = scene.trace(&payment.to_string()).await;
    assert!(!of_one.cut);
    assert!(tells_of(&of_one, &Thing::Settlement(settlement)));
}
