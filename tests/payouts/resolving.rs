//! A person's word: audited, with a reason, once, and checked against what the PSP says later.

use aegis::payouts::{self, Payout, PayoutStatus, Resolved, Verdict};
use aegis::simulator::Fault;

use crate::common::merchant::tester;
use crate::scene::{FUNDS, Scene};

async fn say(scene: &Scene, payout: &Payout, verdict: Verdict, reason: &str) -> Resolved {
    let (options, now) = (&scene.options, scene.now());
    let (pool, ledger, id) = (scene.pool(), &scene.ledger, payout.id);
    payouts::resolve(pool, options, ledger, id, verdict, reason, &tester(), now)
        .await
        .unwrap()
}

fn code(resolved: &Resolved) -> &'static str {
    match resolved {
        Resolved::Now(_) => "now",
        Resolved::Before(_) => "before",
        Resolved::Rejected { code, .. } => code,
    }
}

async fn unknown(scene: &Scene, fault: Fault) -> Payout {
    let payout = scene.requested("k", 90_000).await;
    scene.arm(fault);
    let payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Unknown);
    payout
}

#[tokio::test]
async fn a_word_ends_an_unknown_payout_once_and_is_audited() {
    for (verdict, available) in [
        (Verdict::Succeeded, FUNDS - 90_000),
        (Verdict::Failed, FUNDS),
    ] {
        let scene = Scene::new().await;
        let payout = unknown(&scene, Fault::Lost).await;
        assert_eq!(
            code(&say(&scene, &payout, verdict, "the bank says so").await),
            "now"
        );
        let payout = scene.read(payout.id).await;
        assert_eq!(payout.status, verdict.into());
        let said = payout.resolution.clone().unwrap();
        assert_eq!(
            (said.by.as_str(), said.reason.as_str()),
            ("tester", "the bank says so")
        );
        assert_eq!(
            (scene.in_transit().await, scene.available().await),
            (0, available)
        );
        assert_eq!(
            code(&say(&scene, &payout, verdict, "the bank says so").await),
            "before"
        );
        for other in [Verdict::Succeeded, Verdict::Failed] {
            let again = say(&scene, &payout, other, "I changed my mind").await;
            assert_eq!(code(&again), "payout_not_open");
        }
        let audited: Vec<(String, String)> =
            sqlx::query_as("SELECT action, reason FROM audit_log WHERE action LIKE 'payout.%'")
                .fetch_all(scene.pool())
                .await
                .unwrap();
        assert_eq!(
            audited,
            [("payout.resolved".to_owned(), "the bank says so".to_owned())]
        );
    }
}

#[tokio::test]
async fn a_later_answer_against_the_word_is_a_discrepancy_and_posts_nothing() {
    for (verdict, act, available) in [
        (Verdict::Failed, "succeed", FUNDS),
        (Verdict::Succeeded, "fail", FUNDS - 90_000),
    ] {
        let scene = Scene::new().await;
        let payout = unknown(&scene, Fault::ServerError).await;
        say(&scene, &payout, verdict, "ticket 4711").await;
        scene.at_the_psp(act, &payout).await;
        for _ in 0..2 {
            let after = scene.requery(payout.id).await;
            assert_eq!(after.status, verdict.into());
        }
        assert_eq!(scene.discrepancies().await, ["status"]);
        assert_eq!(
            (scene.in_transit().await, scene.available().await),
            (0, available)
        );
    }
}

#[tokio::test]
async fn the_psp_that_agrees_with_the_word_brings_its_fee_only() {
    let scene = Scene::new().await;
    let payout = unknown(&scene, Fault::ServerError).await;
    say(&scene, &payout, Verdict::Succeeded, "ticket 4711").await;
    scene.at_the_psp("succeed", &payout).await;
    scene.requery(payout.id).await;
    assert!(scene.discrepancies().await.is_empty());
    scene.assert_same_books().await;
}

#[tokio::test]
async fn a_payout_that_was_never_sent_can_be_given_up_and_not_have_succeeded() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    let no = say(&scene, &payout, Verdict::Succeeded, "why").await;
    assert_eq!(code(&no), "payout_not_sent");
    let yes = say(&scene, &payout, Verdict::Failed, "asked for by mistake").await;
    assert_eq!(code(&yes), "now");
    assert_eq!(
        (scene.in_transit().await, scene.available().await),
        (0, FUNDS)
    );
    scene.advance(payout.id).await;
    assert_eq!(scene.transfers(), 0);
}

#[tokio::test]
async fn nobody_decides_on_a_payout_while_it_is_being_sent() {
    let scene = Scene::slow().await;
    let payout = scene.requested("k", 90_000).await;
    scene.arm(Fault::Slow);
    let (sent, said) = tokio::join!(scene.advance(payout.id), async {
        while scene.transfers() == 0 {
            tokio::task::yield_now().await;
        }
        say(&scene, &payout, Verdict::Failed, "why").await
    });
    assert_eq!(code(&said), "payout_being_sent");
    assert_eq!(sent.status, PayoutStatus::Sent);
    scene.assert_transit().await;
}
