//! Each class of discrepancy, and what makes it go away.

use aegis::engine::Posting;
use aegis::merchant::house;
use time::macros::datetime;

use crate::scene::{Scene, ngn, noon, payment};

#[tokio::test]
async fn what_agrees_is_matched_and_opens_nothing() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene.paid("b", 2_000).await;
    let report = scene
        .plain(&[&payment("a", 1_000), &payment("b", 2_000)])
        .await;
    assert_eq!(
        (report.run.lines, report.run.matched, report.run.opened),
        (2, 2, 0)
    );
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn a_payment_that_the_ledger_has_not_is_missing_here_until_it_comes() {
    let scene = Scene::new().await;
    let id = scene.asked("a", 1_000).await;
    scene
        .plain(&[&payment("a", 1_000), &payment("nobody", 5)])
        .await;
    assert_eq!(
        scene.open().await,
        ["missing_here a", "missing_here nobody"]
    );
    let found = scene.discrepancies().await;
    assert_eq!(found[0].subject, Some(("payment".to_owned(), id)));
    // The webhook came late; whatever file comes next, the line of the first one is looked at again.
    scene
        .pay(id, "a", 1_000, datetime!(2026-11-22 13:00 UTC))
        .await;
    let report = scene.plain(&[&payment("nobody", 5)]).await;
    assert_eq!((report.run.matched, report.run.resolved), (1, 1));
    assert_eq!(scene.open().await, ["missing_here nobody"]);
    let closed = &scene.discrepancies().await[0];
    assert_eq!(closed.resolved_by.as_deref(), Some("aegis:reconciliation"));
}

#[tokio::test]
async fn what_is_no_longer_missing_is_closed_where_its_amount_or_fee_differs() {
    let scene = Scene::new().await;
    let at = datetime!(2026-11-22 15:00 UTC);
    let id = scene.asked("a", 1_000).await;
    let lines = [
        "payment,a,NGN,1000,150,2026-11-22T12:00:00Z,booked,,",
        "settlement,M2,NGN,-400,0,2026-11-22T15:00:00Z,booked,,",
    ];
    scene.plain(&lines).await;
    assert_eq!(scene.open().await, ["missing_here a", "missing_here M2"]);
    scene.pay(id, "a", 1_000, noon()).await;
    sqlx::query("UPDATE payments SET psp_fee = 100")
        .execute(scene.pool())
        .await
        .unwrap();
    scene.to_bank("M2", 390, at).await;
    scene.plain(&lines).await;
    // Nothing suggests any more to post it once again.
    assert_eq!(scene.open().await, ["amount a", "amount M2"]);
}

#[tokio::test]
async fn a_payment_that_the_statement_has_not_is_missing_there_until_it_comes() {
    let scene = Scene::new().await;
    for reference in ["a", "b", "c"] {
        scene.paid(reference, 1_000).await;
    }
    scene
        .plain(&[&payment("a", 1_000), &payment("c", 1_000)])
        .await;
    assert_eq!(scene.open().await, ["missing_there b"]);
    let report = scene.plain(&[&payment("b", 1_000)]).await;
    assert_eq!(report.run.resolved, 1);
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn nothing_is_missing_there_outside_of_the_time_that_the_file_covers() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    let id = scene.asked("later", 2_000).await;
    scene
        .pay(id, "later", 2_000, datetime!(2026-11-23 08:00 UTC))
        .await;
    scene.plain(&[&payment("a", 1_000)]).await;
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn another_amount_is_a_discrepancy_of_amount_with_both() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene.plain(&[&payment("a", 900)]).await;
    assert_eq!(scene.open().await, ["amount a"]);
    let found = &scene.discrepancies().await[0];
    assert_eq!(found.expected.as_ref().unwrap().amount, 1_000);
    assert_eq!(found.found.as_ref().unwrap().amount, 900);
    // Neither of the two is missing besides, however often the file comes.
    scene.plain(&[&payment("a", 900)]).await;
    assert_eq!(scene.discrepancies().await.len(), 1);
}

#[tokio::test]
async fn another_currency_is_a_discrepancy_of_currency() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene
        .plain(&["payment,a,USD,1000,0,2026-11-22T12:00:00Z,booked,,"])
        .await;
    assert_eq!(scene.open().await, ["currency a"]);
}

#[tokio::test]
async fn a_payment_that_the_statement_has_twice_is_a_duplicate() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene
        .plain(&[&payment("a", 1_000), &payment("a", 1_000)])
        .await;
    assert_eq!(scene.open().await, ["duplicate a"]);
    // Also where the second one comes in another file, on another day.
    scene
        .plain(&["payment,a,NGN,1000,0,2026-11-25T12:00:00Z,booked,,"])
        .await;
    assert_eq!(scene.open().await, ["duplicate a", "duplicate a"]);
}

#[tokio::test]
async fn a_line_that_is_days_off_is_late() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene.paid("b", 1_000).await;
    scene
        .plain(&[
            "payment,a,NGN,1000,0,2026-11-25T23:00:00Z,booked,,",
            "payment,b,NGN,1000,0,2026-11-26T01:00:00Z,booked,,",
        ])
        .await;
    assert_eq!(scene.open().await, ["late b"]);
}

