//! Many lines, and many of them that nothing agrees with.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::scene::{HEADER, Scene};

/// So many payments, of which each other one is booked, as payments leave their rows.
const PAYMENTS: &str = "
    WITH made AS MATERIALIZED (
        SELECT n, gen_random_uuid() AS id, gen_random_uuid() AS transaction_id, 'p' || n AS name,
               1000 + n AS amount, timestamptz '2026-11-22 12:00Z' AS at
        FROM generate_series(1, $2) AS n
    ), named AS (
        INSERT INTO psp_references (psp, reference, ledger_id, kind, subject_id)
        SELECT 'paystack', name, $1, 'payment', id FROM made
    ), paid AS (
        INSERT INTO payments (
            ledger_id, id, idempotency_key, request_hash, merchant, currency, terms_version, psp,
            reference, email, amount, fee, net, status, created_at, updated_at, paid_at, period,
            matures_at)
        SELECT $1, id, name, sha256('x'::bytea), 'acme', 'NGN', 1, 'paystack', name, 'a@example.org',
               amount, 0, amount, CASE n % 2 WHEN 0 THEN 'succeeded' ELSE 'pending' END, at, at,
               CASE n % 2 WHEN 0 THEN at END, CASE n % 2 WHEN 0 THEN at::date END,
               CASE n % 2 WHEN 0 THEN at END
        FROM made
    ), posted AS (
        INSERT INTO transactions (
            ledger_id, id, idempotency_key, request_hash, kind, entry_count, reference, effective_at,
            recorded_at)
        SELECT $1, overlay(transaction_id::text PLACING '01a20117-0000-7' FROM 1 FOR 15)::uuid,
               'aegis:payment:' || id || ':succeeded', sha256('x'::bytea), 'journal', 2, name, at, at
        FROM made WHERE n % 2 = 0 RETURNING id, reference
    )
    INSERT INTO ledger_entries (
        ledger_id, wallet_id, version, transaction_id, currency, amount, balance_after, hash)
    SELECT $1, w.id, row_number() OVER (PARTITION BY w.id ORDER BY p.id), p.id, 'NGN',
           CASE w.address WHEN 'psp:paystack' THEN -1 ELSE 1 END * (1000 + substr(p.reference, 2)::int),
           0, sha256('x'::bytea)
    FROM posted p CROSS JOIN wallets w
    WHERE w.ledger_id = $1 AND w.address IN ('psp:paystack', 'merchant:acme:pending')";

/// How long a run takes over twice as many lines: payments, each other one of them not booked, and
/// as much that has no name and is not known here.
async fn time_for(payments: i32) -> Duration {
    let scene = Scene::new().await;
    sqlx::query(PAYMENTS)
        .bind(scene.ledger.id)
        .bind(payments)
        .execute(scene.pool())
        .await
        .unwrap();
    let mut text = HEADER.to_owned();
    for number in 1..=payments {
        let amount = 1_000 + number;
        let paid = format!("payment,p{number},NGN,{amount},0,2026-11-22T12:00:00Z,booked,,");
        let nameless = format!("top_up,,NGN,{amount},0,2026-11-22T12:00:00Z,booked,t{number},");
        writeln!(text, "{paid}\n{nameless}").unwrap();
    }
    let began = Instant::now();
    let report = scene.psp(&text).await;
    let taken = began.elapsed();
    let (matched, opened) = (report.run.matched, report.run.opened);
    let half = i64::from(payments) / 2;
    assert_eq!((matched, opened), (half, 3 * half));
    taken
}

#[tokio::test]
async fn what_differs_takes_a_run_no_longer_for_each_than_where_there_is_less_of_it() {
    // Four times as many take four times as long, and sixteen times where each is held against each.
    // The machine may be busy with something else at any of them: the shortest times count.
    let (mut few, mut many) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        few = few.min(time_for(2_000).await);
        many = many.min(time_for(8_000).await);
        if many < few * 8 {
            return;
        }
    }
    panic!("four times as many lines take {many:?} and not {few:?}");
}
