//! Refunds that were made at the PSP itself, as its list shows them.

use aegis::postgres::payments::PaymentStatus;
use aegis::psp::RefundStatus as Word;
use aegis::refunds::{Applied, Origin, RefundError, RefundStatus};
use aegis::simulator::{Armed, Call, Fault};

use crate::scene::{AMOUNT, FEE, Scene, new, terms, webhook};

const NET: i64 = AMOUNT - FEE;

#[tokio::test]
async fn a_webhook_that_does_not_say_which_one_has_the_list_read() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    scene.made_there(&payment, 50_000).await;
    for _ in 0..3 {
        let heard = scene
            .hear(&payment, &webhook(&payment, 50_000, "pending"))
            .await;
        assert_eq!(heard.unwrap(), Applied::Done);
        scene.work().await;
    }
    let all = scene.refunds(&payment).await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].origin, all[0].status),
        (Origin::Psp, RefundStatus::Succeeded)
    );
    assert_eq!(scene.balances().await, [NET - 49_000, 0, 0, FEE - 1_000]);
    assert_eq!(scene.in_transit().await, 0, "it never was in our transit");
    assert_eq!(scene.status(&payment).await, PaymentStatus::PartlyRefunded);
    assert_eq!(scene.events(payment.id).await, ["payment.refunded"]);
    assert_eq!(scene.events(all[0].id).await, ["refund.succeeded"]);
    scene.assert_sound().await;
    scene.assert_same_books().await;
}

#[tokio::test]
async fn ours_is_told_from_theirs_by_its_note() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let ours = scene.sent(&payment, "k", 30_000).await;
    scene.made_there(&payment, 30_000).await;
    scene.at_the_psp("process", &ours).await;
    let word = webhook(&payment, 30_000, "processed");
    scene.hear(&payment, &word).await.unwrap();
    scene.work().await;
    assert_eq!(scene.read(ours.id).await.status, RefundStatus::Succeeded);
    assert_eq!(scene.refunds(&payment).await.len(), 2);
    assert_eq!(scene.payment(payment.id).await.refunded, 60_000);
    scene.assert_sound().await;
    scene.assert_same_books().await;
}

#[tokio::test]
async fn one_that_fails_there_later_is_undone() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    scene.made_there(&payment, 50_000).await;
    scene
        .hear(&payment, &webhook(&payment, 50_000, "pending"))
        .await
        .unwrap();
    scene.work().await;
    let refund = scene.refunds(&payment).await.remove(0);
    scene.at_the_psp("fail", &refund).await;
    // No webhook tells of it: the list is read again by itself.
    scene.pass(3_600);
    scene.work().await;
    let refund = scene.read(refund.id).await;
    assert_eq!(refund.status, RefundStatus::Failed);
    assert_eq!(scene.balances().await, before);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Succeeded);
    scene.assert_sound().await;
    scene.assert_same_books().await;
    scene.pass(3_600);
    assert_eq!(scene.work().await, 0, "nothing is left to look up");
}

#[tokio::test]
async fn one_that_had_failed_when_it_was_heard_of_moves_nothing() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    let mut entry = scene.made_there(&payment, 50_000).await;
    entry.status = Word::Failed;
    assert_eq!(
        scene.hear(&payment, &entry).await.unwrap(),
        Applied::Ignored
    );
    // Older news.
    entry.status = Word::Pending;
    assert_eq!(
        scene.hear(&payment, &entry).await.unwrap(),
        Applied::Ignored
    );
    assert_eq!(scene.balances().await, before);
    assert_eq!(scene.payment(payment.id).await.refunded, 0);
    scene.assert_sound().await;
}

