//! Two persons resolve a discrepancy.

use aegis::postgres::audit::Actor;
use aegis::postgres::discrepancies::{Discrepancy, Status};
use aegis::reconcile::ReconcileError;
use aegis::reconcile::resolve::{self, Leg};
use time::OffsetDateTime;

use crate::scene::{Scene, ngn, options, payment};

fn person(name: &str) -> Actor {
    Actor {
        name: name.to_owned(),
        host: "here".to_owned(),
    }
}

fn code(error: &ReconcileError) -> &'static str {
    match error {
        ReconcileError::Refused { code, .. } => code,
        other => panic!("{other}"),
    }
}

async fn propose(scene: &Scene, id: i64, legs: &[Leg]) -> Result<Discrepancy, ReconcileError> {
    let (ann, now) = (person("ann"), OffsetDateTime::now_utc());
    resolve::propose(scene.pool(), &scene.ledger, id, legs, "ticket 7", &ann, now).await
}

async fn approve(scene: &Scene, id: i64, name: &str) -> Result<Discrepancy, ReconcileError> {
    let (who, now) = (person(name), OffsetDateTime::now_utc());
    resolve::approve(scene.pool(), &options(), &scene.ledger, id, &who, now).await
}

/// The PSP paid 4,000 to the bank, and nobody wrote it down.
async fn paid_out() -> (Scene, Discrepancy) {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    scene
        .plain(&[
            &payment("a", 10_000),
            "settlement,S1,NGN,-4000,0,2026-11-22T15:00:00Z,booked,,",
        ])
        .await;
    let found = scene.discrepancies().await.remove(0);
    (scene, found)
}

#[tokio::test]
async fn what_one_proposes_another_one_posts_with_state_event_and_audit() {
    let (scene, found) = paid_out().await;
    let legs = resolve::suggested(&found);
    let wallets: Vec<&str> = legs.iter().map(|leg| leg.wallet.as_str()).collect();
    assert_eq!(wallets, ["psp:paystack", "bank:main"]);
    let proposed = propose(&scene, found.id, &legs).await.unwrap();
    assert_eq!(proposed.status, Status::Proposed);
    assert_eq!(scene.balance("psp:paystack").await, -10_000);
    let refused = approve(&scene, found.id, " Ann").await.unwrap_err();
    assert_eq!(code(&refused), "second_person_needed");
    let done = approve(&scene, found.id, "ben").await.unwrap();
    assert_eq!(done.status, Status::Resolved);
    assert!(done.transaction_id.is_some());
    assert_eq!(scene.balance("psp:paystack").await, -6_000);
    assert_eq!(scene.balance("bank:main").await, -4_000);
    let told = "SELECT count(*) FROM transaction_outbox
                WHERE event_type = 'aegis.discrepancy.resolved'";
    assert_eq!(scene.count(told).await, 1);
    let audited = "SELECT count(*) FROM audit_log WHERE action LIKE 'discrepancy.%'";
    assert_eq!(scene.count(audited).await, 2);
    let again = approve(&scene, found.id, "cleo").await.unwrap_err();
    assert_eq!(code(&again), "discrepancy_resolved");
    // The same file does not open it again, nor miss the correction.
    let report = scene
        .plain(&["settlement,S1,NGN,-4000,0,2026-11-22T15:00:00Z,booked,,"])
        .await;
    assert_eq!((report.run.known, report.run.opened), (1, 0));
}

#[tokio::test]
async fn a_correction_that_a_rule_refuses_leaves_all_as_it_was() {
    let (scene, found) = paid_out().await;
    let leg = |wallet: &str, amount| Leg {
        wallet: wallet.parse().unwrap(),
        currency: ngn(),
        amount,
    };
    let unbalanced = [leg("psp:paystack", 5), leg("bank:main", -4)];
    let refused = propose(&scene, found.id, &unbalanced).await.unwrap_err();
    assert_eq!(code(&refused), "unbalanced");
    let nowhere = [leg("psp:paystack", 5), leg("bank:other", -5)];
    propose(&scene, found.id, &nowhere).await.unwrap();
    let refused = approve(&scene, found.id, "ben").await.unwrap_err();
    assert_eq!(code(&refused), "wallet_not_found");
    assert_eq!(scene.discrepancies().await[0].status, Status::Proposed);
}

#[tokio::test]
async fn a_difference_may_be_accepted_without_a_transaction_by_two_persons_all_the_same() {
    let (scene, found) = paid_out().await;
    let refused = approve(&scene, found.id, "ben").await.unwrap_err();
    assert_eq!(code(&refused), "discrepancy_not_proposed");
    propose(&scene, found.id, &[]).await.unwrap();
    let done = approve(&scene, found.id, "ben").await.unwrap();
    assert_eq!((done.status, done.transaction_id), (Status::Resolved, None));
    let refused = approve(&scene, 4711, "ben").await.unwrap_err();
    assert_eq!(code(&refused), "discrepancy_not_found");
}

#[tokio::test]
async fn the_database_itself_asks_for_two_persons() {
    let (scene, found) = paid_out().await;
    let run = |statement: &'static str| sqlx::query(statement).execute(scene.pool());
    let resolve = "UPDATE discrepancies SET status = 'resolved', resolved_by = 'ann', reason = 'x',
                   resolved_at = now()";
    let refused = |error: sqlx::Error| {
        let error = error.into_database_error().unwrap();
        error.constraint().unwrap_or_default().to_owned()
    };
    let error = run(resolve).await.unwrap_err();
    assert_eq!(refused(error), "discrepancies_two_persons");
    propose(&scene, found.id, &[]).await.unwrap();
    let error = run(resolve).await.unwrap_err();
    assert_eq!(refused(error), "discrepancies_two_persons");
    let swap =
        "UPDATE discrepancies SET status = 'resolved', resolved_by = 'ann', proposed_by = 'x'";
    let error = run(swap).await.unwrap_err();
    assert_eq!(refused(error), "discrepancies_two_persons");
    approve(&scene, found.id, "ben").await.unwrap();
    let error = run("UPDATE discrepancies SET status = 'open'")
        .await
        .unwrap_err();
    assert_eq!(refused(error), "discrepancies_stay_resolved");
}

#[tokio::test]
async fn a_proposal_is_over_when_a_later_run_finds_the_match() {
    let (scene, found) = paid_out().await;
    propose(&scene, found.id, &resolve::suggested(&found))
        .await
        .unwrap();
    scene
        .to_bank("S1", 4_000, time::macros::datetime!(2026-11-22 15:00 UTC))
        .await;
    scene.plain(&[&payment("a", 10_000)]).await;
    let refused = approve(&scene, found.id, "ben").await.unwrap_err();
    assert_eq!(code(&refused), "discrepancy_resolved");
    assert_eq!(scene.balance("psp:paystack").await, -6_000);
}
