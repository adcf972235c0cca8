//! The simulator's own routes, for those who test their integration by hand.

use aegis::psp::Psp;
use serde_json::json;

use crate::scene::{KEY, Scene, payment, transfer};

#[tokio::test]
async fn a_checkout_is_a_page_and_is_paid_once() {
    let scene = Scene::new().await;
    let checkout = scene
        .psp
        .initialize(&payment("pay-1", 125_000))
        .await
        .unwrap();
    let page = reqwest::get(&checkout.url)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("NGN 1250.00") && page.contains("/pay-1/pay"),
        "{page}"
    );
    let (status, paid) = scene
        .own("POST", "/checkout/pay-1/pay", r#"{"amount": 5}"#)
        .await;
    assert_eq!(
        (status, &paid["amount"], &paid["requested_amount"]),
        (200, &json!(5), &json!(125_000))
    );
    let (status, again) = scene.own("POST", "/checkout/pay-1/pay", "").await;
    assert_eq!(
        (status, &again["code"]),
        (400, &json!("transaction_already_successful"))
    );
    let (status, _) = scene.own("POST", "/checkout/pay-2/pay", "").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_checkout_that_failed_can_still_be_paid() {
    let scene = Scene::new().await;
    scene
        .psp
        .initialize(&payment("pay-1", 125_000))
        .await
        .unwrap();
    let (_, failed) = scene.own("POST", "/checkout/pay-1/fail", "").await;
    assert_eq!(failed["status"], "failed");
    let (_, left) = scene.own("POST", "/checkout/pay-1/abandon", "").await;
    assert_eq!(left["status"], "abandoned");
    scene.pay("pay-1").await;
}

#[tokio::test]
async fn the_books_and_the_settlement_export_say_the_same() {
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    scene.paid("pay-1", 1_000_000).await;
    for n in 1..=3 {
        scene
            .psp
            .transfer(&transfer(&format!("po_{n}"), 90_000, &recipient))
            .await
            .unwrap();
    }
    scene.own("POST", "/transfers/po_1/succeed", "").await;
    scene.own("POST", "/transfers/po_2/fail", "").await;
    let (_, books) = scene.own("GET", "/books?entries=true", "").await;
    let balances = books["balances"].as_array().unwrap();
    let sum: i64 = balances
        .iter()
        .map(|b| b["balance"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, 0, "{books}");
    let balance = balances.iter().find(|b| b["account"] == "balance").unwrap();
    assert_eq!(balance["balance"], 100_000_000 + 975_000 - 2 * 91_000);
    assert_eq!(books["entries"].as_array().unwrap().len(), 7);
    let (_, file) = scene.own("GET", "/settlement.csv", "").await;
    let mut file = csv::Reader::from_reader(file.as_str().unwrap().as_bytes());
    let lines: Vec<csv::StringRecord> = file.records().map(Result::unwrap).collect();
    let net: i64 = lines
        .iter()
        .map(|line| line[6].parse::<i64>().unwrap())
        .sum();
    assert_eq!(net, balance["balance"].as_i64().unwrap());
    let of = |kind: &str| lines.iter().filter(|line| &line[0] == kind).count();
    assert_eq!(
        (of("payment"), of("transfer"), of("transfer_return")),
        (1, 3, 1)
    );
}

#[tokio::test]
async fn faults_are_armed_listed_and_refused_where_they_make_no_sense() {
    let scene = Scene::new().await;
    let armed = json!({"fault": "timeout", "call": "transfer", "reference": "po_1"});
    let (status, answer) = scene.own("POST", "/faults", &armed.to_string()).await;
    assert_eq!(
        (status, &answer["armed"][0]["fault"]),
        (201, &json!("timeout"))
    );
    for bad in [
        json!({"fault": "time-out"}),
        json!({"fault": "timeout", "call": "pay"}),
        json!({"fault": "timeout", "times": 0}),
        json!({"fault": "timeout", "refrence": "x"}),
        json!({}),
    ] {
        let (status, answer) = scene.own("POST", "/faults", &bad.to_string()).await;
        assert!([400, 422].contains(&status), "{bad}: {answer}");
        assert!(!answer["message"].as_str().unwrap().is_empty());
    }
    let (_, listed) = scene.own("GET", "/faults", "").await;
    assert_eq!(listed["armed"].as_array().unwrap().len(), 1);
    assert!(listed["faults"].as_array().unwrap().len() > 15);
    scene.own("DELETE", "/faults", "").await;
    let (_, listed) = scene.own("GET", "/faults", "").await;
    assert_eq!(listed["armed"], json!([]));
}

#[tokio::test]
async fn one_request_may_ask_for_its_fault_by_a_header() {
    let scene = Scene::new().await;
    let ask = |fault: &'static str| {
        let url = format!("{}/transaction/verify/pay-1", scene.simulator.base_url());
        let request = reqwest::Client::new().get(url).bearer_auth(KEY);
        async move { request.header("x-simulator-fault", fault).send().await }
    };
    assert_eq!(ask("rate-limit").await.unwrap().status(), 429);
    assert_eq!(ask("server-error").await.unwrap().status(), 500);
    assert!(ask("lost").await.is_err());
    let unknown = ask("time-out").await.unwrap();
    assert_eq!(unknown.status(), 422);
    assert!(unknown.text().await.unwrap().contains("one of timeout"));
}

#[tokio::test]
async fn the_routes_are_listed_and_an_unknown_one_points_at_the_list() {
    let scene = Scene::new().await;
    let (_, index) = scene.own("GET", "", "").await;
    assert!(index["routes"].as_array().unwrap().len() > 10, "{index}");
    let (status, answer) = scene.own("GET", "/nothing", "").await;
    assert_eq!(status, 404);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("GET /simulator"),
        "{answer}"
    );
    let (status, _) = scene.own("POST", "/transfers/po_1/explode", "").await;
    assert_eq!(status, 404);
}
