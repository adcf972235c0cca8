//! What the database itself refuses, whoever asks: each guard by the name that it goes by.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

mod common;

use aegis::engine::Engine;
use aegis::postgres::audit::second_person;
use aegis::postgres::ledgers;
use aegis::postgres::migrate::{self, Standing};
use aegis::postgres::outbox::{self, Depth};
use common::TestDatabase;
use common::ledger::{main_ledger, post, transfer, verdict, wallet};
use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

/// A ledger with two wallets and one transfer of 500 between them.
async fn furnished() -> TestDatabase {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    let engine = Engine::new(&database.settings(), "aegis.transactions");
    let posted = post(&engine, &ledger, transfer("k", "world", "shop", 500)).await;
    assert_eq!(verdict(&posted), "posted");
    database
}

/// The constraint that refuses a statement; none where nothing does.
async fn refused_by(pool: &PgPool, statement: &str) -> Option<String> {
    let result = sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(pool)
        .await;
    let error = result.err()?;
    let refusal = error.as_database_error();
    let constraint = refusal.and_then(|error| error.constraint());
    Some(constraint.map_or_else(|| error.to_string(), str::to_owned))
}

/// Every statement is refused, by the constraint beside it, and changes nothing.
async fn assert_refused(cases: &[(&str, &str)]) {
    let database = furnished().await;
    let before = contents(database.pool()).await;
    for (statement, constraint) in cases {
        let refusal = refused_by(database.pool(), statement).await;
        assert_eq!(refusal.as_deref(), Some(*constraint), "{statement}");
    }
    assert_eq!(contents(database.pool()).await, before);
}

