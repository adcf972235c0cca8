//! Payout runs, and lines of statements.

use aegis::psp::TransferStatus;
use aegis::trace::Thing;
use uuid::Uuid;

use crate::scene::{Scene, tells_of, whats};

/// A statement with its lines: account, reference, batch, transaction.
async fn statement(
    scene: &Scene,
    wallet: &str,
    lines: &[(&str, Option<&str>, Option<Uuid>)],
) -> Vec<Uuid> {
    let file = Uuid::now_v7();
    let mut transaction = scene.pool.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO reconciliations (
             ledger_id, id, wallet, format, file_name, file_hash, lines, known, pending, broken,
             matched, opened, resolved, started_by, started_at, finished_at)
         VALUES ($1, $2, $3, 'plain', 'november.csv', pg_catalog.sha256('x'::bytea), 1, 0, 0, 0, 1,
             0, 0, 'ada', now(), now())",
    )
    .bind(scene.ledger.id)
    .bind(file)
    .bind(wallet)
    .execute(&mut *transaction)
    .await
    .unwrap();
    let mut ids = Vec::new();
    for (n, (reference, batch, posted)) in lines.iter().enumerate() {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO statement_lines (
                 ledger_id, id, reconciliation_id, line, wallet, account, kind, reference, batch,
                 currency, amount, fee, booked_at, match, transaction_id)
             VALUES ($1, $2, $3, $4, $5, 'main', 'transfer', $6, $7, 'NGN', -500, 0, now(),
                 'reference', $8)",
        )
        .bind(scene.ledger.id)
        .bind(id)
        .bind(file)
        .bind(i64::try_from(n + 2).unwrap())
        .bind(wallet)
        .bind(reference)
        .bind(batch)
        .bind(posted)
        .execute(&mut *transaction)
        .await
        .unwrap();
        ids.push(id);
    }
    transaction.commit().await.unwrap();
    ids
}

/// A payout that the PSP paid, and the transaction that says so.
async fn paid_out(scene: &Scene, amount: i64) -> (Uuid, Uuid) {
    let payout = scene.pay_out(amount).await;
    scene.told(payout, amount, TransferStatus::Success).await;
    let key = format!("aegis:payout:{payout}:succeeded");
    (payout, scene.transaction(&key).await)
}

#[tokio::test]
async fn a_payment_is_followed_to_the_lines_of_both_statements() {
    let scene = Scene::new().await;
    let payment = scene.paid(500, 0).await;
    let credit = format!("aegis:payment:{payment}:succeeded");
    let credit = scene.transaction(&credit).await;
    scene.settle(2).await;
    let (payout, sent) = paid_out(&scene, 500).await;
    let lines = [
        ("charge-1", Some("batch-7"), Some(credit)),
        ("transfer-1", None, Some(sent)),
        ("somebody-else", Some("batch-7"), None),
    ];
    let psp = statement(&scene, "psp:paystack", &lines).await;
    let bank = statement(&scene, "bank:main", &[("batch-7", None, None)]).await;
    let trace = scene.trace(&payment.to_string()).await;
    for line in [psp[0], psp[1], bank[0]] {
        assert!(tells_of(&trace, &Thing::StatementLine(line)));
    }
    assert!(!tells_of(&trace, &Thing::StatementLine(psp[2])));
    for name in [psp[1].to_string(), "transfer-1".to_owned()] {
        let trace = scene.trace(&name).await;
        assert!(tells_of(&trace, &Thing::Payout(payout)), "{name}");
    }
    // Back from the bank's line: all that came in with it.
    let trace = scene.trace(&format!("statement_line:{}", bank[0])).await;
    for line in [psp[0], psp[2]] {
        assert!(tells_of(&trace, &Thing::StatementLine(line)));
    }
    assert!(tells_of(&trace, &Thing::Payment(payment)));
}

#[tokio::test]
async fn one_line_for_many_payouts_is_found_from_each_and_leads_to_all() {
    let scene = Scene::new().await;
    scene.paid(900, 0).await;
    scene.settle(2).await;
    let (one, two) = (paid_out(&scene, 500).await, paid_out(&scene, 400).await);
    let line = statement(&scene, "bank:main", &[("november", None, None)]).await[0];
    for (_, posted) in [one, two] {
        sqlx::query("INSERT INTO statement_matches VALUES ($1, 'bank:main', $2, $3)")
            .bind(scene.ledger.id)
            .bind(posted)
            .bind(line)
            .execute(&scene.pool)
            .await
            .unwrap();
    }
    let from_line = scene.trace(&format!("statement_line:{line}")).await;
    assert!(tells_of(&from_line, &Thing::Payout(one.0)));
    assert!(tells_of(&from_line, &Thing::Payout(two.0)));
    let from_one = scene.trace(&one.0.to_string()).await;
    assert!(tells_of(&from_one, &Thing::StatementLine(line)));
    assert!(!tells_of(&from_one, &Thing::Payout(two.0)));
}

#[tokio::test]
async fn a_payout_runs_key_leads_to_its_payouts_and_each_payout_to_the_run() {
    let scene = Scene::new().await;
    scene.paid(900, 0).await;
    scene.settle(2).await;
    let payouts = [scene.pay_out(500).await, scene.pay_out(400).await];
    sqlx::query(
        "INSERT INTO payout_runs (
             ledger_id, key, source, currency, count, total, list_hash, status, started_by,
             started_from, started_at, updated_at)
         VALUES ($1, 'friday', 'due', 'NGN', 2, 900, pg_catalog.sha256('x'::bytea), 'running', 'cron',
             'here', now(), now())",
    )
    .bind(scene.ledger.id)
    .execute(&scene.pool)
    .await
    .unwrap();
    for (number, payout) in (1_i32..).zip(payouts) {
        sqlx::query("UPDATE payouts SET run_key = 'friday', run_number = $2 WHERE id = $1")
            .bind(payout)
            .bind(number)
            .execute(&scene.pool)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO payout_run_items (
                 ledger_id, run_key, number, merchant, amount, status, payout_id, updated_at)
             VALUES ($1, 'friday', $2, 'acme', 1, 'requested', $3, now())",
        )
        .bind(scene.ledger.id)
        .bind(number)
        .bind(payout)
        .execute(&scene.pool)
        .await
        .unwrap();
    }
    let of_run = scene.trace("friday").await;
    assert_eq!(of_run.found, [Thing::PayoutRun("friday".to_owned())]);
    assert!(
        payouts
            .iter()
            .all(|id| tells_of(&of_run, &Thing::Payout(*id)))
    );
    let of_one = scene.trace(&payouts[0].to_string()).await;
    assert!(whats(&of_one).contains(&"payout_run.started"));
    assert!(!tells_of(&of_one, &Thing::Payout(payouts[1])));
}
