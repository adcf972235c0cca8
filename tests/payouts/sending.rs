//! Sending: each answer of the PSP, and none, gives the state that says what is known.

use std::time::Instant;

use aegis::merchant::MerchantStatus;
use aegis::onboarding;
use aegis::payouts::PayoutStatus;
use aegis::simulator::{Armed, Call, Fault};
use time::Duration;

use crate::common::merchant::{office, tester};
use crate::scene::{FUNDS, PSP_FEE, Scene};

#[tokio::test]
async fn sent_and_then_paid_the_money_has_left() {
    let scene = Scene::new().await;
    let payout = scene.sent("k", 90_000).await;
    assert!(payout.psp_code.is_some());
    scene.assert_transit().await;
    scene.at_the_psp("succeed", &payout).await;
    let payout = scene.go_on(&payout).await;
    assert_eq!(payout.status, PayoutStatus::Succeeded);
    assert_eq!(
        (payout.psp_fee, payout.next_attempt_at),
        (Some(PSP_FEE), None)
    );
    assert_eq!(scene.in_transit().await, 0);
    assert_eq!(scene.available().await, FUNDS - 90_000);
    assert_eq!(scene.balance("platform:psp_fees").await, -PSP_FEE);
    scene.assert_same_books().await;
    assert_eq!(scene.attempts(payout.id).await, ["send seen", "ask seen"]);
    assert_eq!(
        scene.events(payout.id).await,
        ["requested", "sent", "succeeded"]
    );
    let after = scene.advance(payout.id).await;
    assert_eq!(after, payout, "nothing is left to do");
}

#[tokio::test]
async fn sent_and_then_failed_the_funds_are_back() {
    for act in ["fail", "reverse"] {
        let scene = Scene::new().await;
        let payout = scene.sent("k", 90_000).await;
        scene.at_the_psp(act, &payout).await;
        let payout = scene.go_on(&payout).await;
        assert_eq!(payout.status, PayoutStatus::Failed, "{act}");
        assert_eq!(
            (scene.in_transit().await, scene.available().await),
            (0, FUNDS)
        );
        scene.assert_same_books().await;
        assert_eq!(
            scene.events(payout.id).await,
            ["requested", "sent", "failed"]
        );
    }
}

#[tokio::test]
async fn after_no_answer_the_psp_is_asked_and_nothing_is_sent_again() {
    for fault in [
        Fault::Timeout,
        Fault::ServerError,
        Fault::Cut,
        Fault::Garbage,
    ] {
        let scene = Scene::new().await;
        let payout = scene.requested("k", 90_000).await;
        scene.arm(fault);
        let payout = match fault {
            Fault::Timeout => scene.advance_by(&scene.impatient(), payout.id).await,
            _ => scene.advance(payout.id).await,
        };
        assert_eq!(payout.status, PayoutStatus::Unknown, "{fault}");
        assert!(payout.last_error.is_some(), "{fault}");
        assert_eq!(scene.in_transit().await, 90_000, "{fault}");
        assert_eq!(scene.transfers(), 1, "{fault}");
        let payout = scene.go_on(&payout).await;
        assert_eq!(payout.status, PayoutStatus::Sent, "{fault}");
        scene.at_the_psp("succeed", &payout).await;
        let payout = scene.go_on(&payout).await;
        assert_eq!(payout.status, PayoutStatus::Succeeded, "{fault}");
        assert_eq!(
            scene.attempts(payout.id).await,
            ["send unclear", "ask seen", "ask seen"]
        );
        assert_eq!(
            scene.events(payout.id).await,
            ["requested", "unknown", "sent", "succeeded"]
        );
        scene.assert_same_books().await;
    }
}

#[tokio::test]
async fn a_call_that_never_arrived_is_sent_again_only_when_the_psp_knows_nothing_and_time_has_passed()
 {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::Lost);
    let mut payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Unknown);
    let sent_at = scene.now();
    while payout.status == PayoutStatus::Unknown {
        assert_eq!(scene.transfers(), 0);
        payout = scene.go_on(&payout).await;
    }
    assert_eq!(
        payout.status,
        PayoutStatus::Requested,
        "it may be sent again"
    );
    assert!(scene.now() - sent_at >= scene.options.timing.settling);
    let payout = scene.go_on(&payout).await;
    assert_eq!(payout.status, PayoutStatus::Sent);
    assert_eq!(scene.transfers(), 1);
    let attempts = scene.attempts(payout.id).await;
    assert_eq!(attempts[0], "send unclear");
    assert!(attempts.len() > 4, "{attempts:?}");
    for asked in &attempts[1..attempts.len() - 1] {
        assert_eq!(asked, "ask not_known");
    }
    assert_eq!(attempts[attempts.len() - 1], "send seen");
}

