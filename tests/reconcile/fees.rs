//! What the PSP took for itself, of whatever a line is about: booked once, or a discrepancy.

use aegis::engine::Posting;
use aegis::merchant::{MerchantId, Purse, house};
use aegis::reconcile::Report;
use aegis::verify::{self, Progress};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::scene::{Scene, ngn, noon, payment};

/// A merchant with money, and a payout of 5,000 that is paid, or came back. Its id.
async fn paid_out(scene: &Scene, status: &'static str, psp_fee: Option<i64>) -> Uuid {
    scene.paid("a", 90_000).await;
    let id = Uuid::now_v7();
    sqlx::query(
        "WITH known AS (
             INSERT INTO psp_references (psp, reference, ledger_id, kind, subject_id)
             VALUES ('paystack', 'out', $1, 'payout', $2))
         INSERT INTO payouts (
             ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version, amount,
             psp, reference, recipient, requested_by, status, psp_fee, created_at, updated_at)
         VALUES ($1, $2, 'out', sha256('x'::bytea), 'acme', 'NGN', 1, 5000, 'paystack', 'out', 'RCP_x',
                 'x', $3, $4, now(), now())",
    )
    .bind(scene.ledger.id)
    .bind(id)
    .bind(status)
    .bind(psp_fee)
    .execute(scene.pool())
    .await
    .unwrap();
    let acme: MerchantId = "acme".parse().unwrap();
    let (transit, psp) = (house::payouts_in_transit(), house::psp("paystack"));
    let available = || acme.wallet(Purse::Available);
    let step = |name: &str| Posting::new(&format!("payout:{id}:{name}"));
    let matured = Posting::new("test:matured")
        .leg(acme.wallet(Purse::Pending), ngn(), -90_000)
        .leg(available(), ngn(), 90_000);
    let mut steps = vec![
        matured,
        step("requested")
            .leg(available(), ngn(), -5_000)
            .leg(transit.clone(), ngn(), 5_000),
        step("succeeded")
            .leg(transit, ngn(), -5_000)
            .leg(psp.clone(), ngn(), 5_000),
    ];
    if status == "returned" {
        steps.push(
            step("returned")
                .leg(psp, ngn(), -5_000)
                .leg(available(), ngn(), 5_000),
        );
    }
    for posting in steps {
        scene.post_as(posting, "out", noon()).await;
    }
    id
}

async fn assert_verifies(scene: &Scene) {
    let settings = scene.database.settings();
    let (options, stop) = (verify::Options::default(), CancellationToken::new());
    let report = verify::ledger(
        &settings,
        &scene.ledger,
        options,
        &Progress::default(),
        &stop,
    )
    .await;
    let report = report.unwrap();
    assert!(report.ok, "{:?}", report.checks);
}

const PAID_OUT: &str = "payout,out,NGN,-5000,10,2026-11-22T12:30:00Z,booked,,";
const CAME_BACK: &str = "payout_return,out,NGN,5000,-10,2026-11-22T13:00:00Z,booked,,";

fn taken(report: &Report) -> i64 {
    report.fees.iter().map(|(_, amount)| amount).sum()
}

#[tokio::test]
async fn a_payouts_fee_that_a_statement_tells_first_is_its_own_and_verifies() {
    let scene = Scene::new().await;
    paid_out(&scene, "succeeded", None).await;
    let report = scene.plain(&[&payment("a", 90_000), PAID_OUT]).await;
    assert_eq!((taken(&report), report.run.opened), (10, 0));
    assert_eq!(scene.balance("platform:psp_fees").await, -10);
    assert_eq!(scene.count("SELECT psp_fee FROM payouts").await, 10);
    assert_verifies(&scene).await;
    let again = scene.plain(&[&payment("a", 90_000), PAID_OUT]).await;
    assert_eq!((taken(&again), again.run.opened), (0, 0));
    assert_eq!(scene.balance("platform:psp_fees").await, -10);
}

#[tokio::test]
async fn a_payout_that_came_back_brings_back_the_fee_that_a_statement_told() {
    let scene = Scene::new().await;
    paid_out(&scene, "returned", None).await;
    let report = scene
        .plain(&[&payment("a", 90_000), PAID_OUT, CAME_BACK])
        .await;
    assert_eq!(report.run.opened, 0, "{:?}", scene.open().await);
    assert_eq!(scene.balance("platform:psp_fees").await, 0);
    assert_verifies(&scene).await;
}

