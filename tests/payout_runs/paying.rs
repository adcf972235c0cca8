//! Runs that come to their ends, well and otherwise.

use std::time::Duration;

use aegis::simulator::Fault;

use crate::common::ran::Ran;
use crate::scene::{Scene, counts, start};
use crate::shared::daemon::signal;

#[tokio::test(flavor = "multi_thread")]
async fn everybody_on_the_list_is_paid_and_a_second_start_does_nothing() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(3, 50_000).await, 20_000);
    let run = scene.start("evening", &file).exits(0).json();
    assert_eq!(counts(&run), [3, 3, 0, 0, 0]);
    assert_eq!(
        (&run["key"], &run["status"], &run["total"], &run["currency"]),
        (
            &"evening".into(),
            &"finished".into(),
            &60_000.into(),
            &"NGN".into()
        )
    );
    assert_eq!(run["list_hash"].as_str().unwrap().len(), 64);
    let again = scene.start("evening", &file).exits(0).says("nothing to do");
    assert_eq!(again.json(), run);
    let resumed = scene.run(&["--yes", "payout", "run", "resume", "--key", "evening"]);
    resumed.exits(0).says("nothing to do");
    assert_eq!(scene.transfers(), (3, 60_000));
    assert_eq!(scene.balance("merchant:m1:available").await, 30_000);
    assert_eq!(scene.events().await, ["started", "finished"]);
    let deeds = scene.deeds().await;
    assert_eq!(deeds.len(), 1, "{deeds:?}");
    assert_eq!(deeds[0].0, "started");
    scene.assert_paid_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_failed_is_5_with_the_reasons() {
    let scene = Scene::new().await;
    scene.merchant("rich", 50_000).await;
    scene.merchant("poor", 10_000).await;
    scene.merchant("unlucky", 50_000).await;
    let lines = ["rich,NGN,20000,".to_owned(), "poor,NGN,20000,".to_owned()];
    let file = scene.file("list.csv", &lines);
    let run = scene.start("a", &file).exits(5).json();
    assert_eq!(counts(&run), [2, 1, 1, 0, 0]);
    let shown = scene.run(&["payout", "run", "show", "a"]).exits(0);
    assert!(shown.stdout.contains("insufficient_funds"), "{shown:?}");
    assert_eq!(scene.balance("merchant:poor:available").await, 10_000);
    // The PSP's no is a failure too, and its money is back.
    scene.arm(Fault::LowBalance, 1);
    let file = scene.file("unlucky.csv", &["unlucky,NGN,20000,".to_owned()]);
    let run = scene.start("b", &file).exits(5).json();
    assert_eq!(counts(&run), [1, 0, 1, 0, 0]);
    assert_eq!(scene.balance("merchant:unlucky:available").await, 50_000);
    // Finished is finished: whoever is to be paid after all is paid under another key.
    scene.start("b", &file).exits(0).says("nothing to do");
    assert_eq!(counts(&scene.show("b")), [1, 0, 1, 0, 0]);
    scene.assert_paid_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_left_over_and_counts_as_it_ends() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(2, 50_000).await, 20_000);
    scene.arm(Fault::ServerError, 1);
    let args = start("a", &file);
    let slow = [
        ("PAYOUT_RUN_PATIENCE_MS", "0"),
        ("BACKOFF_FIRST_MS", "600000"),
    ];
    let run = scene.run_with(&args, &slow).exits(5);
    run.json();
    let [count, _, failed, unknown, waiting] = counts(&scene.show("a"));
    assert_eq!((count, failed, unknown), (2, 0, 1));
    assert_eq!(waiting, 1, "the other one is on its way");
    assert_eq!(scene.show("a")["status"], "running");
    scene.expire_leases().await;
    let run = scene.start("a", &file).exits(0).json();
    assert_eq!(counts(&run), [2, 2, 0, 0, 0]);
    assert_eq!(scene.transfers().0, 2);
    scene.assert_paid_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_nothing_but_unknown_payouts_left_is_finished_with_5() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(1, 50_000).await, 20_000);
    scene.arm(Fault::Garbage, 1);
    let slow = [
        ("PAYOUT_RUN_PATIENCE_MS", "0"),
        ("BACKOFF_FIRST_MS", "600000"),
    ];
    let run = scene.run_with(&start("a", &file), &slow).exits(5).json();
    assert_eq!(counts(&run), [1, 0, 0, 1, 0]);
    assert_eq!(run["status"], "finished");
    assert_eq!(scene.balance("payouts:in_transit").await, 20_000);
    scene.start("a", &file).exits(0).says("nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_at_a_safe_point_and_says_how_to_go_on() {
    // They never end by themselves: the run stays.
    let scene = Scene::settling(None).await;
    let file = scene.list(&scene.merchants(2, 50_000).await, 20_000);
    let child = scene.spawn_with(&start("a", &file), &[]);
    scene
        .until(
            "both are sent",
            "SELECT count(*) = 2 FROM payouts WHERE status = 'sent'",
        )
        .await;
    let busy = scene.start("a", &file).exits(6);
    assert!(busy.stderr.contains("in progress elsewhere"), "{busy:?}");
    let args = ["--yes", "payout", "run", "resume", "--key", "a"];
    scene.run(&args).exits(6);
    signal(&child, "-INT");
    let ran = Ran::of(child.wait_with_output().unwrap()).exits(130);
    let ran = ran.says("`aegisctl payout run resume --key a` goes on");
    assert_eq!(counts(&ran.json()), [2, 0, 0, 0, 2]);
    let references: Vec<String> = scene
        .simulator
        .with_books(|books| books.transfers().map(|t| t.reference.clone()).collect());
    for reference in references {
        let base = scene.simulator.base_url();
        let url = format!("{base}/simulator/transfers/{reference}/succeed");
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    scene.expire_leases().await;
    scene.run(&args).exits(0);
    assert_eq!(counts(&scene.show("a")), [2, 2, 0, 0, 0]);
    assert_eq!(scene.transfers().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_psp_leave_nobody_paid_twice() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(12, 50_000).await, 20_000);
    for (fault, times) in [
        (Fault::ServerError, 2),
        (Fault::Cut, 2),
        (Fault::Garbage, 2),
        (Fault::RateLimit, 2),
    ] {
        scene.arm(fault, times);
    }
    let with = [("BREAKER_FAILURES_MAX", "1000")];
    scene.run_with(&start("a", &file), &with);
    scene.expire_leases().await;
    let run = scene.start("a", &file).exits(0);
    assert_eq!(counts(&run.json())[1..], [12, 0, 0, 0]);
    assert_eq!(scene.transfers(), (12, 240_000));
    scene.assert_paid_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_payouts_are_one_run() {
    let scene = Scene::settling(Some(Duration::ZERO)).await;
    let merchants = scene.merchants(10, 1_000_000).await;
    let lines: Vec<String> = (0..1_000)
        .map(|n| format!("{},NGN,1000,inv-{n}", merchants[n % 10]))
        .collect();
    let file = scene.file("thousand.csv", &lines);
    let run = scene.start("thousand", &file).exits(0).json();
    assert_eq!(counts(&run), [1_000, 1_000, 0, 0, 0]);
    assert_eq!(scene.transfers(), (1_000, 1_000_000));
    for merchant in &merchants {
        let available = format!("merchant:{merchant}:available");
        assert_eq!(scene.balance(&available).await, 900_000);
    }
    scene.assert_paid_once().await;
}
