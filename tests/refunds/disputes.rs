//! Disputes: in any order and however often they are told, a chargeback is booked once.

use aegis::ledger::Currency;
use aegis::postgres::payments::{Payment, PaymentStatus};
use aegis::psp::{Dispute, DisputeStatus, Psp as _};
use aegis::refunds::{Applied, Origin, RefundError, RefundStatus};

use crate::scene::{AMOUNT, FEE, Scene, new, terms};

const NET: i64 = AMOUNT - FEE;
const PENALTY: i64 = 500;

/// What a webhook says; `resolution`: it is over.
fn said(payment: &Payment, id: &str, amount: Option<i64>, resolution: Option<&str>) -> Dispute {
    Dispute {
        id: id.to_owned(),
        payment_reference: payment.reference.clone(),
        status: match resolution {
            Some(_) => DisputeStatus::Resolved,
            None => DisputeStatus::AwaitingMerchantFeedback,
        },
        resolution: resolution.map(str::to_owned),
        refund_amount: amount,
        payment_amount: payment.amount,
        currency: payment.currency,
        category: Some("chargeback".to_owned()),
    }
}

const LOST: Option<&str> = Some("merchant-accepted");
const WON: Option<&str> = Some("declined");

#[tokio::test]
async fn open_won_and_it_is_what_it_was() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    let open = said(&payment, "1", Some(AMOUNT), None);
    assert_eq!(
        scene.hear_dispute(&payment, &open).await.unwrap(),
        Applied::Done
    );
    assert_eq!(scene.status(&payment).await, PaymentStatus::Disputed);
    assert_eq!(
        scene.hear_dispute(&payment, &open).await.unwrap(),
        Applied::Ignored
    );
    assert_eq!(
        scene.refused(&new(&payment, "k", Some(1))).await,
        "payment_disputed"
    );
    let won = said(&payment, "1", Some(AMOUNT), WON);
    assert_eq!(
        scene.hear_dispute(&payment, &won).await.unwrap(),
        Applied::Done
    );
    assert_eq!(scene.status(&payment).await, PaymentStatus::Succeeded);
    assert_eq!(scene.balances().await, before);
    assert_eq!(scene.events(payment.id).await, ["payment.disputed"; 2]);
    for late in [&won, &open] {
        assert_eq!(
            scene.hear_dispute(&payment, late).await.unwrap(),
            Applied::Ignored
        );
    }
    scene.requested(&payment, "k", 1_000).await;
}

#[tokio::test]
async fn what_it_was_may_be_partly_refunded() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.sent(&payment, "k", 20_000).await;
    scene
        .hear_dispute(&payment, &said(&payment, "1", None, None))
        .await
        .unwrap();
    scene.at_the_psp("process", &refund).await;
    scene.go_on(&refund).await;
    assert_eq!(
        scene.status(&payment).await,
        PaymentStatus::Disputed,
        "it still is"
    );
    scene
        .hear_dispute(&payment, &said(&payment, "1", None, WON))
        .await
        .unwrap();
    assert_eq!(scene.status(&payment).await, PaymentStatus::PartlyRefunded);
    scene.assert_sound().await;
}

#[tokio::test]
async fn lost_is_booked_once_in_whichever_order_it_is_told() {
    for order in [[0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]] {
        let scene = Scene::under(&terms("returned", 0, "kept", 10_000)).await;
        let payment = scene.paid("p", AMOUNT).await;
        let words = [
            said(&payment, "1", Some(AMOUNT), None),
            said(&payment, "1", Some(AMOUNT), LOST),
        ];
        for word in order {
            scene.hear_dispute(&payment, &words[word]).await.unwrap();
        }
        assert_eq!(scene.status(&payment).await, PaymentStatus::Refunded);
        // The fee is kept, and the penalty is the platform's: the merchant bears both.
        let merchant = NET - AMOUNT - PENALTY;
        assert_eq!(scene.balances().await, [merchant, 0, 0, FEE + PENALTY]);
        let all = scene.refunds(&payment).await;
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].origin, all[0].status),
            (Origin::Chargeback, RefundStatus::Succeeded)
        );
        assert_eq!(scene.in_transit().await, 0);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn told_by_many_at_once_it_is_booked_once() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let lost = said(&payment, "1", Some(50_000), LOST);
    let all = (0..8).map(|_| scene.hear_dispute(&payment, &lost));
    let all = futures_util::future::join_all(all).await;
    let done = all
        .iter()
        .filter(|heard| matches!(heard, Ok(Applied::Done)));
    assert_eq!(done.count(), 1);
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(scene.payment(payment.id).await.refunded, 50_000);
    scene.assert_sound().await;
}