#[tokio::test]
async fn a_fee_that_does_not_come_back_with_its_payout_is_a_discrepancy() {
    let scene = Scene::new().await;
    paid_out(&scene, "returned", None).await;
    let half = CAME_BACK.replace(",-10,", ",-4,");
    scene.plain(&[&payment("a", 90_000), PAID_OUT, &half]).await;
    assert_eq!(scene.open().await, ["amount out"]);
}

#[tokio::test]
async fn what_the_psp_takes_for_anything_else_is_booked_as_the_line_has_it() {
    let scene = Scene::new().await;
    scene.paid("a", 90_000).await;
    scene.to_bank("S1", 40_000, noon()).await;
    let lines = [
        &payment("a", 90_000),
        "settlement,S1,NGN,-40000,25,2026-11-22T12:00:00Z,booked,,",
    ];
    let report = scene.plain(&lines).await;
    assert_eq!((taken(&report), report.run.opened), (25, 0));
    assert_eq!(scene.balance("psp:paystack").await, -49_975);
    let again = scene.plain(&lines).await;
    assert_eq!(taken(&again), 0);
    assert_eq!(scene.balance("platform:psp_fees").await, -25);
}

#[tokio::test]
async fn nobody_waits_for_a_run_before_it_books_what_it_found() {
    let scene = Scene::new().await;
    scene.paid("a", 10_000).await;
    let mut held = scene.pool().begin().await.unwrap();
    // Everybody posts to this wallet: while somebody does, all of a run but its end goes on, and the
    // end is tried again until it is free.
    sqlx::query("SELECT FROM wallets WHERE address = 'psp:paystack' FOR NO KEY UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let line = "payment,a,NGN,10000,150,2026-11-22T12:00:00Z,booked,,";
    let lines = [line];
    let run = scene.plain(&lines);
    let freed = async {
        // Whoever waits has written its lines and itself down by then.
        let waits = "SELECT count(*) FROM pg_stat_activity a WHERE datname = current_database()
                     AND wait_event_type = 'Lock' AND 2 = (
                         SELECT count(DISTINCT l.relation) FROM pg_locks l
                         WHERE l.pid = a.pid AND l.granted AND l.mode = 'RowExclusiveLock'
                           AND l.relation IN ('statement_lines'::regclass, 'reconciliations'::regclass))";
        let patience = std::time::Duration::from_secs(60);
        let waited = tokio::time::timeout(patience, async {
            while scene.count(waits).await == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        waited.await.expect("a run waits, and only at its end");
        held.rollback().await.unwrap();
    };
    let (report, ()) = tokio::join!(run, freed);
    assert_eq!(taken(&report), 150);
    assert_eq!(scene.balance("platform:psp_fees").await, -150);
}

#[tokio::test]
async fn a_fee_that_only_a_later_file_tells_is_booked() {
    let scene = Scene::new().await;
    scene.paid("a", 90_000).await;
    scene.to_bank("S1", 40_000, noon()).await;
    let lines = |payment_fee: u8, settlement_fee: u8| {
        [
            format!("payment,a,NGN,90000,{payment_fee},2026-11-22T12:00:00Z,booked,,"),
            format!("settlement,S1,NGN,-40000,{settlement_fee},2026-11-22T12:00:00Z,booked,,"),
        ]
    };
    let file = async |fees: (u8, u8)| {
        let lines = lines(fees.0, fees.1);
        scene.plain(&[&lines[0], &lines[1]]).await
    };
    assert_eq!(taken(&file((0, 0)).await), 0);
    let report = file((75, 25)).await;
    assert_eq!((taken(&report), report.run.opened), (100, 0));
    assert_eq!(scene.balance("platform:psp_fees").await, -100);
    assert_eq!(scene.count("SELECT psp_fee FROM payments").await, 75);
    let again = file((75, 25)).await;
    assert_eq!((taken(&again), again.run.opened), (0, 0));
    assert_verifies(&scene).await;
}

#[tokio::test]
async fn a_fee_that_two_files_tell_differently_is_a_discrepancy() {
    let scene = Scene::new().await;
    scene.paid("a", 90_000).await;
    scene.to_bank("S1", 40_000, noon()).await;
    let payment = |fee: u8| format!("payment,a,NGN,90000,{fee},2026-11-22T12:00:00Z,booked,,");
    let settlement =
        |fee: u8| format!("settlement,S1,NGN,-40000,{fee},2026-11-22T12:00:00Z,booked,,");
    scene.plain(&[&payment(75), &settlement(25)]).await;
    let report = scene.plain(&[&payment(80), &settlement(30)]).await;
    assert_eq!((taken(&report), report.run.opened), (0, 2));
    assert_eq!(scene.open().await, ["amount a", "amount S1"]);
    assert_eq!(scene.balance("platform:psp_fees").await, -100);
    // What was told first still stands.
    let first = scene.plain(&[&payment(75), &settlement(25)]).await;
    assert_eq!((taken(&first), first.run.opened), (0, 0));
}

#[tokio::test]
async fn a_fee_that_is_known_is_not_booked_again_whatever_the_line_is_called() {
    let scene = Scene::new().await;
    paid_out(&scene, "returned", Some(10)).await;
    sqlx::query("UPDATE payments SET psp_fee = 75")
        .execute(scene.pool())
        .await
        .unwrap();
    let report = scene
        .plain(&[
            "other,a,NGN,90000,75,2026-11-22T12:00:00Z,booked,,",
            "other,out,NGN,-5000,10,2026-11-22T12:30:00Z,booked,,",
            "other,out,NGN,5000,-10,2026-11-22T13:00:00Z,booked,,",
        ])
        .await;
    assert_eq!((taken(&report), report.run.opened), (0, 0));
    assert_eq!(scene.balance("platform:psp_fees").await, 0);
}

#[tokio::test]
async fn a_line_that_cannot_be_matched_tells_of_its_fee() {
    let scene = Scene::new().await;
    scene.paid("a", 90_000).await;
    scene
        .plain(&[
            "payment,a,NGN,80000,15,2026-11-22T12:00:00Z,booked,,",
            "settlement,S9,NGN,-300,25,2026-11-22T12:00:00Z,booked,,",
        ])
        .await;
    let details: Vec<String> =
        sqlx::query_scalar("SELECT detail FROM discrepancies ORDER BY class")
            .fetch_all(scene.pool())
            .await
            .unwrap();
    assert!(details[0].contains("fee of 15 minor units"), "{details:?}");
    assert!(details[1].contains("fee of 25 minor units"), "{details:?}");
}

#[tokio::test]
async fn a_later_fee_of_a_line_for_many_payouts_is_held_against_the_sum_of_theirs() {
    let scene = Scene::new().await;
    paid_out(&scene, "succeeded", Some(10)).await;
    scene.to_bank("out", 7_000, noon()).await;
    let line = |fee: u8| format!("other,out,NGN,-12000,{fee},2026-11-22T12:30:00Z,booked,,");
    let payment = payment("a", 90_000);
    let first = scene.plain(&[&payment, &line(0)]).await;
    assert_eq!((first.run.matched, first.run.opened), (2, 0));
    let again = scene.plain(&[&payment, &line(10)]).await;
    assert_eq!(
        (taken(&again), again.run.opened, again.run.matched),
        (0, 0, 0)
    );
    assert_eq!(scene.balance("platform:psp_fees").await, 0);
}

#[tokio::test]
async fn the_fee_of_an_open_line_is_booked_when_it_is_matched_whatever_the_file_tells_by_then() {
    let scene = Scene::new().await;
    let line = |fee: u8| format!("settlement,S1,NGN,-40000,{fee},2026-11-22T12:00:00Z,booked,,");
    scene.paid("a", 90_000).await;
    let payment = payment("a", 90_000);
    scene.plain(&[&payment, &line(25)]).await;
    assert_eq!(scene.open().await, ["missing_here S1"]);
    scene.to_bank("S1", 40_000, noon()).await;
    let report = scene.plain(&[&payment, &line(30)]).await;
    assert_eq!(taken(&report), 25);
    scene.plain(&[&payment, &line(30)]).await;
    assert_eq!(scene.open().await, ["amount S1"]);
}
