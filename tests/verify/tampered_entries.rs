//! Entries tampered with, one way a test.

use aegis::verify::Check::{Balances, HashChain, Outbox, References, Versions, ZeroSum};

use crate::book::{Book, failed, first, of_a, row};

#[tokio::test]
async fn an_untouched_ledger_is_clean_and_counted() {
    let book = Book::new().await;
    let report = book.verify().await;
    assert_eq!(failed(&report), []);
    assert_eq!(
        (report.transactions, report.entries, report.wallets),
        (5, 13, 5)
    );
    let checked: Vec<_> = report
        .checks
        .iter()
        .map(|check| (check.name.as_str(), check.checked))
        .collect();
    assert_eq!(
        checked,
        [
            ("zero_sum", 5),
            ("totals", 2),
            ("balances", 5),
            ("versions", 13),
            ("hash_chain", 13),
            ("references", 13),
            ("outbox", 5),
            ("payouts", 0),
            ("refunds", 0)
        ]
    );
}

#[tokio::test]
async fn a_changed_amount_unbalances_its_transaction_and_breaks_its_entry() {
    let book = Book::new().await;
    book.tamper("UPDATE ledger_entries SET amount = -99 WHERE wallet_id = $a AND version = 2")
        .await;
    let report = book.verify().await;
    assert_eq!(
        failed(&report),
        [
            ("zero_sum", 1),
            ("balances", 1),
            ("hash_chain", 1),
            ("outbox", 1)
        ]
    );
    let unbalanced = first(&report, ZeroSum);
    assert_eq!(unbalanced.transaction_id, Some(book.transactions[2]));
    assert_eq!(unbalanced.found.as_deref(), Some("1 NGN"));
    assert_eq!(row(&report, Balances), of_a(2));
    let balance = first(&report, Balances);
    assert_eq!(balance.expected.as_deref(), Some("401"));
    assert_eq!(balance.found.as_deref(), Some("400"));
    assert_eq!(row(&report, HashChain), of_a(2));
    assert_eq!(
        first(&report, Outbox).transaction_id,
        Some(book.transactions[2])
    );
}

#[tokio::test]
async fn a_changed_balance_after_is_found_at_its_entry() {
    let book = Book::new().await;
    book.tamper(
        "DELETE FROM transaction_outbox;
         UPDATE ledger_entries SET balance_after = 401 WHERE wallet_id = $a AND version = 2",
    )
    .await;
    let report = book.verify().await;
    // The entry doesn't follow from the one before, nor the next one from it.
    assert_eq!(failed(&report), [("balances", 2), ("hash_chain", 1)]);
    assert_eq!(row(&report, Balances), of_a(2));
    assert_eq!(row(&report, HashChain), of_a(2));
}

#[tokio::test]
async fn a_changed_hash_is_found_at_its_entry() {
    let book = Book::new().await;
    book.tamper(
        "UPDATE ledger_entries SET hash = pg_catalog.sha256('x') WHERE wallet_id = $a AND version = 2",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("hash_chain", 2)]);
    assert_eq!(row(&report, HashChain), of_a(2));
}

#[tokio::test]
async fn a_hash_of_another_length_is_found_at_its_entry() {
    let book = Book::new().await;
    book.tamper("UPDATE ledger_entries SET hash = '' WHERE wallet_id = $a AND version = 4")
        .await;
    let report = book.verify().await;
    // The entry's own, and the wallet's head_hash, which no longer is its last entry's.
    assert_eq!(failed(&report), [("hash_chain", 2)]);
    assert_eq!(row(&report, HashChain), of_a(4));
}

#[tokio::test]
async fn an_entry_deleted_in_the_middle_leaves_a_gap() {
    let book = Book::new().await;
    book.tamper("DELETE FROM ledger_entries WHERE wallet_id = $a AND version = 2")
        .await;
    let report = book.verify().await;
    assert_eq!(
        failed(&report),
        [
            ("zero_sum", 1),
            ("balances", 1),
            ("versions", 1),
            ("hash_chain", 1),
            ("references", 1),
            ("outbox", 1)
        ]
    );
    assert_eq!(row(&report, Versions), of_a(3));
    let gap = first(&report, Versions);
    assert_eq!(gap.expected.as_deref(), Some("2"));
    assert_eq!(row(&report, HashChain), of_a(3));
    assert_eq!(row(&report, Balances), of_a(3));
    for check in [ZeroSum, References] {
        assert_eq!(
            first(&report, check).transaction_id,
            Some(book.transactions[2])
        );
    }
}