#[tokio::test]
async fn one_that_says_who_it_is_is_booked_at_once_and_once() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let mut entry = scene.made_there(&payment, 50_000).await;
    assert_eq!(scene.hear(&payment, &entry).await.unwrap(), Applied::Done);
    entry.status = Word::Processed;
    for _ in 0..2 {
        assert_eq!(
            scene.hear(&payment, &entry).await.unwrap(),
            Applied::Ignored
        );
    }
    entry.status = Word::Failed;
    for _ in 0..2 {
        assert_eq!(
            scene.hear(&payment, &entry).await.unwrap(),
            Applied::Discrepancy
        );
    }
    assert_eq!(scene.discrepancies().await, ["status"]);
    assert_eq!(scene.payment(payment.id).await.refunded, 50_000);
    scene.assert_sound().await;
}

#[tokio::test]
async fn what_the_terms_do_not_let_the_wallet_fall_to_is_owed_and_netted_later() {
    let scene = Scene::under(&terms("kept", 500, "kept", 0)).await;
    let payment = scene.paid("p", AMOUNT).await;
    let entry = scene.made_there(&payment, AMOUNT).await;
    scene.hear(&payment, &entry).await.unwrap();
    assert_eq!(scene.balances().await, [-500, 0, 500 - FEE, FEE]);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Refunded);
    scene.assert_sound().await;
    scene.paid("next", AMOUNT).await;
    scene.settle().await;
    assert_eq!(scene.balances().await, [0, NET - FEE, 0, 2 * FEE]);
    scene.assert_sound().await;
}

#[tokio::test]
async fn what_was_owed_and_has_been_paid_back_comes_back_as_money() {
    let scene = Scene::under(&terms("kept", 0, "kept", 0)).await;
    let payment = scene.paid("p", AMOUNT).await;
    let mut entry = scene.made_there(&payment, AMOUNT).await;
    scene.hear(&payment, &entry).await.unwrap();
    assert_eq!(scene.balances().await, [0, 0, -FEE, FEE]);
    scene.paid("next", AMOUNT).await;
    scene.settle().await;
    assert_eq!(scene.balances().await, [0, NET - FEE, 0, 2 * FEE]);
    entry.status = Word::Failed;
    assert_eq!(scene.hear(&payment, &entry).await.unwrap(), Applied::Done);
    assert_eq!(scene.balances().await, [0, 2 * NET, 0, 2 * FEE]);
    scene.assert_sound().await;
}

#[tokio::test]
async fn another_currency_or_more_than_is_left_is_a_discrepancy() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    let entry = scene.made_there(&payment, 50_000).await;
    let mut other = entry.clone();
    other.currency = aegis::ledger::Currency::from_code("GHS").unwrap();
    let mut more = entry;
    more.amount = AMOUNT + 1;
    for (said, class) in [(other, "currency"), (more, "amount")] {
        for _ in 0..2 {
            assert_eq!(
                scene.hear(&payment, &said).await.unwrap(),
                Applied::Discrepancy
            );
        }
        assert_eq!(scene.discrepancies().await.last().unwrap(), class);
    }
    assert_eq!(scene.discrepancies().await.len(), 2);
    assert_eq!(scene.events(payment.id).await, ["discrepancy.opened"; 2]);
    assert_eq!(scene.balances().await, before);
    assert!(scene.refunds(&payment).await.is_empty());
}

#[tokio::test]
async fn before_its_payment_was_heard_of_it_waits() {
    let scene = Scene::new().await;
    let unpaid = scene.unpaid("u", AMOUNT).await;
    let heard = scene
        .hear(&unpaid, &webhook(&unpaid, 1_000, "processed"))
        .await;
    assert!(matches!(heard, Err(RefundError::NotPaid(_))));
}

#[tokio::test]
async fn one_for_which_there_is_room_once_ours_came_to_nothing_waits_for_that() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let ours = scene.requested(&payment, "k", AMOUNT).await;
    let there = scene.made_there(&payment, AMOUNT).await;
    let heard = scene.hear(&payment, &there).await;
    assert!(matches!(heard, Err(RefundError::UnderWay(_))));
    let ours = scene.advance(ours.id).await;
    assert_eq!(
        ours.status,
        RefundStatus::Failed,
        "the PSP has nothing left to give"
    );
    assert_eq!(scene.hear(&payment, &there).await.unwrap(), Applied::Done);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Refunded);
    scene.assert_sound().await;
    scene.assert_same_books().await;
}

