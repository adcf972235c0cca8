//! Asking the PSP: what it says of other sums, of what it had and has no more, and a day later.

use aegis::payouts::PayoutStatus;
use aegis::psp::{NewTransfer, Psp};
use aegis::simulator::{Armed, Call, Fault};

use crate::scene::{FUNDS, Scene};

/// A transfer at the PSP that has the payout's reference and another amount.
async fn somebody_elses(scene: &Scene, reference: &str, amount: i64) {
    let transfer = NewTransfer {
        reference: reference.to_owned(),
        amount,
        currency: crate::scene::ngn(),
        recipient: scene.recipient.clone(),
        reason: None,
    };
    scene.psp.transfer(&transfer).await.unwrap();
}

#[tokio::test]
async fn another_amount_at_the_psp_is_a_discrepancy_and_moves_nothing() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    somebody_elses(&scene, &payout.reference, 80_000).await;
    let payout = scene.advance(payout.id).await;
    assert_eq!(
        payout.status,
        PayoutStatus::Unknown,
        "the reference is taken"
    );
    assert_eq!(scene.attempts(payout.id).await, ["send reference_taken"]);
    scene.at_the_psp("succeed", &payout).await;
    let mut payout = payout;
    for _ in 0..3 {
        payout = scene.go_on(&payout).await;
        assert_eq!(payout.status, PayoutStatus::Unknown);
    }
    assert_eq!(scene.discrepancies().await, ["amount"], "found once");
    let told = scene.events(payout.id).await;
    assert_eq!(told.last().unwrap(), "aegis.discrepancy.opened");
    assert_eq!(told.len(), 3, "told once: {told:?}");
    assert_eq!(scene.in_transit().await, 90_000);
    assert_eq!(scene.transfers(), 1);
}

#[tokio::test]
async fn a_reference_that_was_taken_for_the_same_sum_is_ours() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    somebody_elses(&scene, &payout.reference, 90_000).await;
    let payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Unknown);
    let payout = scene.go_on(&payout).await;
    assert_eq!(payout.status, PayoutStatus::Sent);
    assert_eq!(scene.transfers(), 1);
}

#[tokio::test]
async fn a_day_later_not_known_is_no_leave_to_send_again() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::Lost);
    let mut payout = scene.advance(payout.id).await;
    scene.pass(24 * 3_600);
    for _ in 0..5 {
        payout = scene.go_on(&payout).await;
        assert_eq!(payout.status, PayoutStatus::Unknown);
    }
    assert_eq!(scene.transfers(), 0);
    assert_eq!(scene.in_transit().await, 90_000);
}

#[tokio::test]
async fn between_leave_and_sending_too_much_time_has_it_asked_again() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::Lost);
    let mut payout = scene.advance(payout.id).await;
    while payout.status == PayoutStatus::Unknown {
        payout = scene.go_on(&payout).await;
    }
    assert_eq!(payout.status, PayoutStatus::Requested);
    // The daemon was down in between, and the first call's request got through at last.
    scene.pass(7_200);
    somebody_elses(&scene, &payout.reference, 90_000).await;
    let payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Sent);
    assert_eq!(
        scene.attempts(payout.id).await.last().unwrap(),
        "ask seen",
        "nothing was sent"
    );
}

#[tokio::test]
async fn a_question_turns_a_succeeded_payout_into_a_returned_one_when_the_money_came_back() {
    let scene = Scene::new().await;
    let payout = scene.sent("k", 90_000).await;
    scene.at_the_psp("succeed", &payout).await;
    let payout = scene.go_on(&payout).await;
    scene.at_the_psp("reverse", &payout).await;
    let payout = scene.requery(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Returned);
    assert_eq!(
        (scene.in_transit().await, scene.available().await),
        (0, FUNDS)
    );
    assert_eq!(scene.balance("platform:psp_fees").await, 0);
    scene.assert_same_books().await;
    assert_eq!(
        scene.requery(payout.id).await.status,
        PayoutStatus::Returned
    );
    assert_eq!(scene.available().await, FUNDS, "once");
}

#[tokio::test]
async fn a_question_that_nobody_waited_for_changes_nothing_that_has_ended() {
    let scene = Scene::new().await;
    let payout = scene.sent("k", 90_000).await;
    scene.at_the_psp("succeed", &payout).await;
    let payout = scene.go_on(&payout).await;
    scene.simulator.arm(Armed {
        call: Some(Call::VerifyTransfer),
        ..Armed::next(Fault::ServerError)
    });
    let after = scene.requery(payout.id).await;
    assert_eq!(after.status, PayoutStatus::Succeeded);
    assert_eq!(after.next_attempt_at, None);
}
