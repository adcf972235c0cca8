//! One wallet's chain by itself.

use aegis::ledger::Currency;
use aegis::verify::{self, Check, Progress, Report, VerifyError};
use tokio_util::sync::CancellationToken;

use crate::book::{Book, failed, first, of_a, row};

async fn verify(book: &Book, wallet: &str, currency: Option<&str>) -> Result<Report, VerifyError> {
    verify::wallet(
        &book.database.settings(),
        &book.ledger,
        &wallet.parse().unwrap(),
        currency.and_then(Currency::from_code),
        &Progress::default(),
        &CancellationToken::new(),
    )
    .await
}

#[tokio::test]
async fn a_sound_wallet_is_clean_in_one_currency_or_in_all() {
    let book = Book::new().await;
    for (wallet, currency, wallets, entries) in [
        ("a", Some("NGN"), 1, 4),
        ("a", None, 2, 5),
        (&book.a.id.to_string(), None, 1, 4),
    ] {
        let report = verify(&book, wallet, currency).await.unwrap();
        assert_eq!(failed(&report), []);
        assert_eq!((report.wallets, report.entries), (wallets, entries));
        let names: Vec<_> = report
            .checks
            .iter()
            .map(|check| check.name.as_str())
            .collect();
        assert_eq!(names, ["balances", "versions", "hash_chain", "references"]);
    }
}

#[tokio::test]
async fn only_the_wallet_that_was_tampered_with_is_blamed() {
    let book = Book::new().await;
    book.tamper(
        "UPDATE ledger_entries SET hash = pg_catalog.sha256('x') WHERE wallet_id = $a AND version = 2",
    )
    .await;
    let report = verify(&book, "a", None).await.unwrap();
    assert_eq!(failed(&report), [("hash_chain", 2)]);
    assert_eq!(row(&report, Check::HashChain), of_a(2));
    for (wallet, currency) in [("a", "USD"), ("b", "NGN"), ("world", "NGN")] {
        let report = verify(&book, wallet, Some(currency)).await.unwrap();
        assert_eq!(failed(&report), []);
    }
}

#[tokio::test]
async fn an_entry_of_no_transaction_is_found() {
    let book = Book::new().await;
    book.tamper("DELETE FROM transactions WHERE id = $t3").await;
    let report = verify(&book, "a", None).await.unwrap();
    assert_eq!(failed(&report), [("references", 1)]);
    let found = first(&report, Check::References);
    assert_eq!(found.transaction_id, Some(book.transactions[2]));
}

#[tokio::test]
async fn a_wallet_that_does_not_exist_is_an_error() {
    let book = Book::new().await;
    for (wallet, currency) in [("nobody", None), ("b", Some("USD"))] {
        let error = verify(&book, wallet, currency).await.unwrap_err();
        assert!(matches!(error, VerifyError::WalletNotFound { .. }));
    }
}
