//! What stands in clearing wallets.

use aegis::engine::Posting;
use aegis::merchant::house;
use aegis::reconcile::clearing::{Standing, standings};
use time::macros::datetime;

use crate::scene::{Scene, ngn, noon, payment};

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
