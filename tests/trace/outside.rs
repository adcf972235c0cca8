//! By `aegisctl trace` and over HTTP.

use std::process::Command;

use serde_json::Value;

use crate::common::ran::Ran;
use crate::scene::Scene;
use crate::support::daemon::Settings;

fn tool(scene: &Scene, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", scene.database.url())
        .args(args)
        .output()
        .unwrap();
    Ran::of(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_shows_a_timeline_with_aligned_times_and_amounts() {
    let scene = Scene::new().await;
    let payment = scene.paid(125_000, 0).await.to_string();
    scene.settle(2).await;
    let ran = tool(&scene, &["trace", &payment]).exits(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("AT"), "{}", ran.stdout);
    let what = lines[0].find("WHAT").unwrap();
    for line in &lines[1..] {
        assert_eq!(line.as_bytes()[what - 3], b'Z', "{line}");
        assert!(line.is_char_boundary(what) && !line[what..].starts_with(' '));
    }
    assert!(ran.stdout.contains("1250.00"), "{}", ran.stdout);
    let moved = "psp:paystack -1250.00";
    assert!(ran.stdout.contains(moved), "{}", ran.stdout);
    ran.says(&format!("is payment:{payment}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_gives_json_and_csv_for_machines_and_3_where_nothing_is_known() {
    let scene = Scene::new().await;
    let payment = scene.paid(125_000, 0).await.to_string();
    let json = tool(&scene, &["-o", "json", "trace", &payment]).exits(0);
    let json = json.json();
    assert_eq!(json["found"][0]["kind"], "payment");
    assert_eq!(json["found"][0]["id"], Value::from(payment.as_str()));
    let moments = json["moments"].as_array().unwrap();
    let posted = moments.iter().find(|m| m["kind"] == "transaction").unwrap();
    assert_eq!(posted["amount"], 125_000);
    let amounts = posted["entries"].as_array().unwrap().iter();
    assert_eq!(
        amounts.map(|e| e["amount"].as_i64().unwrap()).sum::<i64>(),
        0
    );
    let csv = tool(&scene, &["-o", "csv", "trace", &payment]).exits(0);
    assert_eq!(csv.csv().len(), moments.len());
    let unknown = tool(&scene, &["-o", "json", "trace", "nobody"]).exits(3);
    assert_eq!(unknown.json()["code"], "nothing_found");
    tool(&scene, &["trace", "x", "--things", "0"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_tells_the_same() {
    let scene = Scene::new().await;
    let payment = scene.paid(125_000, 0).await.to_string();
    scene.settle(2).await;
    let payout = scene.pay_out(125_000).await;
    let daemon = Settings::new(scene.database.url()).start().await;
    let get = async |path: &str| {
        let url = format!("http://{}/v1/ledgers/main/trace/{path}", daemon.address);
        let answer = reqwest::get(url).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, told) = get(&payment).await;
    assert_eq!(status, 200, "{told}");
    let payout = payout.to_string();
    let ids = told["moments"].as_array().unwrap().iter();
    assert!(
        ids.map(|m| m["id"].as_str().unwrap())
            .any(|id| id == payout)
    );
    // A key with a slash in it.
    let (status, none) = get("what%2Fever").await;
    assert_eq!(
        (status, &none["code"]),
        (404, &Value::from("nothing_found"))
    );
    let (status, wrong) = get(&format!("{payment}?things=0")).await;
    assert_eq!(
        (status, &wrong["errors"][0]["field"]),
        (422, &Value::from("things"))
    );
    assert_eq!(daemon.stop().await, Some(0));
}
