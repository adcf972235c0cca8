//! `ledger verify`: money on its way back is that of the open refunds.

use aegis::verify::{self, Check, Report};
use tokio_util::sync::CancellationToken;

use crate::scene::Scene;

async fn verified(scene: &Scene) -> Report {
    verify::ledger(
        &scene.database.settings(),
        &scene.ledger,
        verify::Options::default(),
        &verify::Progress::default(),
        &CancellationToken::new(),
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn money_on_its_way_back_that_no_refund_explains_is_named() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", 100_000).await;
    scene.requested(&payment, "one", 30_000).await;
    scene.sent(&payment, "two", 20_000).await;
    let report = verified(&scene).await;
    assert!(report.ok, "{:?}", report.checks);
    assert_eq!(report.check(Check::Refunds).unwrap().checked, 2);
    sqlx::query("UPDATE wallets SET balance = balance - 1 WHERE address = 'refunds:in_transit'")
        .execute(scene.pool())
        .await
        .unwrap();
    let report = verified(&scene).await;
    let check = report.check(Check::Refunds).unwrap();
    assert_eq!(check.violations, 1);
    let first = check.first.as_ref().unwrap();
    assert_eq!(
        (first.expected.as_deref(), first.found.as_deref()),
        (Some("50000"), Some("49999"))
    );
    assert!(first.look.contains("--prefix refunds:"), "{}", first.look);
}
