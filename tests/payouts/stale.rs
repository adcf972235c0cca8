//! An answer that comes when nobody reckons with it any more.

use aegis::payouts::{self, PayoutStatus};

use crate::model::{Fate, ModelPsp};
use crate::scene::Scene;

#[tokio::test]
async fn a_no_to_a_call_that_was_given_up_says_nothing_of_the_later_one() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    let (slow, psp) = (ModelPsp::new(scene.now()), ModelPsp::new(scene.now()));
    slow.next(Fate::Held);
    let begun_at = scene.now();
    let (options, ledger, pool) = (&scene.options, &scene.ledger, scene.pool());
    let stale = payouts::advance(pool, options, &slow, ledger, payout.id, begun_at);
    let meanwhile = async {
        slow.held.notified().await;
        // Its lease ends; another daemon asks, is told that nothing is known, and sends it again.
        psp.next(Fate::Answered);
        let mut payout = scene.read(payout.id).await;
        while payout.status != PayoutStatus::Requested || payout.not_known_at.is_none() {
            scene.wait_for(&payout);
            let now = scene.now();
            let stepped = payouts::advance(pool, options, &psp, ledger, payout.id, now).await;
            payout = stepped.unwrap();
        }
        psp.next(Fate::CrashBehind);
        scene.wait_for(&payout);
        let now = scene.now();
        tokio::select! {
            _ = payouts::advance(pool, options, &psp, ledger, payout.id, now) => {}
            () = psp.crash.notified() => {}
        }
        slow.release.notify_one();
    };
    let (stale, ()) = tokio::join!(stale, meanwhile);
    assert_eq!(stale.unwrap().status, PayoutStatus::Requested);
    assert_eq!(
        scene.in_transit().await,
        90_000,
        "the later call may have sent it"
    );
    psp.next(Fate::Answered);
    let after = scene.read(payout.id).await;
    scene.wait_for(&after);
    let now = scene.now();
    let after = payouts::advance(pool, options, &psp, ledger, payout.id, now).await;
    assert_eq!(after.unwrap().status, PayoutStatus::Sent);
}
