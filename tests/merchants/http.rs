//! Merchants over HTTP.

use serde_json::{Value, json};

use crate::common::TestDatabase;
use crate::support::daemon::{Daemon, Settings};

async fn ask(daemon: &Daemon, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}/v1/ledgers/main/merchants{path}", daemon.address);
    let request = reqwest::Client::new().post(url).json(body);
    let answer = request.header("Idempotency-Key", key).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    let url = format!("http://{}/v1/ledgers/main/merchants{path}", daemon.address);
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn terms() -> Value {
    json!({
        "fee": {"basis_points": 150, "fixed": 10_000, "cap": 200_000},
        "settlement": {"days": 1, "calendar": "business", "time_zone": "Africa/Lagos"},
        "payout": {"minimum": 100_000, "schedule": "daily", "recipient": "RCP_1"},
    })
}

fn acme() -> Value {
    json!({"id": "acme", "name": "Acme Stores", "currency": "NGN", "terms": terms()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_is_made_once_looked_at_agreed_with_and_frozen() {
    let database = TestDatabase::create().await;
    let daemon = Settings::new(database.url()).start().await;
    let (status, made) = ask(&daemon, "", "k1", &acme()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["terms"][0]["version"], 1);
    assert_eq!(made["terms"][0]["terms"]["fee"]["cap"], 200_000);
    let (status, again) = ask(&daemon, "", "k2", &acme()).await;
    assert_eq!((status, &again), (201, &made));
    let mut other = acme();
    other["name"] = json!("Somebody else");
    let (status, refused) = ask(&daemon, "", "k3", &other).await;
    assert_eq!((status, &refused["code"]), (422, &json!("merchant_exists")));

    let mut better = terms();
    better["fee"]["basis_points"] = json!(120);
    let body = json!({"currency": "NGN", "terms": better});
    let (status, agreed) = ask(&daemon, "/acme/terms", "k4", &body).await;
    assert_eq!((status, &agreed["version"]), (201, &json!(2)), "{agreed}");
    let (_, history) = get(&daemon, "/acme/terms?currency=NGN").await;
    assert_eq!(history["items"][1]["terms"]["fee"]["basis_points"], 150);

    let reason = json!({"reason": "ticket 4711"});
    let (status, frozen) = ask(&daemon, "/acme/freeze", "k5", &reason).await;
    assert_eq!((status, &frozen["status"]), (200, &json!("frozen")));
    let (_, shown) = get(&daemon, "/acme").await;
    assert_eq!(shown["status"], "frozen");
    let wallets = shown["wallets"].as_array().unwrap().iter();
    let wallets: Vec<&str> = wallets.map(|w| w["address"].as_str().unwrap()).collect();
    assert_eq!(
        wallets,
        ["available", "owed", "pending", "reserve"].map(|purse| format!("merchant:acme:{purse}"))
    );
    let (_, active) = ask(&daemon, "/acme/unfreeze", "k6", &reason).await;
    assert_eq!(active["status"], "active");
    let (_, listed) = get(&daemon, "?limit=10").await;
    assert_eq!(listed["items"][0]["id"], "acme");
    assert_eq!(listed["items"][0]["terms"][0]["version"], 2);
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_contradict_each_other_are_named_field_by_field() {
    let database = TestDatabase::create().await;
    let daemon = Settings::new(database.url()).start().await;
    let mut body = acme();
    body["id"] = json!("Acme!");
    body["terms"]["fee"]["basis_points"] = json!(10_001);
    body["terms"]["fee"]["minimum"] = json!(300_000);
    body["terms"]["settlement"]["cut_off"] = json!("5pm");
    body["terms"]["payout"]["weekday"] = json!("friday");
    let (status, refused) = ask(&daemon, "", "k", &body).await;
    assert_eq!((status, &refused["code"]), (422, &json!("fields_invalid")));
    let fields = refused["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{refused}"));
    let named: Vec<&str> = fields
        .iter()
        .map(|f| f["field"].as_str().unwrap())
        .collect();
    for place in [
        "id",
        "terms.fee.basis_points",
        "terms.settlement.cut_off",
        "terms.payout.weekday",
    ] {
        assert!(named.contains(&place), "{place} in {refused}");
    }
    let (status, _) = get(&daemon, "/acme").await;
    assert_eq!(status, 404, "nothing is half made");
    let (status, missing) = ask(&daemon, "/nobody/freeze", "f", &json!({"reason": "x"})).await;
    assert_eq!(
        (status, &missing["code"]),
        (404, &json!("merchant_not_found"))
    );
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_description_are_taken() {
    let database = TestDatabase::create().await;
    let daemon = Settings::new(database.url()).start().await;
    let url = format!("http://{}/openapi.json", daemon.address);
    let document: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    for (n, (path, name)) in [
        ("", "MerchantRequest"),
        ("/acme/terms", "TermsRequest"),
        ("/acme/freeze", "ReasonRequest"),
        ("/acme/unfreeze", "ReasonRequest"),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, answer) = ask(&daemon, path, &format!("k{n}"), &example(name)).await;
        assert!((200..300).contains(&status), "{path}: {answer}");
    }
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_or_a_reason_that_says_nothing_is_refused() {
    let database = TestDatabase::create().await;
    let daemon = Settings::new(database.url()).start().await;
    for name in ["", "  ", "a\nb", &"x".repeat(256)] {
        let mut body = acme();
        body["name"] = json!(name);
        let (status, refused) = ask(&daemon, "", "k", &body).await;
        assert_eq!(
            (status, &refused["errors"][0]["field"]),
            (422, &json!("name"))
        );
    }
    ask(&daemon, "", "k", &acme()).await;
    for reason in [json!({}), json!({"reason": " "})] {
        let (status, refused) = ask(&daemon, "/acme/freeze", "f", &reason).await;
        let field = &refused["errors"][0]["field"];
        assert_eq!((status, field), (422, &json!("reason")), "{refused}");
    }
    assert_eq!(daemon.stop().await, Some(0));
}
