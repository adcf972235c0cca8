//! Wallets, transactions and events tampered with, one way a test.

use aegis::verify::Check::{Balances, HashChain, Outbox, References, Totals, Versions};

use crate::book::{Book, failed, first, of_a, row};

#[tokio::test]
async fn a_changed_balance_of_a_wallet_is_found_in_it_and_in_the_total() {
    let book = Book::new().await;
    book.tamper("UPDATE wallets SET balance = balance + 1 WHERE id = $a")
        .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("totals", 1), ("balances", 1)]);
    assert_eq!(row(&report, Balances), of_a(4));
    let balance = first(&report, Balances);
    assert_eq!(
        (balance.expected.as_deref(), balance.found.as_deref()),
        (Some("460"), Some("461"))
    );
    let total = first(&report, Totals);
    assert_eq!(
        (total.currency.as_deref(), total.found.as_deref()),
        (Some("NGN"), Some("1"))
    );
}

#[tokio::test]
async fn totals_beyond_64_bits_do_not_wrap_to_zero() {
    let book = Book::new().await;
    book.tamper("UPDATE wallets SET balance = 9223372036854775807 WHERE currency = 'NGN'")
        .await;
    let report = book.verify().await;
    let total = first(&report, Totals);
    assert_eq!(total.found.as_deref(), Some("27670116110564327421"));
}

#[tokio::test]
async fn a_changed_version_of_a_wallet_is_found() {
    let book = Book::new().await;
    book.tamper("UPDATE wallets SET version = 9 WHERE id = $a")
        .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("versions", 1)]);
    assert_eq!(row(&report, Versions), of_a(4));
    assert_eq!(first(&report, Versions).found.as_deref(), Some("9"));
}

#[tokio::test]
async fn a_changed_head_hash_is_found() {
    let book = Book::new().await;
    book.tamper("UPDATE wallets SET head_hash = pg_catalog.sha256('x') WHERE id = $a")
        .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("hash_chain", 1)]);
    assert_eq!(row(&report, HashChain), of_a(4));
}

#[tokio::test]
async fn a_balance_below_its_minimum_is_found() {
    let book = Book::new().await;
    book.tamper(
        "ALTER TABLE wallets DROP CONSTRAINT wallets_balance_above_minimum;
         UPDATE wallets SET held = 461 WHERE id = $a",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("balances", 1)]);
    assert_eq!(row(&report, Balances), of_a(4));
    assert_eq!(first(&report, Balances).found.as_deref(), Some("-1"));
}

#[tokio::test]
async fn a_deleted_transaction_is_missed_by_its_entries_and_its_event() {
    let book = Book::new().await;
    book.tamper("DELETE FROM transactions WHERE id = $t3").await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("references", 1), ("outbox", 1)]);
    for check in [References, Outbox] {
        assert_eq!(
            first(&report, check).transaction_id,
            Some(book.transactions[2])
        );
    }
    assert_eq!(
        first(&report, References).problem,
        "entries name a transaction that doesn't exist"
    );
}

#[tokio::test]
async fn a_transaction_without_entries_is_found_whatever_it_says() {
    for entry_count in [0, 1, 2] {
        let book = Book::new().await;
        book.tamper(&format!(
            "INSERT INTO transactions (ledger_id, id, idempotency_key, request_hash, kind,
                                       entry_count, effective_at, recorded_at)
             SELECT ledger_id, '00000000-0000-0000-0000-00000000000f', 'forged', request_hash,
                    kind, {entry_count}, effective_at, recorded_at
             FROM transactions WHERE id = $t1"
        ))
        .await;
        let report = book.verify().await;
        assert_eq!(failed(&report), [("hash_chain", 1), ("references", 1)]);
        let forged = first(&report, References);
        assert_eq!(forged.transaction_id, Some(uuid::Uuid::from_u128(15)));
        assert_eq!(forged.problem, "the transaction has no entries");
    }
}

#[tokio::test]
async fn a_balanced_forgery_with_all_hashes_made_new_is_betrayed_by_its_event() {
    let book = Book::new().await;
    let (a, b) = (book.wallet("a").await, book.wallet("b").await);
    book.tamper("UPDATE ledger_entries SET amount = sign(amount) * 101 WHERE transaction_id = $t3")
        .await;
    book.rewrite_chain(&a).await;
    book.rewrite_chain(&b).await;
    let report = book.verify().await;
    // The transactions behind it on the same wallets tell of balances that are no longer so.
    assert_eq!(failed(&report), [("outbox", 3)]);
    let event = first(&report, Outbox);
    assert_eq!(event.transaction_id, Some(book.transactions[2]));
    assert!(event.expected.unwrap().contains("101 NGN"));
    assert!(event.found.unwrap().contains("100 NGN"));
}