#[tokio::test]
async fn a_pending_line_moves_no_state_and_is_new_once_it_is_booked() {
    let scene = Scene::new().await;
    scene.asked("a", 1_000).await;
    let pending = "payment,a,NGN,1000,0,2026-11-22T12:00:00Z,pending,,";
    let report = scene.plain(&[pending]).await;
    assert_eq!((report.run.pending, report.run.lines), (1, 0));
    assert_eq!(scene.count("SELECT count(*) FROM statement_lines").await, 0);
    assert!(scene.open().await.is_empty());
    let report = scene.plain(&[&payment("a", 1_000)]).await;
    assert_eq!((report.run.lines, report.run.known), (1, 0));
    assert_eq!(scene.open().await, ["missing_here a"]);
}

#[tokio::test]
async fn a_transfer_that_failed_at_the_psp_nets_to_nothing() {
    let scene = Scene::new().await;
    let report = scene
        .plain(&[
            "payout,p,NGN,-5000,10,2026-11-22T12:00:00Z,booked,1,",
            "payout_return,p,NGN,5000,-10,2026-11-22T13:00:00Z,booked,1,",
        ])
        .await;
    assert_eq!((report.run.matched, report.run.opened), (2, 0));
}

#[tokio::test]
async fn a_payout_that_came_back_is_matched_leg_by_leg() {
    let scene = Scene::new().await;
    scene.paid("a", 9_000).await;
    let out = |step: &str, amount| {
        Posting::new(&format!("payout:x:{step}"))
            .leg(house::psp("paystack"), ngn(), amount)
            .leg(house::fees(), ngn(), -amount)
    };
    let at = datetime!(2026-11-22 12:30 UTC);
    scene.post_as(out("succeeded", 5_000), "p", at).await;
    scene.post_as(out("returned", -5_000), "p", at).await;
    let report = scene
        .plain(&[
            &payment("a", 9_000),
            "payout,p,NGN,-5000,0,2026-11-22T12:20:00Z,booked,1,",
            "payout_return,p,NGN,5000,0,2026-11-22T13:00:00Z,booked,1,",
        ])
        .await;
    assert_eq!((report.run.matched, report.run.opened), (3, 0));
    let matched = "SELECT count(*) FROM statement_lines WHERE match = 'reference'";
    assert_eq!(scene.count(matched).await, 3);
}

#[tokio::test]
async fn fees_that_the_ledger_had_not_heard_of_are_booked_once() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    scene.paid("b", 10_000).await;
    let lines = [
        "payment,a,NGN,10000,150,2026-11-22T12:00:00Z,booked,,",
        "payment,b,NGN,10000,150,2026-11-22T12:00:00Z,booked,,",
    ];
    let report = scene.plain(&lines).await;
    assert_eq!(report.fees, [(ngn(), 300)]);
    assert_eq!(scene.balance("platform:psp_fees").await, -300);
    assert_eq!(scene.balance("psp:paystack").await, -19_700);
    let report = scene.plain(&lines).await;
    assert!(report.fees.is_empty());
    assert_eq!(scene.balance("platform:psp_fees").await, -300);
    let known = "SELECT count(*) FROM payments WHERE psp_fee = 150";
    assert_eq!(scene.count(known).await, 2);
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn a_fee_that_was_known_and_is_another_one_is_a_discrepancy() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    sqlx::query("UPDATE payments SET psp_fee = 100")
        .execute(scene.pool())
        .await
        .unwrap();
    let report = scene
        .plain(&["payment,a,NGN,10000,150,2026-11-22T12:00:00Z,booked,,"])
        .await;
    assert!(report.fees.is_empty());
    assert_eq!(scene.open().await, ["amount a"]);
}

#[tokio::test]
async fn a_line_for_a_whole_payout_run_is_matched_with_all_of_its_payouts() {
    let scene = Scene::new().await;
    scene.paid("a", 90_000).await;
    for (number, amount) in [(1, 5_000), (2, 7_000)] {
        let reference = format!("run-payout-{number}");
        payout_of_run(&scene, "2026-11-22-evening", number, &reference, amount).await;
    }
    let report = scene
        .plain(&[
            &payment("a", 90_000),
            "payout,2026-11-22-evening,NGN,-12000,0,2026-11-22T12:30:00Z,booked,,",
        ])
        .await;
    assert_eq!((report.run.matched, report.run.opened), (2, 0));
    assert_eq!(
        scene.count("SELECT count(*) FROM statement_matches").await,
        2
    );
}

async fn payout_of_run(scene: &Scene, run: &str, number: i32, reference: &str, amount: i64) {
    let id = uuid::Uuid::now_v7();
    sqlx::query(
        "WITH known AS (
             INSERT INTO psp_references (psp, reference, ledger_id, kind, subject_id)
             VALUES ('paystack', $4, $1, 'payout', $2))
         INSERT INTO payouts (
             ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version, amount,
             psp, reference, recipient, run_key, run_number, requested_by, status, created_at,
             updated_at)
         VALUES ($1, $2, $4, sha256('x'::bytea), 'acme', 'NGN', 1, $3, 'paystack', $4, 'RCP_x', $5, $6, 'x',
                 'succeeded', now(), now())",
    )
    .bind(scene.ledger.id)
    .bind(id)
    .bind(amount)
    .bind(reference)
    .bind(run)
    .bind(number)
    .execute(scene.pool())
    .await
    .unwrap();
    let posting = Posting::new(&format!("payout:{id}:succeeded"))
        .leg(house::psp("paystack"), ngn(), amount)
        .leg(house::fees(), ngn(), -amount);
    let at = datetime!(2026-11-22 12:30 UTC);
    scene.post_as(posting, reference, at).await;
}
