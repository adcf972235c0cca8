//! Sending: each answer of the PSP, and none, gives the state that says what is known.

use std::time::Instant;

use aegis::postgres::payments::PaymentStatus;
use aegis::refunds::RefundStatus;
use aegis::simulator::{Armed, Call, Fault};
use time::Duration;

use crate::scene::{AMOUNT, FEE, Scene};

const NET: i64 = AMOUNT - FEE;

#[tokio::test]
async fn a_refund_goes_through_transit_and_leaves() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    assert_eq!(scene.balances().await, [NET - 49_000, 0, 0, FEE - 1_000]);
    assert_eq!(scene.in_transit().await, 50_000);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Succeeded);
    scene.assert_sound().await;
    let refund = scene.advance(refund.id).await;
    assert_eq!(refund.status, RefundStatus::Sent);
    assert_eq!(scene.in_transit().await, 50_000);
    scene.at_the_psp("process", &refund).await;
    let refund = scene.go_on(&refund).await;
    assert_eq!(refund.status, RefundStatus::Succeeded);
    assert_eq!(refund.next_attempt_at, None);
    assert_eq!(scene.in_transit().await, 0);
    assert_eq!(scene.status(&payment).await, PaymentStatus::PartlyRefunded);
    scene.assert_sound().await;
    scene.assert_same_books().await;
    assert_eq!(
        scene.events(refund.id).await,
        ["refund.requested", "refund.sent", "refund.succeeded"]
    );
    assert_eq!(scene.events(payment.id).await, ["payment.refunded"]);
    assert_eq!(
        scene.advance(refund.id).await,
        refund,
        "nothing is left to do"
    );

    let rest = scene.sent(&payment, "rest", 50_000).await;
    scene.at_the_psp("process", &rest).await;
    scene.go_on(&rest).await;
    assert_eq!(scene.status(&payment).await, PaymentStatus::Refunded);
    assert_eq!(scene.balances().await, [0, 0, 0, 0]);
    scene.assert_same_books().await;
}

#[tokio::test]
async fn what_failed_is_undone_leg_by_leg() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    let refund = scene.sent(&payment, "k", 33_333).await;
    scene.at_the_psp("fail", &refund).await;
    let refund = scene.go_on(&refund).await;
    assert_eq!(refund.status, RefundStatus::Failed);
    assert_eq!(scene.balances().await, before);
    assert_eq!(scene.status(&payment).await, PaymentStatus::Succeeded);
    assert_eq!(scene.payment(payment.id).await.refunded, 0);
    scene.assert_sound().await;
    scene.assert_same_books().await;
    assert_eq!(
        scene.events(refund.id).await,
        ["refund.requested", "refund.sent", "refund.failed"]
    );
    // And all of it can be given back later.
    scene.sent(&payment, "again", AMOUNT).await;
    assert_eq!(scene.balances().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn what_was_settled_meanwhile_comes_back_as_available() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.sent(&payment, "k", 50_000).await;
    scene.settle().await;
    assert_eq!(scene.balances().await, [0, NET - 49_000, 0, FEE - 1_000]);
    scene.at_the_psp("fail", &refund).await;
    scene.go_on(&refund).await;
    assert_eq!(scene.balances().await, [0, NET, 0, FEE]);
    scene.assert_sound().await;
}

#[tokio::test]
async fn what_was_settled_is_given_back_from_available() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    scene.settle().await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    assert_eq!(
        (refund.borne.from_pending, refund.borne.from_available),
        (0, 49_000)
    );
    assert_eq!(scene.balances().await, [0, NET - 49_000, 0, FEE - 1_000]);
    scene.assert_sound().await;
}

#[tokio::test]
async fn after_no_answer_the_list_is_read_and_nothing_is_sent_again() {
    for fault in [
        Fault::Timeout,
        Fault::ServerError,
        Fault::Cut,
        Fault::Garbage,
    ] {
        let scene = Scene::new().await;
        let payment = scene.paid("p", AMOUNT).await;
        let refund = scene.requested(&payment, "k", 50_000).await;
        scene.arm(fault);
        let refund = match fault {
            Fault::Timeout => scene.advance_by(&scene.impatient(), refund.id).await,
            _ => scene.advance(refund.id).await,
        };
        assert_eq!(refund.status, RefundStatus::Unknown, "{fault}");
        assert!(refund.last_error.is_some(), "{fault}");
        assert_eq!(scene.in_transit().await, 50_000, "{fault}");
        let refund = scene.go_on(&refund).await;
        assert_eq!(refund.status, RefundStatus::Sent, "{fault}");
        assert_eq!(scene.there(&payment).await, 1, "{fault}");
        scene.at_the_psp("process", &refund).await;
        let refund = scene.go_on(&refund).await;
        assert_eq!(refund.status, RefundStatus::Succeeded, "{fault}");
        assert_eq!(
            scene.events(refund.id).await,
            [
                "refund.requested",
                "refund.unknown",
                "refund.sent",
                "refund.succeeded"
            ]
        );
        assert_eq!(scene.refunds(&payment).await.len(), 1, "{fault}");
        scene.assert_sound().await;
        scene.assert_same_books().await;
    }
}

#[tokio::test]
async fn a_call_that_never_arrived_is_made_again_after_a_list_without_it_and_some_time() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    scene.arm(Fault::Lost);
    let mut refund = scene.advance(refund.id).await;
    assert_eq!(refund.status, RefundStatus::Unknown);
    let sent_at = scene.now();
    while refund.status == RefundStatus::Unknown {
        assert_eq!(scene.there(&payment).await, 0);
        refund = scene.go_on(&refund).await;
    }
    assert_eq!(
        refund.status,
        RefundStatus::Requested,
        "it may be sent again"
    );
    assert!(scene.now() - sent_at >= scene.options.timing.settling);
    assert_eq!(scene.there(&payment).await, 0);
    let refund = scene.go_on(&refund).await;
    assert_eq!(refund.status, RefundStatus::Sent);
    assert_eq!(scene.there(&payment).await, 1);
}

