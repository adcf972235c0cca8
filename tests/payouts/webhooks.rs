//! Webhooks: early, late, twice and in any order.

use aegis::payouts::{self, Applied, PayoutStatus};
use aegis::postgres::transact;
use aegis::psp::{Psp, Subject, Transfer, TransferStatus};
use aegis::simulator::Fault;
use uuid::Uuid;

use crate::common::paystack::hook;
use crate::scene::{FUNDS, PSP_FEE, Scene, ngn};

async fn hear(scene: &Scene, id: Uuid, transfer: &Transfer) -> Applied {
    let (options, ledger, now) = (&scene.options, &scene.ledger, scene.now());
    transact(scene.pool(), async |conn| {
        payouts::apply_transfer(conn, options, ledger, id, transfer, now).await
    })
    .await
    .unwrap()
}

fn told(reference: &str, status: TransferStatus, amount: i64) -> Transfer {
    Transfer {
        reference: reference.to_owned(),
        code: "TRF_1".to_owned(),
        status,
        amount,
        currency: ngn(),
        fee: Some(PSP_FEE),
        detail: None,
    }
}

#[tokio::test]
async fn a_webhook_settles_what_nobody_answered() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::ServerError);
    let payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Unknown);
    let success = told(&payout.reference, TransferStatus::Success, 90_000);
    assert_eq!(hear(&scene, payout.id, &success).await, Applied::Done);
    assert_eq!(scene.read(payout.id).await.status, PayoutStatus::Succeeded);
    assert_eq!(hear(&scene, payout.id, &success).await, Applied::Ignored);
    assert_eq!(scene.balance("platform:psp_fees").await, -PSP_FEE);
    assert_eq!(scene.in_transit().await, 0);
}

#[tokio::test]
async fn a_webhook_before_our_own_call_returned_wins() {
    let scene = Scene::slow().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::Slow);
    let success = told(&payout.reference, TransferStatus::Success, 90_000);
    let (sent, heard) = tokio::join!(scene.advance(payout.id), async {
        while scene.transfers() == 0 {
            tokio::task::yield_now().await;
        }
        hear(&scene, payout.id, &success).await
    });
    assert_eq!(heard, Applied::Done);
    assert_eq!(
        sent.status,
        PayoutStatus::Succeeded,
        "our stale answer changes nothing"
    );
    assert_eq!(scene.attempts(payout.id).await, ["send seen"]);
    assert_eq!(scene.events(payout.id).await, ["requested", "succeeded"]);
    assert_eq!(scene.in_transit().await, 0);
}

#[tokio::test]
async fn paid_and_come_back_in_either_order_ends_the_same() {
    for order in [["success", "reversed"], ["reversed", "success"]] {
        let scene = Scene::new().await;
        let payout = scene.sent("k", 90_000).await;
        for word in order {
            let status = TransferStatus::from_word(word);
            hear(&scene, payout.id, &told(&payout.reference, status, 90_000)).await;
        }
        assert_eq!(
            (scene.in_transit().await, scene.available().await),
            (0, FUNDS),
            "{order:?}"
        );
        assert_eq!(scene.balance("psp:paystack").await, -FUNDS, "{order:?}");
        assert_eq!(scene.balance("platform:psp_fees").await, 0, "{order:?}");
    }
}

#[tokio::test]
async fn another_amount_is_a_discrepancy_however_it_stands() {
    let scene = Scene::new().await;
    let payout = scene.sent("k", 90_000).await;
    let wrong = told(&payout.reference, TransferStatus::Success, 80_000);
    assert_eq!(hear(&scene, payout.id, &wrong).await, Applied::Discrepancy);
    assert_eq!(scene.read(payout.id).await.status, PayoutStatus::Unknown);
    assert_eq!(scene.in_transit().await, 90_000);
    let right = told(&payout.reference, TransferStatus::Success, 90_000);
    assert_eq!(hear(&scene, payout.id, &right).await, Applied::Done);
    assert_eq!(hear(&scene, payout.id, &wrong).await, Applied::Discrepancy);
    assert_eq!(scene.read(payout.id).await.status, PayoutStatus::Succeeded);
    assert_eq!(scene.in_transit().await, 0);
}

#[tokio::test]
async fn paid_after_the_funds_went_back_is_a_discrepancy_and_posts_nothing() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::LowBalance);
    let payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Failed);
    for status in [TransferStatus::Pending, TransferStatus::Success] {
        let news = told(&payout.reference, status, 90_000);
        assert_eq!(hear(&scene, payout.id, &news).await, Applied::Discrepancy);
    }
    assert_eq!(scene.available().await, FUNDS);
    assert_eq!(scene.discrepancies().await, ["status", "status"]);
}

#[tokio::test]
async fn genuine_webhooks_of_the_simulator_are_read_and_applied() {
    let (url, mut arrived) = hook().await;
    let scene = Scene::telling(Some(url)).await;
    let payout = scene.sent("k", 90_000).await;
    scene.arm(Fault::Duplicate);
    scene.at_the_psp("succeed", &payout).await;
    let mut applied = Vec::new();
    for _ in 0..2 {
        let (body, signature) = arrived.recv().await.unwrap();
        let event = scene.psp.webhook(&body, Some(&signature)).unwrap();
        let Subject::Transfer(transfer) = event.subject else {
            panic!("no transfer");
        };
        applied.push(hear(&scene, payout.id, &transfer).await);
    }
    assert_eq!(applied, [Applied::Done, Applied::Ignored]);
    assert_eq!(scene.read(payout.id).await.status, PayoutStatus::Succeeded);
}