async fn contents(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT l::text FROM ledgers l UNION ALL SELECT w::text FROM wallets w
         UNION ALL SELECT t::text FROM transactions t UNION ALL SELECT e::text FROM ledger_entries e
         ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn what_was_posted_stays_as_it_is() {
    assert_refused(&[
        (
            "UPDATE transactions SET reference = 'x'",
            "transactions_append_only",
        ),
        (
            "UPDATE transactions SET reference = 'x' WHERE false",
            "transactions_append_only",
        ),
        ("DELETE FROM transactions", "transactions_append_only"),
        ("TRUNCATE transactions", "transactions_append_only"),
        (
            "UPDATE ledger_entries SET amount = amount",
            "ledger_entries_append_only",
        ),
        (
            "DELETE FROM ledger_entries WHERE amount > 0",
            "ledger_entries_append_only",
        ),
        ("TRUNCATE ledger_entries", "ledger_entries_append_only"),
        (
            "TRUNCATE transactions, ledger_entries",
            "transactions_append_only",
        ),
        (
            "INSERT INTO transactions
             SELECT * FROM transactions
             ON CONFLICT ON CONSTRAINT transactions_pkey DO UPDATE SET kind = 'journal'",
            "transactions_append_only",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_wallet_keeps_its_name_and_is_there_for_ever() {
    assert_refused(&[
        ("DELETE FROM wallets", "wallets_permanent"),
        ("TRUNCATE wallets", "wallets_permanent"),
        (
            "UPDATE wallets SET address = 'other' WHERE address = 'shop'",
            "wallets_identity",
        ),
        ("UPDATE wallets SET currency = 'USD'", "wallets_identity"),
        (
            "UPDATE wallets SET id = gen_random_uuid()",
            "wallets_identity",
        ),
        ("UPDATE wallets SET ledger_id = 2", "wallets_identity"),
        ("UPDATE ledgers SET name = 'other'", "ledgers_permanent"),
        ("DELETE FROM ledgers", "ledgers_permanent"),
        ("TRUNCATE ledgers CASCADE", "ledgers_permanent"),
    ])
    .await;
}

/// An INSERT of entries over the wallets `shop` (s) and `world` (w) and the transaction `k` (t).
fn entries(rows: &str) -> String {
    format!(
        "INSERT INTO ledger_entries (ledger_id, wallet_id, version, transaction_id, currency,
                                     amount, balance_after, hash)
         SELECT 1, new.* FROM wallets s, wallets w, transactions t,
                LATERAL (VALUES {rows}) AS new
         WHERE s.address = 'shop' AND w.address = 'world'"
    )
}

#[tokio::test]
async fn entries_balance_and_name_what_exists() {
    let zero = "sha256(''::bytea)";
    let cases = [
        // One side alone.
        (
            format!("(s.id, 2, t.id, 'NGN', 5, 505, {zero})"),
            "ledger_entries_zero_sum",
        ),
        // Off by one.
        (
            format!(
                "(s.id, 2, t.id, 'NGN', 5, 505, {zero}), (w.id, 2, t.id, 'NGN', -4, -504, {zero})"
            ),
            "ledger_entries_zero_sum",
        ),
        // Balanced over two currencies, in neither of which it is.
        (
            format!(
                "(s.id, 2, t.id, 'NGN', 5, 505, {zero}), (w.id, 2, t.id, 'USD', -5, -505, {zero})"
            ),
            "ledger_entries_zero_sum",
        ),
        // Balanced over two transactions, in neither of which it is.
        (
            format!(
                "(s.id, 2, t.id, 'NGN', 5, 505, {zero}),
                 (w.id, 2, gen_random_uuid(), 'NGN', -5, -505, {zero})"
            ),
            "ledger_entries_zero_sum",
        ),
        // A wallet that doesn't exist.
        (
            format!(
                "(s.id, 2, t.id, 'NGN', 5, 505, {zero}),
                 (gen_random_uuid(), 1, t.id, 'NGN', -5, -5, {zero})"
            ),
            "ledger_entries_wallet_exists",
        ),
        // Wallets that exist in another currency.
        (
            format!(
                "(s.id, 2, t.id, 'USD', 5, 505, {zero}), (w.id, 2, t.id, 'USD', -5, -505, {zero})"
            ),
            "ledger_entries_wallet_exists",
        ),
        // A transaction that doesn't exist.
        (
            format!(
                "(s.id, 2, uuid_nil, 'NGN', 5, 505, {zero}),
                 (w.id, 2, uuid_nil, 'NGN', -5, -505, {zero})"
            )
            .replace("uuid_nil", "'00000000-0000-0000-0000-000000000000'::uuid"),
            "ledger_entries_transaction_exists",
        ),
        // A version that is taken: two writers that saw the same wallet.
        (
            format!(
                "(s.id, 1, t.id, 'NGN', 5, 505, {zero}), (w.id, 2, t.id, 'NGN', -5, -505, {zero})"
            ),
            "ledger_entries_pkey",
        ),
    ];
    let cases: Vec<(String, &str)> = cases
        .into_iter()
        .map(|(rows, constraint)| (entries(&rows), constraint))
        .collect();
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(statement, constraint)| (statement.as_str(), *constraint))
        .collect();
    assert_refused(&cases).await;
}

#[tokio::test]
async fn entries_of_another_ledger_can_not_use_this_ones_wallets() {
    let database = furnished().await;
    sqlx::query("INSERT INTO ledgers (name) VALUES ('second')")
        .execute(database.pool())
        .await
        .unwrap();
    let statement = entries(
        "(s.id, 2, t.id, 'NGN', 5, 505, sha256(''::bytea)), (w.id, 2, t.id, 'NGN', -5, -505, sha256(''::bytea))",
    )
    .replace(
        "SELECT 1,",
        "SELECT (SELECT id FROM ledgers WHERE name = 'second'),",
    );
    let refusal = refused_by(database.pool(), &statement).await;
    assert_eq!(refusal.as_deref(), Some("ledger_entries_wallet_exists"));
}

#[tokio::test]
async fn a_wallet_never_falls_below_its_minimum() {
    assert_refused(&[
        (
            "UPDATE wallets SET balance = -1 WHERE address = 'shop'",
            "wallets_balance_above_minimum",
        ),
        // What is held can't be spent.
        (
            "UPDATE wallets SET held = 501 WHERE address = 'shop'",
            "wallets_balance_above_minimum",
        ),
        (
            "UPDATE wallets SET min_balance = 501 WHERE address = 'shop'",
            "wallets_balance_above_minimum",
        ),
        (
            "UPDATE wallets SET held = -1 WHERE address = 'shop'",
            "wallets_held_not_negative",
        ),
        (
            "UPDATE wallets SET version = -1 WHERE address = 'shop'",
            "wallets_version_not_negative",
        ),
        (
            "UPDATE wallets SET status = 'closed'",
            "wallets_status_known",
        ),
    ])
    .await;
    // The outside world has none.
    let database = furnished().await;
    let lower = "UPDATE wallets SET balance = -9223372036854775808 WHERE address = 'world'";
    assert_eq!(refused_by(database.pool(), lower).await, None);
}

#[tokio::test]
async fn a_key_a_wallet_and_a_ledger_are_there_once() {
    assert_refused(&[
        (
            "INSERT INTO transactions (ledger_id, id, idempotency_key, request_hash, kind,
                                       entry_count, effective_at, recorded_at)
             SELECT ledger_id, gen_random_uuid(), idempotency_key, request_hash, kind,
                    entry_count, effective_at, recorded_at FROM transactions",
            "transactions_idempotency_key",
        ),
        (
            "INSERT INTO transactions (ledger_id, id, idempotency_key, request_hash, kind,
                                       entry_count, effective_at, recorded_at)
             SELECT ledger_id, id, 'another', request_hash, kind,
                    entry_count, effective_at, recorded_at FROM transactions",
            "transactions_pkey",
        ),
        (
            "INSERT INTO wallets (ledger_id, id, address, currency, head_hash)
             VALUES (1, gen_random_uuid(), 'shop', 'NGN', decode(repeat('00', 32), 'hex'))",
            "wallets_address_currency_key",
        ),
        (
            "INSERT INTO wallets (ledger_id, id, address, currency, head_hash)
             VALUES (4711, gen_random_uuid(), 'shop', 'USD', decode(repeat('00', 32), 'hex'))",
            "wallets_ledger_exists",
        ),
        (
            "INSERT INTO ledgers (name) VALUES ('main')",
            "ledgers_name_key",
        ),
    ])
    .await;
}

#[tokio::test]
async fn names_keep_their_form() {
    let wallet = |address: &str, currency: &str| {
        format!(
            "INSERT INTO wallets (ledger_id, id, address, currency, head_hash)
             VALUES (1, gen_random_uuid(), '{address}', '{currency}', decode(repeat('00', 32), 'hex'))"
        )
    };
    let cases = [
        (wallet("Shop", "NGN"), "wallet_address_form"),
        (wallet("", "NGN"), "wallet_address_form"),
        (wallet("a::b", "NGN"), "wallet_address_form"),
        (wallet("a:b:c:d:e:f:g:h:i", "NGN"), "wallet_address_form"),
        (wallet(&"a".repeat(256), "NGN"), "wallet_address_form"),
        (wallet("till", "ngn"), "currency_code_form"),
        (wallet("till", "NGNN"), "currency_code_form"),
        (
            "INSERT INTO ledgers (name) VALUES ('Main')".to_owned(),
            "ledgers_name_form",
        ),
        (
            "UPDATE wallets SET head_hash = 'short'::bytea".to_owned(),
            "sha256_length",
        ),
    ];
    let cases: Vec<(&str, &str)> = cases
        .iter()
        .map(|(statement, constraint)| (statement.as_str(), *constraint))
        .collect();
    assert_refused(&cases).await;
}

#[tokio::test]
async fn two_migrators_at_once_both_succeed_and_apply_each_step_once() {
    let database = TestDatabase::empty().await;
    let settings = database.settings();
    let (one, other) = tokio::join!(migrate::up(&settings), migrate::up(&settings));
    one.unwrap();
    other.unwrap();
    let mut conn = database.pool().acquire().await.unwrap();
    assert_eq!(
        migrate::standing(&mut conn).await.unwrap(),
        Standing::Current
    );
    let steps = migrate::steps(&mut conn).await.unwrap();
    assert!(steps.iter().all(|step| step.applied_at.is_some()));
    let ledgers: i64 = sqlx::query_scalar("SELECT count(*) FROM ledgers WHERE name = 'main'")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(ledgers, 1);
}

#[tokio::test]
async fn a_second_migration_changes_nothing() {
    let database = furnished().await;
    let before = contents(database.pool()).await;
    migrate::up(&database.settings()).await.unwrap();
    assert_eq!(contents(database.pool()).await, before);
}

#[tokio::test]
async fn a_database_of_a_later_program_is_left_alone() {
    let database = TestDatabase::create().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (4711, 'of a later program', true, '', 0)",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let mut conn = database.pool().acquire().await.unwrap();
    assert_eq!(
        migrate::standing(&mut conn).await.unwrap(),
        Standing::Ahead(4711)
    );
    let refused = migrate::up(&database.settings()).await;
    assert!(
        matches!(refused, Err(MigrateError::VersionMissing(4711))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_landed_is_refused() {
    let database = TestDatabase::create().await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = 'another' WHERE version = 1")
        .execute(database.pool())
        .await
        .unwrap();
    let refused = migrate::up(&database.settings()).await;
    assert!(
        matches!(refused, Err(MigrateError::VersionMismatch(1))),
        "{refused:?}"
    );
}

/// Puts so many events into the outbox of a ledger.
async fn wait_in_outbox(pool: &PgPool, ledger_id: i32, events: i64) {
    let mut conn = pool.acquire().await.unwrap();
    sqlx::query(
        "INSERT INTO transaction_outbox (ledger_id, event_id, event_type, topic, key, subject,
                                         payload, created_at)
         SELECT $1, gen_random_uuid(), 'test', 't', 'k', 's', '{}',
                timestamptz '2026-11-01 00:00Z' + n * interval '1 second'
         FROM generate_series(1, $2) n",
    )
    .bind(ledger_id)
    .bind(events)
    .execute(&mut *conn)
    .await
    .unwrap();
    // What was written is in the statistics from now on, and not in a second.
    sqlx::query("SELECT pg_stat_force_next_flush()")
        .execute(&mut *conn)
        .await
        .unwrap();
}

/// How the outbox stands, by a look of this kind, and how many of its rows were read for it.
async fn read_for(pool: &PgPool, looks_briefly: bool) -> (Depth, i64) {
    let mut conn = pool.acquire().await.unwrap();
    let before = rows_read(&mut conn).await;
    let depth = match looks_briefly {
        true => outbox::glance(&mut conn).await.unwrap(),
        false => outbox::depth(&mut conn, None).await.unwrap(),
    };
    (depth, rows_read(&mut conn).await - before)
}

/// How many rows of the outbox this connection has read, as far as PostgreSQL has them apart.
async fn rows_read(conn: &mut PgConnection) -> i64 {
    // Its own are there at once where they were flushed at the end of the statement before.
    for statement in [
        "SELECT pg_stat_force_next_flush()",
        "SELECT pg_stat_clear_snapshot()",
    ] {
        sqlx::query(statement).execute(&mut *conn).await.unwrap();
    }
    let read = sqlx::query_scalar(
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
         FROM pg_stat_user_tables WHERE relname = 'transaction_outbox'",
    );
    read.fetch_one(conn).await.unwrap()
}

#[tokio::test]
async fn a_look_at_the_outbox_reads_few_rows_however_many_wait() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let ledger = main_ledger(pool).await;
    let many = 4 * outbox::COUNTED_MAX;
    wait_in_outbox(pool, ledger.id, many).await;
    // Never analyzed, and then analyzed.
    assert_reads_few(pool, many).await;
    sqlx::query("ANALYZE transaction_outbox")
        .execute(pool)
        .await
        .unwrap();
    assert_reads_few(pool, many).await;
}

async fn assert_reads_few(pool: &PgPool, many: i64) {
    let (exact, read) = read_for(pool, false).await;
    assert!(exact.is_exact && exact.rows == many, "{exact:?}");
    assert!(read >= many, "what is measured is what is read: {read}");
    let (brief, read) = read_for(pool, true).await;
    assert!(
        read <= outbox::COUNTED_MAX + 100,
        "{read} rows were read for a look"
    );
    assert!(!brief.is_exact, "{brief:?}");
    // Nothing else happened to the table, so that its statistics are right.
    assert_eq!(
        (brief.rows, brief.refused, brief.oldest_at),
        (exact.rows, exact.refused, exact.oldest_at)
    );
}

#[tokio::test]
async fn a_look_at_the_outbox_counts_what_is_not_many_in_all_ledgers() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let (empty, _) = read_for(pool, true).await;
    assert!(empty.is_exact && empty.rows == 0 && empty.oldest_at.is_none());
    let ledger = main_ledger(pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let name = "other".parse().unwrap();
    let (other, _) = ledgers::create(&mut conn, &name).await.unwrap();
    drop(conn);
    wait_in_outbox(pool, other.id, 5).await;
    wait_in_outbox(pool, ledger.id, 3).await;
    sqlx::query("UPDATE transaction_outbox SET next_attempt_at = now() WHERE ledger_id = $1")
        .bind(ledger.id)
        .execute(pool)
        .await
        .unwrap();
    let (exact, _) = read_for(pool, false).await;
    let (brief, _) = read_for(pool, true).await;
    assert!(brief.is_exact && brief.rows == 8 && brief.refused == 3);
    assert_eq!(brief.oldest_at, exact.oldest_at);
}

#[tokio::test]
async fn the_database_tells_two_persons_apart_as_the_program_does() {
    let database = TestDatabase::create().await;
    let names = [
        "alice",
        " Alice\t",
        "root (sudo by ALICE)",
        "Root (sudo by alice",
        "http: alice",
        "http: root (sudo by alice)",
        "http:",
        "http",
        "httpd",
        "http: http",
        "bob",
        "root",
        "root (sudo by root)",
        "root (sudo by )",
        "aegis (sudo by alice)",
        "aegis:reconciliation",
        "curl/8.5.0 (x))",
        "Unknown",
        " ",
        "",
    ];
    for first in names {
        for second in names {
            let told: bool = sqlx::query_scalar("SELECT (person($1) <> person($2)) IS TRUE")
                .bind(first)
                .bind(second)
                .fetch_one(database.pool())
                .await
                .unwrap();
            let here = second_person(first, second).is_ok();
            assert_eq!(told, here, "{first:?} and {second:?}");
        }
    }
}
