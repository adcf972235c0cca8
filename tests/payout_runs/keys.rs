//! A key stands for one list, for ever.

use crate::scene::{Scene, start};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_another_file_is_refused_with_both_hashes() {
    let scene = Scene::new().await;
    let merchants = scene.merchants(2, 50_000).await;
    let first = scene.start("a", &scene.list(&merchants, 20_000)).exits(0);
    let frozen = first.json()["list_hash"].as_str().unwrap().to_owned();
    let other = scene.list(&merchants, 20_001);
    let dry = [
        "-o",
        "json",
        "payout",
        "run",
        "start",
        "--key",
        "b",
        "--file",
        &other,
        "--dry-run",
    ];
    let plan = scene.run(&dry).exits(0).json();
    let theirs = plan["list_hash"].as_str().unwrap();
    let refused = scene.start("a", &other).exits(3);
    let answer = refused.json();
    assert_eq!(answer["code"], "payout_run_key_reused");
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        detail.contains(&frozen) && detail.contains(theirs),
        "{detail}"
    );
    assert_ne!(frozen, theirs);
    assert_eq!(scene.transfers().0, 2);
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_list_written_otherwise_is_the_same() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    scene
        .start(
            "a",
            &scene.file("minor.csv", &["acme,NGN,20000,".to_owned()]),
        )
        .exits(0);
    let path = scene.directory().join("amount.csv");
    std::fs::write(&path, "currency,amount,merchant\r\nNGN,200.00,acme\r\n").unwrap();
    let again = scene.start("a", path.to_str().unwrap());
    again.exits(0).says("nothing to do");
    assert_eq!(scene.transfers().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_not_what_is_due_and_the_other_way_round() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let due = [
        "--yes", "-o", "json", "payout", "run", "start", "--key", "a", "--due",
    ];
    scene
        .start("a", &scene.file("a.csv", &["acme,NGN,20000,".to_owned()]))
        .exits(0);
    let refused = scene.run(&due).exits(3).json();
    assert_eq!(refused["code"], "payout_run_key_reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_and_a_missing_yes_do_nothing() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let file = scene.file("a.csv", &["acme,NGN,20000,".to_owned()]);
    let dry = [
        "payout",
        "run",
        "start",
        "--key",
        "a",
        "--file",
        &file,
        "--dry-run",
    ];
    scene.run(&dry).exits(0).says("nothing was done");
    let unasked = ["payout", "run", "start", "--key", "a", "--file", &file];
    scene.run(&unasked).exits(8).says("--dry-run");
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 0);
    let wrong = start("a b", &file);
    scene.run(&wrong).exits(2).says("no key of a payout run");
    let neither = ["payout", "run", "start", "--key", "a"];
    scene.run(&neither).exits(2);
    let without = [("PAYSTACK_SECRET_KEY", "")];
    let ran = scene.run_with(&start("a", &file), &without).exits(2);
    ran.says("PAYSTACK_SECRET_KEY");
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 0);
    let unknown = scene
        .run(&["-o", "json", "payout", "run", "show", "nobody"])
        .exits(3);
    assert_eq!(unknown.json()["code"], "payout_run_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_their_items_are_listed() {
    let scene = Scene::new().await;
    let merchants = scene.merchants(3, 90_000).await;
    for key in ["a", "b", "c"] {
        scene.start(key, &scene.list(&merchants, 20_000)).exits(0);
    }
    let listed = scene
        .run(&["-o", "csv", "payout", "run", "list"])
        .exits(0)
        .csv();
    let keys: Vec<&str> = listed
        .iter()
        .map(|run| run["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["c", "b", "a"]);
    let args = [
        "-o", "csv", "payout", "run", "list", "--limit", "1", "--after", "c",
    ];
    let cut = scene.run(&args).exits(0).says("--after b");
    assert_eq!(cut.csv()[0]["key"], "b");
    let items = scene
        .run(&["-o", "csv", "payout", "run", "items", "b"])
        .exits(0)
        .csv();
    let merchants: Vec<&str> = items
        .iter()
        .map(|i| i["merchant"].as_str().unwrap())
        .collect();
    assert_eq!(merchants, ["m1", "m2", "m3"]);
    assert!(items.iter().all(|item| item["outcome"] == "succeeded"));
    let none = [
        "-o",
        "csv",
        "payout",
        "run",
        "items",
        "b",
        "--outcome",
        "failed",
    ];
    assert!(scene.run(&none).exits(0).csv().is_empty());
    scene
        .run(&["payout", "run", "items", "b", "--outcome", "odd"])
        .exits(2);
}
