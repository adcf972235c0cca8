//! `ledger verify`: payouts and entries say the same, and what was tampered with is found.

use aegis::payouts::PayoutStatus;
use aegis::verify::{self, Check, Report};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio_util::sync::CancellationToken;

use crate::scene::{FUNDS, Scene};

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

/// A payout in each state but `unknown`.
async fn of_all_kinds(scene: &Scene) {
    scene.requested("requested", 10_000).await;
    scene.sent("sent", 11_000).await;
    for (key, acts, ends) in [
        ("succeeded", &["succeed"][..], PayoutStatus::Succeeded),
        ("failed", &["fail"], PayoutStatus::Failed),
        ("returned", &["succeed", "reverse"], PayoutStatus::Returned),
    ] {
        let mut payout = scene.sent(key, 12_000).await;
        for act in acts {
            scene.at_the_psp(act, &payout).await;
            payout = scene.requery(payout.id).await;
        }
        assert_eq!(payout.status, ends);
    }
}

#[tokio::test]
async fn payouts_in_every_state_agree_with_the_ledger() {
    let scene = Scene::new().await;
    of_all_kinds(&scene).await;
    let report = verified(&scene).await;
    assert!(report.ok, "{:?}", report.checks);
    assert_eq!(report.check(Check::Payouts).unwrap().checked, 5);
}

#[tokio::test]
async fn a_state_that_the_ledger_does_not_bear_out_is_named() {
    let scene = Scene::new().await;
    of_all_kinds(&scene).await;
    for (change, back) in [
        (
            "UPDATE payouts SET status = 'failed' WHERE status = 'succeeded'",
            "UPDATE payouts SET status = 'succeeded' WHERE idempotency_key = 'succeeded'",
        ),
        (
            "UPDATE payouts SET amount = amount + 1 WHERE idempotency_key = 'failed'",
            "UPDATE payouts SET amount = amount - 1 WHERE idempotency_key = 'failed'",
        ),
        (
            "UPDATE payouts SET psp_fee = 999 WHERE idempotency_key = 'returned'",
            "UPDATE payouts SET psp_fee = 1000 WHERE idempotency_key = 'returned'",
        ),
        (
            "UPDATE payouts SET status = 'sent', next_attempt_at = now()
             WHERE idempotency_key = 'succeeded'",
            "UPDATE payouts SET status = 'succeeded', next_attempt_at = NULL
             WHERE idempotency_key = 'succeeded'",
        ),
    ] {
        scene.pool().execute(AssertSqlSafe(change)).await.unwrap();
        let report = verified(&scene).await;
        let check = report.check(Check::Payouts).unwrap();
        assert!(!report.ok && !check.ok, "{change}");
        let first = check.first.as_ref().unwrap();
        assert!(first.look.starts_with("aegisctl "), "{}", first.look);
        scene.pool().execute(AssertSqlSafe(back)).await.unwrap();
        assert!(verified(&scene).await.ok, "{back}");
    }
}

#[tokio::test]
async fn money_in_transit_that_no_payout_explains_is_found() {
    use crate::common::ledger::{post, transfer, verdict};
    let scene = Scene::new().await;
    scene.requested("k", 10_000).await;
    let engine = aegis::engine::Engine::new(&scene.database.settings(), "aegis.transactions");
    let stray = transfer("stray", "psp:paystack", "payouts:in_transit", 7);
    assert_eq!(
        verdict(&post(&engine, &scene.ledger, stray).await),
        "posted"
    );
    let report = verified(&scene).await;
    let check = report.check(Check::Payouts).unwrap();
    assert_eq!((check.ok, check.violations), (false, 1));
    let first = check.first.as_ref().unwrap();
    assert_eq!(
        (first.expected.as_deref(), first.found.as_deref()),
        (Some("10000"), Some("10007"))
    );
    assert_eq!(scene.available().await, FUNDS - 10_000);
}
