//! Lists that can't be paid: all that is wrong is named by line before anything is done.

use crate::scene::Scene;

fn problems(stderr: &str) -> Vec<&str> {
    let lines = stderr.lines().filter(|line| line.starts_with("  line "));
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_file_is_named_by_line_and_nobody_is_paid() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let lines = [
        "acme,NGN,20000,",
        "nobody,NGN,20000,",
        "acme,NGN,20000,",
        "acme,NGN,x,",
        "acme,NGN",
    ]
    .map(str::to_owned);
    let file = scene.file("broken.csv", &lines);
    let ran = scene.start("a", &file).exits(2);
    let told = problems(&ran.stderr);
    let expected = [
        ("line 3: merchant", "there is no merchant nobody"),
        ("line 4: merchant", "acme stands in item 1 already"),
        ("line 5: minor", "is not a whole number"),
        ("line 6: ", "has 2 fields, the header 4"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, (line, words)) in told.iter().zip(expected) {
        assert!(told.contains(line) && told.contains(words), "{told}");
    }
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 0);
    scene
        .start("a", "missing.csv")
        .exits(2)
        .says("can't be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_says_no_to_is_a_rules_no() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    scene.merchant("cold", 50_000).await;
    let without = r#"{"minimum": 0, "schedule": "manual"}"#;
    scene.merchant_with("lost", "NGN", without).await;
    scene.merchant_with("kenya", "KES", without).await;
    sqlx::query("UPDATE merchants SET status = 'frozen' WHERE id = 'cold'")
        .execute(scene.pool())
        .await
        .unwrap();
    for (line, code) in [
        ("nobody,NGN,20000,", "merchant_not_found"),
        ("cold,NGN,20000,", "merchant_frozen"),
        ("lost,NGN,20000,", "recipient_missing"),
        ("kenya,NGN,20000,", "currency_not_agreed"),
        ("acme,NGN,999,", "amount_below_minimum"),
    ] {
        let lines = ["acme,NGN,20000,one".to_owned(), format!("{line}two")];
        let refused = scene.start("a", &scene.file("a.csv", &lines)).exits(3);
        assert_eq!(refused.json()["code"], code);
        let told = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains("line 3: "), "{told}");
    }
    let both = ["nobody,NGN,20000,", "cold,NGN,20000,"].map(str::to_owned);
    let refused = scene.start("a", &scene.file("a.csv", &both)).exits(3);
    assert_eq!(refused.json()["code"], "list_refused");
    assert_eq!(problems(&refused.stderr).len(), 2);
    assert_eq!(scene.transfers().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_two_currencies_is_refused_with_advice() {
    let scene = Scene::new().await;
    scene.merchant("acme", 50_000).await;
    let lines = ["acme,NGN,20000,a", "acme,KES,20000,b"].map(str::to_owned);
    let ran = scene.start("a", &scene.file("a.csv", &lines)).exits(2);
    ran.says("line 3: currency")
        .says("make a list and a run for each");
}
