//! What is due, by the merchants' terms.

use crate::scene::{Scene, counts, not_at_midnight};

const START: [&str; 7] = ["--yes", "-o", "json", "payout", "run", "start", "--due"];

fn due<'a>(key: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let key = ["--key", key];
    START.iter().chain(&key).chain(more).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_wallets_is_paid_once_and_the_rest_is_left_out_with_reasons() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    scene.merchant("bolt", 7_000).await;
    scene.merchant("small", 999).await;
    scene.merchant("empty", 0).await;
    scene.merchant("cold", 50_000).await;
    let manual = format!(
        r#"{{"minimum": 0, "schedule": "manual", "recipient": "{}"}}"#,
        scene.recipient
    );
    scene.merchant_with("byhand", "NGN", &manual).await;
    scene.fund("byhand", 50_000).await;
    let lost = r#"{"minimum": 0, "schedule": "daily"}"#;
    scene.merchant_with("lost", "NGN", lost).await;
    sqlx::query("UPDATE merchants SET status = 'frozen' WHERE id = 'cold'")
        .execute(scene.pool())
        .await
        .unwrap();
    not_at_midnight().await;
    let plan = scene.run(&due("a", &["--dry-run"])).exits(0).json();
    let mut left: Vec<(&str, &str)> = plan["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| {
            (
                left["merchant"].as_str().unwrap(),
                left["code"].as_str().unwrap(),
            )
        })
        .collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            ("byhand", "paid_by_hand"),
            ("cold", "merchant_frozen"),
            ("empty", "nothing_available"),
            ("lost", "recipient_missing"),
            ("small", "below_minimum"),
        ]
    );
    let ran = scene.run(&due("a", &[])).exits(0);
    let ran = ran.says("left out: small in NGN has 999 minor units");
    let run = ran.json();
    assert_eq!(counts(&run), [2, 2, 0, 0, 0]);
    assert_eq!(
        (&run["total"], &run["source"]),
        (&57_000.into(), &"due".into())
    );
    assert_eq!(run["list_hash"], plan["list_hash"]);
    assert_eq!(scene.balance("merchant:acme:available").await, 0);
    // More comes in: the key stands for the list that was frozen, and the day is paid.
    scene.fund("acme", 30_000).await;
    scene.run(&due("a", &[])).exits(0).says("nothing to do");
    let nothing = scene.run(&due("b", &[])).exits(0);
    let nothing = nothing.says("left out: acme in NGN is next due on");
    assert_eq!(counts(&nothing.json()), [0; 5]);
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 1);
    assert_eq!(scene.transfers(), (2, 57_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_that_waits_in_one_run_is_not_in_the_next() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let ran = scene
        .run(&due("a", &["--approval-above-minor", "0"]))
        .exits(0);
    assert_eq!(ran.json()["status"], "waiting");
    let next = scene.run(&due("b", &[])).exits(0);
    next.says("left out: acme in NGN is in payout run a");
    let cancel = [
        "--yes",
        "payout",
        "run",
        "cancel",
        "a",
        "--reason",
        "too early",
    ];
    scene.run(&cancel).exits(0);
    let run = scene.run(&due("b", &[])).exits(0).json();
    assert_eq!(counts(&run), [1, 1, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_whose_payout_failed_is_due_again() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    scene.arm(aegis::simulator::Fault::LowBalance, 1);
    assert_eq!(
        counts(&scene.run(&due("a", &[])).exits(5).json()),
        [1, 0, 1, 0, 0]
    );
    assert_eq!(
        counts(&scene.run(&due("b", &[])).exits(0).json()),
        [1, 1, 0, 0, 0]
    );
    assert_eq!(scene.balance("merchant:acme:available").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn due_in_two_currencies_it_has_to_be_said_which() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let daily = format!(
        r#"{{"minimum": 0, "schedule": "daily", "recipient": "{}"}}"#,
        scene.recipient
    );
    scene.merchant_with("kenya", "KES", &daily).await;
    sqlx::query("UPDATE wallets SET min_balance = NULL WHERE address = 'psp:paystack'")
        .execute(scene.pool())
        .await
        .unwrap();
    let fund = [
        "transfer",
        "post",
        "--from",
        "psp:paystack",
        "--to",
        "merchant:kenya:available",
        "--currency",
        "KES",
        "--minor",
        "5000",
    ];
    scene.run(&fund).exits(0);
    let refused = scene.run(&due("a", &[])).exits(3).json();
    assert_eq!(refused["code"], "currency_mismatch");
    assert!(refused["detail"].as_str().unwrap().contains("--currency"));
    let run = scene.run(&due("a", &["--currency", "NGN"])).exits(0).json();
    assert_eq!(counts(&run), [1, 1, 0, 0, 0]);
    let other = scene.run(&due("a", &["--currency", "KES"])).exits(3).json();
    assert_eq!(other["code"], "payout_run_key_reused");
}