#[tokio::test]
async fn an_entry_deleted_at_the_beginning_leaves_a_gap() {
    let book = Book::new().await;
    book.tamper("DELETE FROM ledger_entries WHERE wallet_id = $a AND version = 1")
        .await;
    let report = book.verify().await;
    assert_eq!(row(&report, Versions), of_a(2));
    assert_eq!(first(&report, Versions).expected.as_deref(), Some("1"));
    assert_eq!(row(&report, Balances), of_a(2));
    assert_eq!(
        first(&report, References).transaction_id,
        Some(book.transactions[0])
    );
}

#[tokio::test]
async fn an_entry_deleted_at_the_end_leaves_the_wallet_ahead() {
    let book = Book::new().await;
    book.tamper("DELETE FROM ledger_entries WHERE wallet_id = $a AND version = 4")
        .await;
    let report = book.verify().await;
    assert_eq!(
        failed(&report),
        [
            ("zero_sum", 1),
            ("balances", 1),
            ("versions", 1),
            ("hash_chain", 1),
            ("references", 1),
            ("outbox", 1)
        ]
    );
    let ahead = first(&report, Versions);
    assert_eq!(row(&report, Versions), of_a(3));
    assert_eq!(
        (ahead.expected.as_deref(), ahead.found.as_deref()),
        (Some("3"), Some("4"))
    );
    assert_eq!(
        ahead.look,
        "aegisctl wallet show a --currency NGN --ledger main"
    );
}

#[tokio::test]
async fn all_entries_of_a_wallet_deleted_leave_it_without_a_history() {
    let book = Book::new().await;
    book.tamper("DELETE FROM ledger_entries WHERE wallet_id = $a")
        .await;
    let report = book.verify().await;
    assert_eq!(row(&report, Versions), of_a(0));
    assert_eq!(row(&report, Balances), of_a(0));
    assert_eq!(row(&report, HashChain), of_a(0));
    assert_eq!(report.check(Versions).unwrap().violations, 1);
    assert_eq!(report.check(ZeroSum).unwrap().violations, 4);
}

#[tokio::test]
async fn an_added_entry_is_one_too_many() {
    let book = Book::new().await;
    book.tamper(
        "INSERT INTO ledger_entries
         SELECT ledger_id, wallet_id, 5, transaction_id, currency, 7, balance_after + 7, hash
         FROM ledger_entries WHERE wallet_id = $a AND version = 4",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(
        failed(&report),
        [
            ("zero_sum", 1),
            ("balances", 1),
            ("versions", 1),
            ("hash_chain", 1),
            ("references", 1),
            ("outbox", 1)
        ]
    );
    assert_eq!(row(&report, Versions), of_a(5));
    assert_eq!(row(&report, HashChain), of_a(5));
    let counted = first(&report, References);
    assert_eq!(counted.transaction_id, Some(book.transactions[4]));
    assert_eq!(
        (counted.expected.as_deref(), counted.found.as_deref()),
        (Some("2 entries"), Some("3 entries"))
    );
}

#[tokio::test]
async fn an_entry_that_stands_twice_is_found() {
    let book = Book::new().await;
    book.tamper(
        "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_pkey;
         INSERT INTO ledger_entries
         SELECT * FROM ledger_entries WHERE wallet_id = $a AND version = 2",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(
        failed(&report),
        [
            ("zero_sum", 1),
            ("versions", 1),
            ("references", 1),
            ("outbox", 1)
        ]
    );
    assert_eq!(row(&report, Versions), of_a(2));
}