#[tokio::test]
async fn an_event_about_no_transaction_is_found() {
    let book = Book::new().await;
    book.tamper(
        "UPDATE transaction_outbox SET event_id = '00000000-0000-0000-0000-00000000000f'
         WHERE event_id = $t2",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("outbox", 1)]);
    let event = first(&report, Outbox);
    assert_eq!(event.transaction_id, Some(uuid::Uuid::from_u128(15)));
    assert!(event.look.contains("FROM transaction_outbox"));
}

#[tokio::test]
async fn an_event_that_tells_something_else_is_found() {
    let book = Book::new().await;
    for payload in [
        "replace(payload, '\"amount\":300', '\"amount\":301')",
        "replace(payload, '\"version\":1', '\"version\":2')",
        "replace(payload, '\"ledger\":\"main\"', '\"ledger\":\"other\"')",
        "replace(payload, $t2, $t1)",
        "replace(payload, '\"address\":\"b\"', '\"address\":\"a\"')",
        "replace(payload, '\"kind\":\"transfer\"', '\"kind\":\"journal\"')",
        "replace(payload, '\"idempotency_key\":\"', '\"idempotency_key\":\"x')",
        "replace(payload, '{\"transaction_id\"', '{\"reference\":\"r\",\"transaction_id\"')",
        "'{}'",
        "'[]'",
        "'no JSON'",
    ] {
        book.tamper(&format!(
            "CREATE TABLE kept AS SELECT * FROM transaction_outbox;
             UPDATE transaction_outbox SET payload = {payload} WHERE event_id = $t2"
        ))
        .await;
        let report = book.verify().await;
        assert_eq!(failed(&report), [("outbox", 1)], "{payload}");
        assert_eq!(
            first(&report, Outbox).transaction_id,
            Some(book.transactions[1])
        );
        book.tamper(
            "UPDATE transaction_outbox o SET payload = k.payload FROM kept k WHERE k.id = o.id;
             DROP TABLE kept",
        )
        .await;
    }
    assert!(book.verify().await.ok);
}

#[tokio::test]
async fn an_event_that_would_go_astray_is_found() {
    for change in [
        "key = (SELECT w.id FROM wallets w WHERE w.address = 'a' AND w.currency = 'USD')",
        "subject = 'somebody else'",
        "event_type = 'aegis.nobody.knows'",
        "event_id = $t1",
    ] {
        let book = Book::new().await;
        book.tamper(&format!(
            "UPDATE transaction_outbox SET {change} WHERE event_id = $t2"
        ))
        .await;
        let report = book.verify().await;
        assert_eq!(failed(&report), [("outbox", 1)], "{change}");
        assert!(
            first(&report, Outbox)
                .look
                .contains("FROM transaction_outbox")
        );
    }
}

#[tokio::test]
async fn a_changed_header_is_found_and_named() {
    for change in [
        "idempotency_key = 'another'",
        "request_hash = decode(repeat('00', 32), 'hex')",
        "kind = 'journal'",
        "reference = 'r'",
        "correlation_id = 'c'",
        "effective_at = effective_at - interval '1 day'",
        "recorded_at = recorded_at - interval '1 day'",
        "effective_at = '-infinity'",
        "reverses = id",
        "metadata = '{}'",
    ] {
        let book = Book::new().await;
        book.tamper(&format!(
            "UPDATE transactions SET {change} WHERE id = $t3;
             DELETE FROM transaction_outbox"
        ))
        .await;
        let report = book.verify().await;
        assert_eq!(failed(&report), [("hash_chain", 1)], "{change}");
        let changed = first(&report, HashChain);
        assert_eq!(changed.transaction_id, Some(book.transactions[2]));
        assert!(
            changed.look.contains("FROM transactions"),
            "{}",
            changed.look
        );
    }
}

#[tokio::test]
async fn wallets_that_swapped_their_names_are_found() {
    let book = Book::new().await;
    book.tamper(
        "UPDATE wallets SET address = 'c' WHERE id = $a;
         UPDATE wallets SET address = 'a' WHERE address = 'b' AND currency = 'NGN';
         UPDATE wallets SET address = 'b' WHERE id = $a;
         DELETE FROM transaction_outbox",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("hash_chain", 2)]);
}
