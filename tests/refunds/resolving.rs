//! A person's word.

use aegis::refunds::{self, Refund, RefundStatus, Resolved, Verdict};
use aegis::simulator::Fault;

use crate::common::merchant::tester;
use crate::scene::{AMOUNT, Scene};

async fn resolve(scene: &Scene, refund: &Refund, verdict: Verdict) -> Resolved {
    let (options, ledger, now) = (&scene.options, &scene.ledger, scene.now());
    let (why, who) = ("the bank said so", &tester());
    refunds::resolve(
        scene.pool(),
        options,
        ledger,
        refund.id,
        verdict,
        why,
        who,
        now,
    )
    .await
    .unwrap()
}

fn code(resolved: &Resolved) -> &'static str {
    match resolved {
        Resolved::Rejected { code, .. } => code,
        other => panic!("no rule said no: {other:?}"),
    }
}

#[tokio::test]
async fn a_person_settles_what_nobody_knows() {
    for (verdict, left) in [(Verdict::Succeeded, 50_000), (Verdict::Failed, 0)] {
        let scene = Scene::new().await;
        let payment = scene.paid("p", AMOUNT).await;
        let refund = scene.requested(&payment, "k", 50_000).await;
        scene.arm(Fault::Lost);
        let refund = scene.advance(refund.id).await;
        let resolved = resolve(&scene, &refund, verdict).await;
        let Resolved::Now(refund) = resolved else {
            panic!("{resolved:?}");
        };
        assert_eq!(refund.status, verdict.into());
        assert_eq!(scene.in_transit().await, 0);
        assert_eq!(scene.payment(payment.id).await.refunded, left);
        let again = resolve(&scene, &refund, verdict).await;
        assert_eq!(again, Resolved::Before(refund.clone()));
        let (actor, reason): (String, String) =
            sqlx::query_as("SELECT actor, reason FROM audit_log WHERE action = 'refund.resolved'")
                .fetch_one(scene.pool())
                .await
                .unwrap();
        assert_eq!(
            (actor.as_str(), reason.as_str()),
            ("tester", "the bank said so")
        );
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn what_the_psp_says_against_a_word_is_a_discrepancy_and_moves_nothing() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.sent(&payment, "k", 50_000).await;
    resolve(&scene, &refund, Verdict::Failed).await;
    let before = scene.balances().await;
    scene.at_the_psp("process", &refund).await;
    let webhook = crate::scene::webhook(&payment, 50_000, "processed");
    for _ in 0..3 {
        scene.hear(&payment, &webhook).await.unwrap();
        scene.work().await;
    }
    assert_eq!(scene.discrepancies().await, ["status"]);
    assert_eq!(scene.balances().await, before);
    assert_eq!(scene.refunds(&payment).await.len(), 1);
}

#[tokio::test]
async fn what_was_never_sent_or_has_ended_is_not_decided() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 50_000).await;
    let resolved = resolve(&scene, &refund, Verdict::Succeeded).await;
    assert_eq!(code(&resolved), "refund_not_sent");
    let resolved = resolve(&scene, &refund, Verdict::Failed).await;
    assert!(matches!(resolved, Resolved::Now(r) if r.status == RefundStatus::Failed));
    let resolved = resolve(&scene, &refund, Verdict::Succeeded).await;
    assert_eq!(code(&resolved), "refund_not_open");
    assert_eq!(scene.work().await, 0, "nothing is sent any more");
    assert_eq!(scene.there(&payment).await, 0);
}
