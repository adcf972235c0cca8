//! Two persons resolve a discrepancy.

use aegis::postgres::audit::Actor;
use aegis::postgres::discrepancies::{Discrepancy, Status};
use aegis::postgres::reconciliations::{self as lines, Scope};
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

/// Approves what is proposed at this moment.
async fn approve(scene: &Scene, id: i64, name: &str) -> Result<Discrepancy, ReconcileError> {
    let all = scene.discrepancies().await;
    let found = all.iter().find(|it| it.id == id);
    let seen = found.and_then(Discrepancy::proposal_hash);
    approve_seen(scene, (id, &seen.unwrap_or_default()), name).await
}

async fn approve_seen(
    scene: &Scene,
    meant: (i64, &str),
    name: &str,
) -> Result<Discrepancy, ReconcileError> {
    let (who, now) = (person(name), OffsetDateTime::now_utc());
    resolve::approve(scene.pool(), &options(), &scene.ledger, meant, &who, now).await
}

fn leg(wallet: &str, amount: i64) -> Leg {
    Leg {
        wallet: wallet.parse().unwrap(),
        currency: ngn(),
        amount,
    }
}

/// Ann proposes, ben approves.
pub async fn resolved_by_two(scene: &Scene, id: i64, legs: &[(&str, i64)]) {
    let legs: Vec<Leg> = legs
        .iter()
        .map(|(wallet, amount)| leg(wallet, *amount))
        .collect();
    propose(scene, id, &legs).await.unwrap();
    approve(scene, id, "ben").await.unwrap();
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
async fn what_corrects_a_line_takes_its_fee_too() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    scene
        .plain(&[
            &payment("a", 10_000),
            "settlement,S1,NGN,-4000,25,2026-11-22T15:00:00Z,booked,,",
            "fee,F1,NGN,-300,2,2026-11-22T16:00:00Z,booked,,",
        ])
        .await;
    for found in scene.discrepancies().await {
        let legs = resolve::suggested(&found);
        propose(&scene, found.id, &legs).await.unwrap();
        approve(&scene, found.id, "ben").await.unwrap();
    }
    assert_eq!(scene.balance("psp:paystack").await, -10_000 + 4_025 + 302);
    assert_eq!(scene.balance("bank:main").await, -4_000);
    assert_eq!(scene.balance("platform:psp_fees").await, -327);
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
    for same in [" Ann", "root (sudo by ann)", "http: ann"] {
        let refused = approve(&scene, found.id, same).await.unwrap_err();
        assert_eq!(code(&refused), "second_person_needed", "{same}");
    }
    let refused = approve(&scene, found.id, "unknown").await.unwrap_err();
    assert_eq!(code(&refused), "approver_unknown");
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
async fn an_approval_is_of_the_proposal_that_was_seen() {
    let (scene, found) = paid_out().await;
    let seen = propose(&scene, found.id, &resolve::suggested(&found)).await;
    let seen = seen.unwrap().proposal_hash().unwrap();
    let other = [
        leg("bank:main", -9_000_000),
        leg("merchant:acme:available", 9_000_000),
    ];
    let now = propose(&scene, found.id, &other).await.unwrap();
    let refused = approve_seen(&scene, (found.id, &seen), "ben").await;
    assert_eq!(code(&refused.unwrap_err()), "proposal_changed");
    assert_eq!(scene.balance("merchant:acme:available").await, 0);
    // The same proposal made again may come with other words, and is another one.
    let again = propose(&scene, found.id, &other).await.unwrap();
    let (now, again) = (now.proposal_hash().unwrap(), again.proposal_hash().unwrap());
    assert_ne!(now, again);
    let refused = approve_seen(&scene, (found.id, &now), "ben").await;
    assert_eq!(code(&refused.unwrap_err()), "proposal_changed");
    let done = approve_seen(&scene, (found.id, &again), "ben").await;
    assert_eq!(done.unwrap().status, Status::Resolved);
}

#[tokio::test]
async fn what_was_reversed_as_missing_there_and_comes_after_all_is_missing_here() {
    let scene = Scene::new().await;
    scene.paid("R1", 1_000).await;
    scene.paid("a", 50).await;
    scene.plain(&[&payment("a", 50)]).await;
    assert_eq!(scene.open().await, ["missing_there R1"]);
    let found = scene.discrepancies().await.remove(0);
    let back = [
        leg("psp:paystack", 1_000),
        leg("merchant:acme:pending", -1_000),
    ];
    propose(&scene, found.id, &back).await.unwrap();
    approve(&scene, found.id, "ben").await.unwrap();
    assert_eq!(scene.balance("psp:paystack").await, -50);
    let report = scene.plain(&[&payment("R1", 1_000)]).await;
    assert_eq!((report.run.matched, report.open), (0, 1));
    assert_eq!(scene.open().await, ["missing_here R1"]);
    // Accepted as it is, without a transaction, it is what the line stands for.
    let scene = Scene::new().await;
    scene.paid("R1", 1_000).await;
    scene.paid("a", 50).await;
    scene.plain(&[&payment("a", 50)]).await;
    let found = scene.discrepancies().await.remove(0);
    propose(&scene, found.id, &[]).await.unwrap();
    approve(&scene, found.id, "ben").await.unwrap();
    let report = scene.plain(&[&payment("R1", 1_000)]).await;
    assert_eq!((report.run.matched, report.open), (1, 0));
}

#[tokio::test]
async fn a_correction_that_a_rule_refuses_leaves_all_as_it_was() {
    let (scene, found) = paid_out().await;
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
    let by_sudo =
        "UPDATE discrepancies SET status = 'resolved', resolved_by = 'Root (sudo by Ann)',
                   reason = 'x', resolved_at = now()";
    let error = run(by_sudo).await.unwrap_err();
    assert_eq!(refused(error), "discrepancies_two_persons");
    let nobody = "UPDATE discrepancies SET status = 'resolved', resolved_by = 'unknown',
                  reason = 'x', resolved_at = now()";
    let error = run(nobody).await.unwrap_err();
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

/// How to correct it is proposed, and it is booked meanwhile.
async fn proposed_and_booked() -> (Scene, Discrepancy) {
    let (scene, found) = paid_out().await;
    propose(&scene, found.id, &resolve::suggested(&found))
        .await
        .unwrap();
    scene
        .to_bank("S1", 4_000, time::macros::datetime!(2026-11-22 15:00 UTC))
        .await;
    (scene, found)
}

#[tokio::test]
async fn a_proposal_is_over_when_a_later_run_finds_the_match() {
    let (scene, found) = proposed_and_booked().await;
    scene.plain(&[&payment("a", 10_000)]).await;
    let refused = approve(&scene, found.id, "ben").await.unwrap_err();
    assert_eq!(code(&refused), "discrepancy_resolved");
    assert_eq!(scene.balance("psp:paystack").await, -6_000);
}

#[tokio::test]
async fn a_correction_is_looked_for_in_the_statements_of_the_other_wallets_that_it_moved() {
    let (scene, found) = paid_out().await;
    propose(&scene, found.id, &resolve::suggested(&found))
        .await
        .unwrap();
    approve(&scene, found.id, "ben").await.unwrap();
    // However late it was decided on, it is of the day that it puts right.
    let header = "date,amount,currency,reference\n";
    scene
        .bank(&format!("{header}2026-11-22,1.00,NGN,other\n"))
        .await;
    assert_eq!(
        scene.open().await,
        ["missing_here other", "missing_there S1"]
    );
    let report = scene
        .bank(&format!("{header}2026-11-22,40.00,NGN,S1\n"))
        .await;
    assert_eq!((report.run.matched, report.run.opened), (1, 0));
    assert_eq!(scene.open().await, ["missing_here other"]);
    // It stands for no line of the PSP's.
    scene
        .plain(&["settlement,S1,NGN,-4000,0,2026-11-23T15:00:00Z,booked,,"])
        .await;
    assert_eq!(
        scene.open().await,
        ["missing_here other", "missing_here S1"]
    );
}

#[tokio::test]
async fn what_corrects_a_banks_line_is_explained_by_the_psps_statement_alone() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    scene
        .bank("date,amount,currency,reference\n2026-11-22,40.00,NGN,S1\n")
        .await;
    let found = scene.discrepancies().await.remove(0);
    let legs = [leg("psp:paystack", 4_000), leg("bank:main", -4_000)];
    propose(&scene, found.id, &legs).await.unwrap();
    approve(&scene, found.id, "ben").await.unwrap();
    scene.plain(&[&payment("a", 10_000)]).await;
    let explained = async || {
        let mut conn = scene.pool().acquire().await.unwrap();
        let all = aegis::reconcile::clearing::standings(&mut conn, scene.ledger.id).await;
        let all = all.unwrap();
        let of_psp = all.iter().find(|it| it.wallet == "psp:paystack");
        of_psp.unwrap().is_explained()
    };
    assert!(!explained().await);
    scene
        .plain(&["settlement,S1,NGN,-4000,0,2026-11-22T15:00:00Z,booked,,"])
        .await;
    assert!(scene.open().await.is_empty());
    assert!(explained().await);
}

#[tokio::test]
async fn an_approval_during_a_run_is_told_to_come_again_after_it() {
    let (scene, found) = proposed_and_booked().await;
    let scope = Scope {
        ledger_id: scene.ledger.id,
        wallet: "psp:paystack",
        psp: Some("paystack"),
    };
    // A run that has matched the line, and has not written that down.
    let mut run = scene.pool().begin().await.unwrap();
    assert!(
        lines::begin(&mut run, scope.ledger_id, scope.wallet)
            .await
            .unwrap()
    );
    lines::number(&mut run, &scope).await.unwrap();
    lines::known(&mut run, &scope).await.unwrap();
    lines::matched(&mut run, &scope).await.unwrap();
    let refused = approve(&scene, found.id, "ben").await.unwrap_err();
    assert!(
        matches!(&refused, ReconcileError::Busy { wallet } if wallet == "psp:paystack"),
        "{refused}"
    );
    let now = OffsetDateTime::now_utc();
    lines::write(&mut run, &scope, uuid::Uuid::now_v7())
        .await
        .unwrap();
    lines::resolve_matched(&mut run, &scope, now).await.unwrap();
    run.commit().await.unwrap();
    let refused = approve(&scene, found.id, "ben").await.unwrap_err();
    assert_eq!(code(&refused), "discrepancy_resolved");
    assert_eq!(scene.balance("psp:paystack").await, -6_000);
}