#[tokio::test]
async fn entries_numbered_below_one_are_found() {
    let book = Book::new().await;
    book.tamper("UPDATE ledger_entries SET version = 0 WHERE wallet_id = $a AND version = 1")
        .await;
    let report = book.verify().await;
    // 0 stands where nothing may, and 1 is missing.
    assert_eq!(report.check(Versions).unwrap().violations, 2);
    assert_eq!(row(&report, Versions), of_a(0));
}

#[tokio::test]
async fn two_entries_swapped_between_transactions_are_found() {
    let book = Book::new().await;
    book.tamper(
        "DELETE FROM transaction_outbox;
         UPDATE ledger_entries SET transaction_id = CASE version WHEN 2 THEN $t5 ELSE $t3 END::uuid
         WHERE wallet_id = $a AND version IN (2, 4)",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("zero_sum", 2), ("hash_chain", 2)]);
    assert_eq!(
        first(&report, ZeroSum).transaction_id,
        Some(book.transactions[2])
    );
    assert_eq!(row(&report, HashChain), of_a(2));
}

#[tokio::test]
async fn two_entries_swapped_in_a_wallets_history_are_found() {
    let book = Book::new().await;
    book.tamper(
        "DELETE FROM transaction_outbox;
         UPDATE ledger_entries SET version = -version WHERE wallet_id = $a AND version IN (2, 3);
         UPDATE ledger_entries SET version = 5 + version WHERE wallet_id = $a AND version < 0",
    )
    .await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("balances", 3), ("hash_chain", 3)]);
    assert_eq!(row(&report, HashChain), of_a(2));
}

#[tokio::test]
async fn an_entry_on_a_wallet_that_does_not_exist_is_found() {
    let book = Book::new().await;
    book.tamper(
        "UPDATE ledger_entries SET wallet_id = '00000000-0000-0000-0000-00000000000f'
         WHERE wallet_id = $a AND version = 4",
    )
    .await;
    let report = book.verify().await;
    let stray = first(&report, References);
    assert_eq!(report.check(References).unwrap().violations, 1);
    assert_eq!(stray.wallet_id, Some(uuid::Uuid::from_u128(15)));
    assert_eq!(stray.problem, "the entry names a wallet that doesn't exist");
    assert_eq!(row(&report, Versions), of_a(3));
}

#[tokio::test]
async fn a_changed_currency_of_an_entry_is_found() {
    let book = Book::new().await;
    for (currency, sums) in [("USD", 2), ("not a currency", 2)] {
        book.tamper(&format!(
            "DELETE FROM transaction_outbox;
             UPDATE ledger_entries SET currency = '{currency}'
             WHERE wallet_id = $a AND version = 2"
        ))
        .await;
        let report = book.verify().await;
        assert_eq!(
            failed(&report),
            [("zero_sum", sums), ("hash_chain", 1), ("references", 1)]
        );
        assert_eq!(row(&report, References), of_a(2));
        assert_eq!(row(&report, HashChain), of_a(2));
        let reference = first(&report, References);
        assert_eq!(reference.expected.as_deref(), Some("NGN"));
        assert_eq!(reference.found.as_deref(), Some(currency));
    }
}

#[tokio::test]
async fn a_cent_moved_between_wallets_with_all_hashes_made_new_unbalances_its_transactions() {
    let book = Book::new().await;
    let (a, b) = (book.wallet("a").await, book.wallet("b").await);
    book.tamper(&format!(
        "DELETE FROM transaction_outbox;
         UPDATE ledger_entries SET amount = amount - 1 WHERE wallet_id = $a AND version = 1;
         UPDATE ledger_entries SET amount = amount + 1 WHERE wallet_id = '{}' AND version = 1",
        b.id
    ))
    .await;
    book.rewrite_chain(&a).await;
    book.rewrite_chain(&b).await;
    let report = book.verify().await;
    assert_eq!(failed(&report), [("zero_sum", 2)]);
    let unbalanced = first(&report, ZeroSum);
    assert_eq!(unbalanced.transaction_id, Some(book.transactions[0]));
    assert_eq!(unbalanced.found.as_deref(), Some("-1 NGN"));
}