#[tokio::test]
async fn a_list_that_is_old_lets_nothing_be_sent() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    scene.arm(Fault::Lost);
    let mut refund = scene.advance(refund.id).await;
    while refund.status == RefundStatus::Unknown {
        refund = scene.go_on(&refund).await;
    }
    // The worker stood still, and somebody else made the refund under our note meanwhile.
    scene.pass(3_600);
    let new = aegis::psp::NewRefund {
        payment_reference: payment.reference.clone(),
        amount: 50_000,
        currency: payment.currency,
        customer_note: None,
        merchant_note: Some(refund.id.to_string()),
    };
    aegis::psp::Psp::refund(&scene.psp, &new).await.unwrap();
    let refund = scene.advance(refund.id).await;
    assert_eq!(refund.status, RefundStatus::Sent);
    assert_eq!(scene.there(&payment).await, 1);
}

#[tokio::test]
async fn nobody_who_died_in_mid_call_has_it_sent_twice() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    scene.simulator.arm(Armed {
        call: Some(Call::Refund),
        ..Armed::next(Fault::Timeout)
    });
    {
        let mut call = Box::pin(scene.advance(refund.id));
        // The call has reached the PSP; then whoever made it is gone.
        let arrived = async {
            while scene.there(&payment).await == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = arrived => {}
            _ = &mut call => panic!("it was not to be answered"),
        }
    }
    let left = scene.read(refund.id).await;
    assert_eq!(left.status, RefundStatus::Requested);
    assert!(left.sending_since.is_some());
    assert_eq!(scene.advance(refund.id).await, left, "the lease holds");
    let refund = scene.go_on(&left).await;
    assert_eq!(refund.status, RefundStatus::Sent);
    assert_eq!(scene.there(&payment).await, 1);
    assert_eq!(
        scene.events(refund.id).await,
        ["refund.requested", "refund.unknown", "refund.sent"]
    );
    scene.assert_sound().await;
}

#[tokio::test]
async fn the_list_is_read_after_1_2_4_8_16_seconds_and_then_at_each_interval_without_end() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    scene.arm(Fault::ServerError);
    let mut called = Instant::now();
    let mut refund = scene.advance(refund.id).await;
    for wanted in [1, 2, 4, 8, 16, 300, 300, 300].map(Duration::seconds) {
        // A wait begins when its call is over.
        let taken = called.elapsed();
        scene.simulator.arm(Armed {
            call: Some(Call::Refunds),
            ..Armed::next(Fault::ServerError)
        });
        let before = scene.now();
        called = Instant::now();
        refund = scene.go_on(&refund).await;
        let waited = scene.now() - before;
        assert!(
            (wanted..=wanted + taken).contains(&waited),
            "{waited} and not {wanted}"
        );
        assert_eq!(refund.status, RefundStatus::Unknown);
    }
}

#[tokio::test]
async fn a_definite_no_gives_the_money_back() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let before = scene.balances().await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    scene.arm(Fault::LowBalance);
    let refund = scene.advance(refund.id).await;
    assert_eq!(refund.status, RefundStatus::Failed);
    assert!(refund.last_error.unwrap().contains("balance"));
    assert_eq!(scene.balances().await, before);
    scene.assert_sound().await;
}

#[tokio::test]
async fn turned_away_it_stays_requested() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let mut refund = scene.requested(&payment, "k", 50_000).await;
    scene.simulator.arm(Armed {
        times: 7,
        ..Armed::next(Fault::RateLimit)
    });
    for _ in 0..7 {
        refund = scene.go_on(&refund).await;
        assert_eq!(refund.status, RefundStatus::Requested);
    }
    assert_eq!(scene.there(&payment).await, 0);
    let refund = scene.go_on(&refund).await;
    assert_eq!(refund.status, RefundStatus::Sent);
    assert_eq!(scene.there(&payment).await, 1);
}

#[tokio::test]
async fn a_psp_that_is_not_there_was_sent_nothing() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    let nobody = crate::scene::adapter("http://127.0.0.1:1", crate::scene::PATIENCE);
    let refund = scene.advance_by(&nobody, refund.id).await;
    assert_eq!(refund.status, RefundStatus::Requested);
    let refund = scene.go_on(&refund).await;
    assert_eq!(refund.status, RefundStatus::Sent);
}

#[tokio::test]
async fn many_workers_make_one_call() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    scene.requested(&payment, "k", 50_000).await;
    let all = (0..6).map(|_| scene.work());
    futures_util::future::join_all(all).await;
    assert_eq!(scene.there(&payment).await, 1);
    scene.assert_sound().await;
}

#[tokio::test]
async fn a_list_without_what_it_had_shown_is_a_discrepancy_and_nothing_is_sent() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.sent(&payment, "k", 50_000).await;
    let wrong = scene.paid("other", AMOUNT).await;
    sqlx::query("UPDATE payments SET psp_id = $2 WHERE id = $1")
        .bind(payment.id)
        .bind(wrong.psp_id.as_deref())
        .execute(scene.pool())
        .await
        .unwrap();
    let mut refund = scene.go_on(&refund).await;
    assert_eq!(refund.status, RefundStatus::Unknown);
    for _ in 0..8 {
        refund = scene.go_on(&refund).await;
        assert_eq!(refund.status, RefundStatus::Unknown);
    }
    assert_eq!(scene.discrepancies().await, ["missing_there"]);
    assert_eq!(scene.there(&wrong).await, 0, "nothing more was sent");
}
