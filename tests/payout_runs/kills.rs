//! Killed anywhere, a run is gone on with, and nobody is paid twice.

use crate::scene::{Scene, counts, start};

/// Kills a run at a place, then goes on with it.
async fn killed(place: &str, by_start: bool) {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(8, 50_000).await, 20_000);
    let args = start("evening", &file);
    let armed = format!(
        "{place}=kill@{}",
        if place.ends_with("frozen") { 1 } else { 4 }
    );
    let ran = scene.run_with(&args, &[("AEGIS_FAILPOINTS", &armed)]);
    assert_eq!(ran.code, None, "it was killed: {ran:?}");
    let half = scene.show("evening");
    assert_eq!(half["status"], "running");
    assert!(counts(&half)[1] < 8, "{half}");
    // A call that died is asked about once its lease is over.
    scene.expire_leases().await;
    let run = match by_start {
        true => scene.run(&args),
        false => scene.run(&[
            "--yes", "-o", "json", "payout", "run", "resume", "--key", "evening",
        ]),
    };
    let run = run.exits(0).json();
    assert_eq!(counts(&run), [8, 8, 0, 0, 0], "{place}");
    assert_eq!(run["list_hash"], half["list_hash"]);
    assert_eq!(scene.transfers(), (8, 160_000), "{place}");
    scene.assert_paid_once().await;
    assert_eq!(scene.events().await, ["started", "finished"]);
    let deeds: Vec<String> = scene
        .deeds()
        .await
        .into_iter()
        .map(|(deed, _)| deed)
        .collect();
    assert_eq!(deeds, ["started", "resumed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_first_payment() {
    killed("payout_run.frozen", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_request_and_call() {
    killed("payout_run.requested", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_an_items_commit() {
    killed("payout.requests", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_the_call_under_way() {
    killed("payout.calls", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_call() {
    killed("payout.called", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_answer_is_committed() {
    killed("payout.concludes", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_a_payment() {
    killed("payout_run.sent", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_pay_everybody_once() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(10, 50_000).await, 20_000);
    let args = start("evening", &file);
    let both = [scene.spawn_with(&args, &[]), scene.spawn_with(&args, &[])];
    let codes: Vec<Option<i32>> = both
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code())
        .collect();
    // One pays; the other one finds it at work, or done.
    assert!(codes.contains(&Some(0)), "{codes:?}");
    let other = |code: &Option<i32>| matches!(code, Some(0 | 6));
    assert!(codes.iter().all(other), "{codes:?}");
    assert_eq!(counts(&scene.show("evening")), [10, 10, 0, 0, 0]);
    assert_eq!(scene.transfers(), (10, 200_000));
    scene.assert_paid_once().await;
}