#[tokio::test]
async fn one_for_which_there_is_no_room_does_not_keep_ours_from_its_end() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let ours = scene.requested(&payment, "k", 60_000).await;
    scene.arm(Fault::Lost);
    let mut ours = scene.advance(ours.id).await;
    assert_eq!(ours.status, RefundStatus::Unknown);
    scene.made_there(&payment, 70_000).await;
    // The list shows the other one; ours is sent again, refused, and given back.
    for _ in 0..20 {
        if ours.status.is_open() {
            ours = scene.go_on(&ours).await;
        }
    }
    assert_eq!(ours.status, RefundStatus::Failed, "{:?}", ours.last_error);
    scene.pass(600);
    scene.work().await;
    assert_eq!(scene.payment(payment.id).await.refunded, 70_000);
    scene.assert_sound().await;
}

#[tokio::test]
async fn one_of_ours_that_was_sent_twice_is_booked_twice_and_shouted_about() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let ours = scene.sent(&payment, "k", 30_000).await;
    let mut second = scene.made_there(&payment, 30_000).await;
    second.merchant_note = Some(ours.id.to_string());
    assert_eq!(scene.hear(&payment, &second).await.unwrap(), Applied::Done);
    assert_eq!(
        scene.hear(&payment, &second).await.unwrap(),
        Applied::Ignored
    );
    assert_eq!(scene.discrepancies().await, ["duplicate"]);
    assert_eq!(scene.payment(payment.id).await.refunded, 60_000);
    scene.assert_sound().await;
}

#[tokio::test]
async fn one_without_a_note_is_taken_for_ours_that_may_have_been_sent() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let ours = scene.requested(&payment, "k", 30_000).await;
    scene.arm(Fault::ServerError);
    let ours = scene.advance(ours.id).await;
    let psp_id = payment.psp_id.as_deref().unwrap();
    let list = aegis::psp::Psp::refunds_of(&scene.psp, psp_id)
        .await
        .unwrap();
    let mut entry = list.into_iter().next().unwrap();
    entry.merchant_note = None;
    assert_eq!(scene.hear(&payment, &entry).await.unwrap(), Applied::Done);
    assert_eq!(scene.read(ours.id).await.status, RefundStatus::Sent);
    assert_eq!(scene.refunds(&payment).await.len(), 1);
    scene.assert_sound().await;
}

#[tokio::test]
async fn a_list_that_is_not_answered_is_asked_for_again() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    scene.made_there(&payment, 50_000).await;
    scene
        .hear(&payment, &webhook(&payment, 50_000, "pending"))
        .await
        .unwrap();
    scene.simulator.arm(Armed {
        call: Some(Call::Refunds),
        times: 2,
        ..Armed::next(Fault::ServerError)
    });
    scene.work().await;
    assert!(scene.refunds(&payment).await.is_empty());
    for _ in 0..3 {
        scene.pass(600);
        scene.work().await;
    }
    assert_eq!(scene.refunds(&payment).await.len(), 1);
    scene.assert_sound().await;
}

#[tokio::test]
async fn what_is_left_after_theirs_can_be_refunded_here() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let entry = scene.made_there(&payment, 33_333).await;
    scene.hear(&payment, &entry).await.unwrap();
    let code = scene.refused(&new(&payment, "k", Some(66_668))).await;
    assert_eq!(code, "refund_exceeds_payment");
    scene.sent(&payment, "k", 66_667).await;
    assert_eq!(scene.balances().await, [0, 0, 0, 0]);
    scene.assert_sound().await;
}
