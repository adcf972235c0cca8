//! `kill -9` at each step: nothing is lost, nobody is paid twice, and money in transit is that of
//! the open payouts.

use aegis::payouts::PayoutStatus;

use crate::scene::{FUNDS, Scene};
use crate::tool::Tool;

/// The tool dies at this place while it takes the payout's next step.
async fn dies_at(place: &str, scene: &Scene, tool: &Tool<'_>, id: uuid::Uuid) {
    let arms = format!("{place}=kill");
    let id = id.to_string();
    let ran = tool.run_with(&["payout", "requery", &id], &[("AEGIS_FAILPOINTS", &arms)]);
    assert_eq!(ran.code, None, "it was killed: {}", ran.stderr);
    scene.assert_transit().await;
}

/// The row of a lost call is given up once its lease is over, as on another day.
async fn lease_ends(scene: &Scene) {
    sqlx::query(
        "UPDATE payouts SET next_attempt_at = now() - interval '1 second'
         WHERE next_attempt_at IS NOT NULL",
    )
    .execute(scene.pool())
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_commit_of_a_request_nothing_happened_and_behind_it_all_of_it() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let ask = [
        "payout",
        "create",
        "--merchant",
        "acme",
        "--currency",
        "NGN",
        "--minor",
        "90000",
        "--key",
        "k",
    ];
    for (place, open) in [("payout.requests", 0), ("payout.requested", 90_000)] {
        let arms = format!("{place}=kill");
        let ran = tool.run_with(&ask, &[("AEGIS_FAILPOINTS", &arms)]);
        assert_eq!(ran.code, None, "{}", ran.stderr);
        assert_eq!(scene.in_transit().await, open, "{place}");
        scene.assert_transit().await;
    }
    tool.run(&ask).exits(0);
    assert_eq!(scene.in_transit().await, 90_000, "once");
    assert_eq!(scene.available().await, FUNDS - 90_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_call_the_psp_is_asked_and_it_is_sent_once_the_time_has_passed() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let payout = scene.requested("k", 90_000).await;
    dies_at("payout.calls", &scene, &tool, payout.id).await;
    assert_eq!(scene.attempts(payout.id).await, ["send -"]);
    assert_eq!(scene.transfers(), 0);
    lease_ends(&scene).await;
    scene.set_now(time::OffsetDateTime::now_utc());
    let mut payout = scene.advance(payout.id).await;
    assert_eq!(payout.status, PayoutStatus::Unknown);
    assert_eq!(
        scene.attempts(payout.id).await,
        ["send lost", "ask not_known"]
    );
    for _ in 0..9 {
        if payout.status == PayoutStatus::Sent {
            break;
        }
        payout = scene.go_on(&payout).await;
        scene.assert_transit().await;
    }
    assert_eq!(payout.status, PayoutStatus::Sent);
    assert_eq!(scene.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_call_the_psp_is_asked_and_nothing_is_sent_again() {
    for place in ["payout.called", "payout.concludes"] {
        let scene = Scene::new().await;
        let tool = Tool::on(&scene);
        let payout = scene.requested("k", 90_000).await;
        dies_at(place, &scene, &tool, payout.id).await;
        assert_eq!(scene.transfers(), 1);
        assert_eq!(scene.read(payout.id).await.status, PayoutStatus::Requested);
        scene.at_the_psp("succeed", &payout).await;
        lease_ends(&scene).await;
        scene.set_now(time::OffsetDateTime::now_utc());
        let payout = scene.advance(payout.id).await;
        assert_eq!(payout.status, PayoutStatus::Succeeded, "{place}");
        assert_eq!(scene.attempts(payout.id).await, ["send lost", "ask seen"]);
        assert_eq!(
            scene.events(payout.id).await,
            ["requested", "unknown", "succeeded"]
        );
        assert_eq!(scene.transfers(), 1);
        scene.assert_same_books().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_the_commit_of_an_answer_it_is_known() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let payout = scene.requested("k", 90_000).await;
    dies_at("payout.concluded", &scene, &tool, payout.id).await;
    assert_eq!(scene.read(payout.id).await.status, PayoutStatus::Sent);
    assert_eq!(scene.attempts(payout.id).await, ["send seen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_outcome_of_a_question_is_written_it_is_asked_again() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let payout = scene.sent("k", 90_000).await;
    scene.at_the_psp("fail", &payout).await;
    dies_at("payout.concludes", &scene, &tool, payout.id).await;
    assert_eq!(scene.in_transit().await, 90_000);
    tool.run(&["payout", "requery", &payout.id.to_string()])
        .exits(0);
    assert_eq!(scene.available().await, FUNDS);
    tool.run(&["payout", "requery", &payout.id.to_string()])
        .exits(0);
    assert_eq!(scene.available().await, FUNDS, "once");
}