#[tokio::test]
async fn the_psp_is_asked_after_1_2_4_8_16_seconds_and_then_at_each_interval_without_end() {
    let scene = Scene::new().await;
    let mut payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::ServerError);
    let mut called = Instant::now();
    payout = scene.advance(payout.id).await;
    for wanted in [1, 2, 4, 8, 16, 300, 300, 300].map(Duration::seconds) {
        // A wait begins when its call is over.
        let taken = called.elapsed();
        scene.simulator.arm(Armed {
            call: Some(Call::VerifyTransfer),
            ..Armed::next(Fault::ServerError)
        });
        let before = scene.now();
        called = Instant::now();
        payout = scene.go_on(&payout).await;
        let waited = scene.now() - before;
        assert!(
            (wanted..=wanted + taken).contains(&waited),
            "{waited} and not {wanted}"
        );
        assert_eq!(payout.status, PayoutStatus::Unknown);
    }
    assert_eq!(scene.transfers(), 1);
}

#[tokio::test]
async fn a_definite_no_gives_the_funds_back() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::LowBalance);
    let payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Failed);
    assert!(payout.last_error.unwrap().contains("balance"));
    assert_eq!(
        (scene.in_transit().await, scene.available().await),
        (0, FUNDS)
    );
    assert_eq!(scene.attempts(payout.id).await, ["send refused"]);
    assert_eq!(scene.events(payout.id).await, ["requested", "failed"]);
}

#[tokio::test]
async fn a_no_after_a_call_in_doubt_gives_nothing_back_before_the_psp_was_asked_again() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::Lost);
    let mut payout = scene.advance(payout.id).await;
    while payout.status == PayoutStatus::Unknown {
        payout = scene.go_on(&payout).await;
    }
    scene.arm(Fault::LowBalance);
    payout = scene.go_on(&payout).await;
    assert_eq!(
        payout.status,
        PayoutStatus::Unknown,
        "the first may be paid"
    );
    assert_eq!(scene.in_transit().await, 90_000);
    payout = scene.go_on(&payout).await;
    assert_eq!(payout.status, PayoutStatus::Failed, "the PSP has neither");
    assert_eq!(
        (scene.in_transit().await, scene.available().await),
        (0, FUNDS)
    );
    let attempts = scene.attempts(payout.id).await;
    let last = &attempts[attempts.len() - 2..];
    assert_eq!(last, ["send refused", "ask not_known"]);
    assert_eq!(scene.transfers(), 0);
}

#[tokio::test]
async fn turned_away_it_stays_requested_and_comes_back_when_the_psp_said() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    scene.simulator.arm(Armed {
        times: 9,
        ..Armed::next(Fault::RateLimit)
    });
    let mut payout = payout;
    for _ in 0..9 {
        payout = scene.go_on(&payout).await;
        assert_eq!(payout.status, PayoutStatus::Requested);
        assert_eq!(scene.transfers(), 0);
    }
    let payout = scene.go_on(&payout).await;
    assert_eq!(
        payout.status,
        PayoutStatus::Sent,
        "an outage counts nothing"
    );
    assert_eq!(scene.transfers(), 1);
}

#[tokio::test]
async fn a_psp_that_is_not_there_was_sent_nothing() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    let nobody = crate::scene::adapter("http://127.0.0.1:1", crate::scene::PATIENCE);
    let payout = scene.advance_by(&nobody, payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Requested);
    assert_eq!(scene.attempts(payout.id).await, ["send not_sent"]);
    let payout = scene.go_on(&payout).await;
    assert_eq!(payout.status, PayoutStatus::Sent);
}

#[tokio::test]
async fn nothing_is_sent_to_a_merchant_that_was_frozen_in_the_meantime() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    for (status, wanted) in [
        (MerchantStatus::Frozen, PayoutStatus::Requested),
        (MerchantStatus::Active, PayoutStatus::Sent),
    ] {
        let merchant = "acme".parse().unwrap();
        let call = onboarding::Call {
            office: &office(),
            ledger: &scene.ledger,
            actor: &tester(),
            now: scene.now(),
        };
        let done = onboarding::set_status(scene.pool(), call, &merchant, status, "why").await;
        done.unwrap();
        let payout = scene.go_on(&scene.read(payout.id).await).await;
        assert_eq!(payout.status, wanted);
    }
    assert_eq!(scene.attempts(payout.id).await, ["send seen"]);
}

#[tokio::test]
async fn two_at_once_make_one_call() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    let all = (0..6).map(|_| scene.advance(payout.id));
    futures_util::future::join_all(all).await;
    assert_eq!(scene.attempts(payout.id).await, ["send seen"]);
    assert_eq!(scene.transfers(), 1);
}