#[tokio::test]
async fn what_the_terms_do_not_let_the_wallet_fall_to_is_owed() {
    let scene = Scene::under(&terms("returned", 0, "returned", 1_000)).await;
    let payment = scene.paid("p", AMOUNT).await;
    scene.settle().await;
    let other = scene.paid("other", AMOUNT).await;
    let spent = scene.sent(&payment, "spent", 90_000).await;
    scene.at_the_psp("process", &spent).await;
    scene.go_on(&spent).await;
    let left = NET - 88_200;
    assert_eq!(scene.of_acme(aegis::merchant::Purse::Available).await, left);
    // The rest of the first one: 9,800 and the penalty from what is available, which has 9,800.
    scene
        .hear_dispute(&payment, &said(&payment, "1", None, LOST))
        .await
        .unwrap();
    assert_eq!(scene.balances().await, [NET, -PENALTY, 0, FEE + PENALTY]);
    // All of the second one, whose money is pending, and the penalty again.
    scene
        .hear_dispute(&other, &said(&other, "2", None, LOST))
        .await
        .unwrap();
    assert_eq!(scene.balances().await, [-PENALTY, -PENALTY, 0, 2 * PENALTY]);
    scene.assert_sound().await;

    let scene = Scene::under(&terms("returned", 0, "kept", 1_000)).await;
    let payment = scene.paid("p", AMOUNT).await;
    scene
        .hear_dispute(&payment, &said(&payment, "1", None, LOST))
        .await
        .unwrap();
    let owed = AMOUNT + PENALTY - NET - 1_000;
    assert_eq!(scene.balances().await, [-1_000, 0, -owed, FEE + PENALTY]);
    scene.paid("next", AMOUNT).await;
    scene.settle().await;
    let rest = NET - 1_000 - owed;
    assert_eq!(scene.balances().await, [0, rest, 0, 2 * FEE + PENALTY]);
    scene.assert_sound().await;
}

#[tokio::test]
async fn what_does_not_fit_moves_nothing() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    let lost = said(&payment, "1", Some(AMOUNT), LOST);
    let currency = Currency::from_code("GHS").unwrap();
    let cases = [
        (
            "currency",
            Dispute {
                currency,
                ..lost.clone()
            },
        ),
        (
            "amount",
            Dispute {
                payment_amount: AMOUNT - 1,
                ..lost.clone()
            },
        ),
        (
            "amount",
            Dispute {
                refund_amount: Some(AMOUNT + 1),
                ..lost.clone()
            },
        ),
        (
            "amount",
            Dispute {
                refund_amount: Some(0),
                ..lost.clone()
            },
        ),
        (
            "status",
            Dispute {
                resolution: Some("drawn".to_owned()),
                ..lost.clone()
            },
        ),
    ];
    for (class, said) in &cases {
        for _ in 0..2 {
            let heard = scene.hear_dispute(&payment, said).await.unwrap();
            assert_eq!(heard, Applied::Discrepancy, "{said:?}");
        }
        assert_eq!(scene.discrepancies().await.last().unwrap(), class);
    }
    assert_eq!(scene.discrepancies().await.len(), cases.len());
    assert_eq!(scene.balances().await, before);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Succeeded);
}

#[tokio::test]
async fn decided_the_other_way_later_is_a_discrepancy() {
    for (first, then) in [(WON, LOST), (LOST, WON)] {
        let scene = Scene::new().await;
        let payment = scene.paid("p", AMOUNT).await;
        scene
            .hear_dispute(&payment, &said(&payment, "1", None, first))
            .await
            .unwrap();
        let after = scene.balances().await;
        let heard = scene
            .hear_dispute(&payment, &said(&payment, "1", None, then))
            .await;
        assert_eq!(heard.unwrap(), Applied::Discrepancy);
        assert_eq!(scene.balances().await, after);
        assert_eq!(scene.discrepancies().await, ["status"]);
    }
}

