//! Ledgers and their totals.

use crate::support::Tool;

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_made_once_and_named_by_option_or_environment() {
    let tool = Tool::new().await;
    assert_eq!(tool.json(&["ledger", "create", "eu"])["created"], true);
    assert_eq!(tool.json(&["ledger", "create", "eu"])["created"], false);
    tool.run(&[
        "--ledger",
        "eu",
        "wallet",
        "create",
        "a",
        "--currency",
        "EUR",
    ])
    .exits(0);
    let listed = tool.json(&["ledger", "list"]);
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|ledger| {
            (
                ledger["name"].as_str().unwrap(),
                ledger["wallets"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(listed, [("eu", 1), ("main", 0)]);
    let in_eu = tool
        .command(&["wallet", "show", "a"])
        .env("AEGIS_LEDGER", "eu")
        .output()
        .unwrap();
    assert_eq!(in_eu.status.code(), Some(0));
    tool.run(&["wallet", "show", "a"]).exits(3);
    let nowhere = tool.run(&["--ledger", "us", "wallet", "list"]).exits(2);
    assert!(
        nowhere.stderr.contains("aegisctl ledger create us"),
        "{}",
        nowhere.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_zero_in_every_currency() {
    let tool = Tool::with_wallets("NGN").await;
    for (to, minor) in [("merchant:a", "100"), ("merchant:b", "23")] {
        let args = [
            "transfer",
            "post",
            "--from",
            "world",
            "--to",
            to,
            "--currency",
            "NGN",
        ];
        let args: Vec<&str> = args.iter().copied().chain(["--minor", minor]).collect();
        tool.run(&args).exits(0);
    }
    let balance = tool.json(&["ledger", "balance"]);
    assert_eq!(balance["balanced"], true);
    let ngn = &balance["currencies"][0];
    assert_eq!(
        (&ngn["currency"], &ngn["balance"]),
        (&"NGN".into(), &0.into())
    );
    assert_eq!(ngn["segments"][0]["segment"], "merchant");
    assert_eq!(ngn["segments"][0]["balance"], 123);
    assert_eq!(ngn["segments"][1]["balance"], -123);
    let table = tool.run(&["ledger", "balance"]).exits(0).stdout;
    assert!(table.contains("1.23") && table.contains("-1.23"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_off_ends_with_4() {
    let tool = Tool::with_wallets("NGN").await;
    sqlx::query("UPDATE wallets SET balance = 5 WHERE address = 'merchant:a'")
        .execute(tool.database.pool())
        .await
        .unwrap();
    let off = tool.run(&["-o", "json", "ledger", "balance"]).exits(4);
    assert_eq!(off.json()["balanced"], false);
    assert!(off.stderr.contains("ledger verify"), "{}", off.stderr);
}
