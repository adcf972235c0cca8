//! The tutorial does what it says.

use std::time::Duration;

use sqlx::Row as _;

use crate::common::TestDatabase;
use crate::pages::page;
use crate::session::Session;
use crate::support::port::free_port;

#[tokio::test]
async fn the_tutorial_takes_a_payment_all_the_way_as_written() {
    let database = TestDatabase::empty().await;
    let (aegisd, simulator) = (free_port().to_string(), free_port().to_string());
    let said = {
        let session = Session::new(database.url())
            .with("SERVER_PORT", &aegisd)
            // Ports that nobody else has, and a day that closes sooner: at the next full minute that
            // leaves half a minute to be paid in.
            .instead("8080", &aegisd)
            .instead("7070", &simulator)
            .instead(
                "$(date -u -d '4 minutes' +%s)",
                "$(( ($(date +%s) + 89) / 60 * 60 ))",
            );
        let running = move || session.run(&page("docs/tutorial.md"), Duration::from_secs(300));
        tokio::task::spawn_blocking(running).await.unwrap()
    };
    for words in [
        "payout run evening-1 is finished: nothing to do",
        "told of 14 things",
        "statement_line.booked",
        "hash_chain  yes",
    ] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    // 12,500.00 less 2.5 % and 100.00; the PSP's own fees are 287.50 and 25.00.
    for (address, balance) in [
        ("merchant:acme:pending", 0),
        ("merchant:acme:available", 0),
        ("platform:fees", 41_250),
        ("platform:psp_fees", -31_250),
        ("psp:paystack", -10_000),
        ("payouts:in_transit", 0),
    ] {
        let row = sqlx::query("SELECT balance FROM wallets WHERE address = $1")
            .bind(address)
            .fetch_one(database.pool())
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), balance, "{address}");
    }
}