#[tokio::test]
async fn before_its_payment_was_heard_of_it_waits() {
    let scene = Scene::new().await;
    let unpaid = scene.unpaid("u", AMOUNT).await;
    let heard = scene
        .hear_dispute(&unpaid, &said(&unpaid, "1", None, None))
        .await;
    assert!(matches!(heard, Err(RefundError::NotPaid(_))));
}

#[tokio::test]
async fn lost_while_a_refund_is_on_its_way_it_waits_for_the_refunds_end() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    let lost = said(&payment, "1", Some(AMOUNT), LOST);
    let heard = scene.hear_dispute(&payment, &lost).await;
    assert!(matches!(heard, Err(RefundError::UnderWay(_))));
    scene.arm(aegis::simulator::Fault::LowBalance);
    scene.advance(refund.id).await;
    assert_eq!(
        scene.hear_dispute(&payment, &lost).await.unwrap(),
        Applied::Done
    );
    assert_eq!(scene.status(&payment).await, PaymentStatus::Refunded);
    scene.assert_sound().await;
}

#[tokio::test]
async fn two_disputes_of_one_payment_are_two() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    for id in ["1", "2"] {
        scene
            .hear_dispute(&payment, &said(&payment, id, Some(10_000), None))
            .await
            .unwrap();
    }
    scene
        .hear_dispute(&payment, &said(&payment, "1", Some(10_000), LOST))
        .await
        .unwrap();
    assert_eq!(
        scene.status(&payment).await,
        PaymentStatus::Disputed,
        "by the other one"
    );
    scene
        .hear_dispute(&payment, &said(&payment, "2", Some(10_000), WON))
        .await
        .unwrap();
    assert_eq!(scene.status(&payment).await, PaymentStatus::PartlyRefunded);
    assert_eq!(scene.payment(payment.id).await.refunded, 10_000);
    scene.assert_sound().await;
}

#[tokio::test]
async fn one_whose_last_webhook_is_lost_is_asked_about() {
    for (act, ends) in [
        ("accept", PaymentStatus::Refunded),
        ("decline", PaymentStatus::Succeeded),
    ] {
        let scene = Scene::new().await;
        let payment = scene.paid("p", AMOUNT).await;
        let opened = scene.own("/disputes", r#"{"reference": "p"}"#).await;
        let id = opened["id"].as_u64().unwrap();
        let told = scene.psp.disputes_of(payment.psp_id.as_deref().unwrap());
        let [told] = &told.await.unwrap()[..] else {
            panic!("one dispute")
        };
        scene.hear_dispute(&payment, told).await.unwrap();
        assert_eq!(scene.work().await, 0, "it has time");
        scene.pass(4_000);
        scene.work().await;
        assert_eq!(scene.status(&payment).await, PaymentStatus::Disputed);
        scene.own(&format!("/disputes/{id}/{act}"), "").await;
        scene.pass(4_000);
        scene.work().await;
        assert_eq!(scene.status(&payment).await, ends);
        scene.pass(24 * 3_600);
        assert_eq!(scene.work().await, 0, "it is over");
        scene.assert_sound().await;
        scene.assert_same_books().await;
    }
}

#[tokio::test]
async fn a_state_without_a_meaning_opens_no_dispute_and_is_shouted_about_for_one_that_is_open() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let archived = |id| Dispute {
        status: DisputeStatus::from_word("archived"),
        ..said(&payment, id, None, None)
    };
    let old = scene.hear_dispute(&payment, &archived("1")).await.unwrap();
    assert_eq!(old, Applied::Ignored);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Succeeded);
    let open = said(&payment, "2", None, None);
    scene.hear_dispute(&payment, &open).await.unwrap();
    let heard = scene.hear_dispute(&payment, &archived("2")).await.unwrap();
    assert_eq!(heard, Applied::Discrepancy);
    assert_eq!(scene.discrepancies().await, ["status"]);
}
